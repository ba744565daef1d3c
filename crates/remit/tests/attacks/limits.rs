//! Ceilings hold for the session together, in whatever form the resource is taken.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::world::{Report, World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("limits_memory_in_every_form", memory),
        trial("limits_memory_of_pages_that_were_let_go", dropped_pages),
        trial("limits_processes", processes),
        trial("limits_processor_time_and_count", cpu),
        trial("limits_processor_time_of_short_processes", short_processes),
        trial("limits_disk", disk),
        trial("limits_open_files", files),
        trial("limits_wall_time", wall),
    ]
}

fn under(key: &str, value: Value, script: &str) -> Report {
    let mut world = World::new("limits");
    world.limit = Duration::from_secs(40);
    world.manifest = world.manifest.set(&format!("/limits/{key}"), value);
    world.attack(script)
}

/// The script prints `got it: happened` when it has more than it may.
#[track_caller]
fn stopped(key: &str, value: Value, script: &str) {
    let report = under(key, value, &format!("{script}\nattempt('got it', lambda: None)"));
    assert!(!report.lines.contains_key("got it"), "{key} does not hold:\n{}", report.done);
    assert!(report.done.status.is_some_and(|status| status != 0), "{}", report.done);
    assert!(!report.done.stderr.contains("NameError"), "{}", report.done);
}

fn memory() {
    let most = || json!("160MiB");
    let fine = under(
        "memory",
        most(),
        "keep = bytearray(40 << 20)\nattempt('fine', lambda: time.sleep(0.3))",
    );
    fine.works(&["fine"]);
    stopped("memory", most(), "keep = bytearray(400 << 20); time.sleep(1)");
    let touch = "for at in range(0, len(page), 4096): page[at] = 1\ntime.sleep(1)";
    stopped("memory", most(), &format!("page = mmap.mmap(-1, 400 << 20)\n{touch}"));
    stopped(
        "memory",
        most(),
        "pids = []\nfor _ in range(6):\n    pid = os.fork()\n    \
         if pid == 0: keep = bytearray(60 << 20); time.sleep(3); os._exit(0)\n    pids.append(pid)\n\
         for pid in pids:\n    if os.waitpid(pid, 0)[1]: os._exit(1)",
    );
    for place in ["/tmp", "/dev/shm"] {
        let write = format!(
            "file = open('{place}/x', 'wb')\nfor _ in range(400): file.write(bytes(1 << 20))\ntime.sleep(1)"
        );
        stopped("memory", most(), &write);
    }
    // A segment that nobody has attached.
    stopped(
        "memory",
        most(),
        "for _ in range(4):\n    at = call(30, call(29, 0, 100 << 20, 0o1600), 0, 0)\n    \
         ctypes.memset(ctypes.c_void_p(at), 1, 100 << 20); call(67, at)\ntime.sleep(1)",
    );
}

/// Pages that leave the page table, and are in no process's count, stay in the shared object.
fn dropped_pages() {
    let script = |size: &str, step: &str| {
        format!(
            "page = mmap.mmap(-1, {size})\nchunk = bytes({step})\n\
             for at in range(0, {size}, {step}):\n    page[at:at + {step}] = chunk\n    \
             page.madvise(mmap.MADV_DONTNEED, at, {step})\n    time.sleep(0.02)\ntime.sleep(0.5)"
        )
    };
    let fine = format!("{}\nattempt('fine', lambda: None)", script("(24 << 20)", "(4 << 20)"));
    under("memory", json!("160MiB"), &fine).works(&["fine"]);
    stopped("memory", json!("160MiB"), &script("(1 << 30)", "(8 << 20)"));
    // Unmapped but for one page, in another process.
    let kept = "page = mmap.mmap(-1, 1 << 30)\npid = os.fork()\nif pid == 0:\n    time.sleep(8); os._exit(0)\n\
                page[0:1 << 30] = bytes(1 << 30)\npage.close()\nif os.waitpid(pid, 0)[1]: os._exit(1)";
    stopped("memory", json!("160MiB"), kept);
}

fn processes() {
    let bomb = r#"
made = 0
def bomb():
    global made
    while made < 200:
        if os.fork() == 0: time.sleep(20); os._exit(0)
        made += 1
attempt("permitted few", lambda: [os.waitpid(pid, 0) for pid in [os.fork() or os._exit(0) for _ in range(5)]])
attempt("attack bomb", bomb)
attempt("attack threads", lambda: [threading.Thread(target=time.sleep, args=(20,), daemon=True).start() for _ in range(200)])
print("made: %d" % made, flush=True)
os._exit(0)
"#;
    let report = under("processes", json!(20), bomb);
    report.works(&["permitted few"]);
    match report.done.status {
        // Where the kernel refuses the next process, the program goes on …
        Some(0) => {
            report.refused(&["attack bomb", "attack threads"]);
            assert!(report.of("made").parse::<u32>().unwrap() <= 20, "{}", report.done);
        }
        // … where nothing but the supervisor's count holds it, the session ends.
        other => assert_eq!(other, Some(137), "{}", report.done),
    }
}

