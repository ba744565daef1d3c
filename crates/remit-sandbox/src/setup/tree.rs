//! The session's file tree: a private tmpfs on which only what was granted is bound, at the same
//! paths as on the host. What is not bound does not exist.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    mount::UnmountFlags,
};

use super::{
    etc,
    mounts::{
        FIXED, LAYER, Source, WRITABLE, attach, clone_all, clone_mount, clone_one, make_directory,
        memory, mounted,
    },
    sys,
};
use crate::{
    plan::{GrantMount, PROGRAM_DIRECTORIES, SYSTEM_DIRECTORIES, SessionPlan},
    report::{At as _, LayerError},
};

/// The tree under construction.
pub(super) struct Tree {
    root: OwnedFd,
}

/// Builds the tree and makes it the calling process's root. The process must be the first of its
/// own pid namespace, with all capabilities over its mount namespace.
///
/// # Errors
/// [`LayerError`] naming the step and path.
pub(super) fn enter(plan: &SessionPlan) -> Result<(), LayerError> {
    let system = clone_system()?;
    let etc = etc::clone_host_files()?;
    let devices = clone_all(DEVICES.iter().map(Path::new), DEVICE)?;
    let grants = clone_grants(&plan.grants)?;
    let programs = clone_programs(plan)?;

    let tree = Tree { root: memory("0755", None, 0)? };
    let cover = ["/tmp", "/mnt", "/usr"].into_iter().find(|dir| Path::new(dir).is_dir());
    let cover = cover.unwrap_or("/");
    attach(&tree.root, CWD, cover).at(LAYER, "attach root", cover)?;

    tree.place_all(system)?;
    tree.system_links()?;
    tree.cover_program_directories(plan)?;
    etc.place(&tree)?;
    etc::write_own(&tree, plan)?;
    tree.devices(devices)?;
    tree.kernel_file_systems()?;
    tree.scratch(plan)?;
    tree.place_all(grants)?;
    tree.hide(plan)?;
    for (link, target) in programs.links {
        tree.link(&link, &target)?;
    }
    tree.place_all(programs.files)?;
    tree.seal_program_directories(plan)?;
    tree.directory(&plan.workdir)?;
    tree.become_root()
}

/// The nodes are the host's own. Read-only, because that keeps their modes and times; what is
/// written to a device does not depend on it.
const DEVICE: u64 = sys::READ_ONLY | sys::NO_SUID | sys::NO_EXEC;

const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

impl Tree {
    pub(super) fn place_all(&self, sources: Vec<Source>) -> Result<(), LayerError> {
        sources.into_iter().try_for_each(|source| self.place(&source))
    }

    fn place(&self, source: &Source) -> Result<(), LayerError> {
        let at = if source.directory {
            self.directory(&source.target)?
        } else {
            self.file(&source.target)?
        };
        attach(&source.mount, at.as_fd(), "").at(LAYER, "bind", &source.target)
    }

    /// `/bin` → `usr/bin` and its like, as the host has them.
    fn system_links(&self) -> Result<(), LayerError> {
        for dir in SYSTEM_DIRECTORIES {
            if let Ok(target) = std::fs::read_link(dir) {
                self.link(Path::new(dir), &target)?;
            }
        }
        Ok(())
    }

    /// With an execute list, program directories hold the listed programs alone.
    fn cover_program_directories(&self, plan: &SessionPlan) -> Result<(), LayerError> {
        if !plan.programs.only_named() {
            return Ok(());
        }
        let covered = PROGRAM_DIRECTORIES.iter().map(Path::new).filter(|path| {
            let open = plan.programs.named().iter().any(|program| program.path == *path);
            // A link such as /bin leads to a directory that is covered by its own name.
            let linked = path.canonicalize().map_or(true, |real| real != *path);
            !open && !linked && self.existing(path).is_ok()
        });
        let parts: Vec<(&Path, u32)> = covered.map(|path| (path, 0o755)).collect();
        let empty = memory("0755", Some(16 << 20), sys::NO_SUID | sys::NO_DEV)?;
        self.spread(&empty, &parts)
    }

