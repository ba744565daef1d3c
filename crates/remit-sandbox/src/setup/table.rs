//! System-call numbers by name. Calls that an architecture lacks do not exist there.

/// A system call of this architecture, or one that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sysno(Option<u32>);

impl Sysno {
    /// A call by number, from the libc crate's tables.
    pub const fn new(number: libc::c_long) -> Self {
        Self(Some(number as u32))
    }

    /// Whether this architecture has the call.
    pub const fn exists(self) -> bool {
        self.0.is_some()
    }

    /// The number; `u32::MAX`, which no call has, where the call does not exist.
    pub const fn number(self) -> u32 {
        match self.0 {
            Some(number) => number,
            None => u32::MAX,
        }
    }
}

/// `AUDIT_ARCH_*` of this build (linux/audit.h).
#[cfg(target_arch = "x86_64")]
pub const AUDIT_ARCH: u32 = 0xc000_003e;
/// `AUDIT_ARCH_*` of this build (linux/audit.h).
#[cfg(target_arch = "aarch64")]
pub const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Calls that only x86-64 has and no session may make.
#[cfg(target_arch = "x86_64")]
pub fn legacy_denied() -> &'static [Sysno] {
    const LEGACY: &[Sysno] = &[
        Sysno::new(libc::SYS_iopl),
        Sysno::new(libc::SYS_ioperm),
        Sysno::new(libc::SYS_uselib),
        Sysno::new(libc::SYS_nfsservctl),
        Sysno::new(libc::SYS__sysctl),
        Sysno::new(libc::SYS_lookup_dcookie),
    ];
    LEGACY
}

/// Calls that only x86-64 has and no session may make.
#[cfg(not(target_arch = "x86_64"))]
pub fn legacy_denied() -> &'static [Sysno] {
    &[]
}

/// `modify_ldt`, x86 only.
#[cfg(target_arch = "x86_64")]
pub const MODIFY_LDT: Sysno = Sysno::new(libc::SYS_modify_ldt);
/// `modify_ldt`, x86 only.
#[cfg(not(target_arch = "x86_64"))]
pub const MODIFY_LDT: Sysno = Sysno(None);

/// `open_tree_attr` (Linux 6.15), younger than the libc crate's tables.
pub const OPEN_TREE_ATTR: Sysno = Sysno::new(467);

/// `setxattrat` (Linux 6.13).
pub const SETXATTRAT: Sysno = Sysno::new(463);
/// `removexattrat` (Linux 6.13).
pub const REMOVEXATTRAT: Sysno = Sysno::new(466);
/// `file_setattr` (Linux 6.17).
pub const FILE_SETATTR: Sysno = Sysno::new(469);

macro_rules! calls {
    ($($name:ident = $sys:ident,)*) => {
        $(
            #[doc = concat!("`", stringify!($sys), "`")]
            pub const $name: Sysno = Sysno::new(libc::$sys);
        )*
    };
}

calls! {
    IO_URING_SETUP = SYS_io_uring_setup,
    IO_URING_ENTER = SYS_io_uring_enter,
    IO_URING_REGISTER = SYS_io_uring_register,
    PTRACE = SYS_ptrace,
    PROCESS_VM_READV = SYS_process_vm_readv,
    PROCESS_VM_WRITEV = SYS_process_vm_writev,
    PROCESS_MADVISE = SYS_process_madvise,
    KCMP = SYS_kcmp,
    PIDFD_GETFD = SYS_pidfd_getfd,
    BPF = SYS_bpf,
    PERF_EVENT_OPEN = SYS_perf_event_open,
    USERFAULTFD = SYS_userfaultfd,
    KEYCTL = SYS_keyctl,
    ADD_KEY = SYS_add_key,
    REQUEST_KEY = SYS_request_key,
    FANOTIFY_INIT = SYS_fanotify_init,
    ACCT = SYS_acct,
    QUOTACTL = SYS_quotactl,
    QUOTACTL_FD = SYS_quotactl_fd,
    SYSLOG = SYS_syslog,
    SWAPON = SYS_swapon,
    SWAPOFF = SYS_swapoff,
    REBOOT = SYS_reboot,
    KEXEC_LOAD = SYS_kexec_load,
    KEXEC_FILE_LOAD = SYS_kexec_file_load,
    INIT_MODULE = SYS_init_module,
    FINIT_MODULE = SYS_finit_module,
    DELETE_MODULE = SYS_delete_module,
    SETTIMEOFDAY = SYS_settimeofday,
    CLOCK_SETTIME = SYS_clock_settime,
    VHANGUP = SYS_vhangup,
    MOUNT = SYS_mount,
    UMOUNT2 = SYS_umount2,
    PIVOT_ROOT = SYS_pivot_root,
    CHROOT = SYS_chroot,
    OPEN_TREE = SYS_open_tree,
    MOVE_MOUNT = SYS_move_mount,
    FSOPEN = SYS_fsopen,
    FSCONFIG = SYS_fsconfig,
    FSMOUNT = SYS_fsmount,
    FSPICK = SYS_fspick,
    MOUNT_SETATTR = SYS_mount_setattr,
    SETNS = SYS_setns,
    UNSHARE = SYS_unshare,
    CLONE = SYS_clone,
    OPEN_BY_HANDLE_AT = SYS_open_by_handle_at,
    MEMFD_CREATE = SYS_memfd_create,
    MEMFD_SECRET = SYS_memfd_secret,
    FCNTL = SYS_fcntl,
    IOCTL = SYS_ioctl,
    SOCKET = SYS_socket,
    SOCKETPAIR = SYS_socketpair,
    PERSONALITY = SYS_personality,
    SCHED_SETAFFINITY = SYS_sched_setaffinity,
    SHMGET = SYS_shmget,
}
