//! What mediation adds to `open` + `close` of a granted file: the same loop natively and mediated,
//! with a policy that permits at once and a trail that counts.
//!
//! `cargo run --release -p remit-sandbox --example open_cost`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "../tests/mediate/calls.rs"]
mod calls;
#[path = "../tests/mediate/harness.rs"]
mod harness;

use std::{
    io::{Read, Write},
    path::Path,
    time::Instant,
};

use harness::{Area, Setup, allow_all, fork, pipe, session, wait};

const WARM_UP: usize = 2_000;
const ROUNDS: usize = 20_000;

fn main() {
    let area = Area::new("cost", None);
    let file = area.data.join("file");
    std::fs::write(&file, "content").unwrap();
    let system = Path::new("/etc/passwd");
    let scratch = area.scratch.join("file");
    std::fs::write(&scratch, "content").unwrap();
    println!("open+close, median of {ROUNDS}, microseconds");
    for (name, path, flags) in [
        ("granted file, absolute", file.to_str().unwrap(), libc::O_RDONLY),
        ("granted file, relative", "file", libc::O_RDONLY),
        ("granted file, for writing", file.to_str().unwrap(), libc::O_WRONLY),
        ("scratch file", scratch.to_str().unwrap(), libc::O_RDONLY),
        ("system file", system.to_str().unwrap(), libc::O_RDONLY),
        ("absent granted file", area.data.join("none").to_str().unwrap(), libc::O_RDONLY),
    ] {
        let native = run(&area, false, path, flags);
        let mediated = run(&area, true, path, flags);
        println!(
            "{name:28} native {native:6.2}  mediated {mediated:6.2}  added {:6.2}",
            mediated - native
        );
    }
}

fn run(area: &Area, mediated: bool, path: &str, flags: i32) -> f64 {
    let (mut result, mut out) = pipe();
    let child = fork().unwrap();
    if child == 0 {
        let mut setup = Setup::new(None, allow_all());
        setup.mediated = mediated;
        let (well, _) = session(area, setup, || {
            let dir = calls::c(area.data.to_str().unwrap());
            calls::sys!(SYS_chdir, dir.as_ptr()).unwrap();
            let path = calls::c(path);
            let mut times = Vec::with_capacity(ROUNDS);
            for round in 0..WARM_UP + ROUNDS {
                let begun = Instant::now();
                let fd = calls::sys!(SYS_openat, calls::CWD, path.as_ptr(), flags, 0);
                if let Ok(fd) = fd {
                    calls::close(fd);
                }
                if round >= WARM_UP {
                    times.push(begun.elapsed().as_nanos() as u64);
                }
            }
            times.sort_unstable();
            out.write_all(&times[ROUNDS / 2].to_ne_bytes()).unwrap();
        });
        std::process::exit(i32::from(!well));
    }
    drop(out);
    let mut nanos = [0; 8];
    result.read_exact(&mut nanos).unwrap();
    assert_eq!(wait(child), 0);
    u64::from_ne_bytes(nanos) as f64 / 1000.0
}
