//! Kernel calls that have no safe wrapper elsewhere.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// `mount_setattr(2)` attributes.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// `MOUNT_ATTR_RDONLY`
pub(crate) const READ_ONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`
pub(crate) const NO_SUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`
pub(crate) const NO_DEV: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`
pub(crate) const NO_EXEC: u64 = 0x8;

/// Sets and clears attributes of the mount behind `fd`, and of all below it if `recursive`.
///
/// # Errors
/// The kernel's.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    set: u64,
    clear: u64,
    recursive: bool,
) -> io::Result<()> {
    const AT_RECURSIVE: libc::c_int = 0x8000;
    let attr = MountAttr { set, clear, propagation: 0, userns: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated literal, `attr` has the kernel's layout and its size
    // is passed; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// What a fork returns.
pub(crate) enum Fork {
    /// In the parent: the child's process id.
    Parent(libc::pid_t),
    /// In the child.
    Child,
}

/// `clone(2)` without a new stack, as `fork` does, into the namespaces of `flags`.
///
/// # Errors
/// The kernel's.
///
/// # Safety
/// The calling process must have one thread only: the child continues with a copy of its memory
/// in which locks held by other threads would never be released.
pub(crate) unsafe fn fork_into(flags: libc::c_int) -> io::Result<Fork> {
    let none = std::ptr::null_mut::<libc::c_void>();
    let flags = libc::c_ulong::from((flags | libc::SIGCHLD) as u32);
    // SAFETY: without CLONE_VM and with a null stack this is `fork`; the tid pointers are unused.
    // The argument order (flags, stack, parent_tid, …) starts alike on x86-64 and aarch64.
    match check(unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(libc::pid_t::try_from(pid).unwrap_or(-1))),
    }
}

/// Leaves the namespaces of `flags` for new ones.
///
/// # Errors
/// The kernel's; EINVAL for a user namespace when the process has several threads.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointers. The flags used by this crate (NEWUSER, NEWNS, FS) do not touch
    // memory or the descriptor table.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Moves the calling thread into the namespace behind `fd`.
///
/// # Errors
/// The kernel's.
pub(crate) fn setns(fd: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(libc::c_long::from(unsafe { libc::setns(fd.as_raw_fd(), kind) })).map(drop)
}

/// Installs a seccomp filter on the calling thread and returns its notification descriptor.
/// `no_new_privs` must be set.
///
/// # Errors
/// The kernel's.
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    const SET_MODE_FILTER: libc::c_uint = 1;
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `filter` points at `length` instructions that outlive the call; the kernel copies
    // them.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SET_MODE_FILTER,
            NEW_LISTENER | WAIT_KILLABLE_RECV,
            &raw const filter,
        )
    })?;
    let fd = RawFd::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Drops every capability of the calling thread, from every set, for good: no later exec brings
/// one back.
///
/// # Errors
/// The kernel's.
pub(crate) fn drop_all_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: takes no pointers.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result != 0 {
            // EINVAL: past the last capability that this kernel knows.
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::EINVAL) {
                break;
            }
            return Err(error);
        }
    }
    // SAFETY: takes no pointers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    clear_thread_capabilities()
}

/// Drops every capability of the calling thread; its bounding set stays.
///
/// # Errors
/// The kernel's.
pub(crate) fn clear_thread_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: the header names version 3, whose data is two structs of three words each.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    check(result).map(drop)
}

/// Closes every descriptor from `first` on.
///
/// # Errors
/// The kernel's.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).unwrap_or(3);
    // SAFETY: the caller is a freshly forked process about to exec; no Rust object in it uses
    // the descriptors afterwards.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) }).map(drop)
}

/// Sends one message with descriptors (SCM_RIGHTS).
///
/// # Errors
/// The kernel's.
pub(crate) fn send_with_fd(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let data = [io::IoSlice::new(bytes)];
    sendmsg(socket, &data, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message, with a descriptor if one came along. An empty message means the other
/// side is gone.
///
/// # Errors
/// The kernel's.
pub(crate) fn receive_with_fd(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut data = [io::IoSliceMut::new(buffer)];
    let got = recvmsg(socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            fd = fds.into_iter().next().or(fd);
        }
    }
    Ok((got.bytes, fd))
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
