//! `ptrace(2)` and its like, each a single system call on plain numbers.

#![allow(unsafe_code)]

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use super::regs::Raw;

const GETREGSET: libc::c_long = 0x4204;
const SETREGSET: libc::c_long = 0x4205;
const SEIZE: libc::c_long = 0x4206;
const INTERRUPT: libc::c_long = 0x4207;
const GETSIGMASK: libc::c_long = 0x420a;
const SETSIGMASK: libc::c_long = 0x420b;
const GET_RSEQ_CONFIGURATION: libc::c_long = 0x420f;
const POKEDATA: libc::c_long = 5;
const CONT: libc::c_long = 7;
const DETACH: libc::c_long = 17;
const SYSCALL: libc::c_long = 24;

/// System-call stops are told from traps by bit 7.
const TRACE_SYSGOOD: usize = 1;
const PRSTATUS: usize = 1;

/// Why a traced thread has stopped, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Still on its way.
    Running,
    /// `PTRACE_EVENT_STOP`: by our interruption or because the whole process is stopped.
    Stopped,
    /// At the entry or exit of a system call.
    Syscall,
    /// About to receive this signal.
    Signal(i32),
    /// It is no more, or is not ours.
    Gone,
}

fn ptrace(request: libc::c_long, tid: i32, addr: usize, data: usize) -> io::Result<()> {
    // SAFETY: the requests of this module that take pointers get them from the functions below,
    // each to a live object of the size that the request names; all others take integers.
    let done =
        unsafe { libc::syscall(libc::SYS_ptrace, request, libc::c_long::from(tid), addr, data) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Traces the thread without stopping it.
pub(super) fn seize(tid: i32) -> io::Result<()> {
    ptrace(SEIZE, tid, 0, TRACE_SYSGOOD)
}

/// Asks a traced thread to stop before it runs another instruction of its own.
pub(super) fn interrupt(tid: i32) -> io::Result<()> {
    ptrace(INTERRUPT, tid, 0, 0)
}

/// Lets a stopped thread run, receiving `signal` where it was about to receive one.
pub(super) fn go_on(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(CONT, tid, 0, usize::try_from(signal).unwrap_or(0))
}

/// Lets a stopped thread run until the next entry or exit of a system call.
pub(super) fn to_syscall(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(SYSCALL, tid, 0, usize::try_from(signal).unwrap_or(0))
}

/// Lets go of a stopped thread.
pub(super) fn detach(tid: i32) -> io::Result<()> {
    ptrace(DETACH, tid, 0, 0)
}

/// General registers of a stopped thread.
pub(super) fn registers(tid: i32) -> io::Result<Raw> {
    // SAFETY: plain integers; zero is valid for each.
    let mut raw: Raw = unsafe { std::mem::zeroed() };
    let mut space = libc::iovec { iov_base: (&raw mut raw).cast(), iov_len: size_of::<Raw>() };
    ptrace(GETREGSET, tid, PRSTATUS, (&raw mut space).addr())?;
    if space.iov_len == size_of::<Raw>() {
        Ok(raw)
    } else {
        // A thread in another instruction set.
        Err(io::Error::from_raw_os_error(libc::ENOEXEC))
    }
}

/// Sets them.
pub(super) fn set_registers(tid: i32, raw: &Raw) -> io::Result<()> {
    let mut copy = *raw;
    let mut space = libc::iovec { iov_base: (&raw mut copy).cast(), iov_len: size_of::<Raw>() };
    ptrace(SETREGSET, tid, PRSTATUS, (&raw mut space).addr())
}

/// The signals that a stopped thread blocks.
pub(super) fn blocked(tid: i32) -> io::Result<u64> {
    let mut mask = 0u64;
    ptrace(GETSIGMASK, tid, size_of::<u64>(), (&raw mut mask).addr())?;
    Ok(mask)
}

/// Sets them.
pub(super) fn block(tid: i32, mask: u64) -> io::Result<()> {
    let mut copy = mask;
    ptrace(SETSIGMASK, tid, size_of::<u64>(), (&raw mut copy).addr())
}

/// Address of the word that points at a thread's restartable sequence (rseq(2)), if it has one.
pub(super) fn sequence_word(tid: i32) -> Option<u64> {
    #[repr(C)]
    #[derive(Default)]
    struct Configuration {
        pointer: u64,
        size: u32,
        signature: u32,
        flags: u32,
        padding: u32,
    }
    let mut it = Configuration::default();
    ptrace(GET_RSEQ_CONFIGURATION, tid, size_of::<Configuration>(), (&raw mut it).addr()).ok()?;
    (it.pointer != 0).then(|| it.pointer.checked_add(8)).flatten()
}

/// Reads a traced process's memory; all of it or an error.
pub(super) fn read(tid: i32, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    let address = usize::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    let ours = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let theirs =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: buffer.len() };
    // SAFETY: the local vector is the caller's buffer; the remote address is checked by the kernel
    // and means nothing in this process.
    let got = unsafe { libc::process_vm_readv(tid, &raw const ours, 1, &raw const theirs, 1, 0) };
    match usize::try_from(got) {
        Ok(got) if got == buffer.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Writes one word of a stopped thread's memory.
pub(super) fn write(tid: i32, at: u64, word: [u8; 8]) -> io::Result<()> {
    let address = usize::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    ptrace(POKEDATA, tid, address, usize::from_ne_bytes(word))
}

/// What a traced thread does now.
pub(super) fn look(tid: i32) -> State {
    let mut status = 0;
    // SAFETY: `status` outlives the call. Only this thread's own tracee is waited for.
    match unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) } {
        0 => State::Running,
        got if got == tid && libc::WIFSTOPPED(status) => {
            const EVENT_STOP: i32 = 128;
            match libc::WSTOPSIG(status) {
                _ if status >> 16 == EVENT_STOP => State::Stopped,
                signal if signal == libc::SIGTRAP | 0x80 => State::Syscall,
                signal => State::Signal(signal),
            }
        }
        _ => State::Gone,
    }
}

/// What two threads may share.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shared {
    /// Descriptor table.
    Files,
    /// Root, working directory, umask.
    Folder,
}

