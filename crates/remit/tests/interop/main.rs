//! Real clients under interception: each is told of no proxy and no certificate, does permitted
//! work, is refused a path with the reason, and does not find a host that is not listed.
//!
//! How a client comes to trust the session's authority is tried too: without any variable, and
//! with its own alone. `docs/reference/clients.md` is the table of what was found;
//! `REMIT_TEST_WRITE=1` writes it, and without that a row that differs fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod client;
mod compiled;
mod node;
mod pins;
mod place;
mod python;
mod shell;
mod sockets;
mod streams;
mod table;
mod tools;
mod trust;

use std::net::Ipv4Addr;

use libtest_mimic::{Arguments, Trial};
use remit_testkit::enter_private_network;

use table::Table;

fn main() {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(compiled::CLIENT) {
        return remit_testkit::rustls_client::run(words);
    }
    let server = Ipv4Addr::new(127, 0, 0, 2).into();
    let names = [place::VENDOR, place::UNLISTED].map(|name| (server, name));
    let net = enter_private_network(&names);
    let mut arguments = Arguments::from_args();
    // The servers have fixed addresses, as real hosts do.
    arguments.test_threads = Some(1);
    let table = Table::committed();
    let clients: Vec<client::Client> = [
        shell::clients(),
        compiled::clients(),
        python::clients(),
        node::clients(),
        tools::clients(),
        sockets::clients(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let listed: Vec<&str> = clients.iter().map(|client| client.name).chain([pins::NAME]).collect();
    let complete = table.trial_of_names(&listed);
    let trials: Vec<Trial> = clients
        .into_iter()
        .map(|client| client.trial(&table))
        .chain(streams::trials())
        .chain(trust::trials())
        .chain([pins::trial(&table), complete])
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    table.write_when_asked();
    drop(net);
    conclusion.exit();
}
