//! `/etc` inside: what programs need to run, nothing that describes the machine's secrets, and a
//! few files of our own (users, names, trust).

use std::{
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    mounts::{FIXED, Source, clone_one},
    tree::Tree,
    trust,
};
use crate::{plan::SessionPlan, report::LayerError};

/// Host files and folders of `/etc` that programs read to run. None holds credentials: no
/// `shadow`, no host keys, no private TLS keys, no client configuration with tokens.
const HOST_FILES: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "bash_completion.d",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "mailcap",
    "mime.types",
    "nanorc",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/java/cacerts",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "redhat-release",
    "rpc",
    "services",
    "shells",
    "ssh/ssh_config",
    "ssh/ssh_config.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "vim",
    "xdg",
];

/// Host parts of `/etc`: small files copied (a mount costs more, at both ends of a session), the
/// rest cloned read-only. Links are made again rather than followed.
pub(super) struct HostEtc {
    mounts: Vec<Source>,
    copies: Vec<(PathBuf, Vec<u8>)>,
    links: Vec<(PathBuf, PathBuf)>,
}

/// The largest file that is copied.
const SMALL: u64 = 16 << 10;

pub(super) fn clone_host_files() -> Result<HostEtc, LayerError> {
    let mut etc = HostEtc { mounts: Vec::new(), copies: Vec::new(), links: Vec::new() };
    for name in HOST_FILES {
        let path = Path::new("/etc").join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        if let (true, Ok(target)) = (meta.is_symlink(), fs::read_link(&path)) {
            etc.links.push((path, target));
        } else if let Some(bytes) = small(&path, &meta) {
            etc.copies.push((path, bytes));
        } else {
            etc.mounts.push(clone_one(&path, FIXED)?);
        }
    }
    Ok(etc)
}

impl HostEtc {
    pub(super) fn place(self, tree: &Tree) -> Result<(), LayerError> {
        for (path, target) in &self.links {
            tree.link(path, target)?;
        }
        for (path, bytes) in &self.copies {
            tree.write(path, bytes)?;
        }
        tree.place_all(self.mounts)
    }
}

/// The bytes of a small file that everybody may read, as a copy can be read by everybody.
fn small(path: &Path, meta: &fs::Metadata) -> Option<Vec<u8>> {
    if !meta.is_file() || meta.mode() & 0o004 == 0 || meta.len() > SMALL {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).ok()?.saturating_add(1));
    let file = fs::File::open(path).ok()?;
    file.take(SMALL.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= SMALL).then_some(bytes)
}

/// The files that Remit writes: who is who, where names come from, whom to trust.
pub(super) fn write_own(tree: &Tree, plan: &SessionPlan) -> Result<(), LayerError> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let home = plan.home.display();
    let user = &plan.user;
    let mut passwd = String::new();
    let mut group = String::new();
    if uid != 0 {
        passwd.push_str("root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n");
    }
    if gid != 0 {
        group.push_str("root:x:0:\n");
    }
    passwd.push_str(&format!("{user}:x:{uid}:{gid}::{home}:/bin/sh\n"));
    passwd.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    group.push_str(&format!("{user}:x:{gid}:\ntty:x:5:\nnogroup:x:65534:\n"));
    let host = &plan.hostname;
    let files = [
        ("/etc/passwd", passwd),
        ("/etc/group", group),
        ("/etc/hosts", format!("127.0.0.1 localhost {host}\n::1 localhost\n")),
        ("/etc/hostname", format!("{host}\n")),
        ("/etc/resolv.conf", "nameserver 198.18.0.1\noptions timeout:5 attempts:2\n".into()),
        ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".into()),
    ];
    for (path, text) in files {
        tree.write(Path::new(path), text.as_bytes())?;
    }
    trust::write(tree, plan)
}
