//! Where Remit keeps configuration and state.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
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
    /// Held payloads, encrypted.
    pub quarantine: PathBuf,
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
            quarantine: state.join("quarantine"),
        }
    }

    /// Everything below one folder.
    pub fn below(root: &Path) -> Self {
        Self {
            config: root.join("config"),
            audit: root.join("audit"),
            sessions: root.join("sessions"),
            quarantine: root.join("quarantine"),
        }
    }

    /// Folders that no session may see, whether they exist yet or not, with links on the way
    /// followed: that is how a session would meet them.
    pub fn own(&self) -> Vec<PathBuf> {
        let beside = |name: &str| self.audit.with_file_name(name);
        [&self.config, &self.audit, &self.sessions, &self.quarantine, &beside("cache")]
            .map(|folder| settled(folder))
            .to_vec()
    }

    /// Makes the folders where they are missing, for this person alone, and refuses folders that
    /// somebody else could change.
    ///
    /// # Errors
    /// The operating system's, or `PermissionDenied` for a folder of another person.
    pub fn create(&self) -> io::Result<()> {
        for folder in [&self.config, &self.audit, &self.sessions, &self.quarantine] {
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

/// The person's home folder: `HOME` where it is an absolute path, else the one that the user
/// database names (cron and service managers may set no `HOME`).
pub fn person_home() -> PathBuf {
    let absolute = |home: &PathBuf| home.is_absolute();
    let own = env::var_os("HOME").map(PathBuf::from).filter(absolute);
    let known = || own_entry().map(|entry| PathBuf::from(entry.home)).filter(absolute);
    own.or_else(known).unwrap_or_else(|| PathBuf::from("/nonexistent"))
}

/// The login name of the calling person, from the user database; the user id where it has none.
pub fn login_name() -> String {
    let plain = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    let known = own_entry().map(|entry| entry.name).filter(plain);
    known.unwrap_or_else(|| format!("u{}", rustix::process::getuid().as_raw()))
}

/// What the user database knows of a person.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    home: OsString,
}

fn own_entry() -> Option<Entry> {
    entry(&fs::read("/etc/passwd").ok()?, rustix::process::getuid().as_raw())
}

/// The first entry with this uid (passwd(5)).
fn entry(database: &[u8], uid: u32) -> Option<Entry> {
    database.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = String::from_utf8(fields.next()?.to_vec()).ok()?;
        let own = std::str::from_utf8(fields.nth(1)?).ok()?.parse::<u32>().ok()? == uid;
        let home = OsString::from_vec(fields.nth(2)?.to_vec());
        own.then_some(Entry { name, home })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn the_user_database_names_home_and_login() {
        let database =
            b"root:x:0:0::/root:/bin/sh\nbad\na:x:1000:7:A, B:/home/a\xff:/bin/sh\nb:x:1000";
        let found = entry(database, 1000).unwrap();
        assert_eq!((found.name.as_str(), found.home.as_bytes()), ("a", &b"/home/a\xff"[..]));
        assert_eq!(entry(database, 0).unwrap().home, "/root");
        assert_eq!((entry(database, 7), entry(b"", 0)), (None, None));
    }

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
