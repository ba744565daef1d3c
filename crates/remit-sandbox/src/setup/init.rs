//! The session's first process: builds the walls, starts the program inside them, collects the
//! dead, and takes everything with it when it goes.

use std::{
    convert::Infallible,
    ffi::{CString, OsStr},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{Pid, Signal, WaitOptions, WaitStatus},
};
use serde::{Deserialize, Serialize};

use super::{filter, network, rules, sys, tree, users};
use crate::{
    plan::SessionPlan,
    report::{At as _, Layer, LayerError},
};

/// What the inside tells the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The tree and namespaces stand; the supervisor may look at them.
    Built,
    /// Every layer is in force; the notification descriptor comes along.
    Enforced(Vec<Layer>),
    /// A layer failed; nothing ran.
    Failed(LayerError),
    /// The program could not be started: errno.
    NotStarted(i32),
    /// The program ended: exit status, or 128 + signal.
    Ended(i32),
}

/// What the supervisor tells the inside.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Put the agent-side layers in force.
    Enforce,
    /// Start the program.
    Start,
    /// Send this signal to the program.
    Signal(i32),
}

/// How the program's standard streams are connected.
pub struct Standard {
    /// For each of 0, 1, 2: take the session's terminal instead of the inherited descriptor.
    pub terminal: [bool; 3],
}

impl Standard {
    pub(super) fn any(&self) -> bool {
        self.terminal.iter().any(|one| *one)
    }
}

/// Runs in the freshly forked process; never returns.
pub(super) fn run(plan: &SessionPlan, standard: &Standard, control: OwnedFd) -> ! {
    let status = match build(plan, standard, &control) {
        Ok(program) => supervise(program, &control),
        Err(error) => {
            let _ = send(&control, &Report::Failed(error), None);
            125
        }
    };
    // SAFETY: ends the process at once; destructors of the copied supervisor must not run here.
    unsafe { libc::_exit(status) }
}

fn build(plan: &SessionPlan, standard: &Standard, control: &OwnedFd) -> Result<Pid, LayerError> {
    die_with_parent().at("process", "tie to supervisor", "")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host_proc =
        rustix::fs::openat(CWD, "/proc", flags, Mode::empty()).at("process", "open", "/proc")?;
    network::set_up(&plan.literals)?;
    rustix::system::sethostname(plan.hostname.as_bytes()).at("uts_namespace", "name", "")?;
    tree::enter(plan)?;
    users::enter_agent_namespace(host_proc.as_fd())?;
    drop(host_proc);
    send(control, &Report::Built, None).at("process", "report", "")?;
    match receive(control).at("process", "await order", "")? {
        Some(Order::Enforce) => {}
        _ => return Err(aborted()),
    }
    sys::drop_all_capabilities().at("capabilities", "drop", "")?;
    rustix::thread::set_no_new_privs(true).at("no_new_privs", "set", "")?;
    // Closed by the program's start (or death): until then the orders on the shared control
    // socket are the child's to read.
    let (started, starting) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at("process", "connect", "")?;
    // SAFETY: this process has one thread.
    match unsafe { sys::fork_into(0) }.at("process", "fork", "")? {
        sys::Fork::Child => {
            drop(started);
            let error = match become_program(plan, standard, control) {
                Ok(never) => match never {},
                Err(error) => error,
            };
            let _ = send(control, &error, None);
            // SAFETY: ends the forked child at once.
            unsafe { libc::_exit(126) }
        }
        sys::Fork::Parent(pid) => {
            // Changing credentials has cleared it.
            die_with_parent().at("process", "tie to supervisor", "")?;
            let _ = rustix::process::set_dumpable_behavior(
                rustix::process::DumpableBehavior::NotDumpable,
            );
            drop(starting);
            let _ = rustix::io::read(&started, &mut [0u8; 1]);
            Pid::from_raw(pid).ok_or_else(aborted)
        }
    }
}

