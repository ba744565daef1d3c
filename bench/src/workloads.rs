//! Whole jobs, inside a session and outside, by the same probe; start-up is not part of them.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use remit_testkit::{
    Area, ManifestBuilder, Origin, Session, Site, TestAuthority, npm_registry, program, run_bounded,
};

use crate::{
    figure::Figure,
    opens::probe,
    stats::{median, probe_times},
};

/// The name of the registry of [`npm`].
pub(crate) const REGISTRY: &str = "registry.bench.example";

/// A small web project has about as many.
const PACKAGES: usize = 150;

const LIMIT: Duration = Duration::from_secs(600);

/// Folders with programs that jobs start.
const PROGRAMS: [&str; 5] =
    ["/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local/bin", "/usr/local/libexec"];

/// `git status` on 50,000 files.
pub(crate) fn git(quick: bool) -> Vec<Figure> {
    let (folders, runs) = if quick { (50, 3) } else { (500, 9) };
    let area = Area::new("git");
    for folder in 0..folders {
        for file in 0..100 {
            area.write(
                format!("work/folder-{folder}/file-{file}.txt"),
                format!("{folder} {file}\n"),
            );
        }
    }
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(area.work()).env("HOME", area.home()).args(words);
        run_bounded(&mut command, LIMIT).must_succeed()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-q", "-m", "all"]);
    let job = [program("git").into_os_string(), "status".into(), "--short".into()];
    let manifest = with_programs(ManifestBuilder::default().write(area.work()));
    let bounds = Bounds { name: "git status, 50,000 files", must: "≤ 1.3 × native", limit: 1.3 };
    compare(&area, &manifest, &[], &job, runs, &bounds, "cargo xtask bench --only git")
}

/// `cargo build` of a small crate without dependencies.
pub(crate) fn cargo(quick: bool) -> Vec<Figure> {
    let runs = if quick { 3 } else { 9 };
    let area = Area::new("cargo");
    small_crate(&area);
    let sysroot = sysroot();
    let home = area.path().join("cargo-home");
    fs::create_dir(&home).expect("a folder can be created");
    let target = area.work().join("target");
    let job = [
        "--fresh".into(),
        target.into_os_string(),
        sysroot.join("bin/cargo").into_os_string(),
        "build".into(),
        "--offline".into(),
        "--quiet".into(),
    ];
    let variables = [
        ("CARGO_HOME", home.clone().into_os_string()),
        ("RUSTC", sysroot.join("bin/rustc").into_os_string()),
    ];
    let manifest = with_programs(ManifestBuilder::default().write(area.work()))
        .write(&home)
        .read(&sysroot)
        .execute(&sysroot)
        .environment("CARGO_HOME")
        .environment("RUSTC");
    let bounds =
        Bounds { name: "cargo build, small crate", must: "≤ 1.15 × native", limit: 1.15 };
    compare(&area, &manifest, &variables, &job, runs, &bounds, "cargo xtask bench --only cargo")
}

/// `npm ci` of a fixed lock file from a registry over TLS.
pub(crate) fn npm(quick: bool) -> Vec<Figure> {
    let runs = if quick { 3 } else { 9 };
    let area = Area::new("npm");
    npm_registry::generate(&area, REGISTRY, PACKAGES);
    let authority = TestAuthority::new();
    let bundle = authority.write_bundle(area.path()).into_os_string();
    let site = Site::Folder(area.path().join("registry"));
    let _registry = Origin::tls(&authority, "127.0.0.2:443", &[REGISTRY], site);
    let cache = area.work().join("npm-cache");
    let job: Vec<OsString> = [
        OsString::from("--fresh"),
        cache.clone().into_os_string(),
        program("npm").into_os_string(),
        "ci".into(),
        "--no-audit".into(),
        "--no-fund".into(),
        "--ignore-scripts".into(),
        "--cache".into(),
        cache.into_os_string(),
        format!("--registry=https://{}/", REGISTRY).into(),
    ]
    .into();
    // Natively npm must be told of the authority, also where the machine's npmrc names a bundle;
    // inside, Remit's own takes its place.
    let variables = [
        ("NODE_EXTRA_CA_CERTS", bundle.clone()),
        ("npm_config_cafile", bundle.clone()),
        ("SSL_CERT_FILE", bundle),
    ];
    let manifest =
        with_programs(ManifestBuilder::default().write(area.work())).host(REGISTRY, &[443]);
    let bounds = Bounds { name: "npm ci, 150 packages", must: "≤ 1.25 × native", limit: 1.25 };
    compare(&area, &manifest, &variables, &job, runs, &bounds, "cargo xtask bench --only npm")
}

/// A job's promise.
struct Bounds {
    name: &'static str,
    must: &'static str,
    limit: f64,
}

/// Both ways in turn, several times, so that a busy moment does not fall on one of them.
fn compare(
    area: &Area,
    manifest: &ManifestBuilder,
    variables: &[(&str, OsString)],
    job: &[OsString],
    runs: usize,
    bounds: &Bounds,
    command: &str,
) -> Vec<Figure> {
    let mut words = vec![probe().into_os_string(), "runs".into(), "3".into()];
    words.extend(job.iter().cloned());
    let with = |session: Session<'_>| -> Command {
        let session = variables
            .iter()
            .fold(session, |session, (name, value)| session.env(name, value))
            .within(LIMIT);
        session.command(&words)
    };
    let (mut native, mut inside) = (Vec::new(), Vec::new());
    for round in 0..=runs.div_ceil(3) {
        let one = probe_times(&mut with(Session::native(area)), LIMIT);
        let other = probe_times(&mut with(Session::under(area, manifest)), LIMIT);
        // The first round warms caches.
        if round > 0 {
            native.extend(one);
            inside.extend(other);
        }
    }
    let (native, inside) = (median(native) / 1e6, median(inside) / 1e6);
    vec![
        Figure::plain(format!("{}: native", bounds.name), native, "ms", command),
        Figure::plain(format!("{}: under remit", bounds.name), inside, "ms", command)
            .promised(bounds.must, inside <= bounds.limit * native)
            .over(native),
    ]
}

fn with_programs(manifest: ManifestBuilder) -> ManifestBuilder {
    PROGRAMS
        .iter()
        .filter(|folder| Path::new(folder).is_dir())
        .fold(manifest, |manifest, folder| manifest.execute(folder))
}

fn small_crate(area: &Area) {
    let manifest =
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    area.write("work/Cargo.toml", manifest);
    let modules = 40;
    for module in 0..modules {
        let functions: String = (0..25)
            .map(|n| format!("pub fn f{n}(x: &[u64]) -> Vec<String> {{ x.iter().map(|v| format!(\"{{v:?}}-{n}\")).collect() }}\n"))
            .collect();
        area.write(format!("work/src/m{module}.rs"), functions);
    }
    let uses: String = (0..modules).map(|n| format!("mod m{n};\n")).collect();
    let calls: String =
        (0..modules).map(|n| format!("    println!(\"{{:?}}\", m{n}::f0(&[{n}]));\n")).collect();
    area.write(
        "work/src/main.rs",
        format!("#![allow(dead_code)]\n{uses}fn main() {{\n{calls}}}\n"),
    );
}

/// The toolchain that built this, without rustup's proxies in between.
fn sysroot() -> PathBuf {
    let mut rustc = Command::new("rustc");
    let done = run_bounded(rustc.args(["--print", "sysroot"]), LIMIT).must_succeed();
    PathBuf::from(done.stdout.trim())
}
