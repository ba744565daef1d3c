//! The system-call filter as data, and a small compiler from that data to classic BPF.
//!
//! Reviewed data: every row of [`DENIED`] says what it closes. Comparisons use the low 32 bits
//! where the kernel itself reads 32 (CVE-2019-10063: a high bit set in an ioctl number must not
//! get past the filter).

use crate::{
    plan::ResourceLimits,
    setup::table::{self, Sysno},
};

/// What happens to a matching call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call fails with this errno.
    Fail(i32),
    /// The supervisor performs or judges the call.
    Notify,
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `(low 32 bits & mask) == value`
    Masked {
        /// Argument index, 0 to 5.
        arg: u8,
        /// Bits looked at.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// `(low 32 bits & mask) != 0`
    AnyOf {
        /// Argument index, 0 to 5.
        arg: u8,
        /// Bits looked at.
        mask: u32,
    },
    /// `low 32 bits != value`
    Not {
        /// Argument index, 0 to 5.
        arg: u8,
        /// What it must not be.
        value: u32,
    },
}

/// One row: if the call has this number and all checks hold, the verdict applies.
#[derive(Clone, Debug)]
pub struct Row {
    /// The system call.
    pub call: Sysno,
    /// All must hold; none means always.
    pub checks: Vec<Check>,
    /// What then.
    pub verdict: Verdict,
}

fn deny(call: Sysno, errno: i32) -> Row {
    Row { call, checks: Vec::new(), verdict: Verdict::Fail(errno) }
}

fn deny_if(call: Sysno, checks: &[Check], errno: i32) -> Row {
    Row { call, checks: checks.to_vec(), verdict: Verdict::Fail(errno) }
}

const EPERM: i32 = libc::EPERM;
const ENOSYS: i32 = libc::ENOSYS;

/// `CLONE_NEW*`: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NAMESPACES: u32 = 0x7e02_0000;
/// `CLONE_NEWTIME`, which only `unshare` reads (in `clone` the bit is part of the exit signal).
const NEW_TIME: u32 = 0x80;
const SOCKET_TYPE: u32 = 0xf;
/// What changes a file through a descriptor that was opened for reading (linux/fs.h,
/// linux/fsverity.h, linux/fscrypt.h).
const FILE_IOCTLS: [u32; 5] = [
    0x4008_6602, // FS_IOC_SETFLAGS
    0x401c_5820, // FS_IOC_FSSETXATTR
    0x4008_7602, // FS_IOC_SETVERSION
    0x4080_6685, // FS_IOC_ENABLE_VERITY
    0x800c_6613, // FS_IOC_SET_ENCRYPTION_POLICY
];
/// Btrfs' own: they make and move names by themselves (`BTRFS_IOC_SUBVOL_CREATE`,
/// `BTRFS_IOC_SNAP_CREATE`), past mediation and Landlock. Its number also serves the calls of
/// every file system that copy between two open files.
const BTRFS: u32 = 0x9400;
const IOCTL_TYPE: u32 = 0xff00;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const F_SETLEASE: u32 = 1024;