fn cpu() {
    let spin = "while time.process_time() < 30: pass";
    stopped("cpu", json!("1s"), spin);
    // In turn, each below the ceiling; and several at once.
    let turns = r#"
for _ in range(60):
    pid = os.fork()
    if pid == 0:
        while time.process_time() < 0.3: pass
        os._exit(0)
    os.waitpid(pid, 0)
"#;
    stopped("cpu", json!("1s"), turns);
    let unwaited = format!(
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n{}\ntime.sleep(20)",
        turns.replace("os.waitpid(pid, 0)", "time.sleep(0.35)")
    );
    stopped("cpu", json!("1s"), &unwaited);
    let one = under(
        "cpu",
        json!(1),
        "attempt('attack width', lambda: refuse(len(os.sched_getaffinity(0)) == 1))\n\
         attempt('attack widen', lambda: os.sched_setaffinity(0, range(2)))\n\
         attempt('permitted', lambda: sum(range(1000)))",
    );
    one.works(&["permitted"]).all_refused("attack");
    let part = under("cpu", json!(0.5), "attempt('ran', lambda: None)");
    assert_eq!(part.done.status, Some(125), "{}", part.done);
}

/// Nobody waits for children that live for less than a clock tick each.
fn short_processes() {
    let forks = |ignore: &str, most: u32| {
        format!(
            r#"
{ignore}
end, made = time.monotonic() + 35, 0
while time.monotonic() < end and made < {most}:
    made += 1
    if os.fork() == 0:
        stop = time.process_time() + 0.009
        while time.process_time() < stop: pass
        os._exit(0)
    time.sleep(0.010)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
"#
        )
    };
    let ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)";
    // The same with SA_NOCLDWAIT: struct sigaction of the kernel, rt_sigaction(2).
    let unwaited = "act = (ctypes.c_ulong * 4)(0, 2, 0, 0)\n\
                    assert call(13, signal.SIGCHLD, ctypes.addressof(act), 0, 8) == 0";
    for ignore in [ignored, unwaited] {
        let began = std::time::Instant::now();
        stopped("cpu", json!("1s"), &forks(ignore, u32::MAX));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
    // A few of them, and many that are waited for, are no reason to end.
    let few = format!("{}\nattempt('few', lambda: None)", forks(ignored, 40));
    under("cpu", json!("4s"), &few).works(&["few"]);
    let waited = "for _ in range(150): os.waitpid(os.fork() or os._exit(0), 0)\nattempt('many', lambda: None)";
    under("cpu", json!("4s"), waited).works(&["many"]);
}

fn disk() {
    let report = under(
        "disk",
        json!("20MiB"),
        r#"
attempt("permitted", lambda: write("/tmp/a", bytes(8 << 20)))
attempt("permitted grant", lambda: write(W + "/big", bytes(40 << 20)))
attempt("attack tmp", lambda: write("/tmp/b", bytes(40 << 20)))
attempt("permitted again", lambda: (os.unlink("/tmp/b"), write("/tmp/b", bytes(8 << 20))))
for place in ("/var/tmp", "/dev/shm", "/run", os.environ["HOME"]):
    attempt("attack " + place, lambda: write(place + "/c", bytes(8 << 20)))
attempt("attack reserve", lambda: os.posix_fallocate(os.open("/tmp/d", os.O_CREAT | os.O_RDWR), 0, 64 << 20))
attempt("attack unnamed", lambda: os.posix_fallocate(os.open("/tmp", os.O_TMPFILE | os.O_RDWR), 0, 64 << 20))
"#,
    );
    report.works(&["permitted", "permitted grant", "permitted again"]).all_refused("attack");
}

fn files() {
    let report = under(
        "openFiles",
        json!(64),
        r#"
import resource
attempt("permitted", lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(30)])
attempt("attack more", lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(64)])
attempt("attack granted", lambda: [os.open(R + "/file", os.O_RDONLY) for _ in range(64)])
attempt("attack raise", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
"#,
    );
    report.works(&["permitted"]).all_refused("attack");
}

fn wall() {
    stopped("wallTime", json!("2s"), "time.sleep(30)");
    stopped(
        "wallTime",
        json!("2s"),
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(30)",
    );
    let fine = under("wallTime", json!("20s"), "attempt('fine', lambda: time.sleep(0.2))");
    fine.works(&["fine"]);
}
