//! A project folder, its servers, and the two ways to run something there.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use libtest_mimic::Trial;
use remit_testkit::{Area, Finished, ManifestBuilder, Session, TestAuthority, trail};

/// A web server's name.
pub const WEB: &str = "www.programs.example";
/// A package registry's name.
pub const REGISTRY: &str = "registry.programs.example";
/// A git server's name.
pub const GIT: &str = "git.programs.example";
/// Where all of them are.
pub const SERVER: &str = "127.0.0.2";

/// Where programs come from when they are listed one folder at a time.
const PROGRAMS: [&str; 6] = [
    "/usr/bin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/libexec",
];

pub fn trial(name: &'static str, body: fn()) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// One test's project.
pub struct Place {
    pub area: Area,
    pub authority: TestAuthority,
    pub manifest: ManifestBuilder,
    variables: Vec<(&'static str, OsString)>,
    limit: Duration,
}

impl Place {
    /// The project folder may be written, any system program started.
    pub fn new(name: &str) -> Self {
        let area = Area::new(name);
        let authority = TestAuthority::new();
        authority.write_bundle(area.path());
        let manifest = ManifestBuilder::default().write(area.work()).execute_any();
        Self { area, authority, manifest, variables: Vec::new(), limit: Duration::from_secs(120) }
    }

    /// The same with programs listed, which are then opened by the mediator.
    pub fn listed(mut self) -> Self {
        let none = self.manifest.set("/permissions/execute", serde_json::json!([]));
        self.manifest = PROGRAMS
            .iter()
            .filter(|folder| std::path::Path::new(folder).is_dir())
            .fold(none, |manifest, folder| manifest.execute(folder));
        self
    }

    /// Lists a host.
    pub fn host(mut self, name: &str, ports: &[u16]) -> Self {
        self.manifest = self.manifest.host(name, ports);
        self
    }

    /// A variable that the program gets both ways.
    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.manifest = self.manifest.environment(name);
        self.variables.push((name, value.into()));
        self
    }

    /// Changes the manifest.
    pub fn with(mut self, change: impl FnOnce(ManifestBuilder) -> ManifestBuilder) -> Self {
        self.manifest = change(self.manifest);
        self
    }

    /// The origins' root and the system's, for programs that run natively and for `remit` itself.
    pub fn bundle(&self) -> PathBuf {
        self.area.path().join("origins.pem")
    }

    pub fn inside(&self) -> Session<'_> {
        let session =
            Session::under(&self.area, &self.manifest).env("SSL_CERT_FILE", self.bundle());
        self.set_up(session)
    }

    /// Natively every tool must be told of the origins' root; inside none.
    pub fn outside(&self) -> Session<'_> {
        let variables = [
            "SSL_CERT_FILE",
            "CURL_CA_BUNDLE",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "CARGO_HTTP_CAINFO",
            "npm_config_cafile",
        ];
        let session = variables
            .iter()
            .fold(Session::native(&self.area), |session, name| session.env(name, self.bundle()));
        self.set_up(session)
    }

    fn set_up<'a>(&self, session: Session<'a>) -> Session<'a> {
        let session = session.within(self.limit);
        self.variables.iter().fold(session, |session, (name, value)| session.env(name, value))
    }

    /// Runs a shell script natively, then inside; both must end well and print the same.
    pub fn same(&self, script: &str) -> Finished {
        let script = format!("set -eu\n{script}");
        let outside = self.outside().shell(&script).must_succeed();
        let inside = self.inside().shell(&script).must_succeed();
        assert_eq!(inside.stdout, outside.stdout, "natively: {outside}\ninside: {inside}");
        inside
    }

    /// Nothing that this work needs was refused.
    pub fn nothing_was_denied(&self) {
        let events = trail::events(&self.area.remit_home());
        let denied: Vec<_> = events
            .iter()
            .filter(|event| event["outcome"] == "denied")
            .map(|event| format!("{} {} {}", event["action"], event["resource"], event["reason"]))
            // What runtimes look for and do without.
            .filter(|line| !line.contains("\"/sys/"))
            .collect();
        assert!(denied.is_empty(), "{denied:#?}");
    }
}
