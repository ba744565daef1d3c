//! Temporary folders of one test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::binary::cache;

/// One test's own corner of the disk, removed with the value.
///
/// It lies below the cache folder, not below `/tmp`: a session has a private `/tmp`, and some
/// agents refuse to work below it.
pub struct Area {
    folder: TempDir,
}

impl Area {
    /// Fresh, with `home/`, `work/` and `remit/` inside.
    pub fn new(name: &str) -> Self {
        let base = match std::env::var_os("REMIT_TEST_DIR") {
            Some(path) => PathBuf::from(path),
            None => cache().join("remit-tests/run"),
        };
        fs::create_dir_all(&base).expect("the folder for tests can be created");
        let base = base.canonicalize().expect("the folder for tests has a canonical path");
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(base)
            .expect("a temporary folder can be created");
        for part in ["home", "work", "remit"] {
            fs::create_dir(folder.path().join(part)).expect("a folder can be created");
        }
        Self { folder }
    }

    /// The whole corner.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The person's home in this test.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// The folder that the agent works in.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// `REMIT_HOME`.
    pub fn remit_home(&self) -> PathBuf {
        self.path().join("remit")
    }

    /// Writes a file below the corner, making its folders, and returns its path.
    pub fn write(&self, relative: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("folders can be created");
        }
        fs::write(&path, contents).expect("a file can be written");
        path
    }

    /// Reads a file below the corner; `None` when it does not exist.
    pub fn read(&self, relative: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path().join(relative)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}
