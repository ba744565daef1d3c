//! curl, python and node against an ordinary server.

use libtest_mimic::Trial;
use remit_testkit::trail;
use serde_json::json;

use crate::scene::{CANARY, NAME, SECRET, Scene, WEB, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("n4_values_leave_in_no_way_that_curl_knows", ways_out),
        trial("n4_redaction_and_alerts_on_the_way_out_and_in", redaction),
        trial("n3_sockets_of_a_real_client_are_looked_into", sockets),
        trial("n4_large_bodies_pass_with_little_memory", large),
        trial("n4_rules_without_values_are_refused_and_limits_are_stated", stated),
    ]
}

fn ways_out() {
    let scene = Scene::new("data-out", json!({"outputs": {"CANARY": "block"}}));
    let done = scene.shell(&format!(
        "value='{CANARY}'; u=https://{WEB}/echo; say() {{ curl -sS \"$@\" -o answer -w '%{{http_code}} '; }}\n\
         say $u -d 'harmless'; say --http1.1 $u -d \"note=$value\"; say --http2 $u -d \"note=$value\"\n\
         say -G $u --data-urlencode \"q=$value\"; say $u -H \"x-note: $value\"\n\
         printf '%s' \"$value\" > f; say $u -F file=@f; say $u -F 'file=@f;encoder=base64'\n\
         printf '%s' \"$value\" | gzip > f.gz; say $u -H 'content-encoding: gzip' --data-binary @f.gz\n\
         printf '%s' \"$value\" | base64 -w 10 > f.b64; say $u --data-binary @f.b64\n\
         printf '%s' \"$value\" | od -An -tx1 > f.hex; say $u --data-binary @f.hex\n\
         printf '{{\"a\":\"Project\\\\u0020Nightingale\"}}' > f.json; say $u --data-binary @f.json\n\
         printf '%s' \"$value\" | say -T - $u; say -u \"me:$value\" $u\n\
         say $u -d 'key={SECRET}'; say $u -d '{NAME}'; cat answer"
    ));
    let done = done.must_succeed();
    let codes: Vec<&str> =
        done.stdout.split_whitespace().take_while(|word| word.parse::<u16>().is_ok()).collect();
    assert_eq!(codes.first(), Some(&"200"), "{done}");
    assert_eq!(codes.last(), Some(&"200"), "a name is only recorded: {done}");
    let denied = codes.iter().filter(|code| **code == "403").count();
    assert_eq!(denied, codes.len() - 2, "{codes:?}\n{done}");
    assert!(codes.len() >= 14, "{codes:?}");
    for text in [CANARY, "Nightingale", SECRET, "50726f6a656374", "UHJvamVjd"] {
        assert!(!scene.web_saw(text), "{text} left: {done}");
    }
    assert!(scene.web_saw(NAME) && scene.web_saw("harmless"));
    let events = trail::events(&scene.area.remit_home());
    let blocked: Vec<_> = events.iter().filter(|event| event["reason"] == "data_blocked").collect();
    assert!(blocked.len() >= 12, "{}", blocked.len());
    assert!(blocked.iter().all(|event| event["outcome"] == "denied"));
    let found = events.iter().find(|event| event["reason"] == "data_found").expect("the name");
    assert_eq!(found["detail"], "PERSON 1");
    let text = format!("{events:?}");
    assert!(!text.contains("Nightingale") && !text.contains("sk-live"), "the trail has no values");
    trail::must_verify(&scene.area.remit_home());
}

