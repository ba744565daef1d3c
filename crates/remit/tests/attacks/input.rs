//! Bad input: each gets the documented status, one clear cause, and nothing is left behind.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
    process::Command,
    time::Duration,
};

use libtest_mimic::Trial;
use remit_testkit::{Finished, remit, run_bounded, trail};
use serde_json::json;

use crate::world::{World, python, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("input_manifests", manifests),
        trial("input_granted_paths", paths),
        trial("input_programs", programs),
        trial("input_state_disk_full_or_read_only", disk),
        trial("input_two_sessions_at_once", two),
    ]
}

#[track_caller]
fn refused(done: &Finished, status: i32, part: &str) {
    assert_eq!(done.status, Some(status), "{done}");
    assert_eq!(done.stdout, "", "{done}");
    let lower = done.stderr.to_lowercase();
    assert!(lower.contains(part), "no `{part}` in\n{done}");
    assert!(!lower.contains("panicked"), "{done}");
    assert!(done.took < Duration::from_secs(20), "{done}");
}

fn with_text(world: &World, text: impl AsRef<[u8]>) -> Finished {
    let session = world.session();
    fs::write(session.manifest().unwrap(), text).unwrap();
    session.run(&["/usr/bin/python3", "-c", "print('ran')"])
}

fn manifests() {
    let world = World::new("manifests");
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "manifest"),
        (b"{".to_vec(), "manifest"),
        (b"[]".to_vec(), "manifest"),
        (b"null".to_vec(), "manifest"),
        (b"{}".to_vec(), "agent"),
        (b"\xff\xfe{}".to_vec(), "utf-8"),
        (b"{\"agent\": \"a.\xff\"}".to_vec(), "utf-8"),
        (deep("[", "]").into_bytes(), "manifest"),
        (deep("{\"a\":", "}").into_bytes(), "manifest"),
        (vec![b' '; 100 << 20], "manifest"),
        (format!("{{\"agent\": \"{}\"}}", "a".repeat(100 << 20)).into_bytes(), "manifest"),
        (br#"{"agent": "a.b", "permission": {}}"#.to_vec(), "permissions"),
        (br#"{"agent": "a.b", "permissions": {"fileAcess": []}}"#.to_vec(), "fileaccess"),
        (br#"{"agent": "a.b", "agent": "c.d"}"#.to_vec(), "agent"),
        (br#"{"agent": "a.b", "version": 2}"#.to_vec(), "version"),
        (br#"{"agent": "a.b", "expiry": "2020-01-01T00:00:00Z"}"#.to_vec(), "expired"),
        (br#"{"agent": "a.b", "expiry": "tomorrow"}"#.to_vec(), "expiry"),
        (br#"{"agent": "a.b", "limits": {"memory": "much"}}"#.to_vec(), "memory"),
        (br#"{"agent": "a.b", "limits": {"wallTime": "-1s"}}"#.to_vec(), "walltime"),
        (br#"{"agent": "a.b", "permissions": {"execute": "yes"}}"#.to_vec(), "execute"),
        (
            br#"{"agent": "a.b", "permissions": {"network": {"egressHosts": ["exa mple"]}}}"#
                .to_vec(),
            "host",
        ),
    ];
    for (text, part) in cases {
        refused(&with_text(&world, text), 125, part);
    }
    fs::remove_file(world.session().manifest().unwrap()).unwrap();
    let gone = run_bounded(
        Command::new(remit()).args(["run", "--manifest", "/nonexistent/m.json", "--", "/bin/true"]),
        Duration::from_secs(20),
    );
    refused(&gone, 125, "nonexistent");
    let done = with_text(&world, "{\"agent\": \"a.b\", /* fine */ \"permissions\": {},}");
    assert_eq!(done.must_succeed().stdout, "ran\n");
}

fn paths() {
    let world = World::new("granted-paths");
    world.link(world.area.path().join("secret"), "work/link");
    let work = world.area.work();
    let grant = |path: &Path, mode: &str| {
        let manifest =
            json!({"agent": "a.b", "permissions": {"fileAccess": [{"path": path, "mode": mode}]}});
        with_text(&world, manifest.to_string())
    };
    refused(&grant(&work.join("../secret"), "read"), 125, "..");
    refused(&grant(Path::new("relative"), "read"), 125, "path");
    refused(&grant(&work.join("link"), "read"), 125, "symbolic link");
    refused(&grant(&work.join("link/key"), "read"), 125, "symbolic link");
    refused(&grant(&work.join("missing"), "write"), 125, "does not exist");
    for path in ["/", "/proc", "/proc/self", "/sys", "/dev", "/dev/null"] {
        refused(&grant(Path::new(path), "write"), 125, "granted");
    }
    refused(&grant(Path::new("/a\0b"), "read"), 125, "path");
    let missing = grant(&work.join("missing"), "read");
    assert!(missing.stderr.contains("does not exist"), "{missing}");
    assert_eq!(missing.must_succeed().stdout, "ran\n");
    let rule = |mode: &str| json!({"path": work, "mode": mode});
    let both =
        json!({"agent": "a.b", "permissions": {"fileAccess": [rule("read"), rule("write")]}});
    refused(&with_text(&world, both.to_string()), 125, "contradict");
}

fn programs() {
    let world = World::new("programs");
    let folder = world.area.work().join("read");
    let plain = world.area.write("work/read/plain", "#!/bin/sh\n");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let broken = world.executable("work/read/broken", "#!/nonexistent/interpreter\n");
    let empty = world.executable("work/read/empty", "#!\n");
    let text = world.executable("work/read/text", "just text\n");
    let looped = world.area.work().join("read/loop");
    fs::write(&looped, format!("#!{}\n", looped.display())).unwrap();
    fs::set_permissions(&looped, fs::Permissions::from_mode(0o755)).unwrap();
    let elf = world.executable("work/read/elf", b"\x7fELF but not really");
    let run = |word: &OsStr| world.session().run(&[word]);
    refused(&run("no-such-program".as_ref()), 127, "no-such-program");
    refused(&run("/nonexistent/program".as_ref()), 127, "nonexistent");
    refused(&run("".as_ref()), 127, "");
    refused(&run(OsStr::from_bytes(b"/tmp/\xff\xfe")), 127, "not found");
    refused(&run(folder.as_os_str()), 126, "folder");
    refused(&run(plain.as_os_str()), 126, "not executable");
    for path in [broken, empty, text, looped, elf] {
        refused(&run(path.as_os_str()), 126, path.file_name().unwrap().to_str().unwrap());
    }
    let fine = world.executable("work/read/fine", "#!/bin/sh\necho fine\n");
    assert_eq!(run(fine.as_os_str()).must_succeed().stdout, "fine\n");
}

/// On a small file system of its own, in a mount namespace of its own.
fn on_small_disk(world: &World, before: &str, script: &str) -> Finished {
    let script = world.script(script);
    let session = world.session();
    let command = session.command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&script)]);
    let steps = format!(
        "mount -t tmpfs -o size=6m,mode=700 tmpfs {home} && ({before}) && exec \"$@\"",
        home = world.area.remit_home().display(),
    );
    let mut outer = Command::new("unshare");
    if !is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    outer.args(["--mount", "--propagation", "private", "sh", "-c", &steps, "sh"]);
    outer.arg(command.get_program()).args(command.get_args()).env_clear();
    outer
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(world.area.work());
    run_bounded(&mut outer, Duration::from_secs(60))
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

fn disk() {
    let world = World::new("disk");
    let home = world.area.remit_home();
    let home = home.display();
    let nothing = "print('ran')";
    refused(
        &on_small_disk(&world, &format!("mount -o remount,bind,ro {home}"), nothing),
        125,
        "audit",
    );
    refused(
        &on_small_disk(
            &world,
            &format!("head -c 8m /dev/zero > {home}/full 2>/dev/null || true"),
            nothing,
        ),
        125,
        "audit",
    );
    // Full in the middle: what cannot be recorded does not happen, and what happened was recorded.
    let done = on_small_disk(
        &world,
        "true",
        r#"
made = refused = 0
for number in range(30000):
    try: write(W + "/made-%d" % number); made += 1
    except OSError: refused += 1
    if refused > 20: break
print("made", made, "refused", refused)
"#,
    );
    let made = fs::read_dir(world.area.work().join("write"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().as_bytes().starts_with(b"made-"))
        .count();
    assert!(made > 0 && made < 30000, "{made} files were made\n{done}");
}

fn two() {
    let world = World::new("two");
    let script =
        "import time\nfor n in range(50):\n    open('write/two', 'a').write('x'); time.sleep(0.01)";
    let words = [python().into_os_string(), "-c".into(), script.into()];
    let session = world.session();
    let mut children: Vec<_> = (0..3).map(|_| session.command(&words).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(world.text("work/write/two").len(), 150);
    trail::must_verify(&world.area.remit_home());
    let events = trail::events(&world.area.remit_home());
    assert_eq!(trail::matching(&events, "session_start", "allowed", "").len(), 3);
    assert_eq!(trail::matching(&events, "session_end", "allowed", "").len(), 3);
    let left = fs::read_dir(world.area.remit_home().join("sessions")).unwrap().count();
    assert_eq!(left, 0, "session folders stayed");
}
