//! Clients that compilers made.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use remit_testkit::{program, run_bounded};

use super::{
    client::{Client, Trust},
    shell::written,
};

/// The word by which this test program becomes the client.
pub const CLIENT: &str = "rustls-client";
const LIMIT: Duration = Duration::from_secs(300);

pub fn clients() -> Vec<Client> {
    let java = |name, way: &'static str| {
        let trust = Trust::System("the Java keystore `cacerts`");
        Client::of_steps(name, trust, "java -version", move |place| {
            let source = written(place, "Client.java", include_str!("clients/Client.java"));
            let mut javac = Command::new(program("javac"));
            javac.arg("-d").arg(place.programs()).arg(source);
            run_bounded(&mut javac, LIMIT).must_succeed();
            let java = program("java");
            format!("{} -cp {} Client {way}", java.display(), place.programs().display())
        })
    };
    let rustls = Trust::System("the system's bundle");
    // Of the library; the lock file says which.
    let lock = include_str!("../../../../Cargo.lock");
    let version = lock.split("name = \"rustls\"\nversion = \"").nth(1).unwrap_or_default();
    let version = version.split('"').next().unwrap_or_default();
    let cargo_version = format!("echo {version}");
    vec![
        Client::of_steps(
            "go net/http",
            Trust::System("the system's bundle"),
            "go version",
            |place| {
                let source = written(place, "client.go", include_str!("clients/client.go"));
                let binary = place.programs().join("client");
                go(Path::new(&source), &binary);
                binary.display().to_string()
            },
        ),
        Client::of_steps("rustls with the system's roots", rustls, cargo_version, |place| {
            let binary = place.programs().join("client");
            std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
            format!("{} {CLIENT}", binary.display())
        }),
        java("java HttpClient", "new"),
        java("java HttpURLConnection", "old"),
    ]
}

/// The folder of the toolchain's own programs, not of rustup's proxies: `REMIT_TEST_TOOLCHAIN`
/// where set.
pub fn toolchain() -> PathBuf {
    std::env::var_os("REMIT_TEST_TOOLCHAIN").map_or_else(
        || {
            // Not `program`: rustup's proxy goes by the name that it is called by.
            let mut rustc = Command::new("rustc");
            let done = run_bounded(rustc.args(["--print", "sysroot"]), LIMIT).must_succeed();
            PathBuf::from(done.stdout.trim())
        },
        PathBuf::from,
    )
}

/// Static: the runtime's own resolver and roots.
fn go(source: &Path, binary: &Path) {
    let mut command = Command::new(program("go"));
    command.args(["build", "-o"]).args([binary, source]);
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off");
    run_bounded(&mut command, LIMIT).must_succeed();
}
