//! Namespaces, mounts, other processes, the kernel's surface, the terminal, what is inherited.

use std::{ffi::OsStr, process::Command, time::Duration};

use libtest_mimic::Trial;
use remit_testkit::{program, run_bounded};

use crate::world::{SECRET, World, python, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("kernel_namespaces_and_mounts", namespaces),
        trial("kernel_surface", surface),
        trial("kernel_other_architectures", architectures),
        trial("proc_other_processes", processes),
        trial("tty_input_injection", terminal),
        trial("inherit_descriptors_and_variables", inherited),
    ]
}

fn namespaces() {
    let report = World::new("namespaces").attack(
        r#"
def clone3(flags):
    words = (ctypes.c_uint64 * 11)(flags, 0, 0, 0, 17)
    pid = call(435, ctypes.byref(words), 88)
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
attempt("permitted process", lambda: clone3(0))
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000), ("ipc", 0x8000000),
                   ("uts", 0x4000000), ("cgroup", 0x2000000), ("time", 0x80)):
    attempt("attack unshare " + name, lambda: call(272, flag))
    attempt("attack clone3 " + name, lambda: clone3(flag))
    attempt("attack clone3 user and " + name, lambda: clone3(flag | 0x10000000))
    if flag != 0x80: attempt("attack clone " + name, lambda: call(56, flag | 17, 0, 0, 0, 0))
attempt("attack clone high bits", lambda: call(56, 0x100000000 | 0x10000000 | 17, 0, 0, 0, 0))
for name in ("user", "mnt", "net", "pid", "ipc", "uts"):
    attempt("attack setns " + name, lambda: call(308, os.open("/proc/self/ns/" + name, os.O_RDONLY), 0))
    attempt("attack setns init " + name, lambda: call(308, os.open("/proc/1/ns/" + name, os.O_RDONLY), 0))
attempt("attack setns process", lambda: call(308, call(434, os.getpid(), 0), 0x20000))
attempt("attack mount", lambda: call(165, "none", "/tmp", "tmpfs", 0, 0))
attempt("attack remount", lambda: call(165, "none", R, 0, 32 | 4096, 0))
attempt("attack bind", lambda: call(165, "/tmp", R, 0, 4096, 0))
attempt("attack umount", lambda: call(166, R, 2))
for name, number, arguments in (("fsopen", 430, ("tmpfs", 0)), ("fsmount", 432, (0, 0, 0)), ("fspick", 433, (-100, "/tmp", 0)),
        ("open_tree", 428, (-100, R, 1)), ("open_tree_attr", 467, (-100, R, 1, 0, 0)), ("move_mount", 429, (-100, R, -100, "/tmp", 0)),
        ("mount_setattr", 442, (-100, R, 0, ctypes.create_string_buffer(32), 32)), ("pivot_root", 155, ("/tmp", "/tmp")), ("chroot", 161, ("/tmp",))):
    attempt("attack " + name, lambda: call(number, *arguments))
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    attempt("attack " + name, lambda: refuse(int(status[name], 16) == 0))
attempt("attack privileges", lambda: refuse(status["NoNewPrivs"] == "1"))
for name in ("uid_map", "gid_map", "setgroups"):
    attempt("attack " + name, lambda: write("/proc/self/" + name, b"0 0 1"))
"#,
    );
    report.works(&["permitted process"]).all_refused("attack");
}

fn surface() {
    let report = World::new("surface").attack(
        r#"
class Filter(ctypes.Structure): _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32)]
class Program(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]
def seccomp(verdict, flags):
    call(317, 1, flags, ctypes.byref(Program(1, (Filter * 1)(Filter(6, 0, 0, verdict)))))
