//! What a session's walls are made of, computed before anything is built. `--dry-run` prints it.

use std::{
    ffi::OsString,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

/// A folder or file of the host that exists inside the session, at the same path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantMount {
    /// Canonical path, on the host and inside.
    pub path: PathBuf,
    /// Whether the agent may write there (through mediation). Writable places are never
    /// executable.
    pub write: bool,
}

/// A program file that exists inside besides the system directories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramMount {
    /// The path by which it is started; may be a symlink.
    pub path: PathBuf,
    /// Present but not executable until a person approved it.
    pub asked: bool,
}

/// Which programs exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Programs {
    /// Everything in the system directories, and these.
    System(Vec<ProgramMount>),
    /// These alone.
    Only(Vec<ProgramMount>),
}

impl Programs {
    /// The programs named one by one.
    pub fn named(&self) -> &[ProgramMount] {
        match self {
            Self::System(named) | Self::Only(named) => named,
        }
    }

    /// Whether only named programs exist.
    pub const fn only_named(&self) -> bool {
        matches!(self, Self::Only(_))
    }
}

/// Ceilings for the whole session; `None` means the machine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResourceLimits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processor time.
    pub cpu: Option<Duration>,
    /// Processors that may be used at once.
    pub processors: Option<u32>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// Wall-clock time.
    pub wall_time: Option<Duration>,
    /// Bytes written to scratch places.
    pub disk: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
}

/// Everything the walls depend on.
#[derive(Clone, Debug, Serialize)]
pub struct SessionPlan {
    /// Program to start, as found on the search path.
    pub program: PathBuf,
    /// Its arguments, the program's own name first.
    #[serde(serialize_with = "lossy_all")]
    pub arguments: Vec<OsString>,
    /// Its environment.
    #[serde(skip)]
    pub environment: Vec<(OsString, OsString)>,
    /// The principal's home; an empty scratch folder inside.
    pub home: PathBuf,
    /// Where the program starts.
    pub workdir: PathBuf,
    /// Granted folders and files.
    pub grants: Vec<GrantMount>,
    /// Folders of Remit's own inside granted ones: empty and read-only inside the session.
    pub hidden: Vec<PathBuf>,
    /// Literal addresses that the manifest lists as hosts; each is routed to the session itself,
    /// where the proxy listens in its place.
    pub literals: Vec<Ipv4Addr>,
    /// Programs.
    pub programs: Programs,
    /// ELF loaders that the named programs need.
    pub loaders: Vec<PathBuf>,
    /// The session authority's certificate, trusted inside.
    #[serde(skip)]
    pub authority_pem: Option<String>,
    /// Ceilings.
    pub limits: ResourceLimits,
    /// Login name shown inside.
    pub user: String,
    /// Host name shown inside.
    pub hostname: String,
}

fn lossy_all<S: serde::Serializer>(all: &[OsString], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(all.iter().map(|one| one.to_string_lossy()))
}

/// System directories that programs need, as far as this machine has them.
pub const SYSTEM_DIRECTORIES: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Directories that hold programs by convention; in a session with an execute list they are
/// covered and hold the listed ones only.
pub const PROGRAM_DIRECTORIES: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/games",
    "/usr/local/games",
    "/bin",
    "/sbin",
];

/// Where the session authority's certificate stands, alone and with the system's roots.
pub const AUTHORITY_FILE: &str = "/etc/remit/authority.pem";
/// The system's roots and the session authority.
pub const BUNDLE_FILE: &str = "/etc/remit/ca-bundle.pem";

impl SessionPlan {
    /// Directories that the agent opens by itself, under its Landlock rules: system directories
    /// without a grant inside, and the kernel's own file systems.
    pub fn native(&self) -> Vec<PathBuf> {
        let free = |dir: &Path| !self.grants.iter().any(|grant| grant.path.starts_with(dir));
        let mut all: Vec<PathBuf> = SYSTEM_DIRECTORIES
            .iter()
            .chain(&["/etc", "/sys/devices/system/cpu"])
            .map(PathBuf::from)
            .filter(|dir| free(dir))
            .collect();
        all.extend(["/proc", "/dev"].map(PathBuf::from));
        all.extend(self.loaders.iter().cloned());
        all
    }

    /// Private, writable, thrown away.
    pub fn scratch(&self) -> Vec<PathBuf> {
        ["/tmp", "/var/tmp", "/dev/shm", "/run"]
            .into_iter()
            .map(PathBuf::from)
            .chain([self.home.clone()])
            .collect()
    }
}
