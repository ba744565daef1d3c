//! Programs that compilers made: with their own runtime, resolver and trust store (Go), or their
//! own calls (Rust).

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use libtest_mimic::Trial;
use remit_testkit::{Origin, Session, Site, program, run_bounded};

use super::place::{Place, SERVER, WEB, trial};

const LIMIT: Duration = Duration::from_secs(300);

pub fn trials() -> Vec<Trial> {
    vec![trial("programs_built_by_rustc", rust), trial("programs_built_by_go", go)]
}

/// The toolchain's cargo and rustc, without rustup's proxies, and their folder:
/// `REMIT_TEST_TOOLCHAIN` where set.
pub fn toolchain() -> (PathBuf, PathBuf, PathBuf) {
    let root = std::env::var_os("REMIT_TEST_TOOLCHAIN").map_or_else(
        || {
            // Not `program`: rustup's proxy goes by the name that it is called by.
            let mut rustc = Command::new("rustc");
            let done = run_bounded(rustc.args(["--print", "sysroot"]), LIMIT).must_succeed();
            PathBuf::from(done.stdout.trim())
        },
        PathBuf::from,
    );
    (root.join("bin/cargo"), root.join("bin/rustc"), root)
}

/// Writes, compiles and grants a program, then runs it natively and inside, as the entry program
/// and as a listed one that a shell starts.
fn built(name: &str, source: (&str, &str), compile: impl FnOnce(&Path, &Path) -> Command) {
    let place = Place::new(name).host(WEB, &[80, 443]);
    let _tls = Origin::tls(&place.authority, &format!("{SERVER}:443"), &[WEB], Site::Builtin);
    let _plain = Origin::plain(&format!("{SERVER}:80"), Site::Builtin);
    let source = place.area.write(source.0, source.1);
    place.area.write("work/input", "input");
    let folder = place.area.path().join("bin");
    std::fs::create_dir(&folder).expect("a folder can be created");
    let binary = folder.join("program");
    run_bounded(&mut compile(&source, &binary), LIMIT).must_succeed();
    let place = place.with(|manifest| {
        let listed = serde_json::json!(["/usr/bin", &binary]);
        manifest.read(&folder).set("/permissions/execute", listed)
    });
    let run = |session: Session<'_>| session.run(&[&binary]).must_succeed();
    let (outside, inside) = (run(place.outside()), run(place.inside()));
    assert_eq!(inside.stdout, outside.stdout, "{inside}");
    assert!(inside.stdout.ends_with("done\n"), "{inside}");
    place.same(&format!("{}; exec {}", binary.display(), binary.display()));
    place.nothing_was_denied();
}

fn rust() {
    let (_, rustc, _) = toolchain();
    built("rustc", ("main.rs", RUST), |source, binary| {
        let mut command = Command::new(rustc);
        command.args(["--edition", "2021", "-O", "-o"]).args([binary, source]);
        command
    });
}

const RUST: &str = r#"
use std::{fs, io::{Read, Write}, net::TcpStream, process::Command, sync::mpsc, thread};
fn main() {
    println!("{}", fs::read_to_string("input").unwrap());
    fs::write("output", "output").unwrap();
    fs::rename("output", "renamed").unwrap();
    let (send, receive) = mpsc::channel();
    for n in 0..8u32 {
        let send = send.clone();
        thread::spawn(move || send.send(n + fs::read("renamed").unwrap().len() as u32).unwrap());
    }
    println!("{}", receive.iter().take(8).sum::<u32>());
    fs::remove_file("renamed").unwrap();
    let mut stream = TcpStream::connect("www.programs.example:80").unwrap();
    write!(stream, "GET /bytes/3 HTTP/1.1\r\nhost: www.programs.example\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    println!("{}", answer.ends_with("xxx"));
    let child = Command::new("cat").arg("input").output().unwrap();
    println!("{}", String::from_utf8_lossy(&child.stdout));
    println!("{:?}", Command::new("/nonexistent").spawn().unwrap_err().kind());
    println!("done");
}
"#;

fn go() {
    built("go", ("main.go", GO), |source, binary| {
        let mut command = Command::new(program("go"));
        command.args(["build", "-o"]).args([binary, source]);
        // Static: the runtime's own calls and resolver.
        command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off");
        command
    });
}

const GO: &str = r#"
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	input, err := os.ReadFile("input")
	must(err)
	fmt.Println(string(input))
	must(os.WriteFile("output", input, 0o640))
	must(os.MkdirAll("deep/er", 0o755))
	must(os.Rename("output", "deep/er/output"))
	var group sync.WaitGroup
	for n := 0; n < 32; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := os.ReadFile("deep/er/output")
			must(err)
		}()
	}
	group.Wait()
	must(os.RemoveAll("deep"))
	for _, url := range []string{"https://www.programs.example/bytes/3", "http://www.programs.example/bytes/4"} {
		answer, err := http.Get(url)
		must(err)
		body, err := io.ReadAll(answer.Body)
		must(err)
		fmt.Println(answer.StatusCode, answer.Proto, string(body))
	}
	output, err := exec.Command("cat", "input").Output()
	must(err)
	fmt.Println(string(output))
	fmt.Println("done")
}
"#;
