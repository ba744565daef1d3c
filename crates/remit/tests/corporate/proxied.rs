//! Real programs through a real proxy.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use libtest_mimic::Trial;
use remit_testkit::{ManifestBuilder, Origin, Site, program, remit, run_bounded, trail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::place::{Corner, FAR, PROXY, Squid, WEB, WEB_AT, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("corporate_curl_through_squid_with_credentials", curl),
        trial("corporate_websockets_clear_http_and_passthrough_through_squid", others),
        trial("corporate_squid_refuses_and_the_program_is_told", refused),
        trial("corporate_names_that_only_the_proxy_resolves", by_name),
        trial("corporate_bypass_and_local_only_never_meet_the_proxy", spared),
        trial("corporate_remit_proxy_goes_through_squid", chained),
    ]
}

fn curl() {
    let (squid, corner) = (Squid::new(), Corner::new("corp-curl"));
    corner.settings(&corner.through());
    for version in ["--http1.1", "--http2"] {
        let done = corner.curl(&format!("{version} https://{WEB}/bytes/5"));
        assert!(done.stdout.ends_with(" 200"), "{done}");
    }
    let log = squid.log();
    let tunnels = log.lines().filter(|line| line.contains("TCP_TUNNEL/200")).count();
    assert_eq!(tunnels, 2, "{log}");
    assert!(log.contains(&format!("CONNECT {WEB_AT}:443 remit")), "{log}");
    assert_eq!(corner.origin.seen().len(), 2);
    assert!(corner.origin.seen().iter().all(|seen| {
        seen.headers.get("proxy-authorization").is_none() && seen.sni.as_deref() == Some(WEB)
    }));
    let events = trail::events(&corner.area.remit_home());
    let text = format!("{events:?}");
    assert!(text.contains(&format!("through http://{PROXY}:3128")), "{text}");
    assert!(!text.contains("sesame") && !text.contains("b3BlbiBz"), "{text}");
    trail::must_verify(&corner.area.remit_home());
}

fn others() {
    let (squid, mut corner) = (Squid::new(), Corner::new("corp-others"));
    let _clear = Origin::plain(&format!("{WEB_AT}:80"), Site::Builtin);
    let clear = json!({"host": WEB, "ports": [80], "addresses": ["10.78.0.0/16"]});
    corner.manifest = corner.manifest.host_rule(clear);
    corner.settings(&corner.through());
    let socket = "curl -sS -m 3 -i -N --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
         -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='";
    let done = corner.session().shell(&format!("{socket} https://{WEB}/ws"));
    assert!(done.stdout.starts_with("HTTP/1.1 101"), "{done}");
    let done = corner.curl(&format!("http://{WEB}/bytes/4"));
    assert!(done.stdout.ends_with(" 200"), "{done}");
    // Untouched: curl must then be told of the origin's own authority.
    let roots = corner.area.write("work/roots.pem", corner.area.read("roots.pem").unwrap());
    let rule = json!({"host": WEB, "ports": [443], "tls": "passthrough",
        "addresses": ["10.78.0.0/16"]});
    corner.manifest = ManifestBuilder::default().execute_any().read(corner.area.work());
    corner.manifest = corner.manifest.host_rule(rule);
    let done = corner.curl(&format!("--cacert {} https://{WEB}/bytes/6", roots.display()));
    assert!(done.stdout.ends_with(" 200"), "{done}");
    let log = squid.log();
    for (port, count) in [(443, 2), (80, 1)] {
        let asked = format!("CONNECT {WEB_AT}:{port} remit");
        assert_eq!(log.matches(&asked).count(), count, "{log}");
    }
}

