//! System call numbers to what performs them. Every path argument that has no `dirfd` starts at
//! the task's directory.

use rustix::io::Errno;

use super::{
    attr::TimeUnit,
    open::How,
    sys::CWD,
    table::FCHMODAT2,
    turn::{Outcome, Stop, Turn},
};

#[cfg(target_arch = "x86_64")]
const CREATE: u64 = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;

impl Turn<'_> {
    /// Performs the call.
    pub(super) fn run(&mut self) -> Outcome {
        let outcome = self.perform_call();
        match outcome {
            // Landlock guards what the kernel opens by itself; with a list of programs it must
            // not open any file.
            Err(Stop::Opaque) if self.opens() && !self.shared.view.list_mode => Err(Stop::Continue),
            outcome => outcome,
        }
    }

    fn opens(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if matches!(self.call.number, libc::SYS_open | libc::SYS_creat) {
            return true;
        }
        matches!(self.call.number, libc::SYS_openat | libc::SYS_openat2)
    }

    fn perform_call(&mut self) -> Outcome {
        let (a, b, c, d) = (self.arg(0), self.arg(1), self.arg(2), self.arg(3));
        #[cfg(target_arch = "x86_64")]
        match self.call.number {
            libc::SYS_open => return self.open(CWD, a, How::plain(u64::from(b as u32), c)),
            libc::SYS_creat => return self.open(CWD, a, How::plain(CREATE, b)),
            libc::SYS_mkdir => return self.make_dir(CWD, a, b),
            libc::SYS_mknod => return self.make_node(CWD, a, b),
            libc::SYS_symlink => return self.make_link(a, CWD, b),
            libc::SYS_link => return self.link((CWD, a), (CWD, b), 0),
            libc::SYS_rename => return self.rename((CWD, a), (CWD, b), 0),
            libc::SYS_unlink => return self.remove(CWD, a, 0),
            libc::SYS_rmdir => return self.remove(CWD, a, libc::AT_REMOVEDIR),
            libc::SYS_chmod => return self.chmod(CWD, a, b, 0),
            libc::SYS_utime => {
                let times = self.times(b, TimeUnit::Seconds)?;
                return self.set_times((CWD, a), times, 0);
            }
            libc::SYS_utimes => {
                let times = self.times(b, TimeUnit::Microseconds)?;
                return self.set_times((CWD, a), times, 0);
            }
            libc::SYS_futimesat => {
                let times = self.times(c, TimeUnit::Microseconds)?;
                return self.set_times((self.int(0), b), times, 0);
            }
            libc::SYS_chown => return self.set_owner((CWD, a), (b, c), 0),
            libc::SYS_lchown => {
                return self.set_owner((CWD, a), (b, c), libc::AT_SYMLINK_NOFOLLOW);
            }
            _ => {}
        }
        let dir = self.int(0);
        match self.call.number {
            libc::SYS_openat => self.open(dir, b, How::plain(u64::from(c as u32), d)),
            libc::SYS_openat2 => self.open2(dir, b, c, d),
            libc::SYS_mkdirat => self.make_dir(dir, b, c),
            libc::SYS_mknodat => self.make_node(dir, b, c),
            libc::SYS_symlinkat => self.make_link(a, self.int(1), c),
            libc::SYS_linkat => self.link((dir, b), (self.int(2), d), self.int(4)),
            libc::SYS_renameat => self.rename((dir, b), (self.int(2), d), 0),
            libc::SYS_renameat2 => self.rename((dir, b), (self.int(2), d), self.arg(4) as u32),
            libc::SYS_unlinkat => self.remove(dir, b, self.int(2)),
            libc::SYS_truncate => self.truncate(a, b),
            libc::SYS_fchmod => self.fchmod(dir, b),
            libc::SYS_fchmodat => self.chmod(dir, b, c, 0),
            libc::SYS_utimensat => {
                let times = self.times(c, TimeUnit::Nanoseconds)?;
                self.set_times((dir, b), times, self.int(3))
            }
            libc::SYS_fchown => self.set_owner_of_file(dir, b, c),
            libc::SYS_fchownat => self.set_owner((dir, b), (c, d), self.int(4)),
            FCHMODAT2 => self.chmod(dir, b, c, self.int(3)),
            libc::SYS_setxattr => self.set_attr(true),
            libc::SYS_lsetxattr => self.set_attr(false),
            libc::SYS_fsetxattr => self.set_attr_of_file(),
            libc::SYS_removexattr => self.remove_attr(true),
            libc::SYS_lremovexattr => self.remove_attr(false),
            libc::SYS_fremovexattr => self.remove_attr_of_file(),
            libc::SYS_execve => self.exec(CWD, a, 0),
            libc::SYS_execveat => self.exec(dir, b, self.int(4)),
            libc::SYS_connect => self.connect(dir, b, self.int(2)),
            libc::SYS_bind => self.bind(dir, b, self.int(2)),
            // The filter and this table have one source; a call that only one knows is refused.
            _ => Err(Errno::NOSYS.into()),
        }
    }
}
