//! What outlives a session, and what a session leaves behind when it is killed.

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use remit_testkit::trail;
use serde_json::json;

use crate::world::{World, python, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("lifetime_daemons_end_with_the_session", daemons),
        trial("lifetime_killed_supervisor_takes_all_along", killed),
        trial("lifetime_killed_supervisor_leaves_nothing_behind", leftovers),
        trial("lifetime_statuses_and_signals", statuses),
    ]
}

/// A daemon that counts in a granted file, in every way of escaping the parent.
const DAEMON: &str = r#"
def daemon(name):
    if os.fork(): return
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
    if os.fork(): os._exit(0)
    os.closerange(0, 64)
    while True:
        with open(W + "/" + name, "a") as file: file.write("x")
        time.sleep(0.05)
daemon("tick")
time.sleep(0.6)
attempt("permitted tick", lambda: refuse(not os.path.getsize(W + "/tick")))
"#;

fn ticks(world: &World) -> usize {
    world.text("work/write/tick").len()
}

#[track_caller]
fn still(world: &World) {
    let before = ticks(world);
    thread::sleep(Duration::from_millis(400));
    assert_eq!(ticks(world), before, "something of the session lives on");
}

fn daemons() {
    let world = World::new("daemons");
    let report = world.attack(DAEMON);
    report.works(&["permitted tick"]);
    assert_eq!(report.done.status, Some(0), "{}", report.done);
    still(&world);
    trail::must_verify(&world.area.remit_home());
}

fn mounts_and_processes(world: &World) -> Vec<String> {
    let area = world.area.path().to_str().unwrap().to_owned();
    let mut found: Vec<String> = fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(&area))
        .map(str::to_owned)
        .collect();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if line.contains(&area) {
            found.push(line.replace('\0', " "));
        }
    }
    found
}

fn killed() {
    for after in [0u64, 20, 60, 150, 900] {
        let world = World::new("killed");
        // The log is there: this is about sessions, not about its founding.
        world
            .session()
            .run(&[python().as_os_str(), OsStr::new("-c"), OsStr::new("")])
            .must_succeed();
        let script = world.script(&format!("{DAEMON}\ntime.sleep(30)"));
        let words = [python().into_os_string(), "-c".into(), script.into()];
        let mut command: Command = world.session().command(&words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(3);
        while !mounts_and_processes(&world).is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(mounts_and_processes(&world), Vec::<String>::new(), "after {after} ms");
        if world.exists("work/write/tick") {
            still(&world);
        }
        trail::must_verify(&world.area.remit_home());
        // The next session finds its place in order.
        let done =
            world.session().run(&[python().as_os_str(), OsStr::new("-c"), OsStr::new("print(1)")]);
        assert_eq!(done.must_succeed().stdout, "1\n");
        trail::must_verify(&world.area.remit_home());
    }
}

/// A session's folder, and its control groups where this machine gives it some.
fn leftovers() {
    let limits = json!({"memory": "1GiB", "processes": 500, "cpu": "60s"});
    let world = World::new("leftovers").with(|manifest, _| manifest.set("/limits", limits.clone()));
    let script = world.script(&format!("{DAEMON}\ntime.sleep(30)"));
    let words = [python().into_os_string(), "-c".into(), script.into()];
    let mut command: Command = world.session().command(&words);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !world.exists("work/write/tick") && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = world.area.remit_home().join("sessions");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&folder).unwrap().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    let left = names();
    assert_eq!(left.len(), 1, "{left:?}");
    let run = || world.session().run(&[python().as_os_str(), OsStr::new("-c"), OsStr::new("")]);
    run().must_succeed();
    assert_eq!(names(), Vec::<String>::new());
    for tree in ["", "pids", "memory", "cpuacct"] {
        let groups = fs::read_dir(PathBuf::from("/sys/fs/cgroup").join(tree));
        for group in groups.into_iter().flatten().flatten() {
            let group = group.file_name().into_string().unwrap();
            assert_ne!(group, format!("remit-{}", left[0]), "in {tree:?}");
        }
    }
}

fn statuses() {
    let world = World::new("statuses");
    let run = |script: &str| {
        world.session().run(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(script)]).status
    };
    for code in [0, 1, 42, 125, 126, 127, 255] {
        assert_eq!(run(&format!("import os; os._exit({code})")), Some(code));
    }
    for signal in [1, 2, 3, 6, 9, 11, 15] {
        let script = format!(
            "import os, signal\nsignal.signal({signal}, signal.SIG_DFL) if {signal} != 9 else 0\nos.kill(os.getpid(), {signal})"
        );
        assert_eq!(run(&script), Some(128 + signal), "signal {signal}");
    }
}
