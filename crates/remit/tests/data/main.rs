//! Sensitive data on its way out and in, with real programs under `remit run` (N3, N4): what the
//! manifest blocks, redacts, holds and masks, seen from the server's side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod model;
mod quarantine;
mod scene;
mod web;

use std::net::Ipv4Addr;

use libtest_mimic::{Arguments, Trial};
use remit_testkit::enter_private_network;
use scene::{MODEL, WEB};

fn main() {
    let server = Ipv4Addr::new(127, 0, 0, 2).into();
    let models = Ipv4Addr::new(127, 0, 0, 4).into();
    let net = enter_private_network(&[(server, WEB), (models, MODEL), (models, "api.openai.com")]);
    let mut arguments = Arguments::from_args();
    // The origins have fixed addresses, as real hosts do.
    arguments.test_threads = Some(1);
    let trials: Vec<Trial> =
        [web::trials(), quarantine::trials(), model::trials()].into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(net);
    conclusion.exit();
}
