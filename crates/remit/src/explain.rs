//! What a manifest says about one path, host or program on this machine: the same policy and the
//! same canonical names that a session under it would use, without a session.

use std::{
    fs,
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use remit_core::{
    AccessRequest, Action, CorrelationId, Decision, Effect, FileKind, Host, PathScope, Pdp as _,
    ReasonCode, Resource, RuleRef, RuleSource, SessionId,
};
use remit_manifest::{Execute, Manifest, ManifestSource, Variables};
use remit_policy::{Policy, PolicyEnv, PolicyStore};
use remit_sandbox::plan::SYSTEM_DIRECTORIES;
use remit_supervisor::{RunError, SystemClock, hooks_of, on_the_way_to};
use sha2::{Digest as _, Sha256};

use crate::{failure::Failure, place};

/// A manifest, ready to answer.
pub(crate) struct Explainer {
    /// Its text, with digest.
    pub(crate) source: ManifestSource,
    store: PolicyStore,
}

/// A question and its answer.
pub(crate) struct Explained {
    /// What was asked.
    pub(crate) request: AccessRequest,
    /// The answer.
    pub(crate) decision: Decision,
    /// Facts that the rule alone does not tell.
    pub(crate) notes: Vec<String>,
}

impl Explainer {
    /// Reads a manifest and compiles it for this machine.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read or is not valid.
    pub(crate) fn new(path: &Path, workdir: &Path) -> Result<Self, Failure> {
        let source = ManifestSource::read(path)?;
        let workdir = workdir.canonicalize().map_err(Failure::at(workdir))?;
        let mut manifest = Manifest::parse(&source, &Variables { home: place::person(), workdir })?;
        settle(&mut manifest);
        let policy = Policy::new(&manifest, environment(path))
            .map_err(|error| RunError::Policy(error.to_string()))?
            .with_hooks(hooks_of(&manifest, &place::person()));
        Ok(Self { source, store: PolicyStore::new(policy, Arc::new(SystemClock)) })
    }

    /// A file or folder; what does not exist is judged as what would be created.
    pub(crate) fn path(&self, path: &Path, write: bool) -> Result<Explained, Failure> {
        let absolute = std::path::absolute(path).map_err(Failure::at(path))?;
        let real = canonical(&absolute);
        let action = if write { Action::WriteFile } else { Action::ReadFile };
        let mut request = AccessRequest::new(action, Resource::File(real.clone()));
        request.context.kind = Some(kind(&real));
        let mut explained = self.answer(request);
        if real != absolute {
            explained.notes.push(format!("leads to {}", remit_core::display_path(&real)));
        }
        if explained.decision.reason == ReasonCode::NoGrant {
            inside(&real, write, &mut explained);
        }
        Ok(explained)
    }

    /// A program, canonical where it exists, else looked for on `PATH`.
    pub(crate) fn program(&self, name: &Path) -> Result<Explained, Failure> {
        let missing = || Failure::Program(name.to_owned());
        let slash = name.components().count() > 1 || name.is_absolute();
        let found = if slash { Some(name.to_owned()) } else { on_path(name) };
        let path = found.and_then(|path| path.canonicalize().ok()).ok_or_else(missing)?;
        let sha256 = digest(&path);
        let resource = Resource::Program { path, sha256 };
        Ok(self.answer(AccessRequest::new(Action::Execute, resource)))
    }

    /// A host: the name, then the connection (to port 443 unless one is given), then the request
    /// where one is given. The first no is the answer, else the last yes.
    pub(crate) fn host(
        &self,
        host: &Host,
        port: Option<u16>,
        http: Option<(&str, &str)>,
    ) -> Explained {
        let mut steps = Vec::new();
        // A named port is asked about at once: its denial suggests a rule with that very port.
        if host.as_name().is_some() && port.is_none() {
            steps.push(AccessRequest::new(Action::ResolveName, Resource::Name(host.clone())));
        }
        let (host, port) = (host.clone(), port.unwrap_or(443));
        let request = http.map(|(method, path)| {
            let (method, path) = (method.to_owned(), path.to_owned());
            let resource = Resource::Http { host: host.clone(), port, method, path };
            AccessRequest::new(Action::HttpRequest, resource)
        });
        let connect = AccessRequest::new(Action::Connect, Resource::Endpoint { host, port });
        let last = request.clone().unwrap_or_else(|| connect.clone());
        if request.is_some() {
            steps.push(connect);
        }
        for step in steps {
            let explained = self.answer(step);
            if explained.decision.effect == Effect::Deny {
                return explained;
            }
        }
        let mut last = self.answer(last);
        if http.is_none() && last.decision.effect != Effect::Deny {
            last.notes.push("each HTTP request is decided by method and path as well".into());
        }
        last
    }

    fn answer(&self, request: AccessRequest) -> Explained {
        // No grant can be meant for this attempt, so any correlation will do.
        let nobody = CorrelationId::new(SessionId::from_random([0; 10]), 0);
        let decision = self.store.decide(&request, &nobody);
        Explained { request, decision, notes: Vec::new() }
    }
}

/// The program's digest, which matters where a rule pins one.
fn digest(path: &Path) -> Option<[u8; 32]> {
    let mut file = fs::File::open(path).ok()?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0u8; 64 << 10]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hash.finalize().into()),
            got => hash.update(buffer.get(..got).unwrap_or_default()),
        }
    }
}

