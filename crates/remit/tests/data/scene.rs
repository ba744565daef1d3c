//! A project, a web server, and a manifest with values to look for.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use remit_testkit::{
    Area, Finished, ManifestBuilder, Origin, Session, Site, TestAuthority, program, remit,
    run_bounded,
};
use serde_json::{Value, json};

/// A web server.
pub const WEB: &str = "www.data.example";
/// A host that the manifest says speaks a model's API.
pub const MODEL: &str = "model.data.example";
/// Values that the manifest lists.
pub const NAME: &str = "Ada Lovelace";
pub const SECRET: &str = "sk-live-4242-abcd";
pub const CANARY: &str = "Project Nightingale";

pub fn trial(name: &'static str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

pub struct Scene {
    pub area: Area,
    pub authority: TestAuthority,
    pub manifest: ManifestBuilder,
    pub web: Origin,
}

impl Scene {
    /// `dlp` without its values.
    pub fn new(name: &str, dlp: Value) -> Self {
        let area = Area::new(name);
        let authority = TestAuthority::new();
        authority.write_bundle(area.path());
        let manifest = ManifestBuilder::default()
            .write(area.work())
            .execute_any()
            .host(WEB, &[80, 443])
            .set("/dlp", dlp)
            .set(
                "/dlp/values",
                json!([
                    {"value": NAME, "class": "PERSON"},
                    {"value": SECRET, "class": "API_KEY"},
                    {"value": CANARY, "class": "CANARY"},
                ]),
            );
        let web = Origin::tls(&authority, "127.0.0.2:443", &[WEB], Site::Builtin);
        Self { area, authority, manifest, web }
    }

    pub fn bundle(&self) -> PathBuf {
        self.area.path().join("origins.pem")
    }

    pub fn session(&self) -> Session<'_> {
        Session::under(&self.area, &self.manifest)
            .env("SSL_CERT_FILE", self.bundle())
            .within(Duration::from_secs(90))
    }

    pub fn shell(&self, script: &str) -> Finished {
        self.session().shell(script)
    }

    /// Runs a script and gives its output, and by how much the supervisor has grown from the file
    /// `ready` on, in MiB.
    pub fn growth(&self, script: &str) -> (String, u64) {
        let words = [program("sh").display().to_string(), "-c".into(), script.to_owned()];
        let mut child =
            self.session().command(&words).stdout(Stdio::piped()).spawn().expect("remit starts");
        let rss = |pid: u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or(0) >> 10
        };
        let (mut before, mut peak) = (0, 0);
        let began = Instant::now();
        while child.try_wait().expect("it is ours").is_none() {
            assert!(began.elapsed() < Duration::from_secs(170), "it never ends");
            std::thread::sleep(Duration::from_millis(20));
            peak = rss(child.id()).max(peak);
            if before == 0 && self.area.read("work/ready").is_some() {
                before = peak;
            }
        }
        assert!(before > 0, "the supervisor was seen");
        let mut stdout = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("text");
        (stdout, peak - before)
    }

    /// `remit` from another terminal.
    pub fn remit(&self, words: &[&str]) -> Finished {
        let mut command = Command::new(remit());
        command.args(words).env("REMIT_HOME", self.area.remit_home());
        run_bounded(&mut command, Duration::from_secs(30))
    }

    /// Whether the server got that text, anywhere in a request.
    pub fn web_saw(&self, text: &str) -> bool {
        saw(&self.web, text)
    }
}

pub fn saw(origin: &Origin, text: &str) -> bool {
    origin.seen().iter().any(|seen| {
        let head = format!("{} {:?}", seen.path, seen.headers);
        head.contains(text) || String::from_utf8_lossy(&seen.body).contains(text)
    })
}
