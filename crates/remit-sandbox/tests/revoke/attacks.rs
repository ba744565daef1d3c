//! Ways to hold on.

use std::{
    fs,
    time::{Duration, Instant},
};

use remit_sandbox::revoke::{Outcome, Rights};

use crate::harness::{Running, Test};

pub const TESTS: &[Test] = &[
    ("attack_renamed_and_removed_files", renamed),
    ("attack_thread_with_a_table_of_its_own", own_table),
    ("attack_dead_leader", dead_leader),
    ("attack_not_dumpable", not_dumpable),
    ("attack_stopped_process", stopped),
    ("attack_descriptor_parked_in_a_queue", parked),
    ("attack_parked_for_good", parked_for_good),
    ("attack_parked_in_parked_sockets", parked_deep),
    ("attack_parked_before_accept", parked_before_accept),
    ("attack_parked_in_a_peeked_packet", parked_peeked),
    ("attack_mapping_made_after_the_unmount", late_mapping),
    ("attack_waiting_in_a_mediated_call", in_mediated_call),
    ("attack_vfork_parent", vfork_parent),
    ("attack_no_room_for_descriptors", no_room),
    ("attack_no_memory_for_zeroes", no_memory),
    ("attack_sealed_mapping", sealed),
    ("attack_own_filter_against_our_calls", own_filter),
    ("attack_no_vdso_and_no_call", busy_without_vdso),
    ("attack_forking_away", forking),
    ("attack_passing_round", passing),
];

/// Ends everything at `place`, as the supervisor does.
fn end(on: &Running) -> Outcome {
    let done = on.revoker.take_away(&on.place, Rights::All, &[]).unwrap();
    on.mounts.remove(&on.place).unwrap();
    done
}

fn counts(descriptors: usize, mappings: usize) -> Outcome {
    Outcome { descriptors, mappings, ..Outcome::default() }
}

fn renamed(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a = os.open(place + '/data', os.O_RDONLY)
b = os.open(place + '/deep/data', os.O_RDWR)
m = mmap.mmap(b, 4096)
os.rename(place + '/data', place + '/deep/x (deleted)')
os.rename(place + '/deep', place + '/tmp')
os.unlink(place + '/tmp/data')
",
    );
    assert_eq!(end(&on), counts(3, 1));
    on.agent.gives(
        "no(os.read, a, 7), no(os.read, b, 7), m[:7] == bytes(7)",
        "('EINVAL', 'EINVAL', True)",
    );
    on.end();
}

fn own_table(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
go, gone = threading.Event(), threading.Event()
def body():
    global found
    CLONE_FS, CLONE_FILES = 0x200, 0x400
    assert libc.unshare(CLONE_FS | CLONE_FILES) == 0
    os.chdir(place)
    fd = os.open(place + '/data', os.O_RDONLY)
    gone.set(); go.wait()
    found = no(os.read, fd, 7), os.getcwd()
thread = threading.Thread(target=body)
thread.start()
gone.wait()
here = os.getcwd()
r = None
",
    );
    assert_eq!(end(&on), Outcome { folders: 1, ..counts(1, 0) });
    on.agent.run("go.set(); thread.join()");
    on.agent.gives("found, os.getcwd() == here", "(('EINVAL', '/'), True)");
    on.end();
}

/// The leader's `/proc/PID/fd` and `maps` are empty once its thread has ended.
fn dead_leader(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
m = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
def go_on():
    time.sleep(0.2)
    serve()
threading.Thread(target=go_on).start()
",
    );
    on.agent.tell("call(60 if os.uname().machine == 'x86_64' else 93, 0)");
    std::thread::sleep(Duration::from_millis(400));
    on.agent.holds("'Z' in open('/proc/self/stat').read().rsplit(')')[1]");
    assert_eq!(end(&on), counts(2, 1));
    on.agent.gives("no(os.read, r, 7), m[:7] == bytes(7)", "('EINVAL', True)");
    on.end();
}