/// Rules name places; sessions know them by their canonical names.
fn settle(manifest: &mut Manifest) {
    let real = |scope: &mut PathScope| {
        if let Ok(own) = PathScope::new(canonical(scope.as_path())) {
            *scope = own;
        }
    };
    manifest.files.iter_mut().for_each(|rule| real(&mut rule.scope));
    if let Execute::List(list) = &mut manifest.execute {
        list.iter_mut().for_each(|rule| real(&mut rule.path));
    }
}

fn environment(manifest: &Path) -> PolicyEnv {
    let scope = |path: &Path| PathScope::new(canonical(path)).ok();
    PolicyEnv {
        entry_programs: Vec::new(),
        system_dirs: SYSTEM_DIRECTORIES.iter().filter_map(|dir| scope(Path::new(dir))).collect(),
        own: on_the_way_to(manifest)
            .unwrap_or_default()
            .iter()
            .filter_map(|path| PathScope::new(path).ok())
            .collect(),
        hidden: place::home().own().iter().filter_map(|path| scope(path)).collect(),
    }
}

/// The canonical name of an absolute path; of what is missing, the deepest folder that exists
/// counts, and `..` behind it is dropped with what it cancels.
fn canonical(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut known = path;
    loop {
        if let Ok(real) = known.canonicalize() {
            let tail: PathBuf = missing.into_iter().rev().collect();
            return real.join(tail).components().fold(PathBuf::new(), |mut all, part| {
                if part == Component::ParentDir {
                    all.pop();
                } else {
                    all.push(part);
                }
                all
            });
        }
        let (Some(parent), Some(last)) = (known.parent(), known.components().next_back()) else {
            return path.to_owned();
        };
        missing.push(last.as_os_str());
        known = parent;
    }
}

fn kind(path: &Path) -> FileKind {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => FileKind::Folder,
        Ok(meta) if meta.is_symlink() => FileKind::Symlink,
        Ok(meta) if !meta.is_file() => FileKind::Other,
        _ => FileKind::File,
    }
}

/// What a session has there without any rule.
fn inside(path: &Path, write: bool, explained: &mut Explained) {
    let below = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(canonical(Path::new(dir))));
    if below(SYSTEM_DIRECTORIES) {
        if !write {
            let at = built_in("system directories");
            explained.decision = Decision::permit(ReasonCode::Granted, Some(at), 0);
            explained.notes.push("every session reads the system directories".into());
        }
    } else if below(&["/etc", "/proc", "/dev"]) {
        explained.notes.push(
            "a session has its own /etc, /proc and /dev, with what programs need to run".into(),
        );
    } else if below(&["/tmp", "/var/tmp", "/run"]) || path.starts_with(place::person()) {
        explained.notes.push(
            "a session has its own empty home and /tmp: the file does not exist inside".into(),
        );
    }
}

fn built_in(name: &str) -> Arc<RuleRef> {
    Arc::new(RuleRef { pointer: name.to_owned(), line: 0, column: 0, source: RuleSource::BuiltIn })
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

/// The port of `host:port`, and the host as one parser reads it.
///
/// # Errors
/// [`Failure::Host`].
pub(crate) fn host_and_port(text: &str) -> Result<(Host, Option<u16>), Failure> {
    let bad = |problem: String| Failure::Host { text: text.to_owned(), problem };
    let (host, port) = match text.rsplit_once(':') {
        // A lone IPv6 address has more colons and no brackets.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        Some(port) => {
            let number = port.parse().ok().filter(|number| *number > 0);
            Some(number.ok_or_else(|| bad("a port is a number from 1 to 65535".into()))?)
        }
        None => None,
    };
    let host = Host::parse(host).map_err(|error| bad(error.to_string()))?;
    Ok((host, port))
}
