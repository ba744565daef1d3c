//! Real programs doing ordinary work inside: what people run agents for must not break.
//!
//! Each piece of work first runs natively in the same place, so that a failure inside is Remit's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod compiled;
mod git;
mod packages;
mod place;
mod scripts;
mod streams;
mod terminal;
mod web;

use std::net::Ipv4Addr;

use libtest_mimic::Arguments;
use remit_testkit::enter_private_network;

fn main() {
    let server = Ipv4Addr::new(127, 0, 0, 2).into();
    let names = [place::WEB, place::REGISTRY, place::GIT].map(|name| (server, name));
    let net = enter_private_network(&names);
    let mut arguments = Arguments::from_args();
    // The servers have fixed addresses, as real hosts do.
    arguments.test_threads = Some(1);
    let trials = [
        scripts::trials(),
        streams::trials(),
        terminal::trials(),
        web::trials(),
        git::trials(),
        packages::trials(),
        compiled::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    drop(net);
    conclusion.exit();
}
