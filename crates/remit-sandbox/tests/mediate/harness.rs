//! A session as small as possible: supervisor namespace, agent namespace, Landlock without any
//! right on granted folders and scratch, a filter with the mediator's rules only.
//!
//! Everything runs in forked processes, because namespaces need single-threaded ones.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::fs::{PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
};
use remit_core::{
    AccessRequest, Approver, AuditError, AuditSink, Clock, CorrelationId, Decision, Durability,
    Guard, GuardPorts, NoApprover, Pdp, ReasonCode, Record, SessionContext, SessionId, Timestamp,
};
use remit_sandbox::mediate::{AsTheyAre, Mediator, View, notify_syscalls};

/// A test's name, and what it does as root (`None`) or as this user.
pub type Test = (&'static str, fn(Option<u32>));

/// The ordinary user of tests that root runs.
pub const USER: u32 = 23_456;

/// Folders of one test: `data` is granted, `scratch` is the session's own.
#[derive(Clone, Debug)]
pub struct Area {
    pub root: PathBuf,
    pub data: PathBuf,
    pub scratch: PathBuf,
}

impl Area {
    pub fn new(name: &str, user: Option<u32>) -> Self {
        let root = PathBuf::from(format!("/tmp/remit-mediate-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let area = Self { data: root.join("data"), scratch: root.join("scratch"), root };
        for dir in [&area.root, &area.data, &area.scratch] {
            fs::create_dir(dir).unwrap();
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
            if let Some(user) = user {
                chown(dir, Some(user), Some(user)).unwrap();
            }
        }
        area
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub struct Setup {
    /// Run as this uid (only when root runs the tests).
    pub user: Option<u32>,
    pub mediated: bool,
    pub list_mode: bool,
    /// What stands for the host's root.
    pub host: Option<PathBuf>,
    pub pdp: Arc<dyn Pdp>,
    pub approver: Arc<dyn Approver>,
}

impl Setup {
    pub fn new(user: Option<u32>, pdp: impl Pdp + 'static) -> Self {
        Self {
            user,
            mediated: true,
            list_mode: false,
            host: None,
            pdp: Arc::new(pdp),
            approver: Arc::new(NoApprover),
        }
    }
}

/// The trail of a test.
#[derive(Default)]
pub struct Trail(pub Mutex<Vec<Record>>);

impl AuditSink for Trail {
    fn append(&self, record: &Record, _durability: Durability) -> Result<(), AuditError> {
        self.0.lock().unwrap().push(record.clone());
        Ok(())
    }
}

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }
}

/// A policy from a function.
pub struct Rules<F>(pub F);

impl<F: Fn(&AccessRequest) -> Decision + Send + Sync> Pdp for Rules<F> {
    fn decide(&self, request: &AccessRequest, _correlation: &CorrelationId) -> Decision {
        (self.0)(request)
    }

    fn judge_config(&self, _path: &Path, _old: Option<&[u8]>, new: &[u8]) -> Decision {
        let bad = new.windows(9).any(|window| window.eq_ignore_ascii_case(b"hookspath"));
        if bad { deny(ReasonCode::UnsafeConfig) } else { permit() }
    }
}

pub fn permit() -> Decision {
    Decision::permit(ReasonCode::Granted, None, 1)
}

pub fn deny(reason: ReasonCode) -> Decision {
    Decision::deny(reason, None, 1)
}

pub fn allow_all() -> Rules<impl Fn(&AccessRequest) -> Decision + Send + Sync> {
    Rules(|_: &AccessRequest| permit())
}

/// Runs `agent` inside a session; returns whether it ended well, and the trail. Must be called in
/// a single-threaded process, once.
pub fn session(area: &Area, setup: Setup, agent: impl FnOnce()) -> (bool, Vec<Record>) {
    let (uid, gid) = enter_supervisor_namespace(setup.user);
    let (mut up, up_agent) = pipe();
    let (go, mut start) = pipe();
    let middle = fork().unwrap();
    if middle == 0 {
        drop((up, start));
        middle_process(uid, gid, area, &setup, up_agent, go, agent);
    }
    drop((up_agent, go));
    let mut words = [0u8; 8];
    up.read_exact(&mut words).expect("the agent process did not come up");
    let pid = i32::from_ne_bytes(words[..4].try_into().unwrap());
    let listener = i32::from_ne_bytes(words[4..].try_into().unwrap());
    let trail = Arc::new(Trail::default());
    let guard = guard(&setup, Arc::clone(&trail));
    let mediator = setup.mediated.then(|| {
        let agent = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let listener = rustix::process::pidfd_getfd(
            &agent,
            listener,
            rustix::process::PidfdGetfdFlags::empty(),
        )
        .unwrap();
        let path = |path: &str| {
            rustix::fs::open(
                path,
                rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .unwrap()
        };
        let view = View {
            granted: Vec::new(),
            root: path(&format!("/proc/{pid}/root")),
            proc: path("/proc"),
            native: native().into_iter().map(PathBuf::from).collect(),
            scratch: vec![area.scratch.clone(), "/dev/shm".into()],
            host_root: setup.host.as_ref().map(|host| path(host.to_str().unwrap())),
            list_mode: setup.list_mode,
            loaders: Vec::new(),
        };
        Mediator::start(listener, view, guard, Arc::new(AsTheyAre)).unwrap()
    });
    start.write_all(b"g").unwrap();
    let well = wait(middle) == 0;
    if let Some(mediator) = mediator {
        mediator.stop();
    }
    let records = std::mem::take(&mut *trail.0.lock().unwrap());
    (well, records)
}

pub fn native() -> Vec<&'static str> {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/dev", "/sys", "/opt", "/run"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .collect()
}

fn guard(setup: &Setup, trail: Arc<Trail>) -> Arc<Guard> {
    let session = SessionContext {
        id: SessionId::from_random([7; 10]),
        principal: "tester".into(),
        agent_id: "test:1".into(),
        manifest: "sha256:0".into(),
    };
    let ports = GuardPorts {
        pdp: Arc::clone(&setup.pdp),
        audit: trail,
        approver: Arc::clone(&setup.approver),
        clock: Arc::new(Wall),
    };
    Guard::new(session, ports, Duration::from_secs(20))
}

fn enter_supervisor_namespace(user: Option<u32>) -> (u32, u32) {
    if let Some(user) = user {
        // SAFETY: plain integers; this process is single-threaded.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(user, user, user), 0);
            assert_eq!(libc::setresuid(user, user, user), 0);
            libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        }
    }
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    unshare(libc::CLONE_NEWUSER);
    map(uid, gid);
    (uid, gid)
}

fn map(uid: u32, gid: u32) {
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).unwrap();
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).unwrap();
}

