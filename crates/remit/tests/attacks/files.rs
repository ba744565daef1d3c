//! Reading and writing outside the grants.

use libtest_mimic::Trial;
use remit_testkit::Area;

use crate::world::{DATA, SECRET, World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("fs_direct_and_metadata", direct),
        trial("fs_links_made_and_planted", links),
        trial("fs_proc_aliases", aliases),
        trial("fs_openat2_and_file_handles", odd_opens),
        trial("fs_reopened_descriptors", reopened),
        trial("fs_exchange_and_hard_links_over_borders", borders),
        trial("fs_nested_narrower_rules", nested),
        trial("fs_attributes_past_mediation", attributes),
        trial("fs_times_owners_and_set_user_bits", times),
        trial("fs_links_to_descriptors_raced_with_renames", reentry),
        trial("fs_path_swapped_while_opening", race),
    ]
}

fn direct() {
    let world = World::new("direct");
    let report = world.attack(
        r#"
S = A + "/secret/key"
attempt("permitted read", lambda: read(R + "/file"))
attempt("permitted write", lambda: write(W + "/new"))
attempt("attack open", lambda: read(S))
attempt("attack relative", lambda: read("../secret/key"))
attempt("attack create", lambda: write(A + "/secret/new"))
attempt("attack stat", lambda: os.stat(S))
attempt("attack lstat", lambda: os.lstat(S))
attempt("attack access", lambda: refuse(not os.access(S, os.F_OK)))
attempt("attack statfs", lambda: os.statvfs(A + "/secret"))
attempt("attack list", lambda: os.listdir(A + "/secret"))
attempt("attack chdir", lambda: os.chdir(A + "/secret"))
attempt("attack path only", lambda: os.open(S, os.O_PATH))
attempt("attack truncate", lambda: os.truncate(S, 0))
attempt("attack unlink", lambda: os.unlink(S))
attempt("attack chmod", lambda: os.chmod(S, 0o777))
attempt("attack utime", lambda: os.utime(S))
attempt("attack watch", lambda: call(254, call(253), A + "/secret", 0xFFF))
attempt("attack write where read", lambda: write(R + "/file"))
attempt("attack create where read", lambda: write(R + "/new"))
attempt("attack unlink where read", lambda: os.unlink(R + "/file"))
attempt("attack utime where read", lambda: os.utime(R + "/file", (1, 1)))
attempt("attack passwords", lambda: read("/etc/shadow"))
"#,
    );
    report.works(&["permitted read", "permitted write"]).all_refused("attack");
    report.recorded("read_file", "denied", "secret/key").recorded(
        "read_file",
        "allowed",
        "read/file",
    );
    report.recorded("write_file", "denied", "read/file");
    report.recorded("read_file", "denied", "/etc/shadow");
    assert_eq!(world.text("secret/key"), SECRET);
    assert_eq!(world.text("work/read/file"), DATA);
    assert!(!world.exists("secret/new") && !world.exists("work/read/new"));
    assert!(world.exists("work/write/new"));
}

fn links() {
    let world = World::new("links");
    world.link(world.area.path().join("secret/key"), "work/write/planted");
    world.link(world.area.path().join("secret"), "work/write/folder");
    world.link(world.area.path().join("secret/new"), "work/write/dangling");
    world.link(world.area.work().join("read/file"), "work/write/to-read");
    let report = world.attack(
        r#"
S = A + "/secret/key"
os.symlink(S, W + "/made")
os.symlink(S, "/tmp/made")
os.symlink("file", W + "/inner")
attempt("permitted link", lambda: read(W + "/inner"))
attempt("permitted link to read", lambda: read(W + "/to-read"))
for name in ("made", "planted", "folder/key"):
    attempt("attack read " + name, lambda: read(W + "/" + name))
    attempt("attack write " + name, lambda: write(W + "/" + name))
attempt("attack by tmp", lambda: read("/tmp/made"))
attempt("attack dangling", lambda: write(W + "/dangling"))
attempt("attack write by link", lambda: write(W + "/to-read"))
attempt("attack parent of link", lambda: read(W + "/folder/../secret/key"))
attempt("attack hard link", lambda: os.link(S, W + "/hard"))
attempt("attack hard link of link", lambda: (os.link(W + "/planted", W + "/hard"), read(W + "/hard")))
"#,
    );
    report.works(&["permitted link", "permitted link to read"]).silent().all_refused("attack");
    assert_eq!(world.text("secret/key"), SECRET);
    assert_eq!(world.text("work/read/file"), DATA);
    assert!(!world.exists("secret/new"));
}

