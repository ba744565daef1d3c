//! A network and mount namespace for a whole test process.
//!
//! Remit resolves and dials real hosts itself, so the process `remit` (not only the agent) must
//! live where the vendors' names point at loopback. A test binary therefore moves itself there
//! before it starts a thread, by re-executing itself through `unshare` and `setpriv` (util-linux)
//! and `ip` (iproute2).

use std::{
    env, fs,
    net::IpAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::binary::cache;

/// Tells the re-executed process that it has arrived, and where its hosts file is.
const ARRIVED: &str = "REMIT_TEST_HOSTS";

/// Runs inside the new namespaces. Privileged ports are opened to everybody, so that an ordinary
/// user's origins can have 443; all capabilities are given back before the test starts.
const INSIDE: &str = "set -e
ip() { PATH=$PATH:/usr/sbin:/sbin command ip \"$@\"; }
ip link set lo up
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
mount --bind \"$REMIT_TEST_HOSTS\" /etc/hosts
while read -r address _; do
  case $address in 127.*) ;; *) ip route replace local \"$address\" dev lo ;; esac
done < \"$REMIT_TEST_HOSTS\"
if [ \"$(id -u)\" = 0 ]; then exec \"$@\"; fi
exec setpriv --inh-caps=-all --ambient-caps=-all -- \"$@\"";

/// Proof that this process lives in namespaces of its own.
pub struct PrivateNetwork {
    hosts: PathBuf,
}

impl PrivateNetwork {
    /// Gives the names new addresses, as a change in the DNS would. Only addresses that the
    /// process began with can be reached.
    pub fn resolve(&self, hosts: &[(IpAddr, &str)]) {
        // Written in place: the file is a mount point inside.
        fs::write(&self.hosts, hosts_text(hosts)).expect("the hosts file can be written");
    }

    /// Removes what lies outside the namespaces; dropping does it too.
    pub fn remove(&self) {
        // The file stays busy as a mount point inside; outside, only its name goes.
        let _ = fs::remove_file(&self.hosts);
    }
}

impl Drop for PrivateNetwork {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Moves this process into namespaces of its own in which `hosts` resolve as given and nothing
/// else does; addresses that are not loopback are delivered here without being an interface's own. Call it first in `main` of a test with `harness = false`: it re-executes the
/// process, so it returns only on the inside.
pub fn enter_private_network(hosts: &[(IpAddr, &str)]) -> PrivateNetwork {
    if let Some(path) = env::var_os(ARRIVED) {
        return PrivateNetwork { hosts: PathBuf::from(path) };
    }
    let file = write_hosts(hosts);
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    let error = command
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh"])
        .arg(env::current_exe().expect("this test has an executable"))
        .args(env::args_os().skip(1))
        .env(ARRIVED, file)
        .exec();
    panic!("unshare does not start: {error}");
}

fn write_hosts(hosts: &[(IpAddr, &str)]) -> PathBuf {
    let folder = cache().join("remit-tests");
    fs::create_dir_all(&folder).expect("the folder for tests can be created");
    remove_stale(&folder);
    let file = folder.join(format!("hosts-{}", std::process::id()));
    fs::write(&file, hosts_text(hosts)).expect("a file can be written");
    file
}

fn hosts_text(hosts: &[(IpAddr, &str)]) -> String {
    let lines = hosts.iter().map(|(address, name)| format!("{address} {name}\n"));
    std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(lines).collect()
}

/// Removes what processes left behind that did not end by themselves.
fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("hosts-"));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
