//! What the supervisor knows and the manifest does not say.

use std::path::PathBuf;

use remit_core::PathScope;

/// Facts about this machine and this session.
#[derive(Clone, Debug, Default)]
pub struct PolicyEnv {
    /// The entry executable and its interpreters, canonical. They may be started whatever
    /// `execute` says, and are never writable: the agent could not have written them.
    pub entry_programs: Vec<PathBuf>,
    /// Read-only system directories; `execute: true` permits programs below them.
    pub system_dirs: Vec<PathScope>,
    /// Remit's own files that the agent may read where a rule says so, but never change: the
    /// manifest. No rule lifts this.
    pub own: Vec<PathScope>,
    /// Remit's own files that the agent may neither read nor change: state, keys, the trail.
    pub hidden: Vec<PathScope>,
}