fn middle_process(
    uid: u32,
    gid: u32,
    area: &Area,
    setup: &Setup,
    mut up: fs::File,
    mut go: fs::File,
    agent: impl FnOnce(),
) -> ! {
    unshare(
        libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC,
    );
    map(uid, gid);
    let (mut tell, listens) = pipe();
    let child = fork().unwrap();
    if child != 0 {
        let mut listener = [0; 4];
        tell.read_exact(&mut listener).unwrap();
        up.write_all(&[child.to_ne_bytes(), listener].concat()).unwrap();
        let status = wait(child);
        std::process::exit(status);
    }
    let mut listens = listens;
    // A test that hangs fails, and leaves nothing behind.
    // SAFETY: integers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        libc::alarm(120);
    }
    protect_machine(area);
    mount_proc();
    raise_loopback();
    drop_rights();
    if setup.mediated {
        restrict(area);
    }
    let listener = if setup.mediated { install_filter() } else { -1 };
    listens.write_all(&listener.to_ne_bytes()).unwrap();
    let mut byte = [0];
    go.read_exact(&mut byte).unwrap();
    if listener >= 0 {
        // SAFETY: the descriptor is ours and not used again.
        drop(unsafe { OwnedFd::from_raw_fd(listener) });
    }
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(agent));
    let _ = io::stdout().flush();
    // SAFETY: ends this process without running the parent's exit handlers.
    unsafe { libc::_exit(i32::from(done.is_err())) }
}

