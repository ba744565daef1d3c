//! A vendor's host behind TLS, and the manifest that permits a part of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use remit_testkit::{
    Area, ManifestBuilder, Origin, Reply, Seen, Session, Site, TestAuthority, npm_clients,
    pip_clients,
};
use serde_json::json;

/// The vendor's host: everything below `/v1/` but nothing else is permitted.
pub const VENDOR: &str = "api.vendor.example";
/// A host at the same address that no manifest lists.
pub const UNLISTED: &str = "unlisted.vendor.example";
/// Where both are.
const SERVER: &str = "127.0.0.2:443";
/// What the vendor's host says at `/v1/models`.
pub const MODELS: &str = "the models";
/// What every client sends.
pub const BODY: &str = "a body";

/// Where programs come from.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local"];

/// One client's folders and servers.
pub struct Place {
    pub area: Area,
    manifest: ManifestBuilder,
    authority: TestAuthority,
    pub origin: Origin,
}

impl Place {
    /// The vendor's own API.
    pub fn new(name: &str) -> Self {
        let is_grpc = |seen: &Seen| {
            seen.headers
                .get("content-type")
                .is_some_and(|kind| kind.as_bytes() == b"application/grpc")
        };
        let answer = move |seen: &Seen| if is_grpc(seen) { grpc(seen) } else { vendor(seen) };
        Self::serving(name, |_| Site::Function(Arc::new(answer)))
    }

    /// Another site, made from the client's folder.
    pub fn serving(name: &str, site: impl FnOnce(&Area) -> Site) -> Self {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let area = Area::new(&name);
        let authority = TestAuthority::new();
        authority.write_bundle(area.path());
        let origin = Origin::tls(&authority, SERVER, &[VENDOR, UNLISTED], site(&area));
        let programs = area.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        let rule = json!({ "host": VENDOR, "addresses": ["127.0.0.0/8"], "paths": ["/v1/*"] });
        let manifest = ManifestBuilder::default().write(area.work()).host_rule(rule);
        let manifest = [npm_clients(), pip_clients(), programs]
            .iter()
            .fold(manifest, |manifest, folder| manifest.read(folder).execute(folder));
        let manifest = PROGRAMS
            .iter()
            .filter(|folder| Path::new(folder).is_dir())
            .fold(manifest, |manifest, folder| manifest.execute(folder));
        Self { area, manifest, authority, origin }
    }

    /// Changes the manifest.
    pub fn with(mut self, change: impl FnOnce(ManifestBuilder) -> ManifestBuilder) -> Self {
        self.manifest = change(self.manifest);
        self
    }

    /// Certificate and key of another server by the vendor's name.
    pub fn server_pem(&self) -> (String, String) {
        self.authority.server_pem(&[VENDOR])
    }

    /// The origin's root.
    pub fn root_pem(&self) -> String {
        self.authority.pem()
    }

    /// Where programs stand that were compiled for this client.
    pub fn programs(&self) -> PathBuf {
        self.area.path().join("programs")
    }

    /// A session; `remit` itself trusts the origin by its own environment.
    pub fn session(&self) -> Session<'_> {
        Session::under(&self.area, &self.manifest)
            .env("SSL_CERT_FILE", self.area.path().join("origins.pem"))
            .within(Duration::from_secs(120))
    }
}

/// The same in gRPC's frames (PROTOCOL-HTTP2.md of gRPC): a flag, a length, a message; the status
/// comes in the trailers.
fn grpc(seen: &Seen) -> Reply {
    let unframed =
        Seen { body: seen.body.get(5..).unwrap_or_default().to_vec().into(), ..seen.clone() };
    let answer = match seen.path.as_str() {
        "/v1/models" => Reply::ok(MODELS),
        _ => vendor(&unframed),
    };
    let length = u32::try_from(answer.body.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &answer.body[..]].concat();
    Reply {
        headers: vec![("content-type", "application/grpc".into())],
        trailers: vec![("grpc-status", "0".into())],
        ..Reply::ok(body)
    }
}

/// What the vendor answers; refused paths too, so that it is Remit who refuses.
fn vendor(seen: &Seen) -> Reply {
    let path = seen.path.split('?').next().unwrap_or_default();
    match (seen.method.as_str(), path) {
        ("GET", "/v1/models") => Reply::ok(MODELS),
        ("PUT", "/v1/upload") if seen.body.windows(6).any(|part| part == BODY.as_bytes()) => {
            Reply::ok("")
        }
        ("POST", "/v1/messages") => {
            Reply::ok(format!("echo {}", String::from_utf8_lossy(&seen.body)))
        }
        _ => Reply { status: StatusCode::NOT_FOUND, ..Reply::ok("not found") },
    }
}
