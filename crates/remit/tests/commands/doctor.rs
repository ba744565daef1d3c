//! `remit doctor`

use std::{fs, process::Command};

use remit_testkit::{program, remit, run_bounded};
use serde_json::Value;

use crate::bench::{Bench, LIMIT, snapshot};

fn layer<'v>(report: &'v Value, name: &str) -> &'v Value {
    let layers = report["layers"].as_array().unwrap();
    layers.iter().find(|layer| layer["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn every_layer_is_in_force_here_and_told_in_a_stable_shape() {
    let bench = Bench::new("doctor");
    let done = bench.remit(&["doctor", "--format", "json"]).must_succeed();
    let mut report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["ready"], true);
    for part in ["kernel", "architecture", "remit"] {
        assert!(report[part].as_str().is_some_and(|text| !text.is_empty()));
        report[part] = "[…]".into();
    }
    report["uid"] = 0.into();
    for layer in report["layers"].as_array_mut().unwrap() {
        assert!(layer["detail"].as_str().is_some_and(|text| !text.is_empty()));
        layer["detail"] = "[…]".into();
        if layer["needed"] == true {
            assert_eq!(layer["status"], "in_force", "{layer}");
        } else {
            // Whether control groups can be made differs between machines and users.
            layer["status"] = "[…]".into();
            layer.as_object_mut().unwrap().remove("help");
        }
    }
    snapshot("doctor-json", &format!("{report:#}"));
    let text = bench.remit(&["doctor"]).must_succeed().stdout;
    assert!(text.contains("user_namespace") && text.contains("in force"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn looking_leaves_nothing_behind() {
    let bench = Bench::new("doctor-clean");
    bench.remit(&["doctor"]).must_succeed();
    for folder in [bench.area.remit_home(), bench.area.home(), bench.area.work()] {
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{}", folder.display());
    }
}

/// The report of a machine that lacks something: a user namespace in which `setting` is 0 stands
/// for one.
fn lacking(name: &str, setting: &str) -> Value {
    let bench = Bench::new(name);
    let script = format!("echo 0 > /proc/sys/user/{setting} && exec \"$0\" doctor --format json");
    let mut command = Command::new(program("unshare"));
    command
        .args(["--user", "--map-root-user", "--", "sh", "-c", &script])
        .arg(remit())
        .env("HOME", bench.area.home())
        .env("REMIT_HOME", bench.area.remit_home());
    let done = run_bounded(&mut command, LIMIT);
    assert_eq!(done.status, Some(1), "{done}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["ready"], false);
    // What could not be tried is never said to be in force.
    for name in ["mount_namespace", "network_namespace", "landlock", "seccomp", "mediation"] {
        assert_eq!(layer(&report, name)["status"], "absent", "{name}");
    }
    report
}

#[test]
fn a_machine_without_user_namespaces_is_told_why_and_what_to_do() {
    let report = lacking("doctor-user", "max_user_namespaces");
    let first = layer(&report, "user_namespace");
    assert_eq!(first["status"], "absent");
    assert!(first["help"].as_str().unwrap().contains("user.max_user_namespaces"), "{first}");
}

#[test]
fn a_machine_without_network_namespaces_has_the_layers_before() {
    let report = lacking("doctor-net", "max_net_namespaces");
    assert_eq!(layer(&report, "user_namespace")["status"], "in_force");
    let failed = layer(&report, "process_namespaces");
    assert_eq!(failed["status"], "absent");
    assert!(failed["help"].as_str().unwrap().contains("max_*_namespaces"), "{failed}");
}

#[test]
fn a_trail_that_cannot_be_written_means_not_ready() {
    let bench = Bench::new("doctor-trail");
    let file = bench.area.write("file", "");
    let mut command = bench.command(&["doctor", "--format", "json"]);
    let done = run_bounded(command.env("REMIT_HOME", file), LIMIT);
    assert_eq!(done.status, Some(1), "{done}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(layer(&report, "audit_log")["status"], "absent");
    assert_eq!(layer(&report, "mediation")["status"], "in_force");
}
