//! The kernel interfaces that have no safe wrapper, and those where a wrapper would hide bits that
//! the agent passed. Every function is a single system call and takes plain descriptors.

#![allow(unsafe_code)]

use std::{
    cell::Cell,
    ffi::CStr,
    mem::{MaybeUninit, size_of},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use rustix::io::Errno;

pub(super) type Result<T> = std::result::Result<T, Errno>;

/// The calling thread's own directory as a `dirfd`.
pub(super) const CWD: RawFd = libc::AT_FDCWD;

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result == -1 {
        // SAFETY: the C library's per-thread errno location is always valid.
        Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }))
    } else {
        Ok(result)
    }
}

fn descriptor(result: libc::c_long) -> Result<OwnedFd> {
    let fd = check(result)?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the system call just returned this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

macro_rules! call {
    ($($arg:expr),* $(,)?) => {
        // SAFETY: arguments are integers, C strings and references that outlive the call, each of
        // the type and length that the named system call expects.
        unsafe { libc::syscall($($arg),*) }
    };
}

/// `openat2(2)`; bits pass as they are.
pub(super) fn openat2(
    dir: RawFd,
    path: &CStr,
    flags: u64,
    mode: u64,
    resolve: u64,
) -> Result<OwnedFd> {
    let mut how = zeroed_how();
    how.flags = flags;
    how.mode = mode;
    how.resolve = resolve;
    descriptor(call!(libc::SYS_openat2, dir, path.as_ptr(), &how, size_of::<libc::open_how>()))
}

fn zeroed_how() -> libc::open_how {
    // SAFETY: three integers; zero is valid for each.
    unsafe { std::mem::zeroed() }
}

/// `openat(2)` with magic links followed, for descriptors' links in a held `/proc`.
pub(super) fn openat(dir: RawFd, path: &CStr, flags: i32) -> Result<OwnedFd> {
    descriptor(call!(libc::SYS_openat, dir, path.as_ptr(), flags | libc::O_CLOEXEC, 0))
}

pub(super) fn fstat(fd: RawFd) -> Result<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is large enough for the kernel's answer.
    check(libc::c_long::from(unsafe { libc::fstat(fd, stat.as_mut_ptr()) }))?;
    // SAFETY: the call succeeded, so the kernel filled it.
    Ok(unsafe { stat.assume_init() })
}

/// `fstatat(2)` without following a final link.
pub(super) fn lstatat(dir: RawFd, path: &CStr) -> Result<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path is a C string and `stat` large enough for the kernel's answer.
    let done =
        unsafe { libc::fstatat(dir, path.as_ptr(), stat.as_mut_ptr(), libc::AT_SYMLINK_NOFOLLOW) };
    check(libc::c_long::from(done))?;
    // SAFETY: the call succeeded, so the kernel filled it.
    Ok(unsafe { stat.assume_init() })
}

/// The mount that an object was reached through.
pub(super) fn mount_of(fd: RawFd) -> Result<u64> {
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH;
    let mask = libc::STATX_MNT_ID;
    check(call!(libc::SYS_statx, fd, c"".as_ptr(), flags, mask, stat.as_mut_ptr()))?;
    // SAFETY: integers only, so zero is valid, and the kernel filled what it knows.
    let stat = unsafe { stat.assume_init() };
    if stat.stx_mask & mask == 0 { Err(Errno::NOSYS) } else { Ok(stat.stx_mnt_id) }
}

/// `readlinkat(2)`; a target of 4096 bytes or more is `ENAMETOOLONG`.
pub(super) fn readlinkat(dir: RawFd, path: &CStr) -> Result<Vec<u8>> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let count =
        check(call!(libc::SYS_readlinkat, dir, path.as_ptr(), buffer.as_mut_ptr(), buffer.len()))?;
    let filled = usize::try_from(count).ok().and_then(|count| buffer.get(..count));
    match filled {
        Some(bytes) if bytes.len() < buffer.len() => {
            // SAFETY: the kernel wrote exactly this many bytes.
            Ok(unsafe { bytes.assume_init_ref() }.to_vec())
        }
        _ => Err(Errno::NAMETOOLONG),
    }
}

pub(super) fn fchdir(fd: RawFd) -> Result<()> {
    DIRECTORY_CHANGES.set(directory_changes().wrapping_add(1));
    check(call!(libc::SYS_fchdir, fd)).map(drop)
}