/// Calls that no session may make.
pub fn denied() -> Vec<Row> {
    use Check::{AnyOf, Masked, Not};
    let mut rows = vec![
        // Asynchronous system calls would pass every other row by.
        deny(table::IO_URING_SETUP, ENOSYS),
        deny(table::IO_URING_ENTER, ENOSYS),
        deny(table::IO_URING_REGISTER, ENOSYS),
        // Other processes' memory, descriptors and control.
        deny(table::PTRACE, EPERM),
        deny(table::PROCESS_VM_READV, EPERM),
        deny(table::PROCESS_VM_WRITEV, EPERM),
        deny(table::PROCESS_MADVISE, EPERM),
        deny(table::KCMP, EPERM),
        deny(table::PIDFD_GETFD, EPERM),
        // Kernel attack surface that agents have no use for.
        deny(table::BPF, EPERM),
        deny(table::PERF_EVENT_OPEN, EPERM),
        deny(table::USERFAULTFD, EPERM),
        deny(table::KEYCTL, EPERM),
        deny(table::ADD_KEY, EPERM),
        deny(table::REQUEST_KEY, EPERM),
        deny(table::FANOTIFY_INIT, EPERM),
        deny(table::ACCT, EPERM),
        deny(table::QUOTACTL, EPERM),
        deny(table::QUOTACTL_FD, EPERM),
        deny(table::SYSLOG, EPERM),
        deny(table::SWAPON, EPERM),
        deny(table::SWAPOFF, EPERM),
        deny(table::REBOOT, EPERM),
        deny(table::KEXEC_LOAD, EPERM),
        deny(table::KEXEC_FILE_LOAD, EPERM),
        deny(table::INIT_MODULE, EPERM),
        deny(table::FINIT_MODULE, EPERM),
        deny(table::DELETE_MODULE, EPERM),
        deny(table::SETTIMEOFDAY, EPERM),
        deny(table::CLOCK_SETTIME, EPERM),
        deny(table::MODIFY_LDT, EPERM),
        deny(table::VHANGUP, EPERM),
        // The mount tree and namespaces are the boundary.
        deny(table::MOUNT, EPERM),
        deny(table::UMOUNT2, EPERM),
        deny(table::PIVOT_ROOT, EPERM),
        deny(table::CHROOT, EPERM),
        deny(table::OPEN_TREE, EPERM),
        deny(table::OPEN_TREE_ATTR, EPERM),
        deny(table::MOVE_MOUNT, EPERM),
        deny(table::FSOPEN, EPERM),
        deny(table::FSCONFIG, EPERM),
        deny(table::FSMOUNT, EPERM),
        deny(table::FSPICK, EPERM),
        deny(table::MOUNT_SETATTR, EPERM),
        deny(table::SETNS, EPERM),
        deny_if(table::UNSHARE, &[AnyOf { arg: 0, mask: NAMESPACES | NEW_TIME }], EPERM),
        deny_if(table::CLONE, &[AnyOf { arg: 0, mask: NAMESPACES }], EPERM),
        // Handles and anonymous executables step round paths.
        deny(table::OPEN_BY_HANDLE_AT, EPERM),
        deny(table::MEMFD_CREATE, ENOSYS),
        deny(table::MEMFD_SECRET, ENOSYS),
        // Attributes of files, past the calls that are mediated. Programs fall back to those.
        deny(table::SETXATTRAT, ENOSYS),
        deny(table::REMOVEXATTRAT, ENOSYS),
        deny(table::FILE_SETATTR, ENOSYS),
        deny_if(
            table::IOCTL,
            &[
                Masked { arg: 1, mask: IOCTL_TYPE, value: BTRFS },
                Not { arg: 1, value: FICLONE },
                Not { arg: 1, value: FICLONERANGE },
                Not { arg: 1, value: FIDEDUPERANGE },
            ],
            libc::ENOTTY,
        ),
        // A lease makes whoever opens or cuts the file wait for the session.
        deny_if(
            table::FCNTL,
            &[Masked { arg: 1, mask: u32::MAX, value: F_SETLEASE }],
            libc::EINVAL,
        ),
        // Terminal input injection (CVE-2017-5226) and the console's own.
        deny_if(table::IOCTL, &[Masked { arg: 1, mask: u32::MAX, value: 0x5412 }], EPERM),
        deny_if(table::IOCTL, &[Masked { arg: 1, mask: u32::MAX, value: 0x541c }], EPERM),
        // Socket families: local, IP and routing information only. A local datagram socket could
        // be sent to any path with an address that no filter can read.
        deny_if(
            table::SOCKET,
            &[
                Not { arg: 0, value: libc::AF_UNIX as u32 },
                Not { arg: 0, value: libc::AF_INET as u32 },
                Not { arg: 0, value: libc::AF_INET6 as u32 },
                Not { arg: 0, value: libc::AF_NETLINK as u32 },
            ],
            libc::EAFNOSUPPORT,
        ),
        deny_if(
            table::SOCKET,
            &[
                Masked { arg: 0, mask: u32::MAX, value: libc::AF_NETLINK as u32 },
                Not { arg: 2, value: libc::NETLINK_ROUTE as u32 },
            ],
            libc::EPROTONOSUPPORT,
        ),
        deny_if(
            table::SOCKET,
            &[
                Masked { arg: 0, mask: u32::MAX, value: libc::AF_UNIX as u32 },
                Masked { arg: 1, mask: SOCKET_TYPE, value: libc::SOCK_DGRAM as u32 },
            ],
            libc::EPROTONOSUPPORT,
        ),
        // The kernel makes a datagram socket of a raw local one (unix_create).
        deny_if(
            table::SOCKET,
            &[
                Masked { arg: 0, mask: u32::MAX, value: libc::AF_UNIX as u32 },
                Masked { arg: 1, mask: SOCKET_TYPE, value: libc::SOCK_RAW as u32 },
            ],
            libc::ESOCKTNOSUPPORT,
        ),
        deny_if(
            table::SOCKETPAIR,
            &[Masked { arg: 1, mask: SOCKET_TYPE, value: libc::SOCK_DGRAM as u32 }],
            libc::EPROTONOSUPPORT,
        ),
        deny_if(
            table::SOCKETPAIR,
            &[Masked { arg: 1, mask: SOCKET_TYPE, value: libc::SOCK_RAW as u32 }],
            libc::ESOCKTNOSUPPORT,
        ),
        deny_if(
            table::SOCKETPAIR,
            &[Not { arg: 0, value: libc::AF_UNIX as u32 }],
            libc::EAFNOSUPPORT,
        ),
    ];
    // The execution domain: only queries, the default, and "no address randomisation".
    rows.push(deny_if(
        table::PERSONALITY,
        &[
            Not { arg: 0, value: 0 },
            Not { arg: 0, value: u32::MAX },
            Not { arg: 0, value: libc::ADDR_NO_RANDOMIZE as u32 },
        ],
        EPERM,
    ));
    let file_ioctl = |number: &u32| {
        let named = Masked { arg: 1, mask: u32::MAX, value: *number };
        deny_if(table::IOCTL, &[named], libc::EOPNOTSUPP)
    };
    rows.extend(FILE_IOCTLS.iter().map(file_ioctl));
    rows.extend(table::legacy_denied().iter().map(|call| deny(*call, EPERM)));
    rows
}

