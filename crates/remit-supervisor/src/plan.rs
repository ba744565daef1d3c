//! From a manifest to a session's plan: paths made canonical, the entry program found, every key
//! either enforced or refused.

use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use remit_core::{
    FileMode, Host, HostPattern, PathScope, ReasonCode, SessionContext, SessionId, Timestamp,
};
use remit_egress::Authority;
use remit_manifest::{
    CpuLimit, Execute, FileRule, Manifest, ManifestSource, Sha256Digest, Variables,
};
use remit_policy::{HookFolder, Policy, PolicyEnv};
use remit_sandbox::plan::{
    AUTHORITY_FILE, BUNDLE_FILE, GrantMount, ProgramMount, Programs, ResourceLimits,
    SYSTEM_DIRECTORIES, SessionPlan,
};

pub(crate) use crate::home::{login_name as user_name, person_home as home_folder};
use crate::{
    EgressSettings, RemitHome, RunError, SystemClock,
    data::{self, Data},
    error::Step as _,
    names,
    programs::{self, Entry},
    repositories,
};

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The manifest's file.
    pub manifest: PathBuf,
    /// `${WORKDIR}` and the program's starting folder.
    pub workdir: PathBuf,
    /// Who is responsible; the login name where absent.
    pub principal: Option<String>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Nobody may be asked.
    pub non_interactive: bool,
}

/// A session that could be built.
pub struct Planned {
    pub(crate) context: SessionContext,
    pub(crate) plan: SessionPlan,
    pub(crate) manifest: Manifest,
    pub(crate) policy: Option<Policy>,
    pub(crate) home: RemitHome,
    pub(crate) authority: Arc<Authority>,
    pub(crate) asked_programs: Vec<PathBuf>,
    pub(crate) settings: EgressSettings,
    pub(crate) egress_bytes: Option<u64>,
    pub(crate) data: Data,
    pub(crate) literals: Vec<(Host, Ipv4Addr, Arc<[u16]>)>,
    pub(crate) non_interactive: bool,
    pub(crate) manifest_path: PathBuf,
    /// Rules whose paths this machine lacks.
    pub warnings: Vec<String>,
}

impl Planned {
    /// Plans a session. Builds nothing.
    ///
    /// # Errors
    /// [`RunError`] with the contract's status.
    pub fn new(request: RunRequest) -> Result<Self, RunError> {
        let person = home_folder();
        let source = ManifestSource::read(&request.manifest)?;
        let workdir = request.workdir.canonicalize().step("open the working folder")?;
        let variables = Variables { home: person.clone(), workdir: workdir.clone() };
        let mut manifest = Manifest::parse(&source, &variables)?;
        refuse_unsupported(&manifest)?;
        refuse_expired(&manifest)?;
        let data = Data::new(&manifest)?;
        let mut warnings = data::notices(&manifest);
        settle_processors(&manifest, &mut warnings)?;
        let missing = settle_files(&mut manifest, &mut warnings)?;
        let search = programs::search_path();
        let command = request.command.first().cloned().unwrap_or_default();
        let entry = programs::find(&command, &workdir, &search)?;
        check_entry(&manifest, &entry)?;
        let (programs, asked_programs) = settle_programs(&mut manifest, &entry, &mut warnings)?;
        let home = RemitHome::from_environment(&person);
        let settings = EgressSettings::load(&home)?;
        settings.keep_from(&manifest, &home)?;
        let authority =
            Authority::new(&manifest.agent).map_err(|error| RunError::Egress(error.to_string()))?;
        let way = names::on_the_way_to(&request.manifest).step("find the manifest")?;
        let env = policy_env(&entry, &home, &way);
        let hidden = env.hidden.iter().map(|scope| scope.as_path().to_owned()).collect();
        let policy =
            Policy::new(&manifest, env).map_err(|error| RunError::Policy(error.to_string()))?;
        let policy = policy.with_hooks(hooks_of(&manifest, &person));
        let id = session_id().step("draw a session id")?;
        let user = user_name();
        let mut arguments = request.command;
        if let Some(first) = arguments.first_mut() {
            *first = command;
        }
        let literals = literals(&manifest);
        let plan = SessionPlan {
            program: entry.path.clone(),
            arguments,
            environment: environment(&manifest, &person, &search, &user, &id),
            home: scratch_home(&person),
            workdir,
            grants: grants(&manifest, &missing),
            hidden,
            literals: literals
                .iter()
                .map(|(_, address, _)| *address)
                .filter(|address| !address.is_loopback())
                .collect(),
            programs,
            loaders: programs::loaders(),
            authority_pem: Some(authority.ca_pem().to_owned()),
            limits: limits(&manifest),
            user: user.clone(),
            hostname: "remit".into(),
        };
        let context = SessionContext {
            id,
            principal: request.principal.unwrap_or(user).into(),
            agent_id: manifest.agent_id().into(),
            manifest: Arc::clone(source.digest()),
        };
        Ok(Self {
            context,
            plan,
            policy: Some(policy),
            home,
            authority: Arc::new(authority),
            asked_programs,
            settings,
            egress_bytes: manifest.limits.egress_bytes,
            data,
            literals,
            non_interactive: request.non_interactive,
            manifest_path: request.manifest.canonicalize().step("open the manifest")?,
            warnings,
            manifest,
        })
    }

