//! A throw-away session in a process of its own: the same walls, a script that tries them.

use std::{
    ffi::OsString,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use remit_core::{
    AccessRequest, AuditError, AuditSink, Clock, CorrelationId, Decision, Durability, Guard,
    GuardPorts, NoApprover, Pdp, ReasonCode, Record, SessionContext, SessionId, Timestamp,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
    process::{Pid, Signal, WaitOptions},
};
use serde::{Deserialize, Serialize};

use crate::{
    mediate::{AsTheyAre, Mediator, View},
    plan::{ProgramMount, Programs, ResourceLimits, SessionPlan},
    report::{At as _, LayerError, LayerStatus},
    setup::{self, Ending, Standard, sys},
};

/// What came of the trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    failed: Option<LayerError>,
}

/// Names that failures carry, under the finding they belong to, in the order in which the layers
/// are put in force.
const STAGES: &[(&str, &[&str])] = &[
    ("user_namespace", &["user_namespace"]),
    ("process_namespaces", &["namespaces", "process"]),
    ("network_namespace", &["network_namespace"]),
    ("mount_namespace", &["mount_namespace", "uts_namespace"]),
    ("landlock", &["landlock"]),
    ("seccomp", &["seccomp", "capabilities", "no_new_privs", "limits", "terminal"]),
    ("mediation", &["mediation"]),
    ("programs", &["programs"]),
];

impl Trial {
    /// How far the layer is in force: not at all from the failed one on.
    pub(super) fn status(&self, name: &str) -> LayerStatus {
        match self.failed_stage() {
            Some(failed) if stage(name) >= failed => LayerStatus::Absent,
            _ => LayerStatus::InForce,
        }
    }

    /// Why a layer is not in force.
    pub(super) fn reason(&self, name: &str) -> Option<String> {
        let error = self.failed.as_ref()?;
        let failed = self.failed_stage()?;
        match stage(name) {
            own if own == failed => Some(error.to_string()),
            own if own > failed => {
                let culprit = STAGES.get(failed).map_or("an earlier layer", |stage| stage.0);
                Some(format!("not tried, because {culprit} failed"))
            }
            _ => None,
        }
    }

    /// Whether this is the layer at which the trial ended.
    pub(super) fn failed_at(&self, name: &str) -> bool {
        self.failed_stage() == Some(stage(name))
    }

    /// The kernel's error number; 0 where there is none.
    pub(super) fn errno(&self) -> i32 {
        self.failed.as_ref().map_or(0, |error| error.errno)
    }

    fn failed_stage(&self) -> Option<usize> {
        let error = self.failed.as_ref()?;
        let known = STAGES.iter().position(|(_, names)| names.contains(&error.layer.as_str()));
        // An unknown layer proves nothing: nothing counts as in force.
        Some(known.unwrap_or(0))
    }

    #[cfg(test)]
    pub(super) fn failed_for_test(layer: &str) -> Self {
        Self { failed: Some(error(layer, "try", "no")) }
    }
}

fn stage(name: &str) -> usize {
    STAGES.iter().position(|(own, _)| *own == name).unwrap_or(0)
}

/// How long a trial may take; a machine that needs longer cannot be told from one that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Builds the session in a child process, so that this one stays as it is.
pub(super) fn run() -> Trial {
    child().unwrap_or_else(|cause| Trial {
        failed: Some(error("process", "fork", &cause.to_string())),
    })
}

fn child() -> io::Result<Trial> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("more than one thread is running"));
    }
    // SAFETY: this thread is the only one, and so nobody can start another.
    match unsafe { sys::fork_into(0) }? {
        sys::Fork::Child => {
            let trial = Trial { failed: attempt().err() };
            let text = serde_json::to_vec(&trial).unwrap_or_default();
            let _ = std::fs::File::from(theirs).write_all(&text);
            // SAFETY: ends the copy at once; destructors of the original must not run here.
            unsafe { libc::_exit(0) }
        }
        sys::Fork::Parent(pid) => {
            drop(theirs);
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
            let told = hear(ours);
            if told.is_err() {
                // Everything of the session dies with it.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            rustix::process::waitpid(Some(pid), WaitOptions::empty())?;
            told
        }
    }
}

fn hear(pipe: OwnedFd) -> io::Result<Trial> {
    let mut wait = [PollFd::new(&pipe, PollFlags::IN | PollFlags::HUP)];
    let limit = Timespec { tv_sec: PATIENCE.as_secs().try_into().unwrap_or(20), tv_nsec: 0 };
    if rustix::io::retry_on_intr(|| poll(&mut wait, Some(&limit)))? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the trial does not come to an end"));
    }
    let mut text = Vec::new();
    std::fs::File::from(pipe).take(64 << 10).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|_| io::Error::other("the trial ended early"))
}

