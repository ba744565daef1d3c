//! Which system calls the filter must send to the mediator.

/// `fchmodat2`: the same number everywhere (include/uapi/asm-generic/unistd.h), but libc has no name
/// for it on every architecture.
pub(super) const FCHMODAT2: libc::c_long = 452;

/// Send the call only if the low 32 bits of argument `index`, masked, equal `equals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgTest {
    /// Argument, 0 to 5.
    pub index: u8,
    /// Bits that are looked at.
    pub mask: u32,
    /// Their value for a notification.
    pub equals: u32,
}

/// One rule of the filter: notify for this call, if the test holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyRule {
    /// System call number of the machine's native architecture.
    pub number: libc::c_long,
    /// No test: always.
    pub only_if: Option<ArgTest>,
}

const fn always(number: libc::c_long) -> NotifyRule {
    NotifyRule { number, only_if: None }
}

/// `O_PATH` opens give no access to contents; what is done with them later is mediated.
const fn unless_o_path(number: libc::c_long, index: u8) -> NotifyRule {
    let test = ArgTest { index, mask: libc::O_PATH as u32, equals: 0 };
    NotifyRule { number, only_if: Some(test) }
}

/// The rules, for the native architecture only: the filter must refuse every other.
pub const fn notify_syscalls() -> &'static [NotifyRule] {
    RULES
}

#[cfg(target_arch = "x86_64")]
const RULES: &[NotifyRule] = &[
    unless_o_path(libc::SYS_open, 1),
    unless_o_path(libc::SYS_openat, 2),
    always(libc::SYS_openat2),
    always(libc::SYS_creat),
    always(libc::SYS_mkdir),
    always(libc::SYS_mkdirat),
    always(libc::SYS_mknod),
    always(libc::SYS_mknodat),
    always(libc::SYS_symlink),
    always(libc::SYS_symlinkat),
    always(libc::SYS_link),
    always(libc::SYS_linkat),
    always(libc::SYS_rename),
    always(libc::SYS_renameat),
    always(libc::SYS_renameat2),
    always(libc::SYS_unlink),
    always(libc::SYS_unlinkat),
    always(libc::SYS_rmdir),
    always(libc::SYS_truncate),
    always(libc::SYS_chmod),
    always(libc::SYS_utime),
    always(libc::SYS_utimes),
    always(libc::SYS_futimesat),
    always(libc::SYS_chown),
    always(libc::SYS_lchown),
    always(libc::SYS_fchmod),
    always(libc::SYS_fchmodat),
    always(FCHMODAT2),
    always(libc::SYS_utimensat),
    always(libc::SYS_fchown),
    always(libc::SYS_fchownat),
    always(libc::SYS_setxattr),
    always(libc::SYS_lsetxattr),
    always(libc::SYS_fsetxattr),
    always(libc::SYS_removexattr),
    always(libc::SYS_lremovexattr),
    always(libc::SYS_fremovexattr),
    always(libc::SYS_execve),
    always(libc::SYS_execveat),
    always(libc::SYS_connect),
    always(libc::SYS_bind),
];

#[cfg(target_arch = "aarch64")]
const RULES: &[NotifyRule] = &[
    unless_o_path(libc::SYS_openat, 2),
    always(libc::SYS_openat2),
    always(libc::SYS_mkdirat),
    always(libc::SYS_mknodat),
    always(libc::SYS_symlinkat),
    always(libc::SYS_linkat),
    always(libc::SYS_renameat),
    always(libc::SYS_renameat2),
    always(libc::SYS_unlinkat),
    always(libc::SYS_truncate),
    always(libc::SYS_fchmod),
    always(libc::SYS_fchmodat),
    always(FCHMODAT2),
    always(libc::SYS_utimensat),
    always(libc::SYS_fchown),
    always(libc::SYS_fchownat),
    always(libc::SYS_setxattr),
    always(libc::SYS_lsetxattr),
    always(libc::SYS_fsetxattr),
    always(libc::SYS_removexattr),
    always(libc::SYS_lremovexattr),
    always(libc::SYS_fremovexattr),
    always(libc::SYS_execve),
    always(libc::SYS_execveat),
    always(libc::SYS_connect),
    always(libc::SYS_bind),
];
