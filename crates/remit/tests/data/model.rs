//! Masking with an ordinary client; real agents are in `tests/agents`.

use std::sync::Arc;

use libtest_mimic::Trial;
use remit_testkit::{Origin, Reply, Site, trail};
use serde_json::{Value, json};

use crate::scene::{MODEL, NAME, Scene, WEB, saw, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("n3_a_model_sees_pseudonyms_and_the_agent_values", masked),
        trial("n3_masked_data_leaves_in_no_other_way", nowhere_else),
    ]
}

/// A model that repeats what it was told, as one message.
fn parrot(scene: &Scene) -> Origin {
    let site = Site::Function(Arc::new(|seen| {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let said = asked["messages"][0]["content"].as_str().unwrap_or("nothing").to_owned();
        let answer = json!({
            "id": "c1", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        });
        let mut reply = Reply::ok(answer.to_string());
        reply.headers = vec![("content-type", "application/json".to_owned())];
        reply
    }));
    Origin::tls(&scene.authority, "127.0.0.4:443", &[MODEL, "api.openai.com"], site)
}

fn masking(name: &str) -> Scene {
    let mut scene = Scene::new(name, json!({"outputs": {"PERSON": "mask"}}));
    scene.manifest = scene
        .manifest
        .host_rule(json!({"host": MODEL, "model": "openai", "addresses": ["127.0.0.0/8"]}))
        .host("api.openai.com", &[443]);
    scene
}

fn masked() {
    let scene = masking("masked");
    let model = parrot(&scene);
    let body = json!({"model": "gpt-x", "messages": [{"role": "user", "content": format!("greet {NAME}!")}]});
    let done = scene.shell(&format!(
        "for host in {MODEL} api.openai.com; do for version in --http1.1 --http2; do\n\
         curl -sS $version https://$host/v1/chat/completions -H 'content-type: application/json' -d '{body}'; echo\n\
         done; done"
    ));
    let done = done.must_succeed();
    let answers: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(answers.len(), 4, "{done}");
    assert!(answers.iter().all(|one| one.contains(&format!("greet {NAME}!"))), "{done}");
    let seen = model.seen();
    assert_eq!(seen.len(), 4);
    assert!(!saw(&model, NAME) && !saw(&model, "Lovelace"), "{:?}", seen[0]);
    // The same value has the same pseudonym, for the vendor's prompt cache.
    assert!(seen.iter().all(|one| one.body == seen[0].body), "{seen:?}");
    assert_eq!(seen[0].headers["content-length"], seen[0].body.len().to_string());
    let events = trail::events(&scene.area.remit_home());
    trail::must_have(&events, "model_call", "redacted", "/v1/chat/completions");
    let call = events.iter().find(|event| event["action"] == "model_call").unwrap();
    let detail = call["detail"].as_str().unwrap();
    assert!(detail.starts_with("openai gpt-x; masked PERSON 1; sent sha256:"), "{detail}");
    assert!(!format!("{events:?}").contains("Lovelace"));
}

fn nowhere_else() {
    let scene = masking("masked-elsewhere");
    let model = parrot(&scene);
    let done = scene.shell(&format!(
        "say() {{ curl -sS \"$@\" -o answer -w '%{{http_code}} '; grep -o '\"code\":\"[a-z_]*\"' answer; }}\n\
         say https://{WEB}/echo -d '{NAME}'\n\
         say -G https://{MODEL}/v1/models --data-urlencode 'q={NAME}'\n\
         say https://{MODEL}/v1/chat/completions -H 'authorization: AWS4-HMAC-SHA256 x' -d '{{\"messages\":[{{\"content\":\"{NAME}\"}}]}}'\n\
         say https://{MODEL}/v1/chat/completions -H 'x-note: {NAME}' -d '{{}}' || true"
    ));
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], "403 \"code\":\"mask_elsewhere\"", "{done}");
    assert_eq!(lines[1], "403 \"code\":\"mask_elsewhere\"", "{done}");
    assert_eq!(lines[2], "403 \"code\":\"unmaskable\"", "{done}");
    assert!(lines[3].starts_with("200"), "{done}");
    assert!(!saw(&model, "Lovelace") && !scene.web_saw("Lovelace"), "{done}");
    assert!(saw(&model, "[PERSON]"), "taken out of the header: {done}");
}