/// The last steps before the program: its streams, limits, and the layers that bind the process
/// itself.
fn become_program(
    plan: &SessionPlan,
    standard: &Standard,
    control: &OwnedFd,
) -> Result<Infallible, Report> {
    let failed = Report::Failed;
    rustix::process::setsid().at("process", "new session", "").map_err(failed)?;
    if standard.any() {
        take_terminal(standard).at("terminal", "take", "").map_err(failed)?;
    }
    set_limits(plan).at("limits", "set", "").map_err(failed)?;
    rustix::process::chdir(&plan.workdir)
        .at("mount_namespace", "enter", &plan.workdir)
        .map_err(failed)?;
    let landlock = rules::restrict(plan).map_err(failed)?;
    let program = prepare_exec(plan).map_err(failed)?;
    let mut rows = filter::denied();
    rows.extend(mediated());
    rows.extend(filter::for_limits(&plan.limits));
    let compiled = filter::compile(&rows);
    let listener = sys::install_filter(&compiled).at("seccomp", "install", "").map_err(failed)?;
    let layers = vec![
        Layer::in_force("user_namespace", "no capabilities, no nested namespaces"),
        Layer::in_force("mount_namespace", "granted paths alone"),
        Layer::in_force("pid_namespace", "own processes alone"),
        Layer::in_force("ipc_namespace", "own objects alone"),
        Layer::in_force("network_namespace", "loopback and listed names alone"),
        landlock,
        Layer::in_force("seccomp", format!("{} instructions", compiled.len())),
        Layer::in_force("mediation", "files, programs and connections"),
    ];
    let gone = |_| failed(aborted());
    send(control, &Report::Enforced(layers), Some(listener.as_fd())).map_err(gone)?;
    drop(listener);
    match receive(control).map_err(gone)? {
        Some(Order::Start) => {}
        _ => return Err(failed(aborted())),
    }
    reset_signals();
    Err(Report::NotStarted(program.exec(control)))
}

struct Exec {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

fn prepare_exec(plan: &SessionPlan) -> Result<Exec, LayerError> {
    let text = |bytes: &OsStr| {
        CString::new(bytes.as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            .at("process", "prepare", "arguments")
    };
    let pair = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        let mut joined = name.clone();
        joined.push("=");
        joined.push(value);
        text(&joined)
    };
    Ok(Exec {
        path: text(plan.program.as_os_str())?,
        arguments: plan.arguments.iter().map(|one| text(one)).collect::<Result<_, _>>()?,
        environment: plan.environment.iter().map(pair).collect::<Result<_, _>>()?,
    })
}

impl Exec {
    /// Replaces this process; returns the error number when the kernel refuses.
    fn exec(&self, control: &OwnedFd) -> i32 {
        let pointers = |all: &[CString]| {
            let mut out: Vec<*const libc::c_char> = all.iter().map(|one| one.as_ptr()).collect();
            out.push(std::ptr::null());
            out
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // Everything else that is open is close-on-exec; this also covers what the supervisor
        // itself inherited. The control socket must survive a failed exec to tell of it.
        let _ = rustix::io::fcntl_setfd(control, rustix::io::FdFlags::CLOEXEC);
        // SAFETY: CLOEXEC on the whole range; nothing is closed yet.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3u32,
                u32::MAX,
                4u32, /* CLOSE_RANGE_CLOEXEC */
            );
        }
        // SAFETY: three NUL-terminated texts or null-terminated arrays that outlive the call.
        unsafe { libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
    }
}

fn take_terminal(standard: &Standard) -> io::Result<()> {
    let terminal = rustix::fs::openat(CWD, "/dev/pts/0", OFlags::RDWR, Mode::empty())?;
    rustix::process::ioctl_tiocsctty(&terminal)?;
    for (number, wanted) in (0..).zip(standard.terminal) {
        if wanted {
            // SAFETY: both are descriptor numbers of this process; the old one is an inherited
            // stream that no Rust object of this forked process owns.
            if unsafe { libc::dup2(terminal.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

fn set_limits(plan: &SessionPlan) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let fixed = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    let lower = |resource: Resource, value: u64| {
        let ceiling = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, fixed(value.min(ceiling)))
    };
    // 1, not 0: where cores go to a program of the host, the kernel takes 0 for "no limit on it"
    // and 1 for "do not" (core(5); `do_coredump` in fs/coredump.c). No file is so small.
    setrlimit(Resource::Core, fixed(1))?;
    if let Some(files) = plan.limits.open_files {
        lower(Resource::Nofile, files)?;
    }
    if let Some(processes) = plan.limits.processes {
        // Counted per user namespace since Linux 5.14: this one holds the session's own
        // processes and our init.
        lower(Resource::Nproc, processes.saturating_add(1))?;
    }
    if let Some(memory) = plan.limits.memory {
        lower(Resource::Data, memory)?;
    }
    if let Some(cpu) = plan.limits.cpu {
        lower(Resource::Cpu, cpu.as_secs().max(1))?;
    }
    if let Some(processors) = plan.limits.processors {
        restrict_processors(processors)?;
    }
    Ok(())
}

/// Keeps the first `count` of the processors that this process may use.
fn restrict_processors(count: u32) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let own = sched_getaffinity(None)?;
    let mut kept = CpuSet::new();
    let usable = (0..CpuSet::MAX_CPU).filter(|cpu| own.is_set(*cpu));
    for cpu in usable.take(usize::try_from(count).unwrap_or(usize::MAX).max(1)) {
        kept.set(cpu);
    }
    Ok(sched_setaffinity(None, &kept)?)
}

/// Rust's runtime ignores SIGPIPE; programs expect the default. Blocked signals are inherited
/// too.
fn reset_signals() {
    // SAFETY: restores default actions in a process that is about to exec; the set is local.
    unsafe {
        for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Collects the dead until the program itself ends, passing signals on meanwhile.
fn supervise(program: Pid, control: &OwnedFd) -> i32 {
    use rustix::event::{PollFd, PollFlags, poll};
    let _ = sys_keep_only(control);
    let Ok(pidfd) = rustix::process::pidfd_open(program, rustix::process::PidfdFlags::empty())
    else {
        return 125;
    };
    loop {
        let mut waits = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(control, PollFlags::IN | PollFlags::HUP),
        ];
        let tick = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        let _ = poll(&mut waits, Some(&tick));
        let ordered = !waits.iter().skip(1).all(|one| one.revents().is_empty());
        if let Some(status) = reap(program) {
            let _ = send(control, &Report::Ended(status), None);
            return status;
        }
        if ordered {
            match receive(control) {
                Ok(Some(Order::Signal(number))) => {
                    if let Some(signal) = Signal::from_named_raw(number) {
                        let _ = rustix::process::kill_process(program, signal);
                    }
                }
                Ok(Some(_)) => {}
                // The supervisor is gone: so is everything in here, as soon as we are.
                Ok(None) | Err(_) => return 137,
            }
        }
    }
}

fn reap(program: Pid) -> Option<i32> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            ended = Some(exit_code(status));
        }
    }
    ended
}

/// The shell's convention: the exit status, or 128 + signal.
pub(super) fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128i32.saturating_add(signal),
        (None, None) => 125,
    }
}

