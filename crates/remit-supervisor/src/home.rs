//! Where Remit keeps configuration and state.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Remit's folders: all below `REMIT_HOME` where that is set, the XDG folders otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemitHome {
    /// Keys and configuration.
    pub config: PathBuf,
    /// The log; a copy of this folder verifies elsewhere.
    pub audit: PathBuf,
    /// One folder for each running session.
    pub sessions: PathBuf,
}

impl RemitHome {
    /// From the environment; `person` is the home folder.
    pub fn from_environment(person: &Path) -> Self {
        let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        if let Some(root) = env::var_os("REMIT_HOME").filter(|root| !root.is_empty()) {
            let root = std::path::absolute(&root).unwrap_or_else(|_| PathBuf::from(&root));
            return Self::below(&root);
        }
        let config = folder("XDG_CONFIG_HOME").unwrap_or_else(|| person.join(".config"));
        let state = folder("XDG_STATE_HOME").unwrap_or_else(|| person.join(".local/state"));
        let state = state.join("remit");
        Self {
            config: config.join("remit"),
            audit: state.join("audit"),
            sessions: state.join("sessions"),
        }
    }

    /// Everything below one folder.
    pub fn below(root: &Path) -> Self {
        Self {
            config: root.join("config"),
            audit: root.join("audit"),
            sessions: root.join("sessions"),
        }
    }

    /// Folders that no session may see, whether they exist yet or not, with links on the way
    /// followed: that is how a session would meet them.
    pub fn own(&self) -> Vec<PathBuf> {
        let beside = |name: &str| self.audit.with_file_name(name);
        [&self.config, &self.audit, &self.sessions, &beside("quarantine"), &beside("cache")]
            .map(|folder| settled(folder))
            .to_vec()
    }

    /// Makes the folders where they are missing, for this person alone, and refuses folders that
    /// somebody else could change.
    ///
    /// # Errors
    /// The operating system's, or `PermissionDenied` for a folder of another person.
    pub fn create(&self) -> io::Result<()> {
        for folder in [&self.config, &self.audit, &self.sessions] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let meta = fs::metadata(folder)?;
            let own = meta.uid() == rustix::process::geteuid().as_raw();
            if !own || meta.permissions().mode() & 0o022 != 0 {
                let text = format!("{} can be changed by others", folder.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(())
    }
}

/// The canonical path that a folder has, or will have once it is made.
pub(crate) fn settled(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match found {
        Some((above, real)) => match folder.strip_prefix(above) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => folder.to_owned(),
        },
        None => folder.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_do_not_exist_yet_are_known_by_their_canonical_path() {
        let base = env::temp_dir().canonicalize().unwrap();
        let place = base.join(format!("remit-home-{}", std::process::id()));
        fs::create_dir_all(place.join("real")).unwrap();
        std::os::unix::fs::symlink("real", place.join("link")).unwrap();
        let own = RemitHome::below(&place.join("link/remit")).own();
        fs::remove_dir_all(&place).unwrap();
        let real = place.join("real/remit");
        for name in ["config", "audit", "sessions", "quarantine", "cache"] {
            assert!(own.contains(&real.join(name)), "{name} in {own:?}");
        }
    }
}
