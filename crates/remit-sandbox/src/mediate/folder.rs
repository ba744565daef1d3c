//! Opening by a folder that is known: files are mostly opened several at a time in one folder.
//!
//! The kernel's name of an open file costs as much as opening it. A folder's name is quicker, for
//! the folder that a thread is in (`getcwd(2)`). So a folder in which files were opened is held;
//! the next file there is opened from it by its last component alone, which must be no link. If the
//! folder's name *afterwards* is the path that was asked for, then that path leads through true
//! folders to this one, and the file's name is the folder's and the component. What was renamed or
//! replaced on the way meanwhile shows in the folder's name, and the long way is taken.
//!
//! That does not show two things. A file system may take several spellings for one name: such
//! folders are not held. Something may be mounted over the folder: what the supervisor does itself
//! it tells; what others do is met at the next look, soon after.

use std::{
    cell::RefCell,
    ffi::{CStr, CString},
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use super::{
    place::Class,
    start::Start,
    sys::{self, CWD},
    turn::open_path,
};
use crate::inside;

/// How long a folder is held without another look.
const HELD: Duration = Duration::from_millis(100);
/// File systems that say which of their folders take several spellings (statfs(2)): ext4, btrfs,
/// tmpfs, f2fs.
const TELLING: [i64; 4] = [0xef53, 0x9123_683e, 0x0102_1994, 0xf2f5_2010];
/// `FS_CASEFOLD_FL` (linux/fs.h).
const SEVERAL_SPELLINGS: u32 = 0x4000_0000;

#[derive(Default)]
struct Memory {
    /// Where the last file was opened the long way. The second one there is worth holding it.
    last: Vec<u8>,
    held: Option<Held>,
}

struct Held {
    path: Vec<u8>,
    folder: OwnedFd,
    since: Instant,
    /// [`inside::mounts_changed`] then.
    mounts: u64,
    /// [`sys::directory_changes`] when this thread entered it.
    entered: Option<u64>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// Opens by the held folder, if it is the right one. The file's canonical path is then the one
/// that `start` spells. `None`: the long way tells.
pub(super) fn open(start: &Start, flags: u64) -> Option<OwnedFd> {
    let (parent, name) = split(start)?;
    MEMORY.with_borrow_mut(|memory| {
        let held = memory.held.as_mut().filter(|held| held.path == parent)?;
        let opened = held.open(name, flags);
        if opened.is_err() {
            memory.held = None;
        }
        opened.ok().flatten()
    })
}

/// A file was opened by `start` and turned out to be at `path`.
pub(super) fn learn(start: &Start, path: &[u8]) {
    let Some((parent, _)) = split(start).filter(|_| path == start.lexical) else { return };
    MEMORY.with_borrow_mut(|memory| {
        if memory.last == parent {
            memory.held = hold(parent);
        } else {
            memory.last.clear();
            memory.last.extend_from_slice(parent);
        }
    });
}

/// The folder and the last component of a path that is spelled plainly.
fn split(start: &Start) -> Option<(&[u8], &CStr)> {
    let plain = start.class != Class::Native && !start.parents;
    if !plain || start.path.as_bytes() != start.lexical {
        return None;
    }
    let slash = start.lexical.iter().rposition(|byte| *byte == b'/').filter(|at| *at > 0)?;
    let name = start.path.as_bytes_with_nul().get(slash.checked_add(1)?..)?;
    Some((start.lexical.get(..slash)?, CStr::from_bytes_with_nul(name).ok()?))
}

/// The folder is no longer what it was.
struct Changed;

impl Held {
    fn open(&mut self, name: &CStr, flags: u64) -> Result<Option<OwnedFd>, Changed> {
        let fresh = self.since.elapsed() < HELD && self.mounts == inside::mounts_changed();
        if !fresh {
            return Err(Changed);
        }
        if self.entered != Some(sys::directory_changes()) {
            sys::fchdir(self.folder.as_raw_fd()).map_err(|_| Changed)?;
            self.entered = Some(sys::directory_changes());
        }
        let resolve = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
        let Ok(file) = sys::openat2(CWD, name, flags, 0, resolve) else { return Ok(None) };
        let here = rustix::process::getcwd(Vec::with_capacity(256)).map_err(|_| Changed)?;
        if here.as_bytes() == self.path { Ok(Some(file)) } else { Err(Changed) }
    }
}

fn hold(path: &[u8]) -> Option<Held> {
    // Before the look, so that a change during it is seen.
    let mounts = inside::mounts_changed();
    let name = CString::new(path).ok()?;
    let folder = open_path(&name, libc::O_DIRECTORY | libc::O_NOFOLLOW, 0).ok()?;
    let kind = rustix::fs::fstatfs(&folder).ok()?.f_type;
    if !TELLING.contains(&kind) {
        return None;
    }
    let listed = sys::openat(folder.as_raw_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY).ok()?;
    let flags = rustix::fs::ioctl_getflags(&listed).ok()?;
    if flags.bits() & SEVERAL_SPELLINGS != 0 {
        return None;
    }
    let since = Instant::now();
    Some(Held { path: path.to_vec(), folder, since, mounts, entered: None })
}