/// Init keeps its control socket and nothing else: an inherited pipe held open here would keep
/// its reader waiting after the program has closed it.
fn sys_keep_only(control: &OwnedFd) -> io::Result<()> {
    let keep = control.as_raw_fd();
    // SAFETY: no Rust object of this forked process uses the closed descriptors afterwards.
    unsafe {
        if keep > 0 {
            libc::syscall(libc::SYS_close_range, 0u32, keep as u32 - 1, 0u32);
        }
    }
    sys::close_from(keep.saturating_add(1))
}

fn aborted() -> LayerError {
    LayerError {
        layer: "process".into(),
        step: "await order".into(),
        subject: String::new(),
        cause: "the supervisor is gone".into(),
        errno: 0,
    }
}

pub(super) fn send(
    socket: &OwnedFd,
    message: &impl Serialize,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    sys::send_with_fd(socket.as_fd(), &bytes, fd)
}

fn receive(socket: &OwnedFd) -> io::Result<Option<Order>> {
    let mut buffer = [0u8; 256];
    let (got, _) = sys::receive_with_fd(socket, &mut buffer)?;
    match buffer.get(..got) {
        None | Some([]) => Ok(None),
        Some(bytes) => Ok(Some(serde_json::from_slice(bytes)?)),
    }
}

/// The calls that the mediator serves, as rows of the filter.
fn mediated() -> Vec<filter::Row> {
    let row = |rule: &crate::mediate::NotifyRule| filter::Row {
        call: super::table::Sysno::new(rule.number),
        checks: rule
            .only_if
            .map(|test| filter::Check::Masked {
                arg: test.index,
                mask: test.mask,
                value: test.equals,
            })
            .into_iter()
            .collect(),
        verdict: filter::Verdict::Notify,
    };
    crate::mediate::notify_syscalls().iter().map(row).collect()
}
