//! Programs that the manifest does not permit.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use libtest_mimic::Trial;
use remit_testkit::program;
use serde_json::json;

use crate::world::{World, answer_all, answer_next, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("exec_nothing_but_the_entry", none),
        trial("exec_what_the_agent_wrote", written),
        trial("exec_unlisted_and_nested", unlisted),
        trial("exec_libraries_of_the_agent", libraries),
        trial("exec_any_is_system_programs_alone", any),
        trial("exec_by_the_loader_from_read_grants", by_loader),
        trial("exec_digests_and_path_races", digests),
        trial("exec_entry_written_by_the_agent", entry),
        trial("exec_once_is_for_one_start", once),
        trial("exec_once_starts_once_however_many_race", raced),
        trial("exec_folders_that_ask", folder),
    ]
}

const SHELL_SCRIPT: &str = "#!/bin/sh\necho hi\n";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Ways to start a file that is at `path`.
const WAYS: &str = r#"
def child(act):
    """Runs in a fork; fails unless it really became another program that ended with 0."""
    pid = os.fork()
    if pid == 0:
        try: act()
        except BaseException: pass
        os._exit(99)
    status = os.waitpid(pid, 0)[1]
    if status: raise RuntimeError(status)
def by_descriptor(path, flags):
    file = os.open(path, flags); os.set_inheritable(file, True); return file
def ways(name, path):
    attempt(name + " plainly", lambda: must(path))
    attempt(name + " by descriptor", lambda: child(lambda: os.execve(by_descriptor(path, os.O_RDONLY), ["x"], {})))
    attempt(name + " by path descriptor", lambda: child(lambda: os.execv("/proc/self/fd/%d" % by_descriptor(path, os.O_PATH), ["x"])))
    attempt(name + " by empty path", lambda: child(lambda: call(322, os.open(path, os.O_PATH), "", None, None, 0x1000)))
    attempt(name + " by root", lambda: must("/proc/self/root" + path))
    attempt(name + " by loader", lambda: must(LOADER, path))
"#;

fn prelude(script: &str) -> String {
    format!("LOADER = {LOADER:?}\n{WAYS}\n{script}")
}

/// `begin` returns when the program has really started; `fits` tells whether it could be started.
const STARTING: &str = r#"
def begin(*words, thread=False):
    seen, told = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            start = lambda: os.execv(words[0], words)
            if thread: one = threading.Thread(target=start); one.start(); one.join()
            else: start()
        except OSError as error: os.write(told, b"%d" % error.errno)
        os._exit(99)
    os.close(told); failed = os.read(seen, 10); os.close(seen)
    if failed: raise OSError(int(failed), "not started")
def fits(path): refuse(not os.access(path, os.X_OK))
"#;

/// After a yes for once, nobody else finds the program runnable.
fn once() {
    let sleep = program("sleep").canonicalize().unwrap();
    let mut world = World::new("exec-once").with(|manifest, _| {
        manifest.set("/permissions/execute", json!([{"path": sleep, "ask": true}]))
    });
    world.limit = std::time::Duration::from_secs(30);
    let home = world.area.remit_home();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            for how in ["--once", "--once", "--session"] {
                answer_next(&home, &[how]);
            }
        });
        world.attack(&format!(
            r#"
P = {sleep:?}
{STARTING}
attempt("attack before", lambda: fits(P))
attempt("permitted once", lambda: begin(P, "1"))
time.sleep(0.15)
attempt("attack after", lambda: fits(P))
attempt("permitted by a thread", lambda: begin(P, "1", thread=True))
time.sleep(0.15)
attempt("attack after a thread", lambda: fits(P))
attempt("permitted session", lambda: begin(P, "1"))
time.sleep(0.3)
attempt("permitted again", lambda: (fits(P), begin(P, "1")))
"#
        ))
    });
    report.all_refused("attack");
    report.works(&[
        "permitted once",
        "permitted by a thread",
        "permitted session",
        "permitted again",
    ]);
}