    /// The walls, for `--dry-run`.
    pub const fn walls(&self) -> &SessionPlan {
        &self.plan
    }

    /// The manifest with its paths settled on this machine, for `--dry-run`.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The operator's settings for the way out, for `--dry-run`.
    pub const fn egress_settings(&self) -> &EgressSettings {
        &self.settings
    }

    /// The manifest's file.
    pub fn manifest_file(&self) -> &Path {
        &self.manifest_path
    }

    /// Who runs what under which manifest.
    pub const fn context(&self) -> &SessionContext {
        &self.context
    }
}

/// What repositories of this machine make protected files of, under a manifest whose paths are
/// canonical.
pub fn hooks_of(manifest: &Manifest, person: &Path) -> Vec<HookFolder> {
    let writable = manifest.files.iter().filter(|rule| rule.mode == FileMode::Write);
    let writable: Vec<&Path> = writable.map(|rule| rule.scope.as_path()).collect();
    repositories::hook_folders(&writable, person)
}

/// Where the throw-away home stands inside: at the person's own path, unless that is a place
/// which programs need.
fn scratch_home(person: &Path) -> PathBuf {
    let system = SYSTEM_DIRECTORIES.iter().chain(&["/etc", "/proc", "/dev", "/tmp", "/run"]);
    let taken = person == Path::new("/") || system.into_iter().any(|dir| person.starts_with(dir));
    if taken { PathBuf::from("/home/agent") } else { person.to_owned() }
}

pub(crate) fn refuse_unsupported(manifest: &Manifest) -> Result<(), RunError> {
    manifest.needs().first().map_or(Ok(()), |need| {
        Err(RunError::Unsupported {
            key: need.key.clone(),
            feature: need.feature,
            at: Arc::clone(&need.at),
        })
    })
}

pub(crate) fn refuse_expired(manifest: &Manifest) -> Result<(), RunError> {
    let now: Timestamp = remit_core::Clock::now(&SystemClock);
    match &manifest.expiry {
        Some(expiry) if expiry.time <= now => {
            Err(RunError::Expired(expiry.time, Arc::clone(&expiry.at)))
        }
        _ => Ok(()),
    }
}