    /// Puts one part of a fresh file system at each of these places. A part can only be cloned
    /// from what is attached, so the whole is attached at the first place and covered there by
    /// its own part: to take it away again would cost an unmount, which waits for all processors.
    fn spread(&self, whole: &OwnedFd, parts: &[(&Path, u32)]) -> Result<(), LayerError> {
        let Some((first, _)) = parts.first() else { return Ok(()) };
        attach(whole, self.directory(first)?.as_fd(), "").at(LAYER, "attach", first)?;
        for (index, (path, mode)) in parts.iter().enumerate() {
            let name = index.to_string();
            make_directory(whole.as_fd(), &name, *mode).at(LAYER, "create", path)?;
            let part = clone_mount(whole.as_fd(), &name).at(LAYER, "clone", path)?;
            attach(&part, self.directory(path)?.as_fd(), "").at(LAYER, "mount", path)?;
        }
        Ok(())
    }

    /// Once the listed programs stand in them, nothing more comes into these directories.
    fn seal_program_directories(&self, plan: &SessionPlan) -> Result<(), LayerError> {
        if !plan.programs.only_named() {
            return Ok(());
        }
        for dir in PROGRAM_DIRECTORIES {
            let Ok(at) = self.existing(Path::new(dir)) else { continue };
            // Not a mount where the directory stayed as it is; then it is read-only already.
            match sys::mount_setattr(at.as_fd(), FIXED, 0, false) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error).at(LAYER, "seal", dir),
            }
        }
        Ok(())
    }

    fn devices(&self, devices: Vec<Source>) -> Result<(), LayerError> {
        self.place_all(devices)?;
        for (link, target) in [
            ("/dev/fd", "/proc/self/fd"),
            ("/dev/stdin", "/proc/self/fd/0"),
            ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"),
            ("/dev/ptmx", "pts/ptmx"),
        ] {
            self.link(Path::new(link), Path::new(target))?;
        }
        Ok(())
    }

    fn kernel_file_systems(&self) -> Result<(), LayerError> {
        let proc = mounted("proc", &[("subset", "pid"), ("hidepid", "invisible")], 0)?;
        let attributes = sys::NO_SUID | sys::NO_DEV | sys::NO_EXEC;
        sys::mount_setattr(proc.as_fd(), attributes, 0, false).at(LAYER, "restrict", "/proc")?;
        attach(&proc, self.directory(Path::new("/proc"))?.as_fd(), "")
            .at(LAYER, "mount", "/proc")?;
        let options = [("ptmxmode", "0666"), ("mode", "0620")];
        let terminals = mounted("devpts", &options, 0)?;
        let attributes = sys::NO_SUID | sys::NO_EXEC;
        sys::mount_setattr(terminals.as_fd(), attributes, 0, false)
            .at(LAYER, "restrict", "/dev/pts")?;
        let at = self.directory(Path::new("/dev/pts"))?;
        attach(&terminals, at.as_fd(), "").at(LAYER, "mount", "/dev/pts")
    }

    /// One tmpfs of bounded size behind all scratch places, so that one limit counts them all.
    fn scratch(&self, plan: &SessionPlan) -> Result<(), LayerError> {
        let disk = memory("0755", plan.limits.disk, WRITABLE)?;
        let places = plan.scratch();
        let mode = |path: &PathBuf| if *path == plan.home { 0o700 } else { 0o1777 };
        let parts: Vec<(&Path, u32)> = places.iter().map(|path| (&**path, mode(path))).collect();
        self.spread(&disk, &parts)
    }

    /// Covers Remit's own folders where a grant would show them.
    fn hide(&self, plan: &SessionPlan) -> Result<(), LayerError> {
        for path in &plan.hidden {
            let Ok(at) = self.existing(path) else { continue };
            let empty = memory("0500", Some(4096), FIXED)?;
            attach(&empty, at.as_fd(), "").at(LAYER, "hide", path)?;
        }
        Ok(())
    }

    fn become_root(self) -> Result<(), LayerError> {
        sys::mount_setattr(
            self.root.as_fd(),
            sys::READ_ONLY | sys::NO_SUID | sys::NO_DEV,
            0,
            false,
        )
        .at(LAYER, "make read-only", "/")?;
        rustix::process::fchdir(&self.root).at(LAYER, "enter", "/")?;
        rustix::process::pivot_root(".", ".").at(LAYER, "pivot", "/")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).at(LAYER, "leave", "host root")?;
        rustix::process::chdir("/").at(LAYER, "enter", "/")
    }

    /// What stands at `path` inside, links followed as the session will.
    fn existing(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    /// The directory at `path`, made where it is missing.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd, LayerError> {
        if let Ok(found) = self.existing(path) {
            return Ok(found);
        }
        let mut sofar = PathBuf::from("/");
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let parent = self.existing(&sofar).at(LAYER, "open", &sofar)?;
            sofar.push(name);
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).at(LAYER, "create", &sofar),
            }
        }
        self.existing(path).at(LAYER, "open", path)
    }

    fn file(&self, path: &Path) -> Result<OwnedFd, LayerError> {
        match self.existing(path) {
            Ok(found) => Ok(found),
            Err(_) => Ok(self.create(path)?.into()),
        }
    }

    /// A new empty file.
    fn create(&self, path: &Path) -> Result<std::fs::File, LayerError> {
        let parent = self.directory(path.parent().unwrap_or(Path::new("/")))?;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644));
        Ok(file.at(LAYER, "create", path)?.into())
    }

    /// A small file of our own on the skeleton.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), LayerError> {
        self.write_and_copy(path, bytes, None)
    }

    /// The same, with the contents of another file behind. They never come through our memory.
    pub(super) fn write_and_copy(
        &self,
        path: &Path,
        bytes: &[u8],
        rest: Option<std::fs::File>,
    ) -> Result<(), LayerError> {
        let mut file = self.create(path)?;
        io::Write::write_all(&mut file, bytes).at(LAYER, "write", path)?;
        rest.map_or(Ok(0), |mut rest| io::copy(&mut rest, &mut file))
            .at(LAYER, "write", path)
            .map(drop)
    }

    /// Binds one file of the skeleton over another place.
    pub(super) fn overlay(&self, from: &Path, over: &Path) -> Result<(), LayerError> {
        let relative = from.strip_prefix("/").unwrap_or(from);
        let mount = clone_mount(self.root.as_fd(), relative).at(LAYER, "clone", from)?;
        sys::mount_setattr(mount.as_fd(), FIXED, 0, false).at(LAYER, "restrict", over)?;
        attach(&mount, self.file(over)?.as_fd(), "").at(LAYER, "bind", over)
    }

    pub(super) fn link(&self, path: &Path, target: &Path) -> Result<(), LayerError> {
        let parent = self.directory(path.parent().unwrap_or(Path::new("/")))?;
        match rustix::fs::symlinkat(target, &parent, path.file_name().unwrap_or_default()) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error).at(LAYER, "link", path),
        }
    }
}