/// While a program is runnable for one start, others that were let go with another path put its
/// path in the place of theirs. Each start of it leaves a folder.
fn raced() {
    let mark = program("mktemp").canonicalize().unwrap();
    let other = program("true").canonicalize().unwrap();
    let mut world = World::new("exec-raced").with(|manifest, _| {
        manifest.set("/permissions/execute", json!([{"path": mark, "ask": true}, {"path": other}]))
    });
    world.limit = std::time::Duration::from_secs(60);
    let home = world.area.remit_home();
    let over = AtomicBool::new(false);
    let yeses = AtomicUsize::new(0);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                yeses.fetch_add(answer_all(&home, &["--once"]), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let report = world.attack(&format!(
            r#"
P, T = {mark:?}.encode() + b"\0", {other:?}.encode() + b"\0"
{STARTING}
import ctypes, random
libc = ctypes.CDLL(None)
def racer(seed):
    os.setpgid(0, 0); random.seed(seed)
    path = ctypes.create_string_buffer(max(len(P), len(T)))
    words = (ctypes.c_char_p * 4)(b"x", b"-d", W.encode() + b"/mark.XXXXXX", None)
    def swap(pause):
        time.sleep(pause); ctypes.memmove(path, P, len(P))
    while True:
        ctypes.memmove(path, T, len(T))
        pid = os.fork()
        if pid == 0:
            threading.Thread(target=swap, args=(random.uniform(0.0003, 0.003),)).start()
            libc.execve(path, words, None); os._exit(99)
        # One that the mediator saw with the wrong path waits for a person.
        for _ in range(30):
            if os.waitpid(pid, os.WNOHANG)[0]: break
            time.sleep(0.005)
        else: os.kill(pid, 9); os.waitpid(pid, 0)
racers = []
for seed in range(4):
    pid = os.fork()
    if pid == 0:
        try: racer(seed)
        finally: os._exit(0)
    racers.append(pid)
def start(): begin({mark:?}, "-d", W + "/mark.XXXXXX")
for _ in range(6):
    time.sleep(0.1); attempt("permitted start", start)
for pid in racers: os.killpg(pid, 9)
attempt("permitted other", lambda: must({other:?}))
"#
        ));
        over.store(true, Ordering::Relaxed);
        report
    });
    report.works(&["permitted start", "permitted other"]);
    let names = std::fs::read_dir(world.area.work().join("write")).unwrap();
    let mark = |name: &std::fs::DirEntry| name.file_name().to_string_lossy().starts_with("mark.");
    let marks = names.flatten().filter(mark).count();
    assert!((6..=yeses.into_inner()).contains(&marks), "{marks} starts:\n{}", report.done);
}

fn folder() {
    let mut world = World::new("exec-folder").with(|manifest, area| {
        let tools = area.path().join("tools");
        manifest.set("/permissions/execute", json!([{"path": tools, "ask": true}]))
    });
    world.limit = std::time::Duration::from_secs(30);
    let sleep = std::fs::read(program("sleep")).unwrap();
    let tool = world.executable("tools/sleep", &sleep);
    let other = world.executable("tools/other", &sleep);
    let home = world.area.remit_home();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| answer_next(&home, &["--once"]));
        world.attack(&format!(
            r#"
{STARTING}
attempt("permitted once", lambda: begin({tool:?}, "1"))
time.sleep(0.15)
attempt("attack after", lambda: fits({tool:?}))
attempt("attack other", lambda: fits({other:?}))
"#
        ))
    });
    report.works(&["permitted once"]).all_refused("attack");
    let pinned = json!([{"path": world.area.path().join("tools"), "sha256": "0".repeat(64)}]);
    let world = world.with(|manifest, _| manifest.set("/permissions/execute", pinned));
    let done = world.attack("").done;
    assert_eq!(done.status, Some(125), "{done}");
    assert!(done.stderr.contains("a folder has no digest"), "{done}");
}

fn none() {
    let world = World::new("exec-none");
    let tool = world.executable("work/read/tool", std::fs::read(program("env")).unwrap());
    let report = world.attack(&prelude(&format!(
        r#"
attempt("permitted entry", lambda: must("/proc/self/exe", "-c", "print(1)"))
ways("attack granted", {tool:?})
for name in ("sh", "ls", "env", "id", "true", "bash", "perl", "dash", "cat"):
    attempt("attack " + name, lambda: must("/usr/bin/" + name))
    attempt("attack loader " + name, lambda: must(LOADER, "/usr/bin/" + name))
attempt("attack loader alone", lambda: must(LOADER, "--help"))
attempt("attack system", lambda: refuse(os.system("true") != 0))
"#
    )));
    report.works(&["permitted entry"]).all_refused("attack");
    report.recorded("execute", "denied", "/usr/bin/").recorded("execute", "denied", "read/tool");
}