/// Whatever a test does, the machine's own files are read-only for it. Only the area is not.
fn protect_machine(area: &Area) {
    let area = std::ffi::CString::new(area.root.to_str().unwrap()).unwrap();
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: C strings, and an attribute structure of the size given.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(libc::mount(none, c"/".as_ptr(), none, private, std::ptr::null()), 0);
        let done = libc::mount(area.as_ptr(), area.as_ptr(), none, libc::MS_BIND, std::ptr::null());
        assert_eq!(done, 0, "bind: {}", io::Error::last_os_error());
        // `struct mount_attr` with MOUNT_ATTR_RDONLY to set.
        let attributes = [1u64, 0, 0, 0];
        let done =
            libc::syscall(libc::SYS_mount_setattr, -1, c"/".as_ptr(), 0, &attributes, 32usize);
        assert_eq!(done, 0, "read-only root: {}", io::Error::last_os_error());
    }
    let probe = fs::File::create("/remit-probe").err().and_then(|error| error.raw_os_error());
    assert!(
        matches!(probe, Some(libc::EROFS | libc::EACCES)),
        "the machine is writable: {probe:?}"
    );
}

fn mount_proc() {
    let mount = |source: &std::ffi::CStr, target: &std::ffi::CStr, kind: &std::ffi::CStr, flags| {
        // SAFETY: C strings.
        let done = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
        };
        assert_eq!(done, 0, "mount {target:?}: {}", io::Error::last_os_error());
    };
    mount(c"proc", c"/proc", c"proc", 0);
}

fn raise_loopback() {
    // SAFETY: an interface request for `lo` on a fresh socket.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request), 0);
        libc::close(socket);
    }
}

fn drop_rights() {
    for capability in 0..64 {
        // SAFETY: integers; beyond the last capability it fails, which is fine.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let none = rustix::thread::CapabilitySet::empty();
    let sets =
        rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).unwrap();
    // SAFETY: integers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
}

/// Rights on system folders alone.
fn restrict(area: &Area) {
    let abi = ABI::V5;
    let mut rules =
        Ruleset::default().handle_access(AccessFs::from_all(abi)).unwrap().create().unwrap();
    for path in native() {
        let access = match path {
            "/proc" | "/dev" => {
                AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev
            }
            _ => AccessFs::from_read(abi),
        };
        rules = rules.add_rule(PathBeneath::new(PathFd::new(path).unwrap(), access)).unwrap();
    }
    let status = rules.restrict_self().unwrap();
    assert_ne!(status.ruleset, landlock::RulesetStatus::NotEnforced);
    assert!(fs::read_dir(&area.data).is_err(), "Landlock leaves rights on granted folders");
}

/// The mediator's rules as a classic BPF program.
fn install_filter() -> RawFd {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![op(LOAD, 0, 0, 0)];
    for rule in notify_syscalls() {
        let number = rule.number as u32;
        match rule.only_if {
            None => program
                .extend([op(EQUAL, number, 0, 1), op(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0)]),
            Some(test) => program.extend([
                op(EQUAL, number, 0, 5),
                op(LOAD, 16 + 8 * u32::from(test.index), 0, 0),
                op(AND, test.mask, 0, 0),
                op(EQUAL, test.equals, 0, 1),
                op(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
                op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
            ]),
        }
    }
    program.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    let description = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the program outlives the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &description)
    };
    assert!(fd >= 0, "seccomp: {}", io::Error::last_os_error());
    fd as RawFd
}

pub fn fork() -> io::Result<libc::pid_t> {
    let _ = io::stdout().flush();
    // SAFETY: callers are single-threaded.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// The child's exit status, 128 + n after signal n.
pub fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable.
        let done = unsafe { libc::waitpid(pid, &mut status, 0) };
        if done == pid {
            break;
        }
        assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

fn unshare(flags: i32) {
    // SAFETY: integers; single-threaded.
    assert_eq!(unsafe { libc::unshare(flags) }, 0, "unshare: {}", io::Error::last_os_error());
}

pub fn pipe() -> (fs::File, fs::File) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (read.into(), write.into())
}

#[allow(dead_code)]
pub fn raw(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}