/// What only sessions with these ceilings may not do.
pub fn for_limits(limits: &ResourceLimits) -> Vec<Row> {
    let mut rows = Vec::new();
    if limits.processors.is_some() {
        // A process could widen again what it may use.
        rows.push(deny(table::SCHED_SETAFFINITY, EPERM));
    }
    if limits.memory.is_some() {
        // Segments that nobody has attached are in no process's count.
        rows.push(deny(table::SHMGET, libc::ENOSPC));
    }
    rows
}

/// Compiles rows to one classic BPF program. Calls of another architecture (a 32-bit `int 0x80`,
/// the x32 ABI) fail with ENOSYS; calls without a matching row are allowed.
pub fn compile(rows: &[Row]) -> Vec<libc::sock_filter> {
    let mut out = vec![
        stmt(LD_ABS, OFFSET_ARCH),
        jump(JEQ, table::AUDIT_ARCH, 1, 0),
        stmt(RET, RET_ERRNO | ENOSYS as u32),
        stmt(LD_ABS, OFFSET_NR),
    ];
    if cfg!(target_arch = "x86_64") {
        out.push(jump(JSET, X32_BIT, 0, 1));
        out.push(stmt(RET, RET_ERRNO | ENOSYS as u32));
    }
    for row in rows.iter().filter(|row| row.call.exists()) {
        let body = body(row);
        // A body is at most a few dozen instructions, well below the 255 a jump can span.
        let span = u8::try_from(body.len()).unwrap_or(u8::MAX);
        out.push(jump(JEQ, row.call.number(), 0, span));
        out.extend(body);
    }
    out.push(stmt(RET, RET_ALLOW));
    out
}

