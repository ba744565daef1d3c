//! The entry program and what it takes to run it: its interpreters and loaders.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read as _,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::error::{RunError, Step as _};

/// The entry program.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As found on the search path; may be a link.
    pub(crate) path: PathBuf,
    /// Itself and the interpreters that its first line leads to, canonical, itself first.
    pub(crate) chain: Vec<PathBuf>,
    /// The same with links kept, as they are started.
    pub(crate) started: Vec<PathBuf>,
}

/// Finds `command` the way a shell does: as a path when it has a slash, else on `search`.
pub(crate) fn find(command: &OsStr, workdir: &Path, search: &OsStr) -> Result<Entry, RunError> {
    let name = || command.to_string_lossy().into_owned();
    if command.is_empty() {
        return Err(RunError::NotFound(name()));
    }
    let path = if command.as_bytes().contains(&b'/') {
        workdir.join(command)
    } else {
        on_path(command, search).ok_or_else(|| RunError::NotFound(name()))?
    };
    let real = path.canonicalize().map_err(|_| RunError::NotFound(name()))?;
    let mut entry = Entry { path: path.clone(), chain: Vec::new(), started: vec![path] };
    follow(&real, search, &mut entry)?;
    Ok(entry)
}

fn on_path(name: &OsStr, search: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(
        |path| fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0),
    )
}

/// Follows `#!` lines as the kernel does (at most five), and one `env` step beyond.
fn follow(real: &Path, search: &OsStr, entry: &mut Entry) -> Result<(), RunError> {
    let not = |problem| RunError::NotExecutable { path: real.to_owned(), problem };
    let meta = fs::metadata(real).step("look at the program")?;
    if meta.is_dir() {
        return Err(not("is a folder"));
    }
    if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
        return Err(not("is not executable"));
    }
    if entry.chain.len() > 5 {
        return Err(not("needs too many interpreters"));
    }
    entry.chain.push(real.to_owned());
    let head = head(real).map_err(|_| not("cannot be read"))?;
    let Some(line) = head.strip_prefix(b"#!") else {
        return if head.starts_with(b"\x7fELF") {
            Ok(())
        } else {
            Err(not("is neither a program nor a script with an interpreter"))
        };
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ' || *b == b'\t').filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else { return Err(not("names no interpreter")) };
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    let found =
        interpreter.canonicalize().map_err(|_| not("names an interpreter that is missing"))?;
    entry.started.push(interpreter.to_owned());
    follow(&found, search, entry)?;
    if interpreter.file_name() == Some(OsStr::new("env")) {
        let wanted = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        let Some(wanted) = wanted else { return Ok(()) };
        let wanted = OsStr::from_bytes(wanted);
        let path = on_path(wanted, search).ok_or_else(|| not("needs a program that is missing"))?;
        let found = path.canonicalize().step("look at the interpreter")?;
        entry.started.push(path);
        follow(&found, search, entry)?;
    }
    Ok(())
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The kernel looks at 256 bytes for `#!` (BINPRM_BUF_SIZE).
    File::open(path)?.take(256).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The ELF loaders (`PT_INTERP`) that this machine's programs name. They must be executable for
/// the kernel to start a program; what they in turn open is mediated.
pub(crate) fn loaders() -> Vec<PathBuf> {
    const KNOWN: &[&str] = &[
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        "/lib/ld-musl-x86_64.so.1",
        "/lib/ld-musl-aarch64.so.1",
        "/lib/ld-linux.so.2",
    ];
    KNOWN.iter().filter_map(|path| Path::new(path).canonicalize().ok()).collect()
}

/// SHA-256 of a file's contents.
pub(crate) fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            got => hash.update(buffer.get(..got).unwrap_or_default()),
        }
    }
}

/// The search path that the session gets: the person's, absolute entries only.
pub(crate) fn search_path() -> OsString {
    const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let own = std::env::var_os("PATH").filter(|path| !path.is_empty());
    let own = own.unwrap_or_else(|| USUAL.into());
    let absolute = std::env::split_paths(&own).filter(|dir| dir.is_absolute());
    std::env::join_paths(absolute).unwrap_or_else(|_| USUAL.into())
}