thread_local! {
    static DIRECTORY_CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// How often [`fchdir`] was called in this thread. Nothing else changes its directory.
pub(super) fn directory_changes() -> u64 {
    DIRECTORY_CHANGES.get()
}

pub(super) fn mkdirat(dir: RawFd, name: &CStr, mode: u32) -> Result<()> {
    check(call!(libc::SYS_mkdirat, dir, name.as_ptr(), mode)).map(drop)
}

pub(super) fn mknodat(dir: RawFd, name: &CStr, mode: u32, device: u64) -> Result<()> {
    check(call!(libc::SYS_mknodat, dir, name.as_ptr(), mode, device)).map(drop)
}

pub(super) fn symlinkat(target: &CStr, dir: RawFd, name: &CStr) -> Result<()> {
    check(call!(libc::SYS_symlinkat, target.as_ptr(), dir, name.as_ptr())).map(drop)
}

pub(super) fn linkat(from: RawFd, old: &CStr, to: RawFd, new: &CStr, flags: i32) -> Result<()> {
    check(call!(libc::SYS_linkat, from, old.as_ptr(), to, new.as_ptr(), flags)).map(drop)
}

pub(super) fn renameat2(from: RawFd, old: &CStr, to: RawFd, new: &CStr, flags: u32) -> Result<()> {
    check(call!(libc::SYS_renameat2, from, old.as_ptr(), to, new.as_ptr(), flags)).map(drop)
}

pub(super) fn unlinkat(dir: RawFd, name: &CStr, flags: i32) -> Result<()> {
    check(call!(libc::SYS_unlinkat, dir, name.as_ptr(), flags)).map(drop)
}

/// `truncate(2)` of a name in the calling thread's directory.
pub(super) fn truncate(name: &CStr, length: i64) -> Result<()> {
    check(call!(libc::SYS_truncate, name.as_ptr(), length)).map(drop)
}

pub(super) fn ftruncate(fd: RawFd, length: i64) -> Result<()> {
    check(call!(libc::SYS_ftruncate, fd, length)).map(drop)
}

/// `fchmodat(2)`, following links.
pub(super) fn chmodat(dir: RawFd, name: &CStr, mode: u32) -> Result<()> {
    check(call!(libc::SYS_fchmodat, dir, name.as_ptr(), mode)).map(drop)
}

pub(super) fn fchmod(fd: RawFd, mode: u32) -> Result<()> {
    check(call!(libc::SYS_fchmod, fd, mode)).map(drop)
}

/// `utimensat(2)` of what the descriptor stands for, a link included.
pub(super) fn set_times(fd: RawFd, times: Option<&[libc::timespec; 2]>) -> Result<()> {
    let times = times.map_or(std::ptr::null(), |times| times.as_ptr());
    check(call!(libc::SYS_utimensat, fd, c"".as_ptr(), times, libc::AT_EMPTY_PATH)).map(drop)
}

/// `fchownat(2)` of what the descriptor stands for, a link included. -1 leaves an id alone.
pub(super) fn set_owner(fd: RawFd, user: u32, group: u32) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH;
    check(call!(libc::SYS_fchownat, fd, c"".as_ptr(), user, group, flags)).map(drop)
}

/// Whether the thread may execute what `fd` (also `O_PATH`) stands for.
pub(super) fn may_execute(fd: RawFd) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    check(call!(libc::SYS_faccessat2, fd, c"".as_ptr(), libc::X_OK, flags)).map(drop)
}

/// Whether the thread may create and remove names in the folder.
pub(super) fn may_change(dir: RawFd) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    let rights = libc::W_OK | libc::X_OK;
    check(call!(libc::SYS_faccessat2, dir, c"".as_ptr(), rights, flags)).map(drop)
}

pub(super) fn setxattr(name: &CStr, attr: &CStr, value: &[u8], flags: i32) -> Result<()> {
    let (data, size) = (value.as_ptr(), value.len());
    check(call!(libc::SYS_setxattr, name.as_ptr(), attr.as_ptr(), data, size, flags)).map(drop)
}

pub(super) fn removexattr(name: &CStr, attr: &CStr) -> Result<()> {
    check(call!(libc::SYS_removexattr, name.as_ptr(), attr.as_ptr())).map(drop)
}