attempt("permitted own filter", lambda: seccomp(0x7fff0000, 0))
attempt("permitted futex", lambda: threading.Thread(target=lambda: None).start())
# A listener of the agent's own would be asked before the mediator.
attempt("attack second listener", lambda: seccomp(0x7fc00000, 8))
for name, number, arguments in (("io_uring_setup", 425, (8, ctypes.create_string_buffer(120))), ("io_uring_enter", 426, (0, 0, 0, 0, 0, 0)),
        ("ptrace", 101, (0, 0, 0, 0)), ("process_vm_readv", 310, (1, 0, 0, 0, 0, 0)), ("process_vm_writev", 311, (1, 0, 0, 0, 0, 0)),
        ("kcmp", 312, (1, 1, 0, 0, 0)), ("bpf", 321, (0, ctypes.create_string_buffer(128), 128)), ("perf", 298, (ctypes.create_string_buffer(128), 0, -1, -1, 0)),
        ("userfaultfd", 323, (1,)), ("keyctl", 250, (0, -3, 0)), ("add_key", 248, ("user", "a", "b", 1, -3)), ("request_key", 249, ("user", "a", 0, 0)),
        ("fanotify", 300, (0, 0)), ("acct", 163, ("/tmp/x",)), ("quotactl", 179, (0, 0, 0, 0)), ("syslog", 103, (3, 0, 0)), ("swapon", 167, ("/tmp/x", 0)),
        ("reboot", 169, (0, 0, 0, 0)), ("kexec", 246, (0, 0, 0, 0)), ("init_module", 175, (0, 0, "")), ("clock_settime", 227, (0, 0)),
        ("iopl", 172, (3,)), ("modify_ldt", 154, (0, 0, 0)), ("vhangup", 153, ()), ("open_by_handle_at", 304, (-100, 0, 0)),
        ("memfd_secret", 447, (0,)), ("pidfd_getfd", 438, (0, 0, 0)), ("process_madvise", 440, (0, 0, 0, 0, 0)), ("sethostname", 170, ("x", 1)),
        ("personality", 135, (8,)), ("mknod device", 133, ("/tmp/mem", 0o20666, 0x0101))):
    attempt("attack " + name, lambda: call(number, *arguments))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/sys/kernel", "/sys/fs/cgroup",
             "/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/vda", "/dev/loop-control", "/dev/net/tun", "/dev/uinput", "/dev/console"):
    attempt("attack open " + path, lambda: os.open(path, os.O_RDONLY))
import resource
attempt("attack lease", lambda: fcntl.fcntl(os.open("/tmp/leased", os.O_CREAT | os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK))
attempt("attack core dumps", lambda: refuse(resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)))
"#,
    );
    report.works(&["permitted own filter", "permitted futex"]).all_refused("attack");
}