/// Whether two threads share it. Where the kernel cannot say, they do not.
pub(super) fn same(one: i32, other: i32, what: Shared) -> bool {
    // linux/kcmp.h
    let kind = match what {
        Shared::Files => 2,
        Shared::Folder => 3,
    };
    // SAFETY: integers only.
    one == other || unsafe { libc::syscall(libc::SYS_kcmp, one, other, kind, 0, 0) } == 0
}

/// A directory of its own for the calling thread, so that its root can be changed alone.
pub(super) fn separate_root() -> io::Result<()> {
    // SAFETY: takes no pointers; CLONE_FS touches no memory and no descriptor.
    if unsafe { libc::unshare(libc::CLONE_FS) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `SO_PEEK_OFF`: where the next `MSG_PEEK` begins; -1 is the queue's head.
pub(super) fn peek_offset(socket: &OwnedFd) -> io::Result<i32> {
    let mut offset = 0i32;
    let mut size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: both pointers are to live objects, of the size given.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw mut offset).cast(),
            &raw mut size,
        )
    };
    if done == 0 { Ok(offset) } else { Err(io::Error::last_os_error()) }
}

/// Sets it.
pub(super) fn set_peek_offset(socket: &OwnedFd, offset: i32) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: the pointer is to a live object of the size given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEEK_OFF,
            (&raw const offset).cast(),
            size,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A copy of a descriptor of another process's thread.
pub(super) fn copy(pid: i32, tid: i32, number: i32) -> io::Result<OwnedFd> {
    // PIDFD_THREAD (Linux 6.9) is needed only for a thread with a table of its own.
    let flags = if pid == tid { 0 } else { libc::O_EXCL };
    let owned = |result: libc::c_long| {
        let fd = i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    // SAFETY: integers only.
    let task = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, tid, flags) })?;
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, task.as_raw_fd(), number, 0) })
}