pub(super) fn status_flags(fd: RawFd) -> Result<i32> {
    let flags = check(call!(libc::SYS_fcntl, fd, libc::F_GETFL))?;
    i32::try_from(flags).map_err(|_| Errno::INVAL)
}

pub(super) fn set_status_flags(fd: RawFd, flags: i32) -> Result<()> {
    check(call!(libc::SYS_fcntl, fd, libc::F_SETFL, flags)).map(drop)
}

/// Does what a session's process keeps from its own user (`PR_SET_DUMPABLE`; ssh-agent does that),
/// or the machine from everybody (Yama's `ptrace_scope` 2): reading the arguments of a mediated
/// call, taking its descriptors. The right is in effect for this alone; with it in effect,
/// everything else would be done with more rights than the agent has.
pub(super) fn as_tracer<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    match act() {
        Err(Errno::PERM | Errno::ACCESS) => {}
        done => return done,
    }
    let right = |effective| rustix::thread::CapabilitySets {
        effective,
        permitted: rustix::thread::CapabilitySet::SYS_PTRACE,
        inheritable: rustix::thread::CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, right(rustix::thread::CapabilitySet::SYS_PTRACE))?;
    let done = act();
    rustix::thread::set_capabilities(None, right(rustix::thread::CapabilitySet::empty()))?;
    done
}

/// A duplicate of the task's descriptor: the same open file.
pub(super) fn grab(tid: u32, fd: i32) -> Result<OwnedFd> {
    /// Any thread, not only a group's leader (Linux 6.9).
    const PIDFD_THREAD: u32 = libc::O_EXCL as u32;
    let task = descriptor(call!(libc::SYS_pidfd_open, tid, PIDFD_THREAD))
        .or_else(|_| descriptor(call!(libc::SYS_pidfd_open, tid, 0u32)))?;
    as_tracer(|| descriptor(call!(libc::SYS_pidfd_getfd, task.as_raw_fd(), fd, 0u32)))
}

/// Reads the task's memory at `address`; stops at the first page that is not there. `Ok(0)` only
/// for an empty buffer.
pub(super) fn read_memory(tid: u32, address: u64, buffer: &mut [u8]) -> Result<usize> {
    const PAGE: u64 = 4096;
    let room = buffer.len().min(4096);
    let base = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let first = usize::try_from(PAGE - address % PAGE).unwrap_or(1).min(room);
    let second = room.saturating_sub(first);
    let after = base.checked_add(first).ok_or(Errno::FAULT)?;
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: room };
    // A transfer may stop only between two elements, so no element crosses a page.
    let remote = [
        libc::iovec { iov_base: base as *mut libc::c_void, iov_len: first },
        libc::iovec { iov_base: after as *mut libc::c_void, iov_len: second },
    ];
    let pieces: libc::c_ulong = if second == 0 { 1 } else { 2 };
    let flags: libc::c_ulong = 0;
    let count = as_tracer(|| {
        check(call!(
            libc::SYS_process_vm_readv,
            tid,
            &local,
            1 as libc::c_ulong,
            remote.as_ptr(),
            pieces,
            flags
        ))
    })?;
    usize::try_from(count).map_err(|_| Errno::FAULT)
}

pub(super) fn connect(fd: RawFd, address: &[u8]) -> Result<()> {
    check(call!(libc::SYS_connect, fd, address.as_ptr(), address.len())).map(drop)
}

pub(super) fn bind(fd: RawFd, address: &[u8]) -> Result<()> {
    check(call!(libc::SYS_bind, fd, address.as_ptr(), address.len())).map(drop)
}

/// One notification.
#[derive(Clone, Copy)]
pub(super) struct Notification {
    pub(super) id: u64,
    pub(super) tid: u32,
    pub(super) number: libc::c_long,
    pub(super) args: [u64; 6],
}

/// Waits for the next notification.
pub(super) fn receive(listener: RawFd) -> Result<Notification> {
    // SAFETY: plain integers; the kernel requires zeroes.
    let mut raw: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    check(call!(libc::SYS_ioctl, listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &mut raw))?;
    Ok(Notification {
        id: raw.id,
        tid: raw.pid,
        number: libc::c_long::from(raw.data.nr),
        args: raw.data.args,
    })
}