fn clone_system() -> Result<Vec<Source>, LayerError> {
    let real = |path: &&Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let extra = Path::new("/sys/devices/system/cpu");
    let all = SYSTEM_DIRECTORIES.iter().map(Path::new).chain([extra]);
    clone_all(all.filter(real), FIXED)
}

fn clone_grants(grants: &[GrantMount]) -> Result<Vec<Source>, LayerError> {
    let mut sorted: Vec<&GrantMount> = grants.iter().collect();
    // Narrower places are bound over wider ones.
    sorted.sort_by_key(|grant| grant.path.components().count());
    sorted
        .into_iter()
        .map(|grant| clone_one(&grant.path, if grant.write { WRITABLE } else { FIXED }))
        .collect()
}

struct ProgramSources {
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<Source>,
}

/// Each named program with the chain of links that leads to it.
fn clone_programs(plan: &SessionPlan) -> Result<ProgramSources, LayerError> {
    let mut out = ProgramSources { links: Vec::new(), files: Vec::new() };
    let mut seen: Vec<PathBuf> = Vec::new();
    for program in plan.programs.named() {
        let mut path = program.path.clone();
        // 40 is the kernel's own limit on links in one path.
        for _ in 0..40 {
            let parent = path.parent().unwrap_or(Path::new("/"));
            let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
            path = parent.join(path.file_name().unwrap_or_default());
            if seen.contains(&path) {
                break;
            }
            seen.push(path.clone());
            let Ok(target) = std::fs::read_link(&path) else { break };
            out.links.push((path.clone(), target.clone()));
            path = parent.join(target);
        }
        let Ok(real) = path.canonicalize() else { continue };
        if out.files.iter().all(|one| one.target != real) {
            let attributes = if program.asked { FIXED | sys::NO_EXEC } else { FIXED };
            let source = clone_one(&real, attributes)?;
            let shown = !plan.programs.only_named() && covered_by_system(&real);
            if !shown || program.asked {
                out.files.push(source);
            }
        }
    }
    Ok(out)
}

fn covered_by_system(path: &Path) -> bool {
    SYSTEM_DIRECTORIES.iter().any(|dir| path.starts_with(dir))
}