fn attempt() -> Result<(), LayerError> {
    let plan = plan();
    setup::enter_supervisor_namespace()?;
    let launched = setup::fork_session(&plan, &Standard { terminal: [false; 3] })?.built()?;
    launched.begin_enforcing()?;
    let (_, listener) = launched.enforced()?;
    let folder = |path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).at("mediation", "open", path)
    };
    let view = View {
        root: launched.root.try_clone().at("mediation", "open", "the session's root")?,
        proc: folder("/proc")?,
        native: plan.native(),
        scratch: plan.scratch(),
        granted: Vec::new(),
        host_root: Some(folder("/")?),
        list_mode: true,
        loaders: loaders(),
    };
    let mediator = Mediator::start(listener, view, guard(), Arc::new(AsTheyAre)).at(
        "mediation",
        "start",
        "",
    )?;
    launched.start()?;
    let remote = launched.remote().at("process", "watch", "")?;
    let (done, late) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if late.recv_timeout(PATIENCE / 2) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            remote.kill();
        }
    });
    let ending = launched.wait().at("process", "wait", "");
    drop(done);
    let _ = watchdog.join();
    mediator.stop();
    judge(ending?)
}

/// Tries the walls from inside. Each line is something that must fail, or must work; its number
/// says which.
const SCRIPT: &str = r#"
echo word > "$HOME/probe" || exit 10
read word < "$HOME/probe" || exit 10
[ "$word" = word ] || exit 10
[ -e /etc/shadow ] && exit 11
[ -e /usr/bin/env ] && exit 12
printf '#!/bin/sh\nexit 0\n' > "$HOME/written"
/bin/chmod 700 "$HOME/written" || exit 15
"$HOME/written" 2>/dev/null && exit 13
[ $$ -gt 9 ] && exit 14
[ -e /proc/version ] && exit 14
exit 0
"#;

fn judge(ending: Ending) -> Result<(), LayerError> {
    let (layer, what) = match ending {
        Ending::Exited(0) => return Ok(()),
        Ending::NotStarted(errno) => {
            let cause = io::Error::from_raw_os_error(errno);
            return Err(LayerError::new("mediation", "start", "/bin/sh", &cause));
        }
        Ending::Exited(10) => {
            ("mediation", "a file that was written could not be read back".into())
        }
        Ending::Exited(11) => ("mount_namespace", "a file that no rule names exists".into()),
        Ending::Exited(12) => ("programs", "a program that is not listed exists".into()),
        Ending::Exited(13) => ("programs", "a program that was written could be started".into()),
        Ending::Exited(14) => ("namespaces", "processes of the host can be seen".into()),
        Ending::Exited(15) => ("programs", "a listed program could not be started".into()),
        Ending::Exited(137) => ("mediation", "the script hung and was killed".into()),
        Ending::Exited(status) => ("mediation", format!("the script ended with {status}")),
    };
    Err(error(layer, "try", &what))
}

fn error(layer: &str, step: &str, cause: &str) -> LayerError {
    LayerError {
        layer: layer.into(),
        step: step.into(),
        subject: String::new(),
        cause: cause.into(),
        errno: 0,
    }
}

fn plan() -> SessionPlan {
    let home = PathBuf::from("/home/agent");
    let shell = PathBuf::from("/bin/sh");
    let listed = |path: &str| ProgramMount { path: path.into(), asked: false };
    SessionPlan {
        arguments: ["sh", "-c", SCRIPT].map(OsString::from).to_vec(),
        environment: vec![("HOME".into(), home.clone().into())],
        workdir: home.clone(),
        home,
        grants: Vec::new(),
        hidden: Vec::new(),
        literals: Vec::new(),
        programs: Programs::Only(["/bin/sh", "/bin/chmod"].map(listed).to_vec()),
        program: shell,
        loaders: loaders(),
        authority_pem: None,
        limits: ResourceLimits::default(),
        user: "agent".into(),
        hostname: "remit".into(),
    }
}

/// The ELF loaders of this machine's own programs.
fn loaders() -> Vec<PathBuf> {
    let known = [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        "/lib/ld-musl-x86_64.so.1",
        "/lib/ld-musl-aarch64.so.1",
    ];
    known.iter().filter_map(|path| Path::new(path).canonicalize().ok()).collect()
}

/// A guard for a session in which nothing but our own script runs: it permits what reaches it and
/// records nothing, because looking must leave nothing behind.
fn guard() -> Arc<Guard> {
    let session = SessionContext {
        id: SessionId::from_random([0; 10]),
        principal: "doctor".into(),
        agent_id: "remit.doctor".into(),
        manifest: "none".into(),
    };
    let ports = GuardPorts {
        pdp: Arc::new(Everything),
        audit: Arc::new(Nowhere),
        approver: Arc::new(NoApprover),
        clock: Arc::new(WallClock),
    };
    Guard::new(session, ports, Duration::ZERO)
}

struct Everything;

impl Pdp for Everything {
    fn decide(&self, _request: &AccessRequest, _correlation: &CorrelationId) -> Decision {
        Decision::permit(ReasonCode::SessionLife, None, 0)
    }

    fn judge_config(&self, _path: &Path, _old: Option<&[u8]>, _new: &[u8]) -> Decision {
        Decision::permit(ReasonCode::SessionLife, None, 0)
    }
}

struct Nowhere;

impl AuditSink for Nowhere {
    fn append(&self, _record: &Record, _durability: Durability) -> Result<(), AuditError> {
        Ok(())
    }
}

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
    }
}