fn aliases() {
    let world = World::new("aliases");
    let report = world.attack(
        r#"
S = A + "/secret/key"
me = str(os.getpid())
attempt("permitted alias", lambda: read("/proc/self/root" + R + "/file"))
for way in ("/proc/self/root", "/proc/thread-self/root", f"/proc/{me}/root", f"/proc/{me}/task/{me}/root", "/proc/1/root"):
    attempt("attack " + way.replace(me, "me"), lambda: read(way + S))
os.chdir(R)
for way in ("/proc/self/cwd", f"/proc/{me}/cwd", "/proc/1/cwd"):
    attempt("attack " + way.replace(me, "me"), lambda: read(way + "/../../secret/key"))
    attempt("attack write " + way.replace(me, "me"), lambda: write(way + "/file"))
folder = os.open(R, os.O_PATH)
attempt("attack fd folder", lambda: read(f"/proc/self/fd/{folder}/../../secret/key"))
attempt("attack dev fd folder", lambda: read(f"/dev/fd/{folder}/../../secret/key"))
attempt("attack write fd folder", lambda: write(f"/proc/self/fd/{folder}/file"))
attempt("attack init's files", lambda: read("/proc/1/environ"))
for number in range(8):
    attempt(f"attack init's {number}", lambda: read(f"/proc/1/fd/{number}"))
"#,
    );
    report.works(&["permitted alias"]).silent().all_refused("attack");
    assert_eq!(world.text("work/read/file"), DATA);
}

fn odd_opens() {
    let world = World::new("odd-opens");
    let report = world.attack(
        r#"
def openat2(folder, path, flags, resolve=0, mode=0):
    how = struct.pack("QQQ", flags, mode, resolve)
    return call(437, folder, path, ctypes.create_string_buffer(how, 24), 24)
here = os.open(W, os.O_PATH)
attempt("permitted openat2", lambda: openat2(here, "file", os.O_RDWR, 8))
attempt("attack openat2", lambda: openat2(-100, A + "/secret/key", os.O_RDONLY))
attempt("attack beneath", lambda: openat2(here, "../../secret/key", os.O_RDONLY, 8))
attempt("attack in root", lambda: openat2(here, A + "/secret/key", os.O_RDONLY, 16))
attempt("attack write", lambda: openat2(-100, R + "/file", os.O_RDWR))
attempt("attack create", lambda: openat2(-100, R + "/new", os.O_WRONLY | os.O_CREAT, 0, 0o600))
attempt("attack unnamed", lambda: os.open(R, os.O_TMPFILE | os.O_RDWR))
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
mount = ctypes.c_int()
def by_handle():
    call(303, -100, R + "/file", handle, ctypes.byref(mount), 0)
    call(304, here, handle, os.O_RDWR)
attempt("attack handle", by_handle)
"#,
    );
    report.works(&["permitted openat2"]).silent().all_refused("attack");
    assert_eq!(world.text("work/read/file"), DATA);
    assert!(!world.exists("work/read/new"));
}