/// Whether the notified call still waits, so that its thread id still means its thread.
pub(super) fn still_waits(listener: RawFd, id: u64) -> bool {
    check(call!(libc::SYS_ioctl, listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &id)).is_ok()
}

fn respond(listener: RawFd, response: libc::seccomp_notif_resp) -> Result<()> {
    check(call!(libc::SYS_ioctl, listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &response)).map(drop)
}

/// Answers with a value.
pub(super) fn answer(listener: RawFd, id: u64, value: i64) -> Result<()> {
    respond(listener, libc::seccomp_notif_resp { id, val: value, error: 0, flags: 0 })
}

/// Answers with an error.
pub(super) fn answer_error(listener: RawFd, id: u64, errno: Errno) -> Result<()> {
    let error = errno.raw_os_error().saturating_neg();
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error, flags: 0 })
}

/// Lets the kernel carry the call out itself.
pub(super) fn answer_continue(listener: RawFd, id: u64) -> Result<()> {
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
}

/// Puts `fd` into the task and answers with its number, in one step.
pub(super) fn answer_descriptor(
    listener: RawFd,
    id: u64,
    fd: RawFd,
    close_on_exec: bool,
) -> Result<()> {
    let order = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: u32::try_from(fd).map_err(|_| Errno::BADF)?,
        newfd: 0,
        newfd_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
    };
    check(call!(libc::SYS_ioctl, listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &order)).map(drop)
}

/// Asks the kernel to hand over on the same processor (Linux 6.6); only a matter of speed.
pub(super) fn wake_synchronously(listener: RawFd) {
    const SYNC_WAKE_UP: u64 = 1;
    let _ =
        check(call!(libc::SYS_ioctl, listener, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP));
}

/// Gives the calling thread its own root, directory and umask.
pub(super) fn separate_directories() -> Result<()> {
    check(call!(libc::SYS_unshare, libc::CLONE_FS)).map(drop)
}

/// From now on the calling thread runs only where nothing else would.
pub(super) fn yield_to_everybody() -> Result<()> {
    // SAFETY: the parameters are local; 0 is the calling thread.
    let done = unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters)
    };
    check(libc::c_long::from(done)).map(drop)
}

/// From now on the calling thread gets the least share that an ordinary one can have.
pub(super) fn yield_to_most() -> Result<()> {
    rustix::process::nice(19).map(drop)
}

/// Whether a hypervisor is below: bit 31 of leaf 1, which no real processor sets (Intel SDM,
/// CPUID; the kernel's flag `hypervisor`).
pub(super) fn is_virtual_machine() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::x86_64::__cpuid(1).ecx & (1 << 31) != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

pub(super) fn thread_id() -> i32 {
    i32::try_from(call!(libc::SYS_gettid)).unwrap_or(0)
}

/// Makes a thread's blocking system call return `EINTR`.
pub(super) fn interrupt(tid: i32) {
    let process = i32::try_from(std::process::id()).unwrap_or(0);
    let _ = check(call!(libc::SYS_tgkill, process, tid, interrupt_signal()));
}

/// Which signals reach a mediating thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signals {
    /// [`interrupt`] alone. The process's own signals go to other threads.
    Interrupts,
    /// None. Handing a descriptor over must not be interrupted: the kernel would answer the caller
    /// with 0, which is its standard input, and report failure to us.
    None,
}

/// Says which signals the calling thread takes from now on.
pub(super) fn take_signals(which: Signals) {
    // SAFETY: the set is local and initialised before use; masks of this thread only.
    unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut blocked);
        if which == Signals::Interrupts {
            libc::sigdelset(&raw mut blocked, interrupt_signal());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut());
    }
}

fn interrupt_signal() -> i32 {
    libc::SIGRTMIN() + 9
}

/// Installs the handler that [`interrupt`] needs: it does nothing, and calls are not restarted.
pub(super) fn prepare_interrupts() -> Result<()> {
    extern "C" fn nothing(_signal: libc::c_int) {}
    // SAFETY: zero is a valid sigaction; the handler is async-signal-safe because it is empty.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        libc::sigaction(interrupt_signal(), &action, std::ptr::null_mut())
    };
    check(libc::c_long::from(done)).map(drop)?;
    Ok(())
}
