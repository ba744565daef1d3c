//! The egress proxy against other forward proxies, by `bench/proxy/bench.py`.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use remit_testkit::{Area, remit, run_bounded};
use serde_json::Value;

use crate::{figure::Figure, startup::srt_folder};

const COMMAND: &str = "cargo xtask bench --only proxy";
const LIMIT: Duration = Duration::from_secs(1_800);

pub(crate) fn measure(quick: bool) -> Vec<Figure> {
    let area = Area::new("proxy");
    let out = area.path().join("results.json");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proxy/bench.py");
    let mut targets = vec!["direct", "custom", "custom-scan"];
    if ["/usr/sbin/squid", "/usr/bin/squid"].iter().any(|path| PathBuf::from(path).is_file()) {
        targets.push("squid-bump");
    } else {
        eprintln!("bench: squid: not installed, not measured");
    }
    if mitmdump().is_some() {
        targets.extend(["mitm", "mitm-body"]);
    } else {
        eprintln!("bench: mitmproxy: not installed (MITMDUMP names its mitmdump), not measured");
    }
    if srt_folder().is_some() {
        targets.push("srt-bump");
    } else {
        eprintln!("bench: sandbox-runtime: not installed, not measured");
    }
    let custom = format!(
        "{} proxy --listen 127.0.0.1:{{port}} --manifest {{manifest}} --ca-cert {{ca_pem}} \
         --ca-key {{ca_key}} --upstream-ca {{origin_ca}}",
        remit().display()
    );
    let mut python = Command::new("/usr/bin/python3");
    python
        .arg(script)
        .args(["--targets", &targets.join(","), "--secs", if quick { "2" } else { "6" }])
        .args(["--custom-cmd", &custom, "--out"])
        .arg(&out)
        .env("REMIT_HOME", area.remit_home())
        .env("MITMDUMP", mitmdump().unwrap_or_default())
        .env("SRT_DIR", srt_folder().unwrap_or_default());
    let done = run_bounded(&mut python, LIMIT).must_succeed();
    let text = fs::read_to_string(&out).unwrap_or_default();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    assert!(!rows.is_empty(), "no target was measured: {done}");
    if !rows.iter().any(|row| row.get("target").and_then(Value::as_str) == Some("custom")) {
        eprintln!("bench: remit proxy was not measured:\n{}", done.stdout);
    }
    rows.iter().flat_map(figures).chain(compared(&rows)).collect()
}

/// mitmproxy's program: where `MITMDUMP` says, or on the path.
fn mitmdump() -> Option<PathBuf> {
    let named = std::env::var_os("MITMDUMP").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("mitmdump"));
    named.or_else(|| found.find(|path| path.is_file()))
}

/// What Remit adds to the direct way, and its share of squid's work, in the same run.
fn compared(rows: &[Value]) -> Vec<Figure> {
    let of = |target: &str, pointer: &str| {
        let row = rows.iter().find(|row| row.get("target").is_some_and(|name| name == target))?;
        row.pointer(pointer).and_then(Value::as_f64)
    };
    let added = |what: &str, pointer: &str, must, limit: f64| {
        let added = of("custom", pointer)? - of("direct", pointer)?;
        let figure = Figure::plain(format!("{what}: added by remit proxy"), added, "ms", COMMAND);
        Some(figure.promised(must, added <= limit))
    };
    let work = "/keepalive_c16/cpu_us_per_req";
    let share = || {
        let share = of("custom", work)? / of("squid-bump", work)?;
        let what =
            "intercepted keep-alive request, 16 connections: remit proxy's share of squid's CPU";
        Some(
            Figure::plain(what.to_owned(), share, "×", COMMAND).promised("≤ 0.75 ×", share <= 0.75),
        )
    };
    [
        share(),
        added("server-sent event, median delay", "/sse/p50_ms", "≤ 0.3 ms", 0.3),
        added("request on one quiet connection, p50", "/keepalive_c1/p50_ms", "≤ 0.2 ms", 0.2),
        added("request on one quiet connection, p99", "/keepalive_c1/p99_ms", "≤ 1.5 ms", 1.5),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn figures(row: &Value) -> Vec<Figure> {
    let target = row.get("target").and_then(Value::as_str).unwrap_or_default();
    let scanning = target == "custom-scan";
    let name = match target {
        "custom" => "remit proxy",
        "custom-scan" => "remit proxy, every body searched",
        other => other,
    };
    let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_f64);
    let figure = |what: &str, pointer: &str, unit, must: &'static str, limit: f64| {
        let value = number(pointer)?;
        let figure = Figure::plain(format!("{what}: {name}"), value, unit, COMMAND);
        let promised = name.starts_with("remit") && !must.is_empty();
        Some(if promised { figure.promised(must, value <= limit) } else { figure })
    };
    [
        figure(
            "intercepted keep-alive request, 1 KiB, one connection, CPU",
            "/keepalive_c1/cpu_us_per_req",
            "µs",
            "",
            0.0,
        ),
        figure(
            "intercepted keep-alive request, 1 KiB, 16 connections, CPU",
            "/keepalive_c16/cpu_us_per_req",
            "µs",
            "≤ 75 µs",
            75.0,
        ),
        figure(
            "new intercepted connection, CPU",
            "/newconn_c4/cpu_us_per_req",
            "µs",
            "≤ 1200 µs",
            1200.0,
        ),
        figure("HTTP/2 request, 1 KiB, CPU", "/h2_c16/cpu_us_per_req", "µs", "", 0.0),
        figure("download of 64 MiB", "/download_64MiB/MB_s", "MB/s", "", 0.0),
        figure(
            "download of 64 MiB, CPU",
            "/download_64MiB/cpu_s_per_GB",
            "s/GB",
            if scanning { "≤ 6 s/GB" } else { "≤ 3 s/GB" },
            if scanning { 6.0 } else { 3.0 },
        ),
        figure("upload of 64 MiB", "/upload_64MiB/MB_s", "MB/s", "", 0.0),
        figure("server-sent event, median delay", "/sse/p50_ms", "ms", "", 0.0),
        figure("server-sent events, first one", "/sse/first_event_ms", "ms", "", 0.0),
        figure("request on one quiet connection, p50", "/keepalive_c1/p50_ms", "ms", "", 0.0),
        figure("request on one quiet connection, p99", "/keepalive_c1/p99_ms", "ms", "", 0.0),
        figure("memory idle", "/idle_1k/idle_mib", "MiB", "≤ 20 MiB", 20.0),
        figure("memory of 1,000 idle connections", "/idle_1k/mib_per_1k", "MiB", "≤ 30 MiB", 30.0),
    ]
    .into_iter()
    .flatten()
    .collect()
}
