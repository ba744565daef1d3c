//! The names on the way to a file.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io,
    path::{Component, Path, PathBuf},
};

/// As the kernel does (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Every symbolic link met on the way to a file, each by the canonical path of its name, and the
/// file itself: whoever can change one of them decides what the path leads to.
///
/// # Errors
/// The kernel's, and `ELOOP`.
pub fn on_the_way_to(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut left = steps(&std::path::absolute(path)?);
    let (mut sofar, mut met) = (PathBuf::from("/"), Vec::new());
    while let Some(step) = left.pop_front() {
        if step == ".." {
            sofar.pop();
            continue;
        }
        sofar.push(step);
        if !sofar.symlink_metadata()?.is_symlink() {
            continue;
        }
        if met.len() >= MOST_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = sofar.read_link()?;
        met.push(sofar.clone());
        if target.is_absolute() {
            sofar = PathBuf::from("/");
        } else {
            sofar.pop();
        }
        let mut first = steps(&target);
        first.append(&mut left);
        left = first;
    }
    met.push(sofar);
    Ok(met)
}

fn steps(path: &Path) -> VecDeque<OsString> {
    let named = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(named).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn every_link_is_met() {
        let area = tempfile::tempdir().unwrap();
        let base = area.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("a/real")).unwrap();
        fs::write(base.join("file"), "").unwrap();
        symlink("real", base.join("a/linked")).unwrap();
        symlink("../../hop", base.join("a/real/name")).unwrap();
        symlink(base.join("file"), base.join("hop")).unwrap();
        let met = on_the_way_to(&base.join("a/../a/linked/name")).unwrap();
        let expected = ["a/linked", "a/real/name", "hop", "file"].map(|name| base.join(name));
        assert_eq!(met, expected);
        symlink("loop", base.join("loop")).unwrap();
        assert!(on_the_way_to(&base.join("loop")).is_err());
        assert!(on_the_way_to(&base.join("missing")).is_err());
    }
}
