//! Landlock: the agent's own opens reach system directories and the kernel's file systems, and
//! nothing else. Granted folders and scratch have no rule at all: whatever the agent opens there
//! goes through the supervisor, so a system call that the supervisor lets continue can never be
//! raced into them.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::{
    plan::{Programs, SYSTEM_DIRECTORIES, SessionPlan},
    report::{Layer, LayerError},
};

const LAYER: &str = "landlock";

/// The oldest version that closes what mediation relies on: truncation (3) and device ioctls (5)
/// are the last file rights it needs.
pub(crate) const REQUIRED: ABI = ABI::V3;

/// Restricts the calling thread and all it starts.
///
/// # Errors
/// [`LayerError`] where the kernel lacks version 3.
pub(crate) fn restrict(plan: &SessionPlan) -> Result<Layer, LayerError> {
    enforce(plan).map_err(|error| LayerError {
        layer: LAYER.into(),
        step: "restrict".into(),
        subject: String::new(),
        cause: error.to_string(),
        errno: 0,
    })
}

fn enforce(plan: &SessionPlan) -> Result<Layer, landlock::RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(REQUIRED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V7))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    let mut rules = rules.create()?;
    let named = plan.programs.only_named();
    let (list, read) = (AccessFs::ReadDir, AccessFs::ReadFile | AccessFs::ReadDir);
    for dir in plan.native() {
        let system = SYSTEM_DIRECTORIES.iter().any(|one| Path::new(one) == dir);
        let rights: BitFlags<AccessFs> = match dir.to_str() {
            Some("/proc") => read | AccessFs::WriteFile,
            Some("/dev") => read | AccessFs::WriteFile | AccessFs::IoctlDev,
            _ if system && named => list.into(),
            _ if system => read | AccessFs::Execute,
            _ => read,
        };
        rules = allow(rules, &dir, rights)?;
    }
    let runnable = AccessFs::ReadFile | AccessFs::Execute;
    if named {
        for loader in &plan.loaders {
            rules = allow(rules, loader, runnable)?;
        }
    }
    let (Programs::System(programs) | Programs::Only(programs)) = &plan.programs;
    for program in programs {
        rules = allow(rules, &program.path, runnable | AccessFs::ReadDir)?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Layer::in_force(LAYER, "every file right is handled"),
        _ => Layer::in_force(LAYER, "every file right that mediation needs is handled"),
    })
}

fn allow(
    rules: landlock::RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    // A path that this machine lacks needs no rule.
    let Ok(fd) = PathFd::new(path) else { return Ok(rules) };
    let file = path.is_file() || (path.exists() && !path.is_dir());
    let rights = if file { rights & AccessFs::from_file(ABI::V7) } else { rights };
    rules.add_rule(PathBeneath::new(fd, rights))
}
