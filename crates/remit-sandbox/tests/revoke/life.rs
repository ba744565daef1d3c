//! What ends, and that the rest lives on.

use std::{fs, time::Instant};

use remit_core::FileMode;
use remit_sandbox::revoke::{Kept, Rights};

use crate::harness::{Running, Test};

pub const TESTS: &[Test] = &[
    ("everything_held_dies_and_the_program_lives_on", everything),
    ("writing_ends_and_reading_goes_on", writing),
    ("narrower_and_renewed_rights_are_kept", kept),
    ("a_place_inside_a_wider_grant_ends_alone", inside_wider),
    ("waiting_calls_go_on_waiting", waiting),
    ("a_sweep_that_finds_nothing_stops_nobody", quiet),
];

/// Objects of every kind, held by a program with several threads and a child.
const HOLD: &str = "
r = os.open(place + '/data', os.O_RDONLY)
w = os.open(place + '/deep/data', os.O_RDWR)
d = os.open(place + '/deep', os.O_RDONLY | os.O_DIRECTORY)
p = os.open(place + '/data', os.O_PATH)
o = os.open(other + '/data', os.O_RDWR)
inherited = os.dup2(r, 77)
shared = mmap.mmap(w, 4096, mmap.MAP_SHARED)
private = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
kept = mmap.mmap(o, 4096, mmap.MAP_SHARED)
os.chdir(place + '/deep')
pipes = [os.pipe() for one in range(4)]
heard = []
threads = [threading.Thread(target=lambda at=at: heard.append(os.read(at[0], 9))) for at in pipes]
for one in threads: one.start()
ask, answer = socket.socketpair()
child = os.fork()
if child == 0:
    while ask.recv(1): ask.send(repr((no(os.pread, r, 7, 0), no(os.write, w, b'x'), private[:7], os.getcwd())).encode())
    os._exit(0)
def of_child():
    answer.send(b'x')
    return answer.recv(200).decode()
";

fn everything(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(HOLD);
    on.agent.holds("os.pread(r, 7, 0) == private[:7] == shared[:7] == b'granted'");
    let begun = Instant::now();
    let done = on.revoker.take_away(&on.place, Rights::All, &[]).unwrap();
    let took = begun.elapsed();
    on.mounts.remove(&on.place).unwrap();
    println!("{done:?} in {took:?}");
    // In the parent r, its copy, w, d, p; mmap keeps copies of w and r. The child has the same.
    assert_eq!((done.mappings, done.folders), (4, 2));
    assert_eq!((done.descriptors, done.killed, done.pending), (14, 0, 0));
    for dead in ["r", "w", "77"] {
        on.agent.gives(&format!("no(os.read, {dead}, 7)"), "'EINVAL'");
    }
    on.agent.gives("no(os.write, w, b'x')", "'EINVAL'");
    on.agent.gives("no(os.open, 'data', os.O_RDONLY, 0o600)", "'ENOENT'");
    on.agent.gives("no(lambda: os.open('data', os.O_RDONLY, dir_fd=d))", "'ENOTDIR'");
    on.agent.holds("no(os.open, '/proc/self/fd/%d' % p, os.O_RDONLY) in ('EACCES', 'ENXIO')");
    on.agent.gives("no(os.open, place + '/data', os.O_RDONLY)", "'ENOENT'");
    on.agent.holds("bytes(shared) == bytes(private) == bytes(4096)");
    on.agent.run("shared[:4] = b'evil'");
    assert!(fs::read_to_string(on.place.join("deep/data")).unwrap().starts_with("granted"));
    on.agent.gives("os.getcwd()", "'/'");
    on.agent.gives(
        "of_child()",
        r#""('ESPIPE', 'EINVAL', b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00', '/')""#,
    );
    // The rest goes on.
    on.agent.run("kept[:4] = b'work'");
    on.agent.holds("os.pread(o, 7, 0) == b'workted'");
    assert!(fs::read_to_string(on.other.join("data")).unwrap().starts_with("workted"));
    on.agent.run("for at in pipes: os.write(at[1], b'go')");
    on.agent.run("for one in threads: one.join()");
    on.agent.holds("heard == [b'go'] * 4");
    on.agent.holds("subprocess.run(['/bin/echo', 'hi'], capture_output=True).stdout == b'hi\\n'");
    on.end();
}