fn refused() {
    let (squid, corner) = (Squid::new(), Corner::new("corp-407"));
    let mut settings = corner.through();
    settings["upstreamProxy"]["auth"]["basic"]["password"] = json!("wrong");
    corner.settings(&settings);
    let done = corner.curl(&format!("https://{WEB}/"));
    let words = "the upstream proxy does not accept Remit's credentials (407)";
    assert!(done.stdout.contains(words) && done.stdout.ends_with(" 502"), "{done}");
    settings["upstreamProxy"].as_object_mut().unwrap().remove("auth");
    corner.settings(&settings);
    let done = corner.curl(&format!("https://{WEB}/"));
    assert!(done.stdout.contains("the upstream proxy asks for credentials (407)"), "{done}");
    let details = format!("{:?}", trail::events(&corner.area.remit_home()));
    assert!(details.contains(words), "{details}");
    // Without Squid there is nobody at its address, and the answer comes at once.
    drop(squid);
    corner.settings(&corner.through());
    let done = corner.curl(&format!("https://{WEB}/"));
    assert!(done.stdout.contains("the upstream proxy cannot be reached"), "{done}");
    assert!(done.took < Duration::from_secs(10), "{done}");
    assert!(corner.origin.seen().is_empty());
}

fn by_name() {
    let (squid, mut corner) = (Squid::new(), Corner::new("corp-name"));
    corner.manifest = corner.manifest.host_rule(json!({"host": FAR, "ports": [443]})).host_rule(
        json!({"host": "named.outside.example", "ports": [443], "addresses": ["10.78.0.0/16"]}),
    );
    let mut settings = corner.through();
    settings["upstreamProxy"]["targetBy"] = json!("name");
    corner.settings(&settings);
    let done = corner.curl(&format!("https://{FAR}/bytes/3"));
    assert!(done.stdout.ends_with(" 200"), "{done}");
    assert!(squid.log().contains(&format!("CONNECT {FAR}:443 remit")), "{}", squid.log());
    // Its addresses were to be vetted, and cannot be.
    let done = corner.curl("https://named.outside.example/");
    assert!(done.stdout.contains("address_refused") && done.stdout.ends_with(" 403"), "{done}");
    corner.manifest = corner.manifest.set("/permissions/network/blockExternal", json!(true));
    let done = corner.curl(&format!("https://{FAR}/"));
    assert!(done.stdout.contains("address_refused") && done.stdout.ends_with(" 403"), "{done}");
    let details = format!("{:?}", trail::events(&corner.area.remit_home()));
    assert!(details.contains("its addresses cannot be vetted"), "{details}");
    assert_eq!(corner.origin.seen().len(), 1);
}

fn spared() {
    let (squid, mut corner) = (Squid::new(), Corner::new("corp-bypass"));
    let mut settings = corner.through();
    for bypass in [WEB, "*.outside.example", "10.78.0.0/16"] {
        settings["upstreamProxy"]["bypass"] = json!([bypass]);
        corner.settings(&settings);
        let done = corner.curl(&format!("https://{WEB}/"));
        assert!(done.stdout.ends_with(" 200"), "{bypass}: {done}");
    }
    settings["upstreamProxy"]["bypass"] = json!([]);
    settings["upstreamProxy"]["targetBy"] = json!("name");
    corner.settings(&settings);
    corner.manifest = corner
        .manifest
        .set("/permissions/network/localOnly", json!(true))
        .host_rule(json!({"host": FAR, "ports": [443]}));
    for host in [WEB, FAR] {
        let done = corner.curl(&format!("https://{host}/"));
        assert!(!done.stdout.ends_with(" 200"), "{host}: {done}");
    }
    assert_eq!(squid.log(), "");
    assert_eq!(corner.origin.seen().len(), 3);
}

fn chained() {
    let (squid, corner) = (Squid::new(), Corner::new("corp-proxy"));
    corner.settings(&corner.through());
    let manifest = corner.area.write("manifest.json", corner.manifest.text());
    let authority = corner.area.path().join("ca.pem");
    let mut child = Command::new(remit());
    child.args(["proxy", "--listen", "127.0.0.1:0", "--manifest"]).arg(manifest);
    child.arg("--write-ca").arg(&authority).env("REMIT_HOME", corner.area.remit_home());
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let mut curl = Command::new(program("curl"));
    curl.args(["-sS", "-m", "20", "-w", " %{http_code}", "--proxy"]).arg(address.trim());
    curl.arg("--cacert").arg(&authority).arg(format!("https://{WEB}/bytes/2"));
    let done = run_bounded(&mut curl, Duration::from_secs(30));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    assert!(done.stdout.ends_with(" 200"), "{done}");
    assert!(squid.log().contains("TCP_TUNNEL/200"), "{}", squid.log());
}
