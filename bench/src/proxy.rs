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
    let mut targets = vec!["direct", "custom"];
    if ["/usr/sbin/squid", "/usr/bin/squid"].iter().any(|path| PathBuf::from(path).is_file()) {
        targets.push("squid-bump");
    } else {
        eprintln!("bench: squid: not installed, not measured");
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
        .env("SRT_DIR", srt_folder().unwrap_or_default());
    let done = run_bounded(&mut python, LIMIT).must_succeed();
    let text = fs::read_to_string(&out).unwrap_or_default();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    assert!(!rows.is_empty(), "no target was measured: {done}");
    if !rows.iter().any(|row| row.get("target").and_then(Value::as_str) == Some("custom")) {
        eprintln!("bench: remit proxy was not measured:\n{}", done.stdout);
    }
    rows.iter().flat_map(figures).collect()
}

fn figures(row: &Value) -> Vec<Figure> {
    let target = row.get("target").and_then(Value::as_str).unwrap_or_default();
    let name = if target == "custom" { "remit proxy" } else { target };
    let number = |pointer: &str| row.pointer(pointer).and_then(Value::as_f64);
    let figure = |what: &str, pointer: &str, unit, must: &'static str, limit: f64| {
        let value = number(pointer)?;
        let figure = Figure::plain(format!("{what}: {name}"), value, unit, COMMAND);
        let promised = target == "custom" && !must.is_empty();
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
            "≤ 110 µs",
            110.0,
        ),
        figure(
            "new intercepted connection, CPU",
            "/newconn_c4/cpu_us_per_req",
            "µs",
            "≤ 1500 µs",
            1500.0,
        ),
        figure("HTTP/2 request, 1 KiB, CPU", "/h2_c16/cpu_us_per_req", "µs", "", 0.0),
        figure("download of 64 MiB", "/download_64MiB/MB_s", "MB/s", "", 0.0),
        figure("upload of 64 MiB", "/upload_64MiB/MB_s", "MB/s", "", 0.0),
        figure("server-sent event, median delay", "/sse/p50_ms", "ms", "", 0.0),
        figure("memory idle", "/idle_1k/idle_mib", "MiB", "", 0.0),
        figure("memory of 1,000 idle connections", "/idle_1k/mib_per_1k", "MiB", "", 0.0),
    ]
    .into_iter()
    .flatten()
    .collect()
}