fn reopened() {
    let world = World::new("reopened");
    let report = world.attack(
        r#"
file = os.open(R + "/file", os.O_RDONLY)
path = os.open(R + "/file", os.O_PATH)
own = os.open(W + "/file", os.O_RDONLY)
attempt("permitted reopen", lambda: write(f"/proc/self/fd/{own}", b"again"))
for place in ("/proc/self/fd/", "/dev/fd/", "/proc/thread-self/fd/", f"/proc/{os.getpid()}/fd/"):
    attempt("attack " + place[:9], lambda: write(f"{place}{file}"))
    attempt("attack by path " + place[:9], lambda: write(f"{place}{path}"))
attempt("attack truncate", lambda: os.truncate(f"/proc/self/fd/{file}", 0))
attempt("attack fchmod", lambda: os.fchmod(file, 0o777))
attempt("attack chmod", lambda: os.chmod(f"/proc/self/fd/{file}", 0o777))
attempt("attack attribute", lambda: os.setxattr(file, "user.a", b"b"))
attempt("attack allocate", lambda: os.posix_fallocate(file, 0, 100))
attempt("attack map", lambda: mmap.mmap(file, 4, mmap.MAP_SHARED, mmap.PROT_WRITE))
"#,
    );
    report.works(&["permitted reopen"]).all_refused("attack");
    assert_eq!(world.text("work/read/file"), DATA);
    assert_eq!(world.text("work/write/file"), "again");
}

fn borders() {
    let world = World::new("borders");
    let report = world.attack(
        r#"
write(W + "/mine"); write("/tmp/mine")
attempt("permitted rename", lambda: os.rename(W + "/mine", W + "/mine2"))
attempt("attack exchange", lambda: exchange(W + "/mine2", R + "/file"))
attempt("attack exchange tmp", lambda: exchange("/tmp/mine", R + "/file"))
attempt("attack rename over", lambda: os.rename(W + "/mine2", R + "/file"))
attempt("attack rename out", lambda: os.rename(R + "/file", W + "/taken"))
attempt("attack link in", lambda: os.link(W + "/mine2", R + "/new"))
attempt("attack link out", lambda: os.link(R + "/file", W + "/out"))
attempt("attack folders", lambda: exchange(R, W))
attempt("attack rename folder", lambda: os.rename(R, A + "/work/other"))
attempt("attack remove folder", lambda: os.rmdir(W))
"#,
    );
    report.works(&["permitted rename"]).all_refused("attack");
    assert_eq!(world.text("work/read/file"), DATA);
    assert!(!world.exists("work/write/out") && !world.exists("work/read/new"));
}

fn nested() {
    let world = World::new("nested").with(|manifest, area: &Area| {
        area.write("work/write/narrow/file", DATA);
        area.write("work/read/wide/file", DATA);
        manifest.read(area.work().join("write/narrow")).write(area.work().join("read/wide"))
    });
    let report = world.attack(
        r#"
N = W + "/narrow"
attempt("permitted read", lambda: read(N + "/file"))
attempt("permitted write", lambda: write(R + "/wide/file", b"new"))
attempt("permitted beside", lambda: write(W + "/beside"))
attempt("attack write", lambda: write(N + "/file"))
attempt("attack create", lambda: write(N + "/new"))
attempt("attack rename", lambda: os.rename(N, W + "/free"))
os.mkdir(W + "/empty")
attempt("attack exchange", lambda: exchange(N, W + "/empty"))
attempt("attack link", lambda: (os.link(N + "/file", W + "/link"), write(W + "/link")))
attempt("attack around", lambda: write(R + "/wide/../file"))
os.symlink("narrow", W + "/by-link")
attempt("attack by link", lambda: write(W + "/by-link/file"))
attempt("attack out of wide", lambda: os.rename(R + "/wide/file", R + "/stolen"))
"#,
    );
    report.works(&["permitted read", "permitted write", "permitted beside"]).all_refused("attack");
    assert_eq!(world.text("work/write/narrow/file"), DATA);
    assert_eq!(world.text("work/read/wide/file"), "new");
}