/// Checks granted paths against this machine; returns those that do not exist. Their rules stay in
/// the policy, because a wider one must not take over when something is made there. Where no wider
/// rule lets the agent make it, a write rule is refused: what the agent wrote would be lost.
fn settle_files(
    manifest: &mut Manifest,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, RunError> {
    let mut missing = Vec::new();
    for rule in &mut manifest.files {
        if !settle_file(rule)? {
            missing.push(rule.scope.as_path().to_owned());
        }
    }
    for rule in &manifest.files {
        let path = rule.scope.as_path();
        if !missing.iter().any(|one| one == path) {
            continue;
        }
        let wider = manifest.files.iter().filter(|other| {
            let above = other.scope.as_path();
            above != path && path.starts_with(above) && !missing.iter().any(|one| one == above)
        });
        let nearest = wider.max_by_key(|other| other.scope.depth());
        let made = nearest.is_some_and(|other| other.mode == FileMode::Write);
        if rule.mode == FileMode::Write && !made {
            return Err(RunError::Grant {
                path: path.to_owned(),
                problem: "does not exist",
                help: "create it first, or remove the rule",
                at: Arc::clone(&rule.at),
            });
        }
        if !made {
            warnings.push(format!("{}: {} does not exist; left out", rule.at.pointer, rule.scope));
        }
    }
    Ok(missing)
}

/// Makes the path canonical. Whether there is something.
fn settle_file(rule: &mut FileRule) -> Result<bool, RunError> {
    let path = rule.scope.as_path().to_owned();
    let bad = |problem, help| RunError::Grant {
        path: path.clone(),
        problem,
        help,
        at: Arc::clone(&rule.at),
    };
    if path == Path::new("/") {
        return Err(bad("the whole file system cannot be granted", "name the folders"));
    }
    let (resolved, there) = match resolve(&path) {
        Ok(resolved) => (resolved, true),
        Err(Unresolved::Link) => {
            let help = "a link can be pointed elsewhere: name the place it leads to";
            return Err(bad("a part of the path is a symbolic link", help));
        }
        Err(Unresolved::Missing(resolved)) => (resolved, false),
        Err(Unresolved::Denied) => {
            return Err(bad("you have no access to it yourself", "a grant cannot give more"));
        }
    };
    if ["/proc", "/dev", "/sys"].iter().any(|kernel| resolved.starts_with(kernel)) {
        return Err(bad("belongs to the kernel", "such files cannot be granted"));
    }
    rule.scope =
        PathScope::new(&resolved).map_err(|_| bad("cannot be granted", "name an absolute path"))?;
    Ok(there)
}

enum Unresolved {
    /// With the canonical form of what there is of it.
    Missing(PathBuf),
    Denied,
    Link,
}

/// The canonical form of a granted path. Links are followed only directly below `/` (such as
/// `/bin`), where no agent can have planted one.
fn resolve(path: &Path) -> Result<PathBuf, Unresolved> {
    let mut sofar = PathBuf::from("/");
    let mut parts = path.components().enumerate();
    while let Some((depth, part)) = parts.next() {
        let Component::Normal(name) = part else { continue };
        sofar.push(name);
        let meta = match sofar.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Unresolved::Denied);
            }
            Err(_) => {
                sofar.extend(parts.map(|(_, part)| part));
                return Err(Unresolved::Missing(sofar));
            }
        };
        if meta.is_symlink() {
            if depth > 1 {
                return Err(Unresolved::Link);
            }
            match sofar.canonicalize() {
                Ok(real) => sofar = real,
                Err(_) => return Err(Unresolved::Missing(path.to_owned())),
            }
        }
    }
    Ok(sofar)
}

/// The entry program must not be something that the agent could have written, and must be the
/// pinned one where the manifest pins it.
fn check_entry(manifest: &Manifest, entry: &Entry) -> Result<(), RunError> {
    for path in &entry.chain {
        let covering = manifest.files.iter().filter(|rule| rule.scope.covers(path));
        let nearest = covering.max_by_key(|rule| rule.scope.depth());
        if nearest.is_some_and(|rule| rule.mode == FileMode::Write) {
            let problem = ReasonCode::AgentWritten.sentence();
            return Err(RunError::NotExecutable { path: path.clone(), problem });
        }
    }
    let Some(binary) = &manifest.binary else { return Ok(()) };
    let (Some(expected), Some(path)) = (binary.sha256, entry.chain.first()) else { return Ok(()) };
    let actual = programs::digest(path).step("read the program")?;
    if actual == expected.0 {
        return Ok(());
    }
    Err(RunError::Digest {
        path: path.clone(),
        actual: Sha256Digest(actual).to_string(),
        expected: expected.to_string(),
        at: Arc::clone(&binary.at),
    })
}