fn redaction() {
    let dlp = json!({
        "outputs": {"PERSON": "redact", "API_KEY": "redact"},
        "inputs": {"CANARY": "redact"},
    });
    let scene = Scene::new("data-redact", dlp);
    let done = scene.shell(&format!(
        "curl -sS https://{WEB}/echo --data-binary 'to {NAME}, key {SECRET}, about {CANARY}.'"
    ));
    let done = done.must_succeed();
    let sent = &scene.web.seen()[0];
    let body = String::from_utf8_lossy(&sent.body).into_owned();
    assert_eq!(body, format!("to [PERSON], key [API_KEY], about {CANARY}."));
    assert_eq!(sent.headers["content-length"], body.len().to_string());
    assert!(done.stdout.contains("about [CANARY]."), "{done}");
    assert!(!done.stdout.contains(CANARY), "{done}");
    let events = trail::events(&scene.area.remit_home());
    trail::must_have(&events, "http_request", "redacted", "/echo");
    trail::must_have(&events, "http_response", "redacted", "/echo");
}

fn sockets() {
    let scene = Scene::new(
        "data-ws",
        json!({"outputs": {"CANARY": "block", "PERSON": "redact"}, "inputs": {"API_KEY": "allow"}}),
    );
    let script = format!(
        "const ws = new WebSocket('wss://{WEB}/ws');\n\
         ws.onopen = () => ws.send('hello {NAME} ' + 'x'.repeat(70000));\n\
         let first = true;\n\
         ws.onmessage = (e) => {{ console.log(e.data.slice(0, 20), e.data.length);\n\
           if (first) {{ first = false; ws.send(new Blob(['about {CANARY}'])); }} }};\n\
         ws.onclose = (e) => {{ console.log('closed', e.code, e.reason); process.exit(0); }};\n\
         ws.onerror = (e) => {{ console.log('error', e.message); }};"
    );
    scene.area.write("work/ws.mjs", script);
    let done = scene.shell("node --experimental-websocket ws.mjs").must_succeed();
    assert!(done.stdout.contains("hello [PERSON] xxxxx 70015"), "{done}");
    assert!(done.stdout.contains("closed 1008 data_blocked CANARY"), "{done}");
}

fn large() {
    let scene = Scene::new(
        "data-large",
        json!({"outputs": {"CANARY": "block"}, "inputs": {"CANARY": "block"}}),
    );
    let (stdout, growth) = scene.growth(&format!(
        "curl -sS https://{WEB}/ -d small -o /dev/null; head -c 300000000 /dev/zero | tr '\\0' u > upload; touch ready\n\
         curl -sS -T upload https://{WEB}/status/200 -o /dev/null -w '%{{size_upload}} %{{http_code}}\\n'\n\
         curl -sS https://{WEB}/bytes/300000000 | tr -d x | wc -c"
    ));
    assert_eq!(stdout, "300000000 200\n0\n");
    assert!(growth < 20, "the supervisor grew by {growth} MiB");
    let done = scene.shell(&format!(
        "(cat upload; printf '{CANARY}') > leak; rm upload\n\
         curl -sS -T leak https://{WEB}/status/200 -o answer -w '%{{http_code}}\\n'; cat answer"
    ));
    assert!(!scene.web_saw(CANARY), "{done}");
    let events = trail::events(&scene.area.remit_home());
    assert!(events.iter().any(|event| event["reason"] == "data_blocked"), "{done}");
}

fn stated() {
    let scene = Scene::new("data-stated", json!({"outputs": {"EMAIL": "block"}}));
    let done = scene.shell("true");
    assert_eq!(done.status, Some(125), "{done}");
    assert!(done.stderr.contains("/dlp/outputs/EMAIL"), "{done}");
    let mut scene = scene;
    scene.manifest = scene
        .manifest
        .set("/dlp/outputs", json!({"pii": "block"}))
        .host_rule(json!({"host": "pinned.data.example", "tls": "passthrough"}));
    let done = scene.session().flag("--dry-run").shell("true").must_succeed();
    assert!(done.stderr.contains("only the listed `values` of pii are recognised"), "{done}");
    assert!(done.stderr.contains("pinned.data.example passes unread"), "{done}");
    assert!(done.stdout.contains("data") && !done.stdout.contains(NAME), "{done}");
}