/// Calls that change a file by a read-only descriptor or by number, not by an open for writing.
fn attributes() {
    let world = World::new("attributes");
    world.area.write("work/write/.envrc", "export A=1");
    let report = world.attack(
        r#"
value = ctypes.create_string_buffer(b"v")
given = ctypes.create_string_buffer(struct.pack("QII", ctypes.addressof(value), 1, 0), 16)
flags = ctypes.create_string_buffer(struct.pack("QIIII", 0x80, 0, 0, 0, 0), 24)
def chattr(path):
    call(16, os.open(path, os.O_RDONLY), 0x40086602, ctypes.byref(ctypes.c_ulong(0x40)))
E = W + "/.envrc"
attempt("permitted mode", lambda: os.chmod(W + "/file", 0o600))
attempt("attack setxattr", lambda: os.setxattr(E, "user.a", b"1"))
attempt("attack setxattrat", lambda: call(463, -100, E, 0, "user.a", given, 16))
attempt("attack removexattrat", lambda: call(466, -100, E, 0, "user.a"))
attempt("attack file_setattr", lambda: call(469, -100, E, flags, 24, 0))
attempt("attack chattr", lambda: chattr(E))
attempt("attack chattr where read", lambda: chattr(R + "/file"))
attempt("attack mode", lambda: os.chmod(E, 0o777))
for path in ("/dev/null", "/dev/tty", "/usr", "/usr/lib", "/etc/services"):
    attempt("attack mode of " + path, lambda: os.chmod(path, 0o700))
    attempt("attack time of " + path, lambda: os.utime(path, (1, 1)))
    attempt("attack owner of " + path, lambda: os.chown(path, os.getuid(), os.getgid()))
    attempt("attack attribute of " + path, lambda: os.setxattr(path, "user.a", b"1"))
"#,
    );
    report.works(&["permitted mode"]).all_refused("attack");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata("/dev/null").unwrap());
    assert_eq!(mode & 0o777, 0o666, "the host's own device was changed");
}

/// Times and owners, which neither mounts nor Landlock guard inside a writable grant.
fn times() {
    let world = World::new("times");
    world.area.write("work/write/.envrc", "export A=1");
    let input = world.area.write("stdin", "a host's file");
    let report = world.attack_with_input(&input, TIMES);
    report.works(&["permitted time", "permitted link", "permitted descriptor"]);
    report.works(&["permitted owner", "permitted now", "seen"]).all_refused("attack");
    report.recorded("write_file", "denied", ".envrc").recorded("write_file", "denied", "read/file");
    for file in ["stdin", "work/write/.envrc", "work/read/file"] {
        let time = std::fs::metadata(world.area.path().join(file)).unwrap().modified().unwrap();
        assert!(time.elapsed().unwrap().as_secs() < 600, "the time of {file} was changed");
    }
}

const TIMES: &str = r#"
E, own = W + "/.envrc", W + "/file"
os.symlink("nowhere", W + "/link")
attempt("permitted time", lambda: os.utime(own, (1, 2)))
attempt("permitted link", lambda: os.utime(W + "/link", (1, 2), follow_symlinks=False))
attempt("permitted descriptor", lambda: os.utime(os.open(own, os.O_RDONLY), (3, 4)))
attempt("permitted owner", lambda: os.chown(own, os.getuid(), -1))
attempt("permitted now", lambda: os.utime(own))
attempt("seen", lambda: refuse(os.lstat(W + "/link").st_mtime != 2))
for name, path in (("protected", E), ("where read", R + "/file"), ("secret", A + "/secret/key")):
    attempt("attack time " + name, lambda: os.utime(path, (1, 1)))
    attempt("attack owner " + name, lambda: os.chown(path, os.getuid(), os.getgid()))
    attempt("attack owner of link " + name, lambda: os.lchown(path, os.getuid(), os.getgid()))
    attempt("attack old time " + name, lambda: call(132, path, 0))
    attempt("attack older time " + name, lambda: call(235, path, 0))
    attempt("attack time at " + name, lambda: call(261, -100, path, 0))
fd = os.open(E, os.O_RDONLY)
attempt("attack descriptor", lambda: os.utime(fd, (1, 1)))
attempt("attack descriptor owner", lambda: os.fchown(fd, os.getuid(), os.getgid()))
only = os.open(E, os.O_PATH)
attempt("attack path only", lambda: call(280, only, "", struct.pack("qqqq", 1, 0, 1, 0), 0x1000))
attempt("attack by number", lambda: os.utime(f"/proc/self/fd/{fd}", (1, 1)))
attempt("attack stdin", lambda: os.utime(0, (1, 1)))
attempt("attack stdin owner", lambda: os.fchown(0, os.getuid(), os.getgid()))
attempt("attack set-user mode", lambda: os.chmod(own, 0o4755))
attempt("attack set-group descriptor", lambda: os.fchmod(os.open(own, os.O_RDONLY), 0o2755))
attempt("attack set-user creation", lambda: refuse(not os.fstat(os.open(W + "/new", os.O_CREAT | os.O_WRONLY, 0o4755)).st_mode & 0o6000))
"#;