/// Makes the execute list canonical and says what exists inside. Returns also the canonical paths
/// of programs that wait for a person.
fn settle_programs(
    manifest: &mut Manifest,
    entry: &Entry,
    warnings: &mut Vec<String>,
) -> Result<(Programs, Vec<PathBuf>), RunError> {
    let plain = |path: &PathBuf| ProgramMount { path: path.clone(), asked: false };
    let mut named: Vec<ProgramMount> = entry.started.iter().map(plain).collect();
    let mut asked = Vec::new();
    let list = match &mut manifest.execute {
        Execute::All(_) => return Ok((Programs::System(named), asked)),
        Execute::None(_) => return Ok((Programs::Only(with_shell(named)), asked)),
        Execute::List(list) => list,
    };
    if let Some(rule) = list.iter().find(|one| one.sha256.is_some() && one.path.as_path().is_dir())
    {
        return Err(RunError::Grant {
            path: rule.path.as_path().to_owned(),
            problem: "a folder has no digest",
            help: "pin each program by a rule of its own",
            at: Arc::clone(&rule.at),
        });
    }
    list.retain_mut(|rule| {
        let path = rule.path.as_path().to_owned();
        let Ok(real) = path.canonicalize() else {
            // The rule stays: a wider one must not permit what it pins or asks about.
            warnings.push(format!("{}: {} does not exist", rule.at.pointer, rule.path));
            let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
            let real = parent.zip(path.file_name()).map(|(parent, name)| parent.join(name));
            return PathScope::new(real.unwrap_or(path)).map(|scope| rule.path = scope).is_ok();
        };
        let own = entry.chain.contains(&real);
        if rule.ask && !own {
            asked.push(real.clone());
        }
        if !own {
            // What is not the pinned program can then not be started by winning a race against
            // the decision either.
            let other = |pinned: &Sha256Digest| {
                programs::digest(&real).map_or(true, |actual| actual != pinned.0)
            };
            let asked = rule.ask || rule.sha256.as_ref().is_some_and(other);
            named.push(ProgramMount { path, asked });
        }
        PathScope::new(&real).map(|scope| rule.path = scope).is_ok()
    });
    Ok((Programs::Only(with_shell(named)), asked))
}

/// A listed shell is also `/bin/sh` where the machine says so: scripts and libc name that path.
fn with_shell(mut named: Vec<ProgramMount>) -> Vec<ProgramMount> {
    let shell = Path::new("/bin/sh");
    let Ok(real) = shell.canonicalize() else { return named };
    let listed =
        |one: &ProgramMount| !one.asked && one.path.canonicalize().is_ok_and(|p| p == real);
    if named.iter().any(listed) {
        named.push(ProgramMount { path: shell.to_owned(), asked: false });
    }
    named
}

fn grants(manifest: &Manifest, missing: &[PathBuf]) -> Vec<GrantMount> {
    let mount = |rule: &FileRule| GrantMount {
        path: rule.scope.as_path().to_owned(),
        write: rule.mode == FileMode::Write,
    };
    let there = |rule: &&FileRule| !missing.iter().any(|path| path == rule.scope.as_path());
    manifest.files.iter().filter(there).map(mount).collect()
}

/// Hosts that programs reach without a lookup: listed literal IPv4 addresses, and `localhost`.
/// Listed literal addresses, and `localhost`, with the ports of all their rules.
fn literals(manifest: &Manifest) -> Vec<(Host, Ipv4Addr, Arc<[u16]>)> {
    let mut all: Vec<(Host, Ipv4Addr, Arc<[u16]>)> = Vec::new();
    for rule in &manifest.network.hosts {
        let HostPattern::Exact(host) = &rule.pattern else { continue };
        let address = match host {
            Host::Address(IpAddr::V4(address)) => *address,
            Host::Name(name) if &**name == "localhost" => Ipv4Addr::LOCALHOST,
            _ => continue,
        };
        // One listener for each address and port: where `localhost` and 127.0.0.1 both name one, it
        // stands for whoever came first.
        let taken =
            |port: &u16| all.iter().any(|(_, at, ports)| *at == address && ports.contains(port));
        let more: Vec<u16> = rule.ports.iter().copied().filter(|port| !taken(port)).collect();
        match all.iter_mut().find(|(own, at, _)| own == host && *at == address) {
            Some((_, _, ports)) => *ports = ports.iter().copied().chain(more).collect(),
            None => all.push((host.clone(), address, more.into())),
        }
    }
    all
}

/// `way` are the names that lead to the manifest.
fn policy_env(entry: &Entry, home: &RemitHome, way: &[PathBuf]) -> PolicyEnv {
    let scope = |path: &Path| PathScope::new(path.canonicalize().unwrap_or_else(|_| path.into()));
    let system = SYSTEM_DIRECTORIES.iter().filter_map(|dir| scope(Path::new(dir)).ok());
    PolicyEnv {
        entry_programs: entry.chain.clone(),
        system_dirs: system.collect(),
        own: way.iter().filter_map(|path| PathScope::new(path).ok()).collect(),
        hidden: home.own().iter().filter_map(|path| scope(path).ok()).collect(),
    }
}