fn body(row: &Row) -> Vec<libc::sock_filter> {
    let value = match row.verdict {
        Verdict::Fail(errno) => RET_ERRNO | (errno as u32 & 0xffff),
        Verdict::Notify => RET_USER_NOTIF,
    };
    if row.checks.is_empty() {
        return vec![stmt(RET, value)];
    }
    // Each check that fails jumps to the reload of the call number at the end.
    let mut checks: Vec<Vec<libc::sock_filter>> = row.checks.iter().map(|c| check(*c)).collect();
    let total: usize = checks.iter().map(Vec::len).sum();
    let mut seen = 0usize;
    for part in &mut checks {
        seen += part.len();
        let rest = u8::try_from(total.saturating_sub(seen).saturating_add(1)).unwrap_or(u8::MAX);
        if let Some(last) = part.last_mut() {
            // `check` leaves 1 where "failed" must go.
            if last.jt == FAILED {
                last.jt = rest;
            }
            if last.jf == FAILED {
                last.jf = rest;
            }
        }
    }
    let mut out: Vec<_> = checks.into_iter().flatten().collect();
    out.push(stmt(RET, value));
    out.push(stmt(LD_ABS, OFFSET_NR));
    out
}

fn check(check: Check) -> Vec<libc::sock_filter> {
    let load = |arg: u8| stmt(LD_ABS, OFFSET_ARGS + u32::from(arg) * 8);
    match check {
        Check::Masked { arg, mask, value } => {
            let mut out = vec![load(arg)];
            if mask != u32::MAX {
                out.push(stmt(AND, mask));
            }
            out.push(jump(JEQ, value, 0, FAILED));
            out
        }
        Check::AnyOf { arg, mask } => vec![load(arg), jump(JSET, mask, 0, FAILED)],
        Check::Not { arg, value } => vec![load(arg), jump(JEQ, value, FAILED, 0)],
    }
}

const FAILED: u8 = u8::MAX;
const LD_ABS: u16 = 0x20;
const AND: u16 = 0x54;
const JEQ: u16 = 0x15;
const JSET: u16 = 0x45;
const RET: u16 = 0x06;
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGS: u32 = 16;
const X32_BIT: u32 = 0x4000_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