/// A writer that waits while one call takes the names twice would wait for ever, and all with it.
fn reentry() {
    let world = World::new("reentry");
    let report = world.attack(
        r#"
f = os.open("/tmp/f", os.O_CREAT | os.O_RDWR); os.symlink(f"/proc/self/fd/{f}", "/tmp/link")
os.mkdir(W + "/one"); until = time.time() + 3
def open_and_close():
    while time.time() < until: os.close(os.open("/tmp/link", os.O_WRONLY))
threads = [threading.Thread(target=open_and_close) for _ in range(3)]
[thread.start() for thread in threads]
while time.time() < until: os.rename(W + "/one", W + "/two"); os.rename(W + "/two", W + "/one")
[thread.join() for thread in threads]
os.mkfifo(W + "/pipe"); os.mkdir(W + "/three")
if os.fork() == 0:
    open(W + "/pipe", "w").write("through"); os._exit(0)
time.sleep(0.3)
attempt("permitted rename beside a waiting pipe", lambda: os.rename(W + "/three", W + "/four"))
attempt("permitted pipe", lambda: refuse(open(W + "/pipe").read() != "through"))
def quick_writers():
    for number in range(200):
        if os.fork() == 0:
            file = os.open(W + "/pipe", os.O_WRONLY)
            if number % 2: os.write(file, b"x")
            os._exit(0)
        refuse(len(open(W + "/pipe").read()) != number % 2); os.wait()
attempt("permitted quick writers", quick_writers)
"#,
    );
    report.works(&["permitted rename beside a waiting pipe", "permitted pipe"]);
    report.works(&["permitted quick writers"]);
}

/// One thread opens, another swaps what the name stands for.
fn race() {
    let world = World::new("race");
    let report = world.attack(
        r#"
S = A + "/secret/key"
stop = False
os.symlink(W + "/file", W + "/target"); os.symlink(S, W + "/evil"); os.symlink(R + "/file", W + "/evil2")
def swap():
    while not stop:
        for one in ("/evil", "/evil2"):
            try: exchange(W + "/target", W + one); exchange(W + "/target", W + one)
            except OSError: pass
path = ctypes.create_string_buffer((W + "/file").encode(), 4096)
def flip():
    good, bad = (W + "/file\0").encode(), (S + "\0").encode()
    odd = (R + "/file\0").encode()
    while not stop:
        for one in (good, bad, odd):
            ctypes.memmove(path, one, len(one))
threads = [threading.Thread(target=one) for one in (swap, flip)]
for one in threads: one.start()
seen, wrote, opened = set(), 0, 0
end = time.time() + 2
while time.time() < end:
    try: seen.add(read(W + "/target"))
    except OSError: pass
    try:
        file = call(2, path, os.O_RDWR); opened += 1
        name = os.readlink(f"/proc/self/fd/{file}"); seen.add(name.encode())
        os.close(file)
    except OSError: pass
    try:
        file = os.open(W + "/target", os.O_RDWR); wrote += 1
        seen.add(os.readlink(f"/proc/self/fd/{file}").encode()); os.close(file)
    except OSError: pass
stop = True
for one in threads: one.join()
wrong = [one for one in seen if b"secret" in one or one.endswith(b"/read/file")]
attempt("permitted opens", lambda: refuse(opened == 0 or wrote == 0))
attempt("attack swap", lambda: refuse(not wrong))
"#,
    );
    report.works(&["permitted opens"]).refused(&["attack swap"]).silent();
    assert_eq!(world.text("work/read/file"), DATA);
}