fn not_dumpable(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
o = os.open(other + '/data', os.O_RDONLY)
m = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
os.chdir(place)
assert libc.prctl(4, 0) == 0
",
    );
    let deep = on.place.join("data");
    let done = on.revoker.take_away(&deep, Rights::All, &[]).unwrap();
    assert_eq!(done, counts(2, 1), "a file in a wider grant");
    on.agent.gives("no(os.read, r, 7), m[:7] == bytes(7)", "('EINVAL', True)");
    assert_eq!(end(&on), Outcome { folders: 1, ..counts(0, 0) });
    on.agent.holds("os.read(o, 7) == b'granted' and libc.prctl(3) == 0");
    on.end();
}

fn stopped(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    a.send(b'up')
    os.kill(os.getpid(), signal.SIGSTOP)
    a.send(repr(no(os.read, r, 7)).encode())
    os._exit(0)
b.recv(2)
assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
",
    );
    assert_eq!(end(&on), counts(2, 0));
    on.agent.holds("open('/proc/%d/stat' % child).read().rsplit(')')[1].split()[0] == 'T'");
    on.agent.run("os.kill(child, signal.SIGCONT)");
    on.agent.gives("b.recv(20)", "b\"'EINVAL'\"");
    on.end();
}

fn parked(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a, b = socket.socketpair()
r = os.open(place + '/data', os.O_RDWR)
d = os.open(place, os.O_RDONLY)
give(a, r); give(a, d)
os.close(r); os.close(d)
",
    );
    assert_eq!(end(&on), counts(0, 0));
    assert_eq!(on.revoker.sweep().unwrap(), counts(0, 0));
    on.agent.run("r = get(b)");
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(os.read, r, 7), no(os.write, r, b'x')", "('EINVAL', 'EINVAL')");
    on.agent.run("d = get(b)");
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(os.fchdir, d)", "'ENOTDIR'");
    on.end();
}

/// What is taken up a second after the end is dead; other queues keep what they carry.
fn parked_for_good(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a, b = socket.socketpair()
c, d = socket.socketpair()
r = os.open(place + '/data', os.O_RDONLY)
o = os.open(other + '/data', os.O_RDONLY)
a.send(b'text before')
give(a, o); give(a, r)
c.send(b'text before')
give(c, o); give(c, o)
c.send(b'and after')
os.close(r)
",
    );
    assert_eq!(end(&on), counts(0, 0));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(b.recv, 1)", "'ENOTSOCK'");
    on.agent.gives("no(a.send, b'x')", "'EPIPE'");
    on.agent.holds("d.recv(11) == b'text before'");
    on.agent.holds("os.pread(get(d), 7, 0) == os.pread(get(d), 7, 0) == b'granted'");
    on.agent.holds("d.recv(20) == b'and after' and d.getsockopt(socket.SOL_SOCKET, 42) == -1");
    assert_eq!(on.revoker.sweep().unwrap(), counts(0, 0));
    on.end();
}

fn parked_deep(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a, b = socket.socketpair()
c, d = socket.socketpair()
e, f = socket.socketpair()
r = os.open(place + '/data', os.O_RDONLY)
give(a, r); os.close(r)
give(c, a.fileno()); give(c, b.fileno()); a.close(); b.close()
give(e, d.fileno()); d.close(); c.close()
",
    );
    assert_eq!(end(&on), counts(0, 0));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(f.recv, 1)", "'ENOTSOCK'");
    on.end();
}

/// A connection that nobody has accepted has a queue, and no descriptor leads to it.
fn parked_before_accept(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
l = socket.socket(socket.AF_UNIX)
l.bind('/tmp/socket')
l.listen(5)
a = socket.socket(socket.AF_UNIX)
a.connect('/tmp/socket')
r = os.open(place + '/data', os.O_RDONLY)
give(a, r)
os.close(r)
",
    );
    assert_eq!(end(&on), counts(0, 0));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(l.accept)", "'ENOTSOCK'");
    on.end();
}

