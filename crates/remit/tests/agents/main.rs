//! Real, unmodified agents: each does its permitted work under its shipped template and is refused
//! a file, a host and a program that the template does not name.
//!
//! Each agent first runs the same task natively, where the forbidden things must *succeed*: what
//! does not work there would prove nothing about Remit. The agents' model is a mock behind a TLS
//! origin that carries the vendors' names; `cargo xtask test` installs both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod agent;
mod masked;
mod place;

use std::{net::Ipv4Addr, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use remit_testkit::{Session, enter_private_network, trail};

use agent::{Agent, TASK};
use place::{OUTSIDE, Place};

const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let vendors = Ipv4Addr::new(127, 0, 0, 2).into();
    let outside = Ipv4Addr::new(127, 0, 0, 3).into();
    let net = enter_private_network(&[
        (vendors, "api.openai.com"),
        (vendors, "api.anthropic.com"),
        (outside, OUTSIDE),
    ]);
    let mut arguments = Arguments::from_args();
    // The origins have fixed addresses, as real hosts do.
    arguments.test_threads = Some(1);
    let trials = Agent::installed()
        .into_iter()
        .flat_map(|agent| {
            let name = agent.name;
            [
                Trial::test(format!("{name}_task_does_all_of_it_natively"), move || native(agent)),
                Trial::test(format!("{name}_works_under_its_template_and_no_further"), move || {
                    contained(agent)
                }),
            ]
            .into_iter()
            .chain(masked::trials(agent))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(net);
    conclusion.exit();
}

fn native(agent: Agent) -> Result<(), Failed> {
    let place = Place::new(agent);
    let session = agent
        .variables(&place)
        .into_iter()
        .chain(place.trust_natively())
        .fold(Session::native(place.area()).within(PATIENCE), |session, (name, value)| {
            session.env(name, value)
        });
    let done = session.run(&agent.words(TASK));
    place.must_have_finished(&done);
    place.forbidden_must_have_happened(&done);
    Ok(())
}

fn contained(agent: Agent) -> Result<(), Failed> {
    let place = Place::new(agent);
    let session = agent.variables(&place).into_iter().fold(
        Session::under(place.area(), &agent.manifest())
            .within(PATIENCE)
            .env("SSL_CERT_FILE", place.bundle()),
        |session, (name, value)| session.env(name, value),
    );
    let done = session.run(&agent.words(TASK));
    place.must_have_finished(&done);
    place.forbidden_must_not_have_happened(&done);

    let events = session.events();
    trail::must_have(&events, "session_start", "allowed", "");
    trail::must_have(&events, "read_file", "allowed", "notes.txt");
    trail::must_have(&events, "write_file", "allowed", "proof.txt");
    trail::must_have(&events, "http_request", "allowed", agent.host);
    trail::must_have(&events, "read_file", "denied", "secret.txt");
    trail::must_have(&events, "resolve_name", "denied", OUTSIDE);
    trail::must_have(&events, "execute", "denied", "perl");
    trail::must_have(&events, "session_end", "allowed", "");
    trail::must_verify(&session.remit_home());
    Ok(())
}