fn written() {
    let world = World::new("exec-written").with(|manifest, _| manifest.execute(program("env")));
    let report = world.attack(&prelude(
        r#"
attempt("permitted", lambda: must("/usr/bin/env"))
body = read("/usr/bin/env")
for place in ("/tmp", os.environ["HOME"], W, "/dev/shm", "/var/tmp", "/run"):
    tool = place + "/tool"; write(tool, body); os.chmod(tool, 0o755); ways("attack tool in " + place, tool)
    script = place + "/script"; write(script, b'#!/usr/bin/env\n'); os.chmod(script, 0o755)
    ways("attack script in " + place, script)
    attempt("attack ls in " + place, lambda: (os.symlink("/usr/bin/ls", place + "/ls"), must(place + "/ls")))
    attempt("attack renamed in " + place, lambda: (os.rename(tool, place + "/env"), must(place + "/env")))
def gone():
    write("/tmp/gone", body); os.chmod("/tmp/gone", 0o755)
    file = by_descriptor("/tmp/gone", os.O_RDONLY); os.unlink("/tmp/gone")
    child(lambda: os.execve(file, ["x"], {}))
attempt("attack removed file", gone)
def unnamed():
    file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o755); os.write(file, body); os.set_inheritable(file, True)
    child(lambda: os.execve(file, ["x"], {}))
attempt("attack unnamed file", unnamed)
attempt("attack memory file", lambda: os.memfd_create("x"))
attempt("attack secret memory", lambda: call(447, 0))
for place in ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/bin"):
    attempt("attack write in " + place, lambda: write(place + "/tool", body))
    attempt("attack link in " + place, lambda: os.symlink("/tmp/env", place + "/link"))
    attempt("attack move in " + place, lambda: os.rename("/tmp/env", place + "/moved"))
    attempt("attack mark " + place, lambda: os.utime(place))
    attempt("attack mode of " + place, lambda: os.chmod(place, 0o777))
"#,
    ));
    report.works(&["permitted"]).all_refused("attack");
    report.recorded("execute", "allowed", "env");
}

fn unlisted() {
    let world = World::new("exec-unlisted").with(|manifest, _| {
        ["env", "xargs", "find", "git"]
            .into_iter()
            .fold(manifest, |m, name| m.execute(program(name)))
    });
    let git = program("git");
    let report = world.attack(&prelude(&format!(
        r#"
GIT = {git:?}
attempt("permitted env", lambda: must("/usr/bin/env"))
attempt("permitted find", lambda: must("/usr/bin/find", "/tmp"))
attempt("permitted nested", lambda: must("/usr/bin/env", "/usr/bin/find", "/tmp"))
attempt("permitted git", lambda: must(GIT, "--version"))
attempt("attack env", lambda: must("/usr/bin/env", "ls"))
attempt("attack env loader", lambda: must("/usr/bin/env", LOADER, "/usr/bin/find"))
attempt("attack xargs", lambda: must("/usr/bin/xargs", "ls", input=b"/"))
attempt("attack find", lambda: refuse(not must("/usr/bin/find", "/tmp", "-maxdepth", "0", "-exec", "ls", "-d", "/", ";")))
attempt("attack git alias", lambda: must(GIT, "-c", "alias.x=!ls", "x"))
attempt("attack git ssh", lambda: must(GIT, "-c", "core.sshCommand=ls", "ls-remote", "ssh://listed.example/x"))
attempt("attack script", lambda: must(R + "/script"))
for name in ("ls", "dash", "sh", "id"):
    attempt("attack read " + name, lambda: read("/usr/bin/" + name))
    attempt("attack loader " + name, lambda: must(LOADER, "/usr/bin/" + name))
"#
    )));
    report.works(&["permitted env", "permitted find", "permitted nested", "permitted git"]);
    report.all_refused("attack");
}