fn writing(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
w = os.open(place + '/data', os.O_RDWR)
a = os.open(place + '/data', os.O_WRONLY | os.O_APPEND)
reading = mmap.mmap(r, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
copying = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
writing = mmap.mmap(w, 4096, mmap.MAP_SHARED)
sleeping = mmap.mmap(w, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
os.chdir(place)
",
    );
    let done = on.revoker.take_away(&on.place, Rights::Write, &[]).unwrap();
    // w, a, and the two copies that mmap keeps of w.
    assert_eq!((done.descriptors, done.mappings, done.folders), (4, 2, 0));
    on.agent.holds("os.pread(r, 7, 0) == reading[:7] == copying[:7] == b'granted'");
    on.agent.gives("no(os.write, w, b'x')", "'EINVAL'");
    on.agent.gives("no(os.write, a, b'x')", "'EINVAL'");
    // Mapped readable from a writable descriptor, `mprotect` could have made it writable.
    on.agent.holds("bytes(writing) == bytes(sleeping) == bytes(4096)");
    on.agent.gives("os.getcwd() == place", "True");
    on.end();
}

fn kept(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
d = os.open(place + '/deep/data', os.O_RDONLY)
w = os.open(place + '/deep/data', os.O_RDWR)
deep = mmap.mmap(d, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
",
    );
    let still = Kept { path: on.place.join("deep"), mode: FileMode::Read };
    let done = on.revoker.take_away(&on.place, Rights::All, &[still]).unwrap();
    assert_eq!((done.descriptors, done.mappings, done.killed), (2, 0, 0));
    on.agent.gives("no(os.read, r, 7)", "'EINVAL'");
    on.agent.gives("no(os.read, w, 7)", "'EINVAL'");
    on.agent.holds("os.read(d, 7) == deep[:7] == b'granted'");
    // What is opened again stays dead until it is allowed again.
    on.agent.run("r = os.open(place + '/data', os.O_RDONLY)");
    assert_eq!(on.revoker.sweep().unwrap().descriptors, 1);
    on.revoker.allow_again(&on.place, FileMode::Read).unwrap();
    on.agent
        .run("r = os.open(place + '/data', os.O_RDONLY); w = os.open(place + '/data', os.O_RDWR)");
    assert_eq!(on.revoker.sweep().unwrap().descriptors, 1);
    on.agent.holds("os.read(r, 7) == b'granted'");
    on.agent.gives("no(os.read, w, 7)", "'EINVAL'");
    on.end();
}

fn inside_wider(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
f = os.open(place + '/deep/data', os.O_RDONLY)
g = os.open(place + '/deep/data', os.O_RDONLY)
near = os.open(place + '/deeper', os.O_RDWR | os.O_CREAT)
r = os.open(place + '/data', os.O_RDONLY)
m = mmap.mmap(f, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
k = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
os.unlink(place + '/deep/data')
",
    );
    let done = on.revoker.take_away(&on.place.join("deep"), Rights::All, &[]).unwrap();
    assert_eq!((done.descriptors, done.mappings, done.killed), (3, 1, 0));
    on.agent.gives("no(os.read, f, 7), no(os.read, g, 7)", "('EINVAL', 'EINVAL')");
    on.agent.holds("m[:7] == bytes(7) and k[:7] == os.read(r, 7) == b'granted'");
    on.agent.gives("no(os.write, near, b'x')", "1");
    on.end();
}

/// Python repeats interrupted calls by itself, so these are made raw.
fn waiting(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
import select
results = {}
epoll = libc.epoll_create1(0)
pair = os.pipe()
fds = (ctypes.c_int * 2)(pair[0], 1)
def raw(name, what):
    def body():
        begun = time.monotonic()
        got = what()
        results[name] = (got if got != -1 else errno.errorcode[ctypes.get_errno()], round(time.monotonic() - begun, 1))
    thread = threading.Thread(target=body)
    thread.start()
    return thread
class Span(ctypes.Structure): _fields_ = [('s', ctypes.c_long), ('n', ctypes.c_long)]
word = ctypes.c_int(0)
events = ctypes.create_string_buffer(120)
second = Span(1, 0)
buffer = ctypes.create_string_buffer(10)
stop = False
def count():
    total = 0
    while not stop: total += 1
    return 1 if total else 0
threads = [
    raw('nanosleep', lambda: libc.nanosleep(ctypes.byref(second), None)),
    raw('poll', lambda: libc.poll(fds, 1, 1000)),
    raw('epoll', lambda: libc.epoll_wait(epoll, events, 1, 1500)),
    raw('futex', lambda: libc.syscall(202, ctypes.byref(word), 0, 0, ctypes.byref(second), None, 0)),
    raw('read', lambda: libc.read(pair[0], buffer, 10)),
    raw('busy', count),
]
",
    );
    for round in 0..20 {
        on.agent.run(&format!("held = os.open(place + '/data', os.O_RDONLY) # {round}"));
        let done = on.revoker.take_away(&on.place, Rights::All, &[]).unwrap();
        assert_eq!((done.descriptors, done.killed), (1, 0));
        on.agent.run("os.close(held)");
    }
    on.agent.run("time.sleep(2.5); stop = True; os.write(pair[1], b'abc')");
    on.agent.run("for one in threads: one.join()");
    let got = on.agent.ask("sorted((name, one[0]) for name, one in results.items())");
    assert_eq!(
        got,
        "[('busy', 1), ('epoll', 0), ('futex', 'ETIMEDOUT'), ('nanosleep', 0), ('poll', 0), ('read', 3)]"
    );
    // From restarts with what is left of their time, not with all of it.
    on.agent.holds("0.9 <= results['nanosleep'][1] <= 1.3 and 0.9 <= results['poll'][1] <= 1.3");
    on.end();
}

fn quiet(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.revoker.take_away(&on.place, Rights::All, &[]).unwrap();
    on.mounts.remove(&on.place).unwrap();
    on.agent.run("children = [subprocess.Popen(['/bin/sleep', '60']) for one in range(20)]");
    on.agent.run("keep = [os.open(other + '/data', os.O_RDWR) for one in range(50)]");
    on.agent.run("before = open('/proc/self/status').read().split('nonvoluntary_ctxt')[0]");
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(on.revoker.sweep().unwrap(), Default::default());
    }
    println!("a sweep over 21 processes takes {:?}", begun.elapsed() / 20);
    on.agent.holds("all(one.poll() is None for one in children)");
    on.agent.holds("os.pread(keep[-1], 7, 0) == b'granted'");
    on.end();
}