/// An empty packet that was peeked at once is passed over by every later peek.
fn parked_peeked(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
r = os.open(place + '/data', os.O_RDONLY)
a.sendmsg([b''], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [r]))])
os.close(r)
b.setsockopt(socket.SOL_SOCKET, 42, 0)
peeked = b.recvmsg(1, socket.CMSG_LEN(4), socket.MSG_PEEK)
for fd in array.array('i', peeked[1][0][2]): os.close(fd)
b.setsockopt(socket.SOL_SOCKET, 42, -1)
",
    );
    assert_eq!(end(&on), counts(0, 0));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0));
    on.agent.gives("no(b.recv, 1)", "'ENOTSOCK'");
    on.end();
}

/// After the unmount a mapping's path no longer leads to the place.
fn late_mapping(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
a, b = socket.socketpair()
r = os.open(place + '/data', os.O_RDWR)
give(a, r)
os.close(r)
o = os.open(other + '/gone', os.O_RDWR | os.O_CREAT)
os.write(o, b'mine')
k = mmap.mmap(o, 4)
os.unlink(other + '/gone')
q = os.open(other + '/data', os.O_RDWR)
l = mmap.mmap(q, 4096)
",
    );
    assert_eq!(end(&on), counts(0, 0));
    // mmap keeps a copy of the descriptor.
    on.agent.run("r = get(b); m = mmap.mmap(r, 4096); os.close(r)");
    on.agent.holds("m[:7] == b'granted'");
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 1));
    on.agent.holds("m[:7] == bytes(7) and k[:4] == b'mine' and l[:7] == b'granted'");
    on.end();
}

/// A thread that waits for a person cannot be stopped, and must not use what it holds afterwards.
fn in_mediated_call(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)",
    );
    fs::write(on.other.join("slow"), "").unwrap();
    on.agent.tell("(no(os.open, other + '/slow', os.O_RDONLY), no(os.read, r, 7))");
    std::thread::sleep(Duration::from_millis(300));
    let done = end(&on);
    assert_eq!((done.pending, done.descriptors, done.killed), (1, 0, 0));
    on.gate.open();
    let got = on.agent.hear();
    assert!(got.ends_with("'EINVAL')"), "{got}");
    assert_eq!(on.revoker.sweep().unwrap(), counts(1, 0), "what was done meanwhile is told");
    on.agent.holds("os.pread(os.open(other + '/data', os.O_RDONLY), 7, 0) == b'granted'");
    on.end();
}

/// The parent of a vfork cannot be stopped before its child has gone its own way.
fn vfork_parent(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run("r = os.open(place + '/data', os.O_RDONLY)");
    // Python starts programs by vfork; this one's start has to wait.
    on.agent.tell("(subprocess.call(['/bin/true']), no(os.read, r, 7))");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(end(&on), Outcome { pending: 1, ..counts(0, 0) });
    on.gate.open();
    let got = on.agent.hear();
    assert_eq!(got, "(0, 'EINVAL')");
    on.end();
}

fn no_room(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
import resource
r = os.open(place + '/data', os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
",
    );
    assert_eq!(end(&on), counts(1, 0));
    on.agent.gives("no(os.read, r, 7)", "'EBADF'");
    on.end();
}

fn no_memory(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
import resource
r = os.open(place + '/data', os.O_RDWR)
m = mmap.mmap(r, 4096)
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
resource.setrlimit(resource.RLIMIT_DATA, (4096, 4096))
",
    );
    let done = end(&on);
    assert_eq!((done.mappings, done.killed), (2, 0));
    assert!(fs::read_to_string(on.place.join("data")).unwrap().starts_with("granted"));
    on.agent.gives("no(os.read, r, 7)", "'EINVAL'");
    on.end();
}

fn sealed(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    m = mmap.mmap(r, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
    at = int([line for line in open('/proc/self/maps') if place in line][0].split('-')[0], 16)
    a.send(repr(call(462, at, 4096, 0)).encode())
    time.sleep(60)
    os._exit(0)
",
    );
    if on.agent.ask("b.recv(20)") == "b\"'ENOSYS'\"" {
        println!("this kernel has no mseal");
        return on.end();
    }
    assert_eq!(end(&on).killed, 1);
    on.agent.gives("os.waitpid(child, 0)[1], no(os.read, r, 7)", "(9, 'EINVAL')");
    on.end();
}

