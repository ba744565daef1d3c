//! Remit in a company's network: a proxy on the way out, set by the operator and by nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod place;
mod proxied;
mod settings;

use libtest_mimic::Arguments;
use remit_testkit::enter_private_network;

fn main() {
    let net = enter_private_network(&place::HOSTS);
    let mut arguments = Arguments::from_args();
    // Squid has a fixed address, as real proxies do.
    arguments.test_threads = Some(1);
    let trials = [settings::trials(), proxied::trials()];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    drop(net);
    conclusion.exit();
}
