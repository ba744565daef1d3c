//! An origin, Squid, and a session's corner.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use remit_testkit::{
    Area, Finished, ManifestBuilder, Origin, Session, Site, TestAuthority, program,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The origin's name and its address, which is another machine's.
pub const WEB: &str = "www.outside.example";
pub const WEB_AT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// A name that only Squid knows.
pub const FAR: &str = "far.outside.example";
/// The proxy.
pub const PROXY: &str = "proxy.corp.example";
pub const PROXY_AT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub const HOSTS: [(IpAddr, &str); 2] = [(IpAddr::V4(WEB_AT), WEB), (IpAddr::V4(PROXY_AT), PROXY)];
const PORT: u16 = 3128;

pub fn trial(name: &'static str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// Squid with basic authentication: user `remit`, password `open sesame`.
pub struct Squid {
    child: Child,
    service: String,
    folder: tempfile::TempDir,
}

impl Squid {
    pub fn new() -> Self {
        // Squid gives up root's rights, and must still read and write here.
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let at = |name: &str| folder.path().join(name);
        let hash = Command::new("openssl").args(["passwd", "-apr1", "open sesame"]).output();
        let hash = String::from_utf8(hash.unwrap().stdout).unwrap();
        fs::write(at("passwords"), format!("remit:{hash}")).unwrap();
        fs::write(at("hosts"), format!("{WEB_AT} {WEB} {FAR}\n")).unwrap();
        let helper = ["/usr/lib/squid/basic_ncsa_auth", "/usr/lib64/squid/basic_ncsa_auth"];
        let helper = helper.iter().find(|path| Path::new(path).exists()).expect("squid's helper");
        let text = format!(
            "http_port {PROXY_AT}:{PORT}\n\
             auth_param basic program {helper} {passwords}\n\
             auth_param basic realm corp\n\
             acl known proxy_auth REQUIRED\n\
             http_access allow CONNECT known\n\
             http_access deny all\n\
             hosts_file {hosts}\n\
             dns_nameservers 127.0.0.1\n\
             access_log stdio:{log}\n\
             cache_log {cache}\n\
             cache deny all\n\
             pid_filename none\n\
             coredump_dir {folder}\n\
             visible_hostname {PROXY}\n\
             shutdown_lifetime 0 seconds\n\
             max_filedescriptors 1024\n",
            passwords = at("passwords").display(),
            hosts = at("hosts").display(),
            log = at("access.log").display(),
            cache = at("cache.log").display(),
            folder = folder.path().display(),
        );
        fs::write(at("squid.conf"), text).unwrap();
        let mut child = Command::new(program("squid"));
        // Names its shared memory, which would else meet that of another one.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let count = STARTED.fetch_add(1, Ordering::Relaxed);
        let service = format!("remit{}n{count}", std::process::id());
        let child = child.args(["-N", "-n", &service, "-f"]).arg(at("squid.conf"));
        let child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let own = Self { child, service, folder };
        let started = Instant::now();
        let address = SocketAddr::from((PROXY_AT, PORT));
        while TcpStream::connect(address).is_err() {
            let log = fs::read_to_string(own.folder.path().join("cache.log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "squid does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        own
    }

    /// What it was asked so far, one line a request.
    pub fn log(&self) -> String {
        // Written when the tunnel ends.
        std::thread::sleep(Duration::from_millis(300));
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        // The wait for its start is no request.
        let asked = log.lines().filter(|line| !line.contains("transaction-end-before-headers"));
        asked.map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        // It tidies up when it is asked to end.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}-", self.service)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// A session's corner with an origin outside.
pub struct Corner {
    pub area: Area,
    pub origin: Origin,
    pub manifest: ManifestBuilder,
}

impl Corner {
    pub fn new(name: &str) -> Self {
        let area = Area::new(name);
        let authority = TestAuthority::new();
        area.write("roots.pem", authority.pem());
        let at = format!("{WEB_AT}:443");
        let origin = Origin::tls(&authority, &at, &[WEB, FAR], Site::Builtin);
        let manifest = ManifestBuilder::default()
            .execute_any()
            .host_rule(json!({"host": WEB, "ports": [443], "addresses": ["10.78.0.0/16"]}));
        Self { area, origin, manifest }
    }

    /// Writes `egress.json`, readable by its owner alone.
    pub fn settings(&self, value: &Value) -> PathBuf {
        self.write_settings(&format!("{value:#}\n"))
    }

    pub fn write_settings(&self, text: &str) -> PathBuf {
        let path = self.area.write("remit/config/egress.json", text);
        self.close(&path, 0o600);
        self.close(path.parent().unwrap(), 0o700);
        path
    }

    pub fn close(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Settings that work, through Squid.
    pub fn through(&self) -> Value {
        json!({
            "upstreamProxy": {
                "url": format!("http://{PROXY}:{PORT}"),
                "auth": {"basic": {"user": "remit", "password": "open sesame"}},
            },
            "rootCas": [self.area.path().join("roots.pem")],
        })
    }

    pub fn session(&self) -> Session<'_> {
        Session::under(&self.area, &self.manifest)
            // None of these may count.
            .env("https_proxy", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("ALL_PROXY", "socks5://127.0.0.1:9")
    }

    pub fn curl(&self, url: &str) -> Finished {
        self.session().shell(&format!("curl -sS -m 20 -w ' %{{http_code}}' {url}"))
    }
}
