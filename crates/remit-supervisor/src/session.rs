//! A session's life: planned, prepared, enforced, ended. Each state has only the moves that make
//! sense in it.

use std::{
    io,
    net::{SocketAddrV4, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use remit_audit::{AuditLog, LogOptions, LogPaths};
use remit_core::{
    Action, AuditSink, Clock as _, Guard, GuardPorts, Outcome, ReasonCode, Resource, SessionContext,
};
use remit_egress::{Egress, EgressConfig, Resolver, SessionNet};
use remit_policy::PolicyStore;
use remit_sandbox::{
    inside::{MountsInside, NetworkInside},
    mediate::{Mediator, View},
    report::Layer,
    revoke::Session,
    setup::{self, Ending, Launched, Standard},
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::runtime::Runtime;

use crate::{
    Desk, Planned, RunError, SessionInfo, SystemClock, Tally,
    control::ControlSocket,
    ends::{Ends, Hands, Watching},
    error::Step as _,
    groups::{Groups, group_name},
    limits::Watch,
    runnable::Runnable,
    terminal::{self, Terminal},
};

/// How long a question waits for a person (contract: five minutes).
const PATIENCE: Duration = Duration::from_secs(300);

/// The walls, the proxy and the trail stand; nothing of the agent runs.
pub struct Prepared {
    planned: Planned,
    launched: Launched,
    runtime: Runtime,
    log: Arc<AuditLog>,
    tally: Arc<Tally>,
    guard: Arc<Guard>,
    store: Arc<PolicyStore>,
    desk: Arc<Desk>,
    control: ControlSocket,
    info: SessionInfo,
    egress: Arc<Egress>,
    mounts: Arc<MountsInside>,
    standard: [bool; 3],
    groups: Groups,
}

/// Every layer is in force; the program may start.
pub struct Enforced {
    prepared: Prepared,
    mediator: Mediator,
    programs: Arc<Runnable>,
    terminal: Option<Terminal>,
    /// What each layer reports.
    pub layers: Vec<Layer>,
}

/// How a session ended.
pub struct Ended {
    /// Exit status for `remit` itself, as the contract says.
    pub status: i32,
    /// The session.
    pub context: SessionContext,
    /// Decisions that let something happen.
    pub allowed: u64,
    /// Decisions that refused something.
    pub denied: u64,
    /// Questions to a person.
    pub asked: u64,
    /// Denied actions: resource, how often, reason, change that would permit it.
    pub denials: Vec<remit_core::Record>,
    /// Set when the program itself could not be started.
    pub not_started: Option<RunError>,
}

impl Planned {
    /// Builds walls, trail and proxy. Forks first of all, so the process must have one thread.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left behind.
    pub fn prepare(mut self) -> Result<Prepared, RunError> {
        let Some(policy) = self.policy.take() else {
            return Err(RunError::Policy("already in use".into()));
        };
        self.home.create().map_err(|error| RunError::Audit(error.to_string()))?;
        let standard = Standard { terminal: terminal::standard_terminals() };
        refuse_folder_streams()?;
        setup::enter_supervisor_namespace()?;
        let forked = setup::fork_session(&self.plan, &standard)?;
        // Names, connections and mediated calls take descriptors; the session has its own limit.
        let _ = raise_open_files();
        // From here on our memory holds keys that the agent's user must not read.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .step("protect the supervisor's memory")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .max_blocking_threads(8)
            .enable_all()
            .build()
            .step("start the runtime")?;
        let paths = LogPaths { audit: self.home.audit.clone(), keys: self.home.config.clone() };
        let log = AuditLog::open(paths, LogOptions::default())
            .map_err(|error| RunError::Audit(error.to_string()))?;
        let tally = Arc::new(Tally::new(Arc::clone(&log) as Arc<dyn AuditSink>));
        let clock = Arc::new(SystemClock);
        let store = Arc::new(PolicyStore::new(policy, clock.clone()));
        let desk = Desk::new(Arc::clone(&store), runtime.handle().clone());
        let ports = GuardPorts {
            pdp: Arc::clone(&store) as _,
            audit: Arc::clone(&tally) as _,
            approver: Arc::clone(&desk) as _,
            clock,
        };
        let guard = Guard::new(self.context.clone(), ports, PATIENCE);
        desk.serve(&guard);
        let info = self.info();
        let control = ControlSocket::open(&self.home, &info).step("open the control socket")?;
        let launched = forked.built()?;
        let groups = Groups::make(&group_name(&info.session), &self.plan.limits, launched.init);
        // A terminal of the session's own must be open before the program's side takes it.
        let terminal = standard.terminal.iter().any(|one| *one);
        if !terminal {
            launched.begin_enforcing()?;
        }
        let network = launched.network.try_clone().step("open the network namespace")?;
        let net = NetworkInside::enter(network).step("enter the network namespace")?;
        let mounts = launched.mounts.try_clone().step("open the mount namespace")?;
        let mounts = Arc::new(MountsInside::enter(mounts).step("enter the mount namespace")?);
        let egress = Egress::start(
            EgressConfig {
                guard: Arc::clone(&guard),
                net: Arc::new(Sockets(net)),
                authority: Arc::clone(&self.authority),
                trust: self.settings.trust(),
                resolver: Resolver::system(),
                reach: self.settings.reach(&self.manifest.network),
                policy_changed: policy_changes(&store),
                egress_bytes: self.egress_bytes,
                inspection: self.data.inspection(&self.home, &self.context)?,
            },
            runtime.handle(),
        )
        .step("start the egress proxy")?;
        let egress = Arc::new(egress);
        for (host, address, ports) in &self.literals {
            egress.open_at(host, *address, ports).step("listen for a listed address")?;
        }
        Ok(Prepared {
            planned: self,
            launched,
            runtime,
            log,
            tally,
            guard,
            store,
            desk,
            control,
            info,
            egress,
            mounts,
            standard: standard.terminal,
            groups,
        })
    }

    fn info(&self) -> SessionInfo {
        SessionInfo {
            session: self.context.id.clone(),
            agent: self.context.agent_id.to_string(),
            principal: self.context.principal.to_string(),
            manifest: self.manifest_path.display().to_string(),
            started: SystemClock.now(),
            pid: std::process::id(),
            program: self.plan.program.display().to_string(),
        }
    }
}

impl Prepared {
    /// Puts the last layers in force.
    ///
    /// # Errors
    /// [`RunError`]; nothing ran.
    pub fn enforce(mut self) -> Result<Enforced, RunError> {
        let terminal = self.terminal().step("open the session's terminal")?;
        if self.standard.iter().any(|one| *one) {
            self.launched.begin_enforcing()?;
        }
        let (layers, listener) = self.launched.enforced()?;
        let root = self.launched.root.try_clone().step("open the session's root")?;
        let view = View {
            root,
            proc: folder("/proc").step("open /proc")?,
            native: self.planned.plan.native(),
            scratch: self.planned.plan.scratch(),
            granted: self.planned.plan.grants.iter().map(|grant| grant.path.clone()).collect(),
            host_root: Some(folder("/").step("open /")?),
            list_mode: self.planned.plan.programs.only_named(),
            loaders: self.planned.plan.loaders.clone(),
        };
        let asked = self.planned.asked_programs.clone();
        let programs = Runnable::new(asked, Arc::clone(&self.store), Arc::clone(&self.mounts))
            .step("watch the starts of programs")?;
        let programs = Arc::new(programs);
        let mediator =
            Mediator::start(listener, view, Arc::clone(&self.guard), Arc::clone(&programs) as _)
                .step("start mediation")?;
        let remote = self.launched.remote().step("open the session's control")?;
        let (info, desk) = (self.info.clone(), Arc::clone(&self.desk));
        let (guard, egress) = (Arc::clone(&self.guard), Arc::downgrade(&self.egress));
        self.control
            .serve(info, desk, egress, guard, move || remote.kill())
            .step("serve the control socket")?;
        if let (Some(terminal), false) = (&terminal, self.planned.non_interactive) {
            terminal.ask_here(Arc::clone(&self.desk)).step("watch for questions")?;
        }
        Ok(Enforced { prepared: self, mediator, programs, terminal, layers })
    }

    /// Ceilings of the manifest that this machine holds only in part.
    pub fn partial(&self) -> Option<String> {
        self.groups.partial(&self.planned.plan.limits)
    }

    fn terminal(&self) -> io::Result<Option<Terminal>> {
        if self.standard.iter().any(|one| *one) {
            return Terminal::relay(&self.launched.root).map(Some);
        }
        let ask = !self.planned.non_interactive && terminal::attended();
        if ask { Terminal::for_questions().map(Some) } else { Ok(None) }
    }
}

impl Enforced {
    /// Starts the program and waits until the session is over.
    ///
    /// # Errors
    /// [`RunError`] when the program could not be started because the trail or the inside failed.
    pub fn run(self) -> Result<Ended, RunError> {
        let Self { mut prepared, mediator, programs, terminal, layers } = self;
        let terminal = terminal.map(Arc::new);
        let plan = &prepared.planned.plan;
        let layers: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        prepared
            .guard
            .note(
                Action::SessionStart,
                Resource::Other(plan.program.display().to_string()),
                Outcome::Allowed,
                ReasonCode::SessionLife,
                Some(format!("in force: {}", layers.join(", "))),
            )
            .map_err(|error| RunError::Audit(error.to_string()))?;
        let ends = prepared.watch(terminal.clone(), programs)?;
        prepared.launched.start()?;
        let ending = prepared.launched.wait().step("wait for the session")?;
        drop(ends);
        let Prepared { guard, desk, egress, runtime, log, tally, control, planned, groups, .. } =
            prepared;
        desk.close();
        mediator.stop();
        let traffic = egress.summary().hosts;
        drop(egress);
        if let Some(terminal) = terminal.and_then(Arc::into_inner) {
            terminal.finish();
        }
        let (status, not_started) = outcome(ending, &planned.plan.program);
        let noted = guard.note_end(
            Resource::Other(planned.plan.program.display().to_string()),
            if not_started.is_some() { Outcome::Error } else { Outcome::Allowed },
            format!("status {status}"),
            traffic,
        );
        if let Err(error) = noted {
            tracing::error!(%error, "the session's end could not be recorded");
        }
        drop((groups, control));
        runtime.shutdown_background();
        if let Err(error) = log.close() {
            tracing::error!(%error, "the audit log could not be closed");
        }
        let counts = tally.counts();
        Ok(Ended {
            status,
            context: planned.context,
            allowed: counts.allowed,
            denied: counts.denied,
            asked: counts.asked,
            denials: counts.denials.into_values().map(|(_, record)| record).collect(),
            not_started,
        })
    }
}

impl Prepared {
    /// Starts everything that runs beside the program: ends of rights, ceilings, signals.
    fn watch(
        &mut self,
        terminal: Option<Arc<Terminal>>,
        programs: Arc<Runnable>,
    ) -> Result<Watching, RunError> {
        let remote = self.launched.remote().step("open the session's control")?;
        let mut granted = self.planned.plan.grants.clone();
        granted.sort_by_key(|grant| grant.path.components().count());
        let root = self.launched.root.try_clone().step("open the session's root")?;
        let init = self.launched.init;
        let hands = Hands::new(move || {
            Ok(Session { root: root.try_clone()?, proc: folder("/proc")?, init })
        });
        let (again, approved) = (Arc::clone(&hands), Arc::clone(&programs));
        self.desk.before_grants(move |grant, thread| {
            again.allow_again(&grant.scope);
            approved.approved(grant, thread);
        });
        let ends = Ends {
            guard: Arc::clone(&self.guard),
            store: Arc::clone(&self.store),
            mounts: Arc::clone(&self.mounts),
            granted,
            hands,
            programs,
            kill: Box::new(move || remote.kill()),
        };
        let ends = ends.watch().step("watch for ends")?;
        let remote = self.launched.remote().step("open the session's control")?;
        let watch = Watch {
            guard: Arc::clone(&self.guard),
            limits: self.planned.plan.limits.clone(),
            root: self.launched.root.try_clone().step("open the session's root")?,
            kernel: self.groups.kernel(),
            kill: Box::new(move || remote.kill()),
        };
        self.runtime.spawn(watch.run());
        self.pass_signals(terminal)?;
        Ok(ends)
    }

    fn pass_signals(&self, terminal: Option<Arc<Terminal>>) -> Result<(), RunError> {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = self.runtime.enter();
        let passed = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        for kind in passed {
            let remote = self.launched.remote().step("open the session's control")?;
            let mut stream = signal(kind).step("listen for signals")?;
            self.runtime.spawn(async move {
                while stream.recv().await.is_some() {
                    remote.signal(kind.as_raw_value());
                }
            });
        }
        if let Some(terminal) = terminal {
            // Weak: the relay must be able to end when the session does.
            let terminal = Arc::downgrade(&terminal);
            let mut resized = signal(SignalKind::window_change()).step("listen for signals")?;
            self.runtime.spawn(async move {
                while resized.recv().await.is_some() {
                    let Some(terminal) = terminal.upgrade() else { return };
                    terminal.resize();
                }
            });
        }
        Ok(())
    }
}

fn outcome(ending: Ending, program: &Path) -> (i32, Option<RunError>) {
    match ending {
        Ending::Exited(status) => (status, None),
        Ending::NotStarted(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            let not = match errno {
                2 => RunError::NotFound(format!("{} ({error})", program.display())),
                _ => RunError::NotExecutable {
                    path: program.to_owned(),
                    problem: "the manifest or the kernel refuses to start it",
                },
            };
            (not.status(), Some(not))
        }
    }
}

/// A folder as standard stream would be a way round the walls (`openat(0, "../…")`).
fn refuse_folder_streams() -> Result<(), RunError> {
    for stream in 0..3 {
        let path = PathBuf::from(format!("/proc/self/fd/{stream}"));
        if path.metadata().is_ok_and(|meta| meta.is_dir()) {
            let cause = io::Error::from_raw_os_error(21);
            return Err(RunError::Io { step: "take over the standard streams", cause });
        }
    }
    Ok(())
}

fn raise_open_files() -> io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

fn folder(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

pub(crate) fn policy_changes(store: &PolicyStore) -> tokio::sync::watch::Receiver<u64> {
    let (sender, receiver) = tokio::sync::watch::channel(store.generation());
    store.subscribe(Box::new(move |generation| {
        sender.send_replace(generation);
    }));
    receiver
}

struct Sockets(NetworkInside);

impl SessionNet for Sockets {
    fn listen(&self, at: SocketAddrV4) -> io::Result<TcpListener> {
        self.0.listen(at)
    }

    fn datagram(&self, at: SocketAddrV4) -> io::Result<UdpSocket> {
        self.0.datagram(at)
    }
}
