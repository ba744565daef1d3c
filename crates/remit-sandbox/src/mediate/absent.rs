//! Attempts on what is not there: the agent sees `ENOENT`; the trail shows what it tried, if the
//! path exists on the host. Each path or address once, so that polling does not fill the log.

use std::{
    collections::HashSet,
    ffi::{CStr, CString},
    hash::{DefaultHasher, Hash, Hasher},
    os::fd::{AsRawFd, RawFd},
};

use remit_core::{AccessRequest, Action, Effect, FileKind};
use rustix::io::Errno;

use super::{
    place::Class,
    start::Start,
    sys,
    turn::{Shared, Turn, open_path},
};

/// Hashes of what has been recorded.
pub(super) type Seen = HashSet<u64>;

/// Then it starts over: a record too many is better than memory without end.
const MAX_SEEN: usize = 4096;

impl Shared {
    /// Whether this is the first time.
    pub(super) fn first(&self, what: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(hasher.finish())
    }
}

impl Turn<'_> {
    /// Records the attempt on a granted-nowhere path that exists on the host, also where scratch
    /// stands in its place: a key in the person's home is what an attacker looks for first.
    pub(super) fn absent(&self, start: &Start, action: Action) {
        if self.class(&start.lexical) != Class::Native {
            self.record_absent(&start.lexical, self.about(action, &start.lexical, FileKind::File));
        }
    }

    /// The same for `/etc`, of which a session has a selection that the kernel serves.
    pub(super) fn absent_setting(&self, start: &Start, action: Action) {
        let missing = || matches!(open_path(&start.path, 0, 0), Err(Errno::NOENT));
        if start.lexical.starts_with(b"/etc/") && missing() {
            self.record_absent(&start.lexical, self.about(action, &start.lexical, FileKind::File));
        }
    }

    /// Records the attempt on a program that the manifest does not permit and that is therefore
    /// missing.
    pub(super) fn absent_program(&self, start: &Start, request: AccessRequest) {
        self.record_absent(&start.lexical, request);
    }

    fn record_absent(&self, path: &[u8], request: AccessRequest) {
        let Some(host) = &self.shared.view.host_root else { return };
        if self.shared.guard.peek(&request).effect != Effect::Deny {
            return;
        }
        let Ok(relative) = CString::new(path.get(1..).unwrap_or_default()) else { return };
        if exists(host.as_raw_fd(), &relative) && self.shared.first((request.action, path)) {
            // The denial is the record; the answer stays the natural one.
            let _ = self.shared.guard.check(request);
        }
    }
}

/// Whether the host has something there. A path that the agent made up must not make the host ask
/// a server for it, so the walk leaves the root's own file system only for what the kernel knows
/// by heart: an automounter would look the name up, a network file system send it. In doubt the
/// attempt is recorded.
fn exists(host: RawFd, relative: &CStr) -> bool {
    let flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    let walk = |more: u64| {
        let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS | more;
        sys::openat2(host, relative, flags, 0, resolve)
    };
    match walk(libc::RESOLVE_CACHED) {
        Err(Errno::AGAIN) => matches!(walk(libc::RESOLVE_NO_XDEV), Ok(_) | Err(Errno::XDEV)),
        known => known.is_ok(),
    }
}
