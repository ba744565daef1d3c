//! Attacks from inside a session, driven through the real binary. Each test is named after the way
//! round the walls that it tries; each does something permitted in the same session, which must
//! work. They run as whoever starts them: `cargo xtask test` does so as root and as an ordinary
//! user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod control;
mod exec;
mod expiry;
mod files;
mod input;
mod kernel;
mod lifetime;
mod limits;
mod net;
mod places;
mod protected;
mod sockets;
mod terminal;
mod world;

use libtest_mimic::Arguments;
use remit_testkit::enter_private_network;

fn main() {
    let network = enter_private_network(&[(net::LAN, net::LISTED)]);
    let arguments = Arguments::from_args();
    let trials = [
        files::trials(),
        places::trials(),
        protected::trials(),
        exec::trials(),
        kernel::trials(),
        sockets::trials(),
        net::trials(),
        control::trials(),
        expiry::trials(),
        limits::trials(),
        lifetime::trials(),
        input::trials(),
        terminal::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    network.remove();
    conclusion.exit();
}
