//! A real session around the agent, with a mediator that permits everything.

use std::{
    fs,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use remit_core::{
    AccessRequest, AuditError, AuditSink, Clock, CorrelationId, Decision, Durability, Guard,
    GuardPorts, NoApprover, Pdp, ReasonCode, Record, Resource, SessionContext, SessionId,
    Timestamp,
};
use remit_sandbox::{
    inside::MountsInside,
    mediate::{AsTheyAre, Mediator, View},
    plan::{GrantMount, Programs, ResourceLimits, SessionPlan},
    revoke::{Revoker, Session},
    setup::{self, Launched, Standard},
};
use rustix::fs::{Mode, OFlags};

use crate::agent::{Agent, PROGRAM};

/// The ordinary user of tests that root runs.
pub const USER: u32 = 23_456;

pub type Test = (&'static str, fn(&str, Option<u32>));

/// Makes opens of `slow` and starts of `true` wait.
#[derive(Default)]
pub struct Gate(AtomicBool);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Pdp for Gate {
    fn decide(&self, request: &AccessRequest, _: &CorrelationId) -> Decision {
        let waits = match &request.resource {
            Resource::File(path) => path.ends_with("slow"),
            Resource::Program { path, .. } => path.ends_with("true"),
            _ => false,
        };
        if waits {
            while !self.0.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Decision::permit(ReasonCode::Granted, None, 1)
    }

    fn judge_config(&self, _: &Path, _: Option<&[u8]>, _: &[u8]) -> Decision {
        Decision::permit(ReasonCode::Granted, None, 1)
    }
}

struct NoTrail;

impl AuditSink for NoTrail {
    fn append(&self, _: &Record, _: Durability) -> Result<(), AuditError> {
        Ok(())
    }
}

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }
}

/// A running session. `place` and `other` are granted for writing, on the same file system.
pub struct Running {
    pub area: PathBuf,
    pub place: PathBuf,
    pub other: PathBuf,
    pub agent: Agent,
    pub revoker: Revoker,
    pub mounts: MountsInside,
    pub gate: Arc<Gate>,
    launched: Launched,
    mediator: Option<Mediator>,
}

impl Running {
    /// Must be called in a single-threaded process, once.
    pub fn start(name: &str, user: Option<u32>) -> Self {
        let area = PathBuf::from(format!("/tmp/remit-revoke-{}-{name}", std::process::id()));
        let (place, other) = (area.join("place"), area.join("other"));
        let _ = fs::remove_dir_all(&area);
        for dir in [&area, &place, &other, &place.join("deep")] {
            fs::create_dir(dir).unwrap();
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
            chown(dir, user, user).unwrap();
        }
        for file in [place.join("data"), place.join("deep/data"), other.join("data")] {
            fs::write(&file, "granted text\n".repeat(400)).unwrap();
            chown(&file, user, user).unwrap();
        }
        let (theirs, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (from, ours) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let saved = [take_place(theirs, 0), take_place(ours, 1)];
        become_user(user);
        setup::enter_supervisor_namespace().unwrap();
        let plan = plan(&[&place, &other]);
        let standard = Standard { terminal: [false; 3] };
        let forked = setup::fork_session(&plan, &standard).unwrap();
        for (number, old) in saved.into_iter().enumerate() {
            take_place(old, i32::try_from(number).unwrap());
        }
        // As the supervisor does.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .unwrap();
        let launched = forked.built().unwrap();
        let mounts = MountsInside::enter(launched.mounts.try_clone().unwrap()).unwrap();
        let revoker = Revoker::new(Session {
            root: launched.root.try_clone().unwrap(),
            proc: folder("/proc"),
            init: launched.init,
        })
        .unwrap();
        launched.begin_enforcing().unwrap();
        let (_, listener) = launched.enforced().unwrap();
        let gate = Arc::new(Gate::default());
        let view = View {
            root: launched.root.try_clone().unwrap(),
            proc: folder("/proc"),
            native: plan.native(),
            scratch: plan.scratch(),
            granted: vec![place.clone(), other.clone()],
            host_root: None,
            list_mode: false,
            loaders: Vec::new(),
        };
        let guard = guard(Arc::clone(&gate) as Arc<dyn Pdp>);
        let mediator = Mediator::start(listener, view, guard, Arc::new(AsTheyAre)).unwrap();
        launched.start().unwrap();
        let mut agent = Agent::new(to, from);
        agent.run(&format!("place, other = {place:?}, {other:?}"));
        let mediator = Some(mediator);
        Self { area, place, other, agent, revoker, mounts, gate, launched, mediator }
    }

    /// Ends the session and lets go of its folders.
    pub fn end(mut self) {
        self.launched.kill();
        let _ = self.launched.wait();
        if let Some(mediator) = self.mediator.take() {
            mediator.stop();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.launched.kill();
        let _ = fs::remove_dir_all(&self.area);
    }
}

fn plan(grants: &[&PathBuf]) -> SessionPlan {
    let python = fs::canonicalize("/usr/bin/python3").expect("these tests need /usr/bin/python3");
    let grant = |path: &&PathBuf| GrantMount { path: (*path).clone(), write: true };
    SessionPlan {
        arguments: vec![python.clone().into(), "-I".into(), "-c".into(), PROGRAM.into()],
        program: python,
        environment: vec![("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), "/tmp".into())],
        home: "/tmp/home".into(),
        workdir: "/tmp".into(),
        grants: grants.iter().map(grant).collect(),
        hidden: Vec::new(),
        literals: Vec::new(),
        programs: Programs::System(Vec::new()),
        loaders: Vec::new(),
        authority_pem: None,
        limits: ResourceLimits::default(),
        user: "agent".into(),
        hostname: "session".into(),
    }
}

fn guard(pdp: Arc<dyn Pdp>) -> Arc<Guard> {
    let session = SessionContext {
        id: SessionId::from_random([7; 10]),
        principal: "tester".into(),
        agent_id: "test:1".into(),
        manifest: "sha256:0".into(),
    };
    let ports = GuardPorts {
        pdp,
        audit: Arc::new(NoTrail),
        approver: Arc::new(NoApprover),
        clock: Arc::new(Wall),
    };
    Guard::new(session, ports, Duration::from_secs(20))
}

fn folder(path: &str) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .unwrap()
}

/// Puts a descriptor at a standard number; returns what was there.
fn take_place(fd: OwnedFd, number: i32) -> OwnedFd {
    // SAFETY: integers; the number is this process's own stream.
    unsafe {
        let old = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 10);
        assert!(old >= 0);
        assert_eq!(libc::dup2(fd.as_raw_fd(), number), number);
        <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(old)
    }
}

fn become_user(user: Option<u32>) {
    let Some(user) = user else { return };
    // SAFETY: plain integers; this process is single-threaded.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
}

pub fn fork() -> i32 {
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    pid
}

pub fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 }
}
