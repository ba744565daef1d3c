//! Mediation against the kernel and against attacks, in real namespaces.
//!
//! No libtest: namespaces need single-threaded processes, so each test is forked from this one.
//! As root, each runs twice: as root without capabilities, and as an ordinary user.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    unreachable_pub
)]

mod attacks;
mod calls;
mod differential;
mod harness;
mod liveness;
mod programs;

use harness::{Test, USER, fork, wait};

fn main() {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let tests: Vec<Test> = [attacks::TESTS, liveness::TESTS, differential::TESTS, programs::TESTS]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    // SAFETY: no arguments.
    let root = unsafe { libc::getuid() } == 0;
    let users: &[Option<u32>] = if root { &[None, Some(USER)] } else { &[None] };
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, test) in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        for user in users {
            let child = fork().unwrap();
            if child == 0 {
                let done = std::panic::catch_unwind(|| test(*user));
                std::process::exit(i32::from(done.is_err()));
            }
            let good = wait(child) == 0;
            let who = if user.is_some() || !root { "user" } else { "root" };
            println!("test {name} ({who}) ... {}", if good { "ok" } else { "FAILED" });
            if good {
                passed += 1;
            } else {
                failed.push(name);
            }
        }
    }
    println!("\n{passed} passed; {} failed {failed:?}", failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}
