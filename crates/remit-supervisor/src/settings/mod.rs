//! The operator's own settings for the way out: `config/egress.json` in Remit's home.
//!
//! Only this file can name an upstream proxy or roots to trust: variables of the environment and
//! manifests come from people who must not redirect every session's traffic.

mod file;
mod wire;

use std::path::{Path, PathBuf};

use remit_egress::{Reach, UpstreamProxy, UpstreamTrust};
use remit_manifest::{Manifest, Network};
use remit_sandbox::plan::SYSTEM_DIRECTORIES;

use self::file::Private;
use crate::{RemitHome, RunError};

/// What the operator has set; nothing where the file is missing.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    file: PathBuf,
    proxy: Option<UpstreamProxy>,
    trust: UpstreamTrust,
    root_cas: Vec<PathBuf>,
    /// Files with a secret.
    secrets: Vec<PathBuf>,
}

impl EgressSettings {
    /// Reads the file and everything that it names.
    ///
    /// # Errors
    /// [`RunError::Settings`] with the file and, where there is one, the position in it.
    pub fn load(home: &RemitHome) -> Result<Self, RunError> {
        let file = home.config.join(NAME);
        let mut settings = Self {
            file: file.clone(),
            proxy: None,
            trust: UpstreamTrust::system(),
            root_cas: Vec::new(),
            secrets: Vec::new(),
        };
        let Some(text) = file::read_optional(&file)? else { return Ok(settings) };
        let wire: wire::Settings =
            serde_json::from_str(&text).map_err(|error| RunError::settings_text(&file, &error))?;
        if wire.holds_secret() {
            file::must_be_private(&file)?;
        }
        for path in &wire.root_cas {
            let path = home.config.join(path);
            settings.trust = with_roots(settings.trust, &path)?;
            settings.root_cas.push(path);
        }
        if let Some(proxy) = wire.upstream_proxy {
            settings.proxy = Some(settings.upstream(proxy, &home.config)?);
        }
        Ok(settings)
    }

    /// The upstream proxy.
    pub const fn upstream_proxy(&self) -> Option<&UpstreamProxy> {
        self.proxy.as_ref()
    }

    /// Files of roots that are trusted besides the system's.
    pub fn root_cas(&self) -> &[PathBuf] {
        &self.root_cas
    }

    /// The file itself, whether it is there or not.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whom to trust upstream.
    pub(crate) fn trust(&self) -> UpstreamTrust {
        self.trust.clone()
    }

    /// How far a session under these rules can go. Nothing of `localOnly` goes by a proxy.
    pub(crate) fn reach(&self, network: &Network) -> Reach {
        if network.local_only {
            Reach::Machine
        } else if network.block_external {
            Reach::Private(self.proxy.clone())
        } else {
            Reach::Anywhere(self.proxy.clone())
        }
    }

    /// Refuses a session that could read a secret of the operator's. Remit's own folders are never
    /// shown to one.
    pub(crate) fn keep_from(&self, manifest: &Manifest, home: &RemitHome) -> Result<(), RunError> {
        let own: Vec<PathBuf> = home.own();
        for path in &self.secrets {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if own.iter().any(|folder| real.starts_with(folder)) {
                continue;
            }
            let granted = manifest.files.iter().any(|rule| rule.scope.covers(&real));
            let system = SYSTEM_DIRECTORIES.iter().any(|folder| real.starts_with(folder));
            if granted || system {
                let problem = format!(
                    "{} holds a secret, and this session could read it",
                    remit_core::display_path(&real)
                );
                return Err(RunError::settings(&self.file, problem));
            }
        }
        Ok(())
    }

    fn upstream(&mut self, wire: wire::Upstream, folder: &Path) -> Result<UpstreamProxy, RunError> {
        let tls = match (wire.url.tls, &wire.ca) {
            (false, None) => None,
            (true, None) => Some(self.trust.clone()),
            (true, Some(ca)) => Some(with_roots(self.trust.clone(), &folder.join(ca))?),
            (false, Some(_)) => {
                let problem =
                    "upstreamProxy/ca: only a proxy with an https URL shows a certificate";
                return Err(RunError::settings(&self.file, problem));
            }
        };
        let credentials = match wire.auth {
            None => None,
            Some(auth) => {
                let read = |path: &Path| file::read_secret(&folder.join(path));
                self.secrets.extend(auth.file().map(|path| folder.join(path)));
                let made = auth.credentials(read)?;
                Some(made.map_err(|error| {
                    RunError::settings(&self.file, format!("upstreamProxy/auth: {error}"))
                })?)
            }
        };
        Ok(UpstreamProxy {
            host: wire.url.host,
            port: wire.url.port,
            tls,
            credentials,
            bypass: wire.bypass.into_iter().map(|one| one.0).collect(),
            target_by: wire.target_by.into(),
        })
    }
}

fn with_roots(trust: UpstreamTrust, path: &Path) -> Result<UpstreamTrust, RunError> {
    let pem = file::read(path, Private::No)?;
    trust.with_pem(&pem).map_err(|error| RunError::settings(path, error.to_string()))
}

const NAME: &str = "egress.json";
