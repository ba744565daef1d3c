//! Opens that wait for another process: FIFOs above all.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

use super::{
    open::{How, O_CREAT, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_TRUNC, handed, status_bits},
    place::Class,
    start::{Object, Start, identity},
    sys,
    threads::WaitsFor,
    turn::{Outcome, Stop, Turn, kind_of},
};

impl Turn<'_> {
    /// A FIFO without a reader, a device that is not there, or a file under a lease.
    pub(super) fn open_waiting(&mut self, start: &Start, how: How) -> Outcome {
        let object = self.object(start, !how.has(O_NOFOLLOW))?;
        self.wait_for(&object, how)
    }

    pub(super) fn wait_for(&mut self, object: &Object, how: How) -> Outcome {
        match self.class(&object.path) {
            Class::Native => return Err(Stop::Continue),
            Class::Scratch => {}
            Class::Data => {
                let request = self.about(how.action(), &object.path, kind_of(object.stat.st_mode));
                let _permit = self.decide(request)?;
            }
        }
        self.open_fifo(&object.fd, how)
    }

    /// Opens what `fd` holds once more, waiting for the other side. The held descriptor counts as
    /// a reader meanwhile, as a native caller would.
    fn open_fifo(&mut self, fd: &OwnedFd, how: How) -> Outcome {
        if !self.may_block {
            return Err(Stop::Pool);
        }
        self.still_there()?;
        let name = rustix::path::DecInt::from_fd(fd);
        let flags = how.flags & !(O_CREAT | O_EXCL | O_TRUNC | O_NOFOLLOW) | O_NOCTTY;
        let flags = i32::try_from(flags).map_err(|_| Errno::INVAL)?;
        let own = self.shared.own.as_raw_fd();
        let opened =
            self.waiting_for(WaitsFor::Fifo, || sys::openat(own, name.as_c_str(), flags))?;
        Ok(handed(opened, how))
    }

    /// Opens a FIFO to read, as `fifo(7)` says: when a writer is there, or has been since the
    /// caller came. `fd` reads without waiting and shows a writer to have come; a writer that was
    /// quicker than this thread has met the reader that the first attempt left open.
    pub(super) fn read_fifo(&mut self, fd: OwnedFd, stat: &libc::stat, how: How) -> Outcome {
        let same = |held: &&OwnedFd| {
            sys::fstat(held.as_raw_fd()).is_ok_and(|held| identity(&held) == identity(stat))
        };
        let first = self.held.filter(same).and_then(|held| held.try_clone().ok()).unwrap_or(fd);
        loop {
            if writer_came(&first) {
                self.still_there()?;
                sys::set_status_flags(first.as_raw_fd(), status_bits(how.flags))?;
                return Ok(handed(first, how));
            }
            match self.open_fifo(&first, how) {
                Err(Stop::Errno(Errno::INTR)) => {}
                done => return done,
            }
        }
    }
}

/// Whether there is something to read, or a writer has come and gone.
fn writer_came(reader: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut ready = [PollFd::new(reader, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}
