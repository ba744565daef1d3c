//! The same agents with masking on: the model never sees the values, the agent always does.

use std::sync::{Arc, Mutex};

use libtest_mimic::{Failed, Trial};
use remit_testkit::{
    Area, ManifestBuilder, Origin, Reply, Session, Site, TestAuthority, program, trail,
};
use serde_json::json;

use crate::{PATIENCE, agent::Agent, place::Place};

/// In the file that the agent reads.
const NAME: &str = "Ada Lovelace";
/// In what the person asks.
const CASE: &str = "Nightingale-7731";
const LAST: &str = "RC-FINAL about";

pub fn trials(agent: Agent) -> Vec<Trial> {
    let name = agent.name;
    let mut all =
        vec![Trial::test(format!("{name}_works_with_masking_on"), move || masked(agent, false))];
    if agent.has_sockets() {
        let trial = format!("{name}_works_with_masking_on_without_websocket");
        all.push(Trial::test(trial, move || masked(agent, true)));
    }
    all
}

fn masked(agent: Agent, only_post: bool) -> Result<(), Failed> {
    let area = Area::new(&format!("{}-masked", agent.name));
    let authority = TestAuthority::new();
    authority.write_bundle(area.path());
    let mut manifest = masking(agent.manifest());
    if only_post {
        let pointer = "/permissions/network/egressHosts";
        let mut hosts = manifest.value().pointer(pointer).unwrap().clone();
        hosts[0]["methods"] = json!(["POST"]);
        manifest = manifest.set(pointer, hosts);
    }
    let stand_in = pseudonym(&area, &authority, &manifest);
    assert!(!stand_in.contains(NAME) && stand_in.len() > 8, "{stand_in}");
    // The model asks for the value that it knows, and names it at the end.
    let shell = format!("cat notes.txt; printf '%s\\n' '{stand_in}' > proof.txt; true");
    let last = format!("{LAST} {stand_in}.");
    let place = Place::with(agent, area, &authority, &shell, &last);
    let task = format!("read notes.txt for {CASE}");
    let session = agent.variables(&place).into_iter().fold(
        Session::under(place.area(), &manifest)
            .within(PATIENCE)
            .env("SSL_CERT_FILE", place.bundle()),
        |session, (name, value)| session.env(name, value),
    );
    let done = session.run(&agent.words(&task));

    assert!(done.stdout.contains(&format!("{LAST} {NAME}.")), "{done}\n{}", place.journal());
    let proof = place.area().read("work/proof.txt");
    assert_eq!(proof.as_deref(), Some("Ada Lovelace\n"), "the tool wrote the real value: {done}");
    assert!(place.model_saw(&stand_in), "the model saw the pseudonym: {done}");
    for value in [NAME, "Lovelace", CASE] {
        assert!(!place.model_saw(value), "{value} reached the model: {done}");
    }
    let prefix = stand_in.get(..4).unwrap();
    assert!(!done.stdout.contains(prefix), "a pseudonym is left in the output: {done}");
    assert!(!done.stderr.contains(prefix), "a pseudonym is left in the output: {done}");
    assert_eq!(place.sockets() > 0, agent.has_sockets() && !only_post, "{done}");

    let events = session.events();
    trail::must_have(&events, "model_call", "redacted", agent.host);
    assert!(!format!("{events:?}").contains("Lovelace"), "the trail has no values");
    trail::must_verify(&session.remit_home());
    Ok(())
}

fn masking(manifest: ManifestBuilder) -> ManifestBuilder {
    manifest.set("/dlp/outputs", json!({"PERSON": "mask", "CANARY": "mask"})).set(
        "/dlp/values",
        json!([{"value": NAME, "class": "PERSON"}, {"value": CASE, "class": "CANARY"}]),
    )
}

/// What stands for the name: an agent's pseudonyms are the same in all its sessions.
fn pseudonym(area: &Area, authority: &TestAuthority, manifest: &ManifestBuilder) -> String {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let site = Site::Function(Arc::new(move |request| {
        *kept.lock().unwrap() = String::from_utf8_lossy(&request.body).into_owned();
        Reply::ok("{}")
    }));
    let names = ["api.openai.com", "api.anthropic.com"];
    let origin = Origin::tls(authority, "127.0.0.2:443", &names, site);
    let host = json!({"host": "api.openai.com", "addresses": ["127.0.0.0/8"]});
    let agent = manifest.value()["agent"].as_str().unwrap();
    let asking = masking(ManifestBuilder::new(agent).host_rule(host))
        .write(area.work())
        .execute(program("curl"));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": NAME}]});
    Session::under(area, &asking)
        .env("SSL_CERT_FILE", area.path().join("origins.pem"))
        .shell(&format!(
            "curl -sS https://api.openai.com/v1/chat/completions \
             -H 'content-type: application/json' -d '{body}'"
        ))
        .must_succeed();
    drop(origin);
    let sent: serde_json::Value = serde_json::from_str(&seen.lock().unwrap()).unwrap();
    sent["messages"][0]["content"].as_str().unwrap().to_owned()
}
