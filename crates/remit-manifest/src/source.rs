//! A manifest's text, as read from a file that may be anything.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

/// Largest manifest in bytes; hand-written ones have a few kilobytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A manifest's text with its name and digest.
#[derive(Clone, Debug)]
pub struct ManifestSource {
    name: Arc<str>,
    text: Arc<str>,
    digest: Arc<str>,
}

/// What `~` and `${WORKDIR}` stand for. Both must be absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    /// The principal's home folder.
    pub home: PathBuf,
    /// The session's working folder.
    pub workdir: PathBuf,
}

/// Why a file cannot be a manifest at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system's refusal.
    #[error("cannot read the manifest {name}")]
    #[diagnostic(code(manifest::unreadable), help("check that the path is right and readable"))]
    Unreadable {
        /// The path, as text.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A folder, device, FIFO or socket.
    #[error("the manifest {name} is not a regular file")]
    #[diagnostic(code(manifest::not_a_file), help("a manifest is a regular file"))]
    NotAFile {
        /// The path, as text.
        name: String,
    },
    /// Beyond 4 MiB.
    #[error("the manifest {name} is larger than 4 MiB")]
    #[diagnostic(code(manifest::too_large), help("grant folders rather than single files"))]
    TooLarge {
        /// The path, as text.
        name: String,
    },
    /// Bytes that are not UTF-8.
    #[error("the manifest {name} is not UTF-8 text (byte {offset})")]
    #[diagnostic(code(manifest::not_utf8), help("save the file as UTF-8"))]
    NotUtf8 {
        /// The path, as text.
        name: String,
        /// Offset of the first byte that is not UTF-8.
        offset: usize,
    },
}

impl ManifestSource {
    /// Reads a manifest file: regular, at most 4 MiB, UTF-8.
    ///
    /// # Errors
    /// [`SourceError`], before more than the limit has been read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let name = || remit_core::display_path(path);
        let unreadable = |source| SourceError::Unreadable { name: name(), source };
        // Asked before opening: opening a FIFO would wait for a writer.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SourceError::NotAFile { name: name() });
        }
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(SourceError::NotAFile { name: name() });
        }
        if about.len() > LARGEST {
            return Err(SourceError::TooLarge { name: name() });
        }
        let mut bytes = Vec::new();
        // The size may grow while reading, and files of /proc report zero.
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(&name(), &bytes)
    }

    /// A manifest from bytes that did not come from a file.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] and [`SourceError::NotUtf8`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, SourceError> {
        if u64::try_from(bytes.len()).map_or(true, |length| length > LARGEST) {
            return Err(SourceError::TooLarge { name: name.to_owned() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| SourceError::NotUtf8 {
            name: name.to_owned(),
            offset: error.valid_up_to(),
        })?;
        Ok(Self::from_text(name, text))
    }

    /// A manifest from text; the caller bounds its size.
    pub fn from_text(name: &str, text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name: name.into(), text: text.into(), digest: format!("sha256:{hex}").into() }
    }

    /// Where the text came from, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `sha256:<hex>` of the bytes.
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    #[test]
    fn digest_is_of_the_bytes() {
        let source = ManifestSource::from_text("m", "abc");
        assert_eq!(
            &**source.digest(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn what_is_no_manifest_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let big = dir.path().join("big");
        File::create(&big).unwrap().set_len(100 * 1024 * 1024).unwrap();
        assert!(matches!(ManifestSource::read(&big), Err(SourceError::TooLarge { .. })));
        assert!(matches!(ManifestSource::read(dir.path()), Err(SourceError::NotAFile { .. })));
        let absent = dir.path().join("absent");
        assert!(matches!(ManifestSource::read(absent), Err(SourceError::Unreadable { .. })));
        let latin = dir.path().join("latin");
        File::create(&latin).unwrap().write_all(b"{\"agent\": \"\xe4\"}").unwrap();
        assert!(matches!(
            ManifestSource::read(&latin),
            Err(SourceError::NotUtf8 { offset: 11, .. })
        ));
        assert!(matches!(ManifestSource::read("/dev/zero"), Err(SourceError::NotAFile { .. })));
        // Reports a size of zero, so only the reading can bound it.
        assert!(ManifestSource::read("/proc/self/status").is_ok());
    }
}