/// System calls of other tables reach none of the rows written for this one.
fn architectures() {
    let report = World::new("architectures").attack(
        r#"
def code(text):
    page = mmap.mmap(-1, 4096, prot=7); page.write(text)
    return ctypes.c_int(ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()).value
attempt("permitted code", lambda: refuse(code(b"\xb8\x14\x00\x00\x00\xc3") != 20))
# mov eax, 20 (getpid of i386); int 0x80; ret
attempt("attack int 0x80", lambda: refuse(code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3") < 0))
for name, number in (("getpid", 39), ("open", 2), ("execve", 520), ("ptrace", 521)):
    attempt("attack x32 " + name, lambda: call(0x40000000 | number, 0, 0, 0))
"#,
    );
    report.works(&["permitted code"]).all_refused("attack");
}

fn processes() {
    let mut host = Command::new("sleep").arg("60").env("HOST_SECRET", SECRET).spawn().unwrap();
    let world = World::new("processes");
    let report = world.attack(&format!(
        r#"
HOST, SELF = {}, {}
one = subprocess.Popen(["/proc/self/exe", "-c", "import time; time.sleep(30)"])
attempt("permitted look", lambda: read(f"/proc/{{one.pid}}/cmdline"))
attempt("permitted kill", lambda: (one.kill(), one.wait()))
for pid, name in ((HOST, "host"), (SELF, "tester"), (1, "init")):
    for part in ("environ", "mem", "maps", "auxv", "stack", "syscall", "pagemap"):
        attempt(f"attack {{name}} {{part}}", lambda: read(f"/proc/{{pid}}/{{part}}"))
    for number in (9, 15, 19):
        attempt(f"attack {{name}} signal {{number}}", lambda: os.kill(pid, number))
    attempt(f"attack {{name}} descriptor", lambda: call(438, call(434, pid, 0), 0, 0))
    attempt(f"attack {{name}} signal by descriptor", lambda: call(424, call(434, pid, 0), 9, 0, 0))
    attempt(f"attack {{name}} memory", lambda: os.open(f"/proc/{{pid}}/mem", os.O_RDWR))
    if pid != 1: attempt(f"attack {{name}} limits", lambda: call(302, pid, 7, ctypes.create_string_buffer(struct.pack("QQ", 1, 1), 16), 0))
attempt("attack list", lambda: refuse(not [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 100]))
attempt("attack broadcast", lambda: (os.kill(-1, 0)))
"#,
        host.id(),
        std::process::id()
    ));
    report.works(&["permitted look", "permitted kill"]).silent().all_refused("attack");
    assert!(host.try_wait().unwrap().is_none(), "the host's process has ended");
    host.kill().unwrap();
    host.wait().unwrap();
}

/// A terminal of its own: pushed characters must not reach the person's shell.
fn terminal() {
    let world = World::new("terminal");
    let inside = world.script(
        r#"
def ioctl(request):
    _libc.ioctl.restype = ctypes.c_int
    if _libc.ioctl(0, ctypes.c_ulong(request), b"x") < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("permitted terminal", lambda: refuse(not os.isatty(0) or os.write(1, b"") != 0))
attempt("permitted size", lambda: os.get_terminal_size(0))
attempt("attack push", lambda: ioctl(0x5412))
attempt("attack push high", lambda: ioctl(0xffffffff00005412))
attempt("attack console", lambda: ioctl(0x541c))
attempt("attack console high", lambda: ioctl(0x10000541c))
attempt("attack controlling terminal", lambda: refuse("OUTER" not in os.environ))
"#,
    );
    let command =
        world.session().command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&inside)]);
    // `script` gives the outside a terminal, as a person has one.
    let mut line: Vec<String> = vec![quoted(command.get_program())];
    line.extend(command.get_args().map(quoted));
    let mut outer = Command::new(program("script"));
    outer.args(["-qec", &line.join(" "), "/dev/null"]);
    outer.env_clear().envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("OUTER", "1");
    outer.env("SHELL", "/bin/sh").current_dir(world.area.work());
    let done = run_bounded(&mut outer, Duration::from_secs(60));
    for name in ["permitted terminal", "permitted size"] {
        assert!(done.stdout.contains(&format!("{name}: happened")), "{done}");
    }
    assert!(done.stdout.contains("attack push: EPERM"), "{done}");
    let through: Vec<&str> =
        done.stdout.lines().filter(|l| l.starts_with("attack") && l.contains("happened")).collect();
    assert!(through.is_empty(), "{done}");
}

fn quoted(text: &OsStr) -> String {
    format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"))
}

/// What `remit` itself inherited stays outside.
fn inherited() {
    let world = World::new("inherited").with(|manifest, _| manifest.environment("PASSED"));
    let inside = world.script(
        r#"
S = A + "/secret"
for number in range(3, 64):
    attempt(f"attack descriptor {number}", lambda: os.fstat(number) and refuse(os.readlink(f"/proc/self/fd/{number}").startswith("anon_inode")))
attempt("attack folder", lambda: read("/proc/self/fd/9/key"))
attempt("attack relative", lambda: os.open("key", os.O_RDONLY, dir_fd=9))
attempt("attack file", lambda: os.pread(8, 100, 0))
attempt("permitted variable", lambda: refuse(os.environ["PASSED"] != "yes"))
for name in ("LEAKED", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "REMIT_HOME", "LD_PRELOAD"):
    attempt("attack variable " + name, lambda: os.environ[name])
"#,
    );
    let session = world.session().env("PASSED", "yes").env("LEAKED", SECRET);
    let session = session.env("AWS_SECRET_ACCESS_KEY", SECRET).env("SSH_AUTH_SOCK", "/tmp/agent");
    let command = session.command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&inside)]);
    let mut line: Vec<String> = vec![quoted(command.get_program())];
    line.extend(command.get_args().map(quoted));
    let secret = quoted(world.area.path().join("secret").as_os_str());
    let mut outer = Command::new("sh");
    outer.arg("-c").arg(format!("exec 9<{secret} 8<{secret}/key; exec {}", line.join(" ")));
    outer.env_clear().envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    outer.current_dir(world.area.work());
    let done = run_bounded(&mut outer, Duration::from_secs(60)).must_succeed();
    assert!(done.stdout.contains("permitted variable: happened"), "{done}");
    assert!(!done.stdout.contains(SECRET), "{done}");
    let through: Vec<&str> =
        done.stdout.lines().filter(|l| l.starts_with("attack") && l.contains("happened")).collect();
    assert!(through.is_empty(), "{done}");
}