const fn stmt(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A classic BPF interpreter for the handful of instructions that `compile` emits.
    fn run(program: &[libc::sock_filter], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            OFFSET_NR => nr,
            OFFSET_ARCH => arch,
            other => args[((other - OFFSET_ARGS) / 8) as usize] as u32,
        };
        let (mut a, mut pc) = (0u32, 0usize);
        loop {
            let i = program[pc];
            pc += 1;
            match i.code {
                LD_ABS => a = word(i.k),
                AND => a &= i.k,
                JEQ => pc += usize::from(if a == i.k { i.jt } else { i.jf }),
                JSET => pc += usize::from(if a & i.k != 0 { i.jt } else { i.jf }),
                RET => return i.k,
                other => panic!("unexpected instruction {other:#x}"),
            }
        }
    }

    fn verdict(nr: Sysno, args: [u64; 6]) -> u32 {
        run(&compile(&denied()), table::AUDIT_ARCH, nr.number(), args)
    }

    #[test]
    fn terminal_injection_is_closed_also_with_high_bits() {
        for request in [0x5412u64, 0x541c, 0xffff_ffff_0000_5412, 0x1_0000_541c] {
            let got = verdict(table::IOCTL, [0, request, 0, 0, 0, 0]);
            assert_eq!(got, RET_ERRNO | EPERM as u32, "{request:#x}");
        }
        assert_eq!(verdict(table::IOCTL, [0, 0x5401, 0, 0, 0, 0]), RET_ALLOW);
    }

    #[test]
    fn names_made_by_file_system_calls_of_their_own_are_closed() {
        let ioctl = |number: u64| verdict(table::IOCTL, [3, number, 0, 0, 0, 0]);
        // BTRFS_IOC_SNAP_CREATE, _SUBVOL_CREATE, _SNAP_CREATE_V2, _SNAP_DESTROY.
        for number in [0x5000_9401u64, 0x5000_940e, 0x5000_9417, 0x1_5000_940f] {
            assert_eq!(ioctl(number), RET_ERRNO | libc::ENOTTY as u32, "{number:#x}");
        }
        for number in FILE_IOCTLS {
            assert_eq!(ioctl(number.into()), RET_ERRNO | libc::EOPNOTSUPP as u32, "{number:#x}");
        }
        for number in [FICLONE, FICLONERANGE, FIDEDUPERANGE, 0x5401] {
            assert_eq!(ioctl(number.into()), RET_ALLOW, "{number:#x}");
        }
    }

    #[test]
    fn namespaces_by_unshare_and_clone_are_closed() {
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            assert_ne!(verdict(table::UNSHARE, [1 << bit, 0, 0, 0, 0, 0]), RET_ALLOW);
            assert_ne!(verdict(table::CLONE, [1 << bit, 0, 0, 0, 0, 0]), RET_ALLOW);
        }
        assert_ne!(verdict(table::UNSHARE, [0x80, 0, 0, 0, 0, 0]), RET_ALLOW);
        assert_eq!(verdict(table::CLONE, [0x11, 0, 0, 0, 0, 0]), RET_ALLOW);
    }

    #[test]
    fn socket_families_outside_the_list_are_closed() {
        let socket = |domain: i32, kind: i32, protocol: i32| {
            verdict(table::SOCKET, [domain as u64, kind as u64, protocol as u64, 0, 0, 0])
        };
        let cloexec = libc::SOCK_CLOEXEC;
        assert_eq!(socket(libc::AF_INET, libc::SOCK_STREAM | cloexec, 0), RET_ALLOW);
        assert_eq!(socket(libc::AF_INET6, libc::SOCK_DGRAM, 0), RET_ALLOW);
        assert_eq!(socket(libc::AF_UNIX, libc::SOCK_STREAM | cloexec, 0), RET_ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE), RET_ALLOW);
        assert_ne!(socket(libc::AF_UNIX, libc::SOCK_DGRAM | cloexec, 0), RET_ALLOW);
        assert_ne!(socket(libc::AF_UNIX, libc::SOCK_RAW | cloexec, 0), RET_ALLOW);
        let pair =
            |kind: i32| verdict(table::SOCKETPAIR, [libc::AF_UNIX as u64, kind as u64, 0, 0, 0, 0]);
        assert_eq!(pair(libc::SOCK_STREAM | cloexec), RET_ALLOW);
        assert_ne!(pair(libc::SOCK_DGRAM | cloexec), RET_ALLOW);
        assert_ne!(pair(libc::SOCK_RAW), RET_ALLOW);
        assert_ne!(socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT), RET_ALLOW);
        assert_ne!(socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0), RET_ALLOW);
        assert_ne!(socket(libc::AF_PACKET, libc::SOCK_RAW, 0), RET_ALLOW);
        assert_ne!(socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), RET_ALLOW);
    }

    #[test]
    fn other_architectures_fail() {
        let program = compile(&denied());
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), RET_ERRNO | ENOSYS as u32);
        if cfg!(target_arch = "x86_64") {
            let x32 = run(&program, table::AUDIT_ARCH, X32_BIT | 1, [0; 6]);
            assert_eq!(x32, RET_ERRNO | ENOSYS as u32);
        }
    }

    #[test]
    fn no_row_is_redundant() {
        let rows = denied();
        for (index, row) in rows.iter().enumerate() {
            let shadowed = rows[..index]
                .iter()
                .any(|earlier| earlier.call == row.call && earlier.checks.is_empty());
            assert!(!shadowed, "row {index} can never match");
        }
    }
}