/// Processors are given whole: a part of one is rounded down, and less than one refused, because
/// rounding it up would give more than the manifest does.
fn settle_processors(manifest: &Manifest, warnings: &mut Vec<String>) -> Result<(), RunError> {
    let Some(CpuLimit::Processors(thousandths)) = manifest.limits.cpu else { return Ok(()) };
    if thousandths < 1000 {
        let text = "limits/cpu: less than one processor cannot be enforced here";
        return Err(RunError::Policy(text.into()));
    }
    if !thousandths.is_multiple_of(1000) {
        warnings.push("limits/cpu: rounded down to whole processors".into());
    }
    Ok(())
}

fn limits(manifest: &Manifest) -> ResourceLimits {
    let own = &manifest.limits;
    ResourceLimits {
        memory: own.memory,
        cpu: match own.cpu {
            Some(CpuLimit::Time(time)) => Some(time),
            _ => None,
        },
        processors: match own.cpu {
            Some(CpuLimit::Processors(thousandths)) => Some(thousandths.div_euclid(1000).max(1)),
            _ => None,
        },
        processes: own.processes.map(u64::from),
        wall_time: own.wall_time,
        disk: own.disk,
        open_files: own.open_files.map(u64::from),
    }
}

/// Variables that point tools with a trust store of their own at the session's authority: those
/// that replace a store get the system's roots too, those that add get the authority alone.
const TRUST: &[(&str, &str)] = &[
    ("SSL_CERT_FILE", BUNDLE_FILE),
    ("CURL_CA_BUNDLE", BUNDLE_FILE),
    ("REQUESTS_CA_BUNDLE", BUNDLE_FILE),
    ("GIT_SSL_CAINFO", BUNDLE_FILE),
    ("CARGO_HTTP_CAINFO", BUNDLE_FILE),
    ("PIP_CERT", BUNDLE_FILE),
    ("AWS_CA_BUNDLE", BUNDLE_FILE),
    ("HTTPLIB2_CA_CERTS", BUNDLE_FILE),
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", BUNDLE_FILE),
    ("NIX_SSL_CERT_FILE", BUNDLE_FILE),
    ("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", BUNDLE_FILE),
    ("NODE_EXTRA_CA_CERTS", AUTHORITY_FILE),
    ("DENO_CERT", AUTHORITY_FILE),
    ("CODEX_CA_CERTIFICATE", AUTHORITY_FILE),
];

fn environment(
    manifest: &Manifest,
    person: &Path,
    search: &OsStr,
    user: &str,
    id: &SessionId,
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = Vec::new();
    let passed = manifest.environment.iter().map(|name| &**name);
    let always = ["LANG", "LC_ALL", "LC_CTYPE", "TERM"];
    for name in always.into_iter().chain(passed) {
        if let Some(value) = std::env::var_os(name)
            && all.iter().all(|(known, _)| known != name)
        {
            all.push((name.into(), value));
        }
    }
    let mut set = |name: &str, value: &OsStr| {
        all.retain(|(known, _)| known != name);
        all.push((name.into(), value.into()));
    };
    set("PATH", search);
    set("HOME", scratch_home(person).as_os_str());
    set("USER", OsStr::new(user));
    set("LOGNAME", OsStr::new(user));
    set("REMIT_SESSION", OsStr::new(id.as_str()));
    for (name, value) in TRUST {
        set(name, OsStr::new(value));
    }
    all
}

pub(crate) fn session_id() -> std::io::Result<SessionId> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(SessionId::from_random(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_rules_for_one_literal_address_keep_both_their_ports() {
        let text = r#"{"agent": "a.b", "permissions": {"network": {"egressHosts": [
            {"host": "10.0.0.9", "ports": [5432]}, "localhost:8080",
            {"host": "10.0.0.9", "ports": [80, 5432], "methods": ["GET"]}, "localhost:9090",
            {"host": "127.0.0.1", "ports": [9090, 9091]}, "a.test", "*.b.test"]}}}"#;
        let variables = Variables { home: "/h".into(), workdir: "/w".into() };
        let source = ManifestSource::from_text("m", text);
        let found = literals(&Manifest::parse(&source, &variables).unwrap());
        let found: Vec<(String, &[u16])> =
            found.iter().map(|(host, _, ports)| (host.to_string(), &ports[..])).collect();
        let expected: [(String, &[u16]); 3] = [
            ("10.0.0.9".into(), &[5432, 80]),
            ("localhost".into(), &[8080, 9090]),
            ("127.0.0.1".into(), &[9091]),
        ];
        assert_eq!(found, expected);
    }
}