fn libraries() {
    let world = World::new("exec-libraries").with(|manifest, _| manifest.execute(program("env")));
    let report = world.attack(&prelude(
        r#"
import glob
library = next(iter(glob.glob("/usr/lib/*/libz.so.1") + glob.glob("/usr/lib/*/libm.so.6")))
attempt("permitted library", lambda: ctypes.CDLL(library))
attempt("permitted preload", lambda: must("/usr/bin/env", env={"LD_PRELOAD": library}))
body = read(library)
for place in ("/tmp", os.environ["HOME"], W, "/dev/shm", "/var/tmp", "/run"):
    path = place + "/lib.so"; write(path, body); os.chmod(path, 0o755)
    attempt("attack load from " + place, lambda: ctypes.CDLL(path))
    file = os.open(path, os.O_RDWR)
    attempt("attack map " + place, lambda: mmap.mmap(file, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
    def protect():
        page = mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        call(10, ctypes.addressof(ctypes.c_char.from_buffer(page)), 4096, 5)
    attempt("attack protect " + place, protect)
attempt("attack execution domain", lambda: call(135, 0x400000))
"#,
    ));
    report.works(&["permitted library", "permitted preload"]).all_refused("attack");
}

fn any() {
    let world = World::new("exec-any").with(|manifest, _| manifest.execute_any());
    world.executable("work/read/tool", std::fs::read(program("env")).unwrap());
    world.executable("work/read/script", SHELL_SCRIPT);
    let report = world.attack(&prelude(
        r#"
attempt("permitted shell", lambda: must("/bin/sh", "-c", "ls / | /usr/bin/env cat"))
attempt("permitted interpreter", lambda: must("/bin/sh", R + "/script"))
attempt("attack granted tool", lambda: must(R + "/tool"))
attempt("attack granted script", lambda: must(R + "/script"))
for place in ("/tmp", W, os.environ["HOME"], "/dev/shm"):
    write(place + "/copy", read("/usr/bin/env")); os.chmod(place + "/copy", 0o755)
    ways("attack copy in " + place, place + "/copy")
    attempt("attack path " + place, lambda: must("/bin/sh", "-c", "PATH=" + place + ":$PATH copy"))
attempt("attack memory file", lambda: os.memfd_create("x"))
attempt("attack set-user", lambda: refuse(os.geteuid() == int(must("/usr/bin/id", "-u"))))
"#,
    ));
    report.works(&["permitted shell", "permitted interpreter"]).all_refused("attack");
}

/// The loader opens its program as any file, and a read grant may be mapped as code, because
/// libraries lie in such places.
fn by_loader() {
    let world = World::new("exec-loader").with(|manifest, _| manifest.execute_any());
    let tool = std::fs::read(program("env")).unwrap();
    world.executable("work/read/tool", &tool);
    world.area.write("work/read/plain", &tool);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut libc = maps.lines().filter_map(|line| line.split(' ').next_back());
    let libc = libc.rfind(|path| path.contains("/libc.so")).unwrap();
    world.area.write("work/read/library.so", std::fs::read(libc).unwrap());
    let report = world.attack(&prelude(
        r#"
attempt("permitted loader", lambda: must(LOADER, "/usr/bin/env"))
attempt("permitted library", lambda: ctypes.CDLL(R + "/library.so"))
attempt("permitted reading", lambda: read(R + "/tool"))
for name in ("tool", "plain"):
    attempt("attack " + name, lambda: must(LOADER, R + "/" + name))
    attempt("attack by descriptor " + name, lambda: must(LOADER, "/proc/self/fd/0", stdin=open(R + "/" + name)))
    attempt("attack with a library path " + name, lambda: must(LOADER, "--library-path", R, R + "/" + name))
"#,
    ));
    report.works(&["permitted loader", "permitted library", "permitted reading"]);
    report.all_refused("attack");
    report.recorded("execute", "denied", "read/tool").recorded("execute", "denied", "read/plain");
}

fn digests() {
    let sum = |path: &Path| {
        let done = std::process::Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(done.stdout).unwrap()[..64].to_owned()
    };
    let (wc, id) = (program("wc"), program("id"));
    let world = World::new("exec-digests").with(|manifest, _| {
        manifest.set(
            "/permissions/execute",
            json!([{"path": wc, "sha256": sum(&wc)}, {"path": id, "sha256": "0".repeat(64)}]),
        )
    });
    let report = world.attack(&prelude(&format!(
        r#"
WC, ID = {wc:?}, {id:?}
attempt("permitted", lambda: must(WC, "/dev/null"))
ways("attack pinned", ID)
# The name lies in memory that another process changes while the call is looked at.
shared = mmap.mmap(-1, 4096)
name = ctypes.addressof(ctypes.c_char.from_buffer(shared))
words = (ctypes.c_char_p * 3)(b"x", b"--version", None)
swapper = os.fork()
if swapper == 0:
    one, other = WC.encode() + b"\0", ID.encode() + b"\0"
    while True:
        for text in (one, one, other): ctypes.memmove(name, text, len(text))
ran = []
for _ in range(400):
    out, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(end, 1)
        try: call(59, name, words, None)
        except OSError: os._exit(1)
    os.close(end); ran.append(os.read(out, 4096)); os.close(out); os.waitpid(pid, 0)
os.kill(swapper, 9)
attempt("permitted race", lambda: refuse(not any(b"wc (" in out for out in ran)))
attempt("attack race", lambda: refuse(not any(b"id (" in out for out in ran)))
"#
    )));
    report.works(&["permitted", "permitted race"]).all_refused("attack");
}

fn entry() {
    let world = World::new("exec-entry");
    let tool = world.executable("work/write/tool", SHELL_SCRIPT);
    let fine = world.executable("work/read/tool", SHELL_SCRIPT);
    let refused = world.session().run(&[&tool]);
    assert_eq!(refused.status, Some(126), "{refused}");
    assert!(refused.stderr.contains("could have written"), "{refused}");
    assert_eq!(refused.stdout, "");
    let done = world.session().run(&[&fine]).must_succeed();
    assert_eq!(done.stdout, "hi\n");
}
