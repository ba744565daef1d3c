//! Whom programs inside trust: the session's authority beside what the machine trusts, wherever
//! programs look for that without being told.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{keystore, tree::Tree};
use crate::{
    plan::{AUTHORITY_FILE, BUNDLE_FILE, SYSTEM_DIRECTORIES, SessionPlan},
    report::LayerError,
};

/// Where distributions keep the bundle of trusted roots.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What OpenSSL reads that was configured with `--openssldir` below `/etc/ssl` or `/usr/lib/ssl`
/// (SSL_CTX_set_default_verify_paths(3)); distributions leave it to the administrator.
const OPENSSL_FILE: &str = "/etc/ssl/cert.pem";

/// Where distributions keep Java's roots.
const KEYSTORES: &[&str] = &["/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts"];
/// Where they install Java, which may bring roots of its own.
const JAVA_HOMES: &str = "/usr/lib/jvm";
/// In a home of Java 9 and later, and of Java 8.
const IN_JAVA_HOME: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];
/// Where browsers of one kind have the policies of their machine, below `policies/managed`.
const BROWSERS: [&str; 5] = [
    "/etc/brave",
    "/etc/chromium",
    "/etc/opt/chrome",
    "/etc/opt/chrome_for_testing",
    "/etc/opt/edge",
];
/// What all of these lead to.
const BROWSER_FOLDER: &str = "/etc/remit/browser";
/// The session's own.
const KEYSTORE_FILE: &str = "/etc/remit/cacerts";

/// The session authority in files of its own and over the system's stores. What is in place of a
/// store is that store: nothing that was trusted stops to be.
pub(super) fn write(tree: &Tree, plan: &SessionPlan) -> Result<(), LayerError> {
    let Some(authority) = &plan.authority_pem else { return Ok(()) };
    let present: Vec<&Path> = BUNDLES.iter().map(Path::new).filter(|one| one.exists()).collect();
    tree.write(Path::new(AUTHORITY_FILE), authority.as_bytes())?;
    // The authority first: how the system's bundle ends does not matter then.
    let system = present.first().and_then(|path| fs::File::open(path).ok());
    tree.write_and_copy(Path::new(BUNDLE_FILE), authority.as_bytes(), system)?;
    overlay_all(tree, Path::new(BUNDLE_FILE), present.iter().map(|path| path.to_path_buf()))?;
    if present.is_empty() {
        tree.write(Path::new("/etc/ssl/certs/ca-certificates.crt"), authority.as_bytes())?;
    }
    if Path::new(OPENSSL_FILE).symlink_metadata().is_err() {
        tree.link(Path::new(OPENSSL_FILE), Path::new(BUNDLE_FILE))?;
    }
    browsers(tree, authority)?;
    java(tree, authority, present.first().copied())
}

/// Chromium and its heirs have roots of their own, and a policy of the machine that adds to them
/// (`CACertificates` in the list of enterprise policies). The host's own policies stay outside.
fn browsers(tree: &Tree, authority: &str) -> Result<(), LayerError> {
    let base64: String = authority.lines().filter(|line| !line.starts_with("-----")).collect();
    let policy = format!("{{\"CACertificates\": [\"{base64}\"]}}\n");
    let folder = Path::new(BROWSER_FOLDER);
    tree.write(&folder.join("policies/managed/remit.json"), policy.as_bytes())?;
    BROWSERS.iter().try_for_each(|browser| tree.link(Path::new(browser), folder))?;
    // Debian's start script ends when it finds nothing to read there.
    let settings = Path::new("/etc/chromium.d");
    if settings.is_dir() { tree.write(&settings.join("none"), b"") } else { Ok(()) }
}

/// Java reads no bundle and no variable that goes unnoticed, so its keystores are covered.
fn java(tree: &Tree, authority: &str, bundle: Option<&Path>) -> Result<(), LayerError> {
    let stores = keystores();
    let Some(first) = stores.first() else { return Ok(()) };
    let added = || {
        let host = bounded(first)?;
        keystore::with(&host, authority).or_else(|| {
            // In another form, PKCS #12 say: the machine's roots instead. Java reads either form
            // whatever the name promises (`keystore.type.compat` in java.security).
            let roots = bundle.and_then(bounded).unwrap_or_default();
            keystore::of(&String::from_utf8_lossy(&roots), authority)
        })
    };
    // A store that cannot be read is Java's loss alone: it then trusts the authority nowhere.
    let Some(bytes) = added() else { return Ok(()) };
    tree.write(Path::new(KEYSTORE_FILE), &bytes)?;
    overlay_all(tree, Path::new(KEYSTORE_FILE), stores.into_iter())
}

fn overlay_all(
    tree: &Tree,
    from: &Path,
    places: impl Iterator<Item = PathBuf>,
) -> Result<(), LayerError> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for path in places {
        let real = path.canonicalize().unwrap_or(path);
        if !covered.contains(&real) {
            tree.overlay(from, &real)?;
            covered.push(real);
        }
    }
    Ok(())
}

/// Canonical paths of the keystores that exist and that a session sees, each once.
fn keystores() -> Vec<PathBuf> {
    let homes = fs::read_dir(JAVA_HOMES).into_iter().flatten().flatten();
    let own = homes.flat_map(|home| IN_JAVA_HOME.map(|name| home.path().join(name)));
    let mut found: Vec<PathBuf> = Vec::new();
    for path in KEYSTORES.iter().map(PathBuf::from).chain(own) {
        let Ok(real) = path.canonicalize() else { continue };
        let seen = SYSTEM_DIRECTORIES.iter().chain(&["/etc"]).any(|dir| real.starts_with(dir));
        if seen && real.is_file() && !found.contains(&real) {
            found.push(real);
        }
        if found.len() >= MOST_KEYSTORES {
            break;
        }
    }
    found
}

fn bounded(path: &Path) -> Option<Vec<u8>> {
    let file = fs::File::open(path).ok()?;
    let mut bytes =
        Vec::with_capacity(usize::try_from(file.metadata().ok()?.len()).ok()?.min(1 << 20));
    file.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
}

/// Each costs a mount.
const MOST_KEYSTORES: usize = 8;
/// The usual roots take less than 300 KiB.
const MOST_BYTES: u64 = 4 << 20;
