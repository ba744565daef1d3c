//! Places that have ended: which mounts they are made of, and whether a file lies in one.

use std::{
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use remit_core::FileMode;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{Kept, Rights, proc::Proc};

/// Major and minor number of a file system.
pub(super) type Device = (u32, u32);

/// One line of the session's `mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) device: Device,
    pub(super) point: PathBuf,
}

/// The session's tree as it is now.
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) fn read(proc: &Proc, init: i32) -> io::Result<Self> {
        proc.read(&format!("{init}/mountinfo")).map(|text| Self::parse(&text))
    }

    fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    pub(super) fn attached(&self, id: u64) -> bool {
        self.0.iter().any(|mount| mount.id == id)
    }

    /// The mount that a path without mounts below it belongs to.
    fn around(&self, path: &Path) -> Option<&Mount> {
        let covering = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of mounts on one point the last one is on top; `max_by_key` keeps the last.
        covering.max_by_key(|mount| mount.point.components().count())
    }
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let (major, minor) = text(fields.nth(1)?)?.split_once(':')?;
    let point = unescape(fields.nth(1)?);
    Some(Mount {
        id,
        device: (major.parse().ok()?, minor.parse().ok()?),
        point: OsStr::from_bytes(&point).into(),
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Undoes the kernel's `\040` for bytes that would break a line.
pub(super) fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| after.get(..3).and_then(text))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// A mount of an ended place.
struct Part {
    mount: Mount,
    /// Keeps the mount's number from being given to another mount after the unmount.
    _pin: OwnedFd,
}

/// Path, what has ended there, and what goes on inside.
pub(super) type Ended = (PathBuf, Rights, Vec<Kept>);

/// A place that has ended.
pub(super) struct Place {
    path: PathBuf,
    rights: Rights,
    kept: Vec<Kept>,
    parts: Vec<Part>,
    /// The wider mount, where the place has none of its own.
    within: Option<u64>,
    ended: Instant,
}

/// How long a descriptor may lie in a socket's queue after its end. Programs that pass descriptors
/// to each other take them up at once.
const GRACE: Duration = Duration::from_secs(1);

impl Place {
    pub(super) fn new(proc: &Proc, root: &OwnedFd, mounts: &Mounts, ended: Ended) -> Self {
        let (path, rights, kept) = ended;
        let own = |mount: &&Mount| mount.point.starts_with(&path);
        let parts: Vec<Part> =
            mounts.0.iter().filter(own).filter_map(|mount| pin(proc, root, mount)).collect();
        let within = mounts
            .around(&path)
            .map(|mount| mount.id)
            .filter(|id| !parts.iter().any(|part| part.mount.id == *id));
        Self { path, rights, kept, parts, within, ended: Instant::now() }
    }

    /// Whether it says the same as another, so that it need not be kept beside it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let ids =
            |place: &Self| -> Vec<u64> { place.parts.iter().map(|part| part.mount.id).collect() };
        self.path == other.path
            && self.rights == other.rights
            && self.kept == other.kept
            && self.within == other.within
            && ids(self) == ids(other)
    }

    /// Whether it ended so long ago that nothing of it may lie in a queue.
    pub(super) fn is_past(&self) -> bool {
        self.ended.elapsed() > GRACE
    }

    /// Makes room for a new right; false when nothing of the place remains ended.
    pub(super) fn allow(&mut self, new: &Kept) -> bool {
        if self.path.starts_with(&new.path) {
            self.rights = Rights::Write;
            self.kept.retain(|kept| kept.mode == FileMode::Write);
            return new.mode == FileMode::Read;
        }
        if new.path.starts_with(&self.path) {
            self.kept.retain(|kept| kept.path != new.path);
            self.kept.push(new.clone());
        }
        true
    }

    /// Whether what was opened through `mount` lies here. `path` reads its present path as the
    /// kernel tells it: within the session, or within its mount when that is unmounted.
    pub(super) fn holds(
        &self,
        mounts: &Mounts,
        mount: u64,
        writes: bool,
        path: &dyn Fn() -> io::Result<Vec<u8>>,
    ) -> bool {
        if self.rights == Rights::Write && !writes {
            return false;
        }
        let part = self.parts.iter().find(|part| part.mount.id == mount);
        let point = match part {
            Some(_) if self.kept.is_empty() => return true,
            Some(_) if mounts.attached(mount) => Path::new("/"),
            Some(part) => &part.mount.point,
            None if self.within == Some(mount) => Path::new("/"),
            None => return false,
        };
        match path() {
            Ok(path) => self.covers(&below(point, &path), writes),
            // The name is too long to be told: not known to be elsewhere.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Whether a mapping with this path lies here, where paths can be believed.
    pub(super) fn maps(&self, path: &[u8], writes: bool) -> bool {
        if self.rights == Rights::Write && !writes {
            return false;
        }
        let raw = Path::new(OsStr::from_bytes(path));
        self.covers(raw, writes) || self.covers(&below(Path::new("/"), &unescape(path)), writes)
    }

    /// Whether the place's mounts are still where paths lead.
    pub(super) fn is_attached(&self, mounts: &Mounts) -> bool {
        self.within.is_some() || self.parts.iter().any(|part| mounts.attached(part.mount.id))
    }

    /// Whether a file of this device that is not in the session's tree must have come from here.
    pub(super) fn lost(&self, device: Device, writes: bool) -> bool {
        (self.rights == Rights::All || writes)
            && self.parts.iter().any(|part| part.mount.device == device)
    }

    pub(super) const fn ends_all(&self) -> bool {
        matches!(self.rights, Rights::All)
    }

    fn covers(&self, path: &Path, writes: bool) -> bool {
        const DELETED: &[u8] = b" (deleted)";
        let removed = path.as_os_str().as_bytes().strip_suffix(DELETED);
        let covers =
            |place: &Path| path.starts_with(place) || removed == Some(place.as_os_str().as_bytes());
        let nearest = self
            .kept
            .iter()
            .filter(|kept| covers(&kept.path))
            .max_by_key(|kept| kept.path.components().count());
        let kept = nearest.is_some_and(|kept| kept.mode == FileMode::Write || !writes);
        covers(&self.path) && !kept
    }
}

fn below(point: &Path, path: &[u8]) -> PathBuf {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    point.join(OsStr::from_bytes(relative))
}

/// Holds the mount, if it can be reached: what is covered by another mount has not been opened in
/// the session.
fn pin(proc: &Proc, root: &OwnedFd, mount: &Mount) -> Option<Part> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let pin = rustix::fs::openat2(root, &mount.point, flags, Mode::empty(), resolve).ok()?;
    let same = proc.own_mount(&pin).is_ok_and(|id| id == mount.id);
    same.then(|| Part { mount: mount.clone(), _pin: pin })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"20 1 0:30 / / ro - tmpfs none rw\n\
        31 20 254:0 /srv/a /srv/my\\040data rw,relatime - ext4 /dev/vda rw\n\
        32 31 0:44 / /srv/my\\040data/sub rw - tmpfs none rw\n";

    fn place(path: &str, rights: Rights, kept: &[(&str, FileMode)]) -> Place {
        let kept = kept.iter().map(|(path, mode)| Kept { path: path.into(), mode: *mode });
        let kept = kept.collect();
        Place {
            path: path.into(),
            rights,
            kept,
            parts: Vec::new(),
            within: Some(31),
            ended: Instant::now(),
        }
    }

    #[test]
    fn mountinfo() {
        let mounts = Mounts::parse(INFO);
        assert_eq!(mounts.0[1].point, Path::new("/srv/my data"));
        assert_eq!(mounts.0[1].device, (254, 0));
        assert_eq!(mounts.around(Path::new("/srv/my data/x")).unwrap().id, 31);
        assert_eq!(mounts.around(Path::new("/srv/my data/sub")).unwrap().id, 32);
        assert_eq!(mounts.around(Path::new("/srv/my database")).unwrap().id, 20);
        assert!(mounts.attached(32) && !mounts.attached(33));
    }

    #[test]
    fn places_inside_wider_mounts_go_by_component_and_removal() {
        let mounts = Mounts::parse(INFO);
        let place = place("/w/secret", Rights::All, &[]);
        let holds = |path: &'static [u8]| place.holds(&mounts, 31, false, &|| Ok(path.to_vec()));
        assert!(holds(b"/w/secret"));
        assert!(holds(b"/w/secret (deleted)"));
        assert!(holds(b"/w/secret/x/y (deleted)"));
        assert!(!holds(b"/w/secrets"));
        assert!(!place.holds(&mounts, 32, false, &|| Ok(b"/w/secret".to_vec())));
        let long = || Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        assert!(place.holds(&mounts, 31, false, &long));
    }

    #[test]
    fn narrower_rights_are_kept() {
        let kept = [("/w/a", FileMode::Read), ("/w/a/b", FileMode::Write)];
        let place = place("/w", Rights::All, &kept);
        assert!(place.covers(Path::new("/w/x"), false));
        assert!(!place.covers(Path::new("/w/a/x"), false));
        assert!(place.covers(Path::new("/w/a/x"), true));
        assert!(!place.covers(Path::new("/w/a/b/x"), true));
    }

    #[test]
    fn a_new_right_makes_room() {
        let mut one = place("/w/a", Rights::All, &[]);
        assert!(!one.allow(&Kept { path: "/w".into(), mode: FileMode::Write }));
        let mut one = place("/w/a", Rights::All, &[]);
        assert!(one.allow(&Kept { path: "/w/a".into(), mode: FileMode::Read }));
        assert!(!one.maps(b"/w/a/x", false) && one.maps(b"/w/a/x", true));
        let mut one = place("/w/a", Rights::All, &[]);
        assert!(one.allow(&Kept { path: "/w/a/in".into(), mode: FileMode::Read }));
        assert!(one.maps(b"/w/a/x", false) && !one.maps(b"/w/a/in/x", false));
    }
}
