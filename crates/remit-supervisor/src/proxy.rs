//! `remit proxy`: the same egress enforcement for programs that Remit does not start.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc};

use remit_audit::{AuditLog, LogOptions, LogPaths};
use remit_core::{
    Action, AuditSink, Guard, GuardPorts, NoApprover, Outcome, ReasonCode, Resource,
    SessionContext, SessionId,
};
use remit_egress::{Authority, ExplicitConfig, ExplicitProxy, Resolver};
use remit_manifest::{Manifest, ManifestSource, Variables};
use remit_policy::{Policy, PolicyEnv, PolicyStore};

use crate::{
    EgressSettings, RemitHome, RunError, SystemClock, data::Data, error::Step as _,
    plan::home_folder,
};

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct ProxyRequest {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The manifest's file.
    pub manifest: PathBuf,
    /// Certificate and key of the authority whose leaves clients trust; a fresh one where absent.
    pub authority: Option<(PathBuf, PathBuf)>,
    /// More roots to trust upstream.
    pub upstream_ca: Option<PathBuf>,
    /// Who is responsible.
    pub principal: Option<String>,
}

/// Why the proxy cannot run.
pub type ProxyError = RunError;

/// Serves until SIGINT or SIGTERM. `ready` is told the address and, for a fresh authority, its
/// certificate.
///
/// # Errors
/// [`ProxyError`].
pub fn serve_proxy(
    request: ProxyRequest,
    ready: impl FnOnce(SocketAddr, &str),
) -> Result<(), ProxyError> {
    let person = home_folder();
    let source = ManifestSource::read(&request.manifest)?;
    let workdir = std::env::current_dir().step("find the working folder")?;
    let manifest = Manifest::parse(&source, &Variables { home: person.clone(), workdir })?;
    crate::plan::refuse_unsupported(&manifest)?;
    crate::plan::refuse_expired(&manifest)?;
    let data = Data::new(&manifest)?;
    for notice in crate::data::notices(&manifest) {
        tracing::warn!("{notice}");
    }
    let egress = |error: &dyn std::fmt::Display| RunError::Egress(error.to_string());
    let authority = match &request.authority {
        Some((certificate, key)) => {
            let certificate = fs::read_to_string(certificate).step("read the CA certificate")?;
            let key = fs::read_to_string(key).step("read the CA key")?;
            Authority::from_pem(&certificate, &key).map_err(|error| egress(&error))?
        }
        None => Authority::new(&manifest.agent).map_err(|error| egress(&error))?,
    };
    let home = RemitHome::from_environment(&person);
    let settings = EgressSettings::load(&home)?;
    let mut trust = settings.trust();
    if let Some(path) = &request.upstream_ca {
        let pem = fs::read_to_string(path).step("read the upstream CA")?;
        trust = trust.with_pem(&pem).map_err(|error| egress(&error))?;
    }
    raise_open_files().step("raise the limit of open files")?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .step("protect the proxy's memory")?;
    home.create().map_err(|error| RunError::Audit(error.to_string()))?;
    let paths = LogPaths { audit: home.audit.clone(), keys: home.config.clone() };
    let log = AuditLog::open(paths, LogOptions::default())
        .map_err(|error| RunError::Audit(error.to_string()))?;
    let policy = Policy::new(&manifest, PolicyEnv::default())
        .map_err(|error| RunError::Policy(error.to_string()))?;
    let clock = Arc::new(SystemClock);
    let store = Arc::new(PolicyStore::new(policy, clock.clone()));
    let context = SessionContext {
        id: session_id()?,
        principal: request.principal.unwrap_or_else(crate::plan::user_name).into(),
        agent_id: manifest.agent_id().into(),
        manifest: Arc::clone(source.digest()),
    };
    let ports = GuardPorts {
        pdp: Arc::clone(&store) as _,
        audit: Arc::clone(&log) as Arc<dyn AuditSink>,
        approver: Arc::new(NoApprover),
        clock,
    };
    let guard = Guard::new(context, ports, std::time::Duration::ZERO);
    let note = |action, text: String| {
        let (outcome, reason) = (Outcome::Allowed, ReasonCode::SessionLife);
        guard
            .note(action, Resource::Other(text), outcome, reason, None)
            .map_err(|error| RunError::Audit(error.to_string()))
    };
    let listener = std::net::TcpListener::bind(request.listen).step("listen")?;
    let address = listener.local_addr().step("listen")?;
    note(Action::SessionStart, format!("proxy {address}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .step("start the runtime")?;
    let fresh =
        if request.authority.is_none() { authority.ca_pem().to_owned() } else { String::new() };
    let config = ExplicitConfig {
        guard: Arc::clone(&guard),
        authority: Arc::new(authority),
        trust,
        resolver: Resolver::system(),
        reach: settings.reach(&manifest.network),
        policy_changed: crate::session::policy_changes(&store),
        egress_bytes: manifest.limits.egress_bytes,
        inspection: data.inspection(&home, guard.session())?,
    };
    let proxy =
        ExplicitProxy::serve(listener, config, runtime.handle()).step("start the egress proxy")?;
    let served = runtime.block_on(until_stopped(&store, &guard, || ready(address, &fresh)));
    let traffic = proxy.summary().hosts;
    drop(proxy);
    let ended = Resource::Other(format!("proxy {address}"));
    guard
        .note_end(ended, Outcome::Allowed, "stopped".to_owned(), traffic)
        .map_err(|error| RunError::Audit(error.to_string()))?;
    log.close().map_err(|error| RunError::Audit(error.to_string()))?;
    served.step("listen for signals")
}

/// Waits for a signal; meanwhile expired rules end what they permitted.
async fn until_stopped(store: &PolicyStore, guard: &Guard, ready: impl FnOnce()) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    ready();
    loop {
        store.expire(guard.now());
        let now = guard.now();
        let longest = std::time::Duration::from_secs(30);
        let wait = store.next_end(now).map_or(longest, |end| now.until(end).min(longest));
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Each client takes several descriptors, and there is one process for all of them.
fn raise_open_files() -> io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn session_id() -> Result<SessionId, RunError> {
    crate::plan::session_id().step("draw a session id")
}
