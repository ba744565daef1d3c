//! Repositories that granted folders belong to: where they keep hooks, if not at the usual place.
//!
//! Looked at: a granted folder and the folders above it. Repositories deeper inside are not
//! searched for; their configuration cannot be made to name another folder by the agent.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use remit_core::PathScope;
use remit_policy::{HookFolder, hook_paths, include_paths};

use crate::{home::settled, names};

/// Configuration beyond this is not read; git's own files are much smaller.
const LARGEST: u64 = 1 << 20;
/// Configuration files that are read for one repository.
const MOST_INCLUDED: usize = 256;
/// Folders above a granted one that are looked at.
const MOST_ABOVE: usize = 64;

/// Folders of hooks inside `granted`, which the agent may write, that configuration names, and
/// files there that configuration includes: they could name others later.
pub(crate) fn hook_folders(granted: &[&Path], person: &Path) -> Vec<HookFolder> {
    let everywhere = [
        PathBuf::from("/etc/gitconfig"),
        xdg(person).join("git/config"),
        person.join(".gitconfig"),
    ];
    let mut found: Vec<HookFolder> = Vec::new();
    let roots = granted.iter().flat_map(|folder| folder.ancestors().take(MOST_ABOVE));
    for repository in roots.filter_map(Repository::at) {
        let own = everywhere.iter().chain(&repository.configuration);
        let mut add = |named: &Path, included: bool| {
            // Links on the way: who can replace one names another folder.
            let met = names::on_the_way_to(named).unwrap_or_else(|_| vec![settled(named)]);
            for folder in met {
                if !granted.iter().any(|grant| folder.starts_with(grant)) {
                    continue;
                }
                let shared = repository.root.starts_with(&folder)
                    || granted.iter().any(|grant| grant.starts_with(&folder));
                let Ok(folder) = PathScope::new(&folder) else { continue };
                let one = HookFolder { folder, shared: shared && !included, included };
                if !found.contains(&one) {
                    found.push(one);
                }
            }
        };
        for Read { path, bytes, included } in with_included(own, person) {
            if included {
                add(&path, true);
            }
            for value in hook_paths(&bytes) {
                if let Some(named) = place(&value, &repository.root, person) {
                    add(&named, false);
                }
            }
        }
    }
    found
}

/// A configuration file.
struct Read {
    path: PathBuf,
    bytes: Vec<u8>,
    included: bool,
}

/// These files and what they include, on whatever condition: a branch's name can change.
fn with_included<'p>(files: impl Iterator<Item = &'p PathBuf>, person: &Path) -> Vec<Read> {
    let mut all: Vec<Read> =
        files.map(|path| Read { path: path.clone(), bytes: read(path), included: false }).collect();
    let mut next = 0;
    while let Some(file) = all.get(next) {
        let folder = file.path.parent().unwrap_or(Path::new("/"));
        let named = include_paths(&file.bytes);
        let new: Vec<PathBuf> = named
            .iter()
            .filter_map(|value| place(value, folder, person))
            .filter(|path| all.iter().all(|known| known.path != *path))
            .collect();
        for path in new.into_iter().take(MOST_INCLUDED.saturating_sub(all.len())) {
            // One that is not there yet is included as soon as it is.
            all.push(Read { bytes: read(&path), path, included: true });
        }
        next = next.saturating_add(1);
    }
    all
}

struct Repository {
    /// What relative paths of hooks are relative to (git-config(1), `core.hooksPath`).
    root: PathBuf,
    configuration: [PathBuf; 2],
}

impl Repository {
    fn at(root: &Path) -> Option<Self> {
        let dot = root.join(".git");
        let own = if dot.is_dir() {
            dot
        } else if dot.is_file() {
            // gitrepository-layout(5): `gitdir: PATH`.
            let pointer = read(&dot);
            root.join(line(pointer.strip_prefix(b"gitdir:")?))
        } else if ["HEAD", "config", "objects"].iter().all(|name| root.join(name).exists()) {
            root.to_owned()
        } else {
            return None;
        };
        let pointer = read(&own.join("commondir"));
        let common = if pointer.is_empty() { own.clone() } else { own.join(line(&pointer)) };
        let configuration = [common.join("config"), own.join("config.worktree")];
        Some(Self { root: root.to_owned(), configuration })
    }
}

fn line(text: &[u8]) -> &OsStr {
    OsStr::from_bytes(text.trim_ascii())
}

/// Where a value leads, without `.` and `..`.
fn place(value: &[u8], root: &Path, person: &Path) -> Option<PathBuf> {
    if value.is_empty() {
        return None;
    }
    let path = match value.strip_prefix(b"~/") {
        Some(rest) => person.join(OsStr::from_bytes(rest)),
        None => root.join(OsStr::from_bytes(value)),
    };
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Some(plain)
}

fn xdg(person: &Path) -> PathBuf {
    let own = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    own.filter(|path| path.is_absolute()).unwrap_or_else(|| person.join(".config"))
}

/// The file's bytes; none where it cannot be read, is no file, or too large.
fn read(path: &Path) -> Vec<u8> {
    let plain = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST);
    let mut bytes = Vec::new();
    if plain && let Ok(file) = File::open(path) {
        let _ = file.take(LARGEST).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_named_by_the_repository_around_are_found() {
        let area = tempfile::tempdir().unwrap();
        let base = area.path().canonicalize().unwrap();
        let granted = base.join("project/src");
        for folder in ["project/.git/worktrees/w", "project/src/real", "w", "home"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        symlink("real", granted.join("linked")).unwrap();
        let config = |name: &str, value: &str| {
            fs::write(base.join(name), format!("[core]\n\thooksPath = {value}\n")).unwrap();
        };
        let found = |folder: &Path| {
            let found = hook_folders(&[folder], &base.join("home"));
            let told = found.into_iter().map(|one| (one.folder.to_string(), one.shared));
            told.collect::<Vec<_>>()
        };
        let at = |name: &str| base.join(name).display().to_string();
        assert_eq!(found(&granted), []);
        config("project/.git/config", "src/./x/../linked");
        assert_eq!(
            found(&granted),
            [(at("project/src/linked"), false), (at("project/src/real"), false)]
        );
        config("project/.git/config", "src/missing/hooks");
        assert_eq!(found(&granted), [(at("project/src/missing/hooks"), false)]);
        config("project/.git/config", "elsewhere");
        assert_eq!(found(&granted), []);
        config("home/.gitconfig", ".");
        assert!(found(&base.join("project")).contains(&(at("project"), true)));
        // Configuration that is included, from wherever, and what that includes.
        fs::write(base.join("home/.gitconfig"), "[include]\n\tpath = ~/more\n").unwrap();
        let more = "[includeIf \"onbranch:x\"]\n\tpath = ../project/src/conf\n";
        fs::write(base.join("home/more"), more).unwrap();
        let included = hook_folders(&[&granted], &base.join("home"));
        let conf = HookFolder {
            folder: PathScope::new(granted.join("conf")).unwrap(),
            shared: false,
            included: true,
        };
        assert_eq!(included, [conf]);
        config("project/src/conf", "src/by-include");
        assert!(found(&granted).contains(&(at("project/src/by-include"), false)));
        fs::remove_file(base.join("home/.gitconfig")).unwrap();
        // A worktree elsewhere, with the common configuration.
        fs::write(base.join("w/.git"), "gitdir: ../project/.git/worktrees/w\n").unwrap();
        fs::write(base.join("project/.git/worktrees/w/commondir"), "../..\n").unwrap();
        assert!(found(&base.join("w")).contains(&(at("w/elsewhere"), false)));
    }
}