/// The agent's own filter makes our calls in its process fail.
fn own_filter(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
import struct
r = os.open(place + '/data', os.O_RDONLY)
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)
    deny = 0x50000 | 1
    x86 = os.uname().machine == 'x86_64'
    calls = [292, 3, 291] if x86 else [24, 57, 20]
    rules = [op(0x20, 0, 0, 0)] + [part for one in calls for part in (op(0x15, 0, 1, one), op(6, 0, 0, deny))] + [op(6, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b''.join(rules))
    program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(rules), ctypes.addressof(code)))
    assert libc.prctl(22, 2, program) == 0
    a.send(b'up')
    time.sleep(60)
    os._exit(0)
b.recv(2)
",
    );
    assert_eq!(end(&on).killed, 1);
    on.agent.gives("os.waitpid(child, 0)[1], no(os.read, r, 7)", "(9, 'EINVAL')");
    on.end();
}

/// A process in a loop of its own, without the kernel's code page.
fn busy_without_vdso(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
child = os.fork()
if child == 0:
    spans = [line.split()[0].split('-') for line in open('/proc/self/maps') if '[vdso]' in line or '[vvar' in line]
    done = [call(11 if os.uname().machine == 'x86_64' else 215, int(a, 16), int(b, 16) - int(a, 16)) for a, b in spans]
    while True: pass
time.sleep(0.3)
",
    );
    assert_eq!(end(&on), counts(2, 0));
    on.agent.gives("os.waitpid(child, os.WNOHANG)", "(0, 0)");
    on.end();
}

/// Each generation lives only long enough to make the next one, and reads when it can.
fn forking(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
out = os.open(other + '/reads', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for one in range(6):
    if os.fork() == 0:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            if os.fork(): os._exit(0)
            if no(os.pread, r, 7, 0) == b'granted': os.write(out, b'%.6f\\n' % time.monotonic())
            else: os.write(out, b'dead\\n')
        os._exit(0)
time.sleep(0.5)
",
    );
    let done = match on.revoker.take_away(&on.place, Rights::All, &[]) {
        Ok(done) => done,
        // On a machine that has other things to do they can be too quick for it. The supervisor
        // then ends the session.
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return on.end(),
        Err(error) => panic!("{error}"),
    };
    on.mounts.remove(&on.place).unwrap();
    let now: f64 = on.agent.ask("time.monotonic()").parse().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let text = fs::read_to_string(on.other.join("reads")).unwrap();
    let last = text.lines().filter_map(|line| line.parse::<f64>().ok()).fold(0.0, f64::max);
    println!("{done:?}; last read {:.4} s before the end was told", now - last);
    assert!(last > 0.0 && last < now && done.descriptors > 0);
    assert!(text.ends_with("dead\n"), "the processes went on");
    on.end();
}

/// Two processes hand the descriptor to and fro; nearly all the time it is in a queue.
fn passing(name: &str, user: Option<u32>) {
    let mut on = Running::start(name, user);
    on.agent.run(
        "
r = os.open(place + '/data', os.O_RDONLY)
out = os.open(other + '/reads', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
a, b = socket.socketpair()
for end in (a, b):
    if os.fork() == 0:
        (b if end is a else a).close()
        os.close(r)
        until = time.monotonic() + 8
        while time.monotonic() < until:
            time.sleep(0.02)
            fd = get(end)
            if no(os.pread, fd, 7, 0) == b'granted': os.write(out, b'%.6f\\n' % time.monotonic())
            else: os.write(out, b'dead\\n')
            give(end, fd)
            os.close(fd)
        os._exit(0)
give(a, r)
os.close(r)
a.close(); b.close()
time.sleep(0.3)
",
    );
    end(&on);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(250));
        on.revoker.sweep().unwrap();
    }
    let reads = || fs::read_to_string(on.other.join("reads")).unwrap().matches('.').count();
    let before = reads();
    std::thread::sleep(Duration::from_millis(300));
    assert!(before > 0);
    assert_eq!(reads(), before, "the descriptor lives on");
    on.end();
}
