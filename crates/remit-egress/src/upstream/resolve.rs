//! Real addresses of names: the hosts file, then the system's resolver with the absolute name, so
//! that no search domain ever turns one name into another.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use remit_core::Host;

use crate::live::lock;

/// Finds addresses. Answers are kept for a few seconds; whoever dials vets them and pins one.
#[derive(Clone, Debug)]
pub struct Resolver {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hosts: HostsFile,
    kept: Mutex<HashMap<Host, Kept>>,
}

/// What this machine itself says about names; asks nobody.
#[derive(Clone, Debug)]
pub(super) struct HostsFile(Arc<Path>);

/// An answer and when it came.
type Kept = (Instant, Arc<[IpAddr]>);

impl Default for Resolver {
    fn default() -> Self {
        Self::system()
    }
}

impl Resolver {
    /// `/etc/hosts` and the system's resolver.
    pub fn system() -> Self {
        Self::with_hosts_file("/etc/hosts")
    }

    /// Another hosts file, then the system's resolver.
    pub fn with_hosts_file(path: impl Into<PathBuf>) -> Self {
        let hosts = HostsFile(path.into().into());
        Self { inner: Arc::new(Inner { hosts, kept: Mutex::default() }) }
    }

    /// The hosts file alone: what is left has nobody to ask.
    pub(super) fn into_hosts_file(self) -> HostsFile {
        self.inner.hosts.clone()
    }

    pub(super) fn hosts_file(&self) -> &HostsFile {
        &self.inner.hosts
    }

    /// The addresses of `host`, in the order to try; a literal is its own.
    ///
    /// # Errors
    /// `NotFound` when there are none, or the resolver's own error.
    pub(crate) async fn resolve(&self, host: &Host) -> io::Result<Arc<[IpAddr]>> {
        let name = match host {
            Host::Address(address) => return Ok(Arc::from([*address])),
            Host::Name(name) => name,
        };
        if let Some((when, found)) = lock(&self.inner.kept).get(host)
            && when.elapsed() < KEPT
        {
            return Ok(Arc::clone(found));
        }
        let mut found = self.inner.hosts.find(name).await;
        if found.is_empty() {
            // RFC 1034 3.1: a trailing dot makes the name absolute.
            let absolute = format!("{name}.");
            let query = tokio::net::lookup_host((absolute.as_str(), 0));
            let answer = tokio::time::timeout(PATIENCE, query).await;
            let answer = answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            found = answer.map(|address| address.ip()).collect();
        }
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let found: Arc<[IpAddr]> = found.into();
        let mut kept = lock(&self.inner.kept);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, (when, _)| when.elapsed() < KEPT);
        }
        if kept.len() < MOST_KEPT {
            kept.insert(host.clone(), (Instant::now(), Arc::clone(&found)));
        }
        Ok(found)
    }
}

impl HostsFile {
    /// The addresses of `name`; none where the file does not know it.
    pub(super) async fn find(&self, name: &str) -> Vec<IpAddr> {
        let path = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || std::fs::read(path));
        // A host without a hosts file has no entries in it.
        let bytes = read.await.ok().and_then(Result::ok).unwrap_or_default();
        let mut found = entries(&String::from_utf8_lossy(&bytes), name);
        // RFC 6761, 6.3: these names are loopback everywhere, and never asked for.
        if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        found.truncate(MOST_ADDRESSES);
        found
    }
}

/// hosts(5): address, then names, `#` begins a comment.
fn entries(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        let named = words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name));
        if named && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

const KEPT: Duration = Duration::from_secs(5);
const MOST_KEPT: usize = 1024;
const MOST_ADDRESSES: usize = 32;
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_lines_are_read_as_hosts_5_says() {
        let text = "# 1.1.1.1 a\n127.0.0.1 localhost A.test # b.test\nbad c.test\n::1 a.test a\n";
        let expected: Vec<IpAddr> =
            vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
        assert_eq!(entries(text, "a.test"), expected);
        assert!(entries(text, "b.test").is_empty());
        assert!(entries(text, "c.test").is_empty());
    }
}
