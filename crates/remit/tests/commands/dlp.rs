//! `remit dlp`

use std::{io::Write as _, process::Stdio};

use serde_json::Value;

use crate::bench::Bench;

/// Made up here so that no scanner takes this file for a leak.
fn key() -> String {
    format!("{}{}", "AKIA", "Q7RT2MZX4KPLW9VB")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_scan_prints_offsets_and_no_values() {
    let bench = Bench::new("dlp-scan");
    let text = format!("name: x\naws_key: {}\nmail: lena@proton.me\n", key());
    bench.area.write("work/data/a.yaml", &text);
    bench.area.write("work/data/deep/clean.txt", "nothing here\n");
    let done = bench.remit(&["dlp", "scan", "data"]);
    assert_eq!(done.status, Some(1), "{done}");
    assert!(!done.stdout.contains(&key()));
    let found = lines(&done.stdout);
    let classes: Vec<&str> = found.iter().filter_map(|one| one["class"].as_str()).collect();
    assert_eq!(classes, ["API_KEY", "EMAIL"]);
    let first = &found[0];
    assert_eq!(first["path"], "data/a.yaml");
    let (start, end) = (first["start"].as_u64().unwrap(), first["end"].as_u64().unwrap());
    assert_eq!(&text[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()], key());
    assert_eq!(first["via"], serde_json::json!([]));
    assert!(first["confidence"].as_f64().unwrap() > 0.5);
    let done = bench.remit(&["dlp", "scan", "--classes", "pii", "data"]);
    assert_eq!(lines(&done.stdout).len(), 1);
    let done = bench.remit(&["dlp", "scan", "data/deep"]).must_succeed();
    assert_eq!(done.stdout, "");
    assert_eq!(bench.remit(&["dlp", "scan", "no-such-file"]).status, Some(2));
    assert_eq!(bench.remit(&["dlp", "scan", "--classes", "NOPE", "data"]).status, Some(2));
}

#[test]
fn a_text_is_redacted_from_standard_input() {
    let bench = Bench::new("dlp-redact");
    let mut command = bench.command(&["dlp", "redact", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let text = format!("key={} mail=lena@proton.me ok\n", key());
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    assert_eq!(String::from_utf8_lossy(&done.stdout), "key=[API_KEY] mail=[EMAIL] ok\n");
}

#[test]
fn what_cannot_be_looked_into_is_an_error_not_a_clean_result() {
    let bench = Bench::new("dlp-bomb");
    // The header of an encrypted member (APPNOTE 6.3, general purpose bit 0).
    let mut member = b"PK\x03\x04\x14\x00\x01\x00\x00\x00".to_vec();
    member.extend([0; 8]);
    member.extend([4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]);
    member.extend(b"aXXXX");
    bench.area.write("work/locked.zip", &member);
    let done = bench.remit(&["dlp", "scan", "locked.zip"]);
    assert_eq!(done.status, Some(2), "{done}");
    assert!(done.stderr.contains("encrypted"), "{done}");
    let done = bench.remit(&["dlp", "redact", "locked.zip"]);
    assert_eq!((done.status, done.stdout.as_str()), (Some(2), ""));
}
