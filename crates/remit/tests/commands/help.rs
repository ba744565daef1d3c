//! Help, completions, man pages, mistakes in the command line.

use std::{fs, process::Command};

use remit_testkit::{program, run_bounded};

use crate::bench::{Bench, LIMIT, snapshot};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["run"],
    &["doctor"],
    &["manifest"],
    &["manifest", "check"],
    &["manifest", "fmt"],
    &["manifest", "schema"],
    &["why"],
    &["audit"],
    &["audit", "query"],
    &["audit", "verify"],
    &["audit", "checkpoint"],
    &["audit", "prove"],
    &["approval"],
    &["approval", "list"],
    &["approval", "show"],
    &["approval", "approve"],
    &["approval", "deny"],
    &["quarantine"],
    &["quarantine", "list"],
    &["quarantine", "show"],
    &["quarantine", "release"],
    &["quarantine", "reject"],
    &["session"],
    &["session", "list"],
    &["session", "kill"],
    &["session", "egress"],
    &["top"],
    &["dlp"],
    &["dlp", "scan"],
    &["dlp", "redact"],
    &["proxy"],
    &["completions"],
];

#[test]
fn help_of_every_command() {
    let bench = Bench::new("help");
    for words in COMMANDS {
        let mut arguments = words.to_vec();
        arguments.push("--help");
        let done = bench.remit(&arguments).must_succeed();
        assert_eq!(done.stderr, "");
        let text: String =
            done.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        snapshot(&["help", &words.join("-")].join("-"), &text);
    }
}

#[test]
fn a_mistyped_command_is_told_the_nearest() {
    let bench = Bench::new("mistyped");
    let done = bench.remit(&["audti", "verify"]);
    assert_eq!(done.status, Some(2));
    assert!(done.stderr.contains("'audit'"), "{done}");
    let done = bench.remit(&["audit", "query", "--action", "read_fil"]);
    assert_eq!(done.status, Some(2));
    assert!(done.stderr.contains("'read_file'"), "{done}");
}

#[test]
fn a_mistaken_run_cannot_be_taken_for_the_programs_own_status() {
    let bench = Bench::new("mistaken-run");
    for arguments in [
        &["run"][..],
        &["run", "--manifest", "m.json"],
        &["run", "--nonsense", "--", "true"],
        &["run", "--manifest", "m.json", "true"],
    ] {
        assert_eq!(bench.remit(arguments).status, Some(125), "{arguments:?}");
    }
    assert_eq!(bench.remit(&["run", "--help"]).status, Some(0));
}

#[test]
fn completions_name_every_command_and_are_sound() {
    let bench = Bench::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = bench.remit(&["completions", shell]).must_succeed().stdout;
        for word in ["doctor", "approval", "checkpoint", "proxy", "write-ca"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let script = bench.remit(&["completions", "bash"]).must_succeed().stdout;
    let file = bench.area.write("remit.bash", script);
    let mut check = Command::new(program("bash"));
    run_bounded(check.arg("-n").arg(file), LIMIT).must_succeed();
}

#[test]
fn there_is_a_man_page_for_every_command() {
    let bench = Bench::new("man");
    let folder = bench.area.path().join("man");
    bench.remit(&["man", folder.to_str().unwrap()]).must_succeed();
    for words in COMMANDS {
        let mut name = vec!["remit"];
        name.extend(*words);
        let page = fs::read_to_string(folder.join(format!("{}.1", name.join("-")))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{words:?}");
    }
}
