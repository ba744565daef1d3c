//! `remit run`: from manifest to verified trail.

use remit_supervisor::{Ended, Planned, RunError, RunRequest};

use crate::{
    cli::{Format, RunArguments},
    output,
};

/// Runs the program; returns the exit status of `remit` itself.
pub(crate) fn run(arguments: RunArguments) -> i32 {
    match start(arguments) {
        Ok(status) => status,
        Err(error) => {
            output::complain(&error);
            error.status()
        }
    }
}

fn start(arguments: RunArguments) -> Result<i32, RunError> {
    if arguments.observe {
        return Err(RunError::Option("--observe"));
    }
    let workdir = arguments.workdir.unwrap_or_else(|| ".".into());
    let planned = Planned::new(RunRequest {
        manifest: arguments.manifest,
        workdir,
        principal: arguments.principal,
        command: arguments.command,
        non_interactive: arguments.non_interactive,
    })?;
    for warning in &planned.warnings {
        eprintln!("remit: warning: {warning}");
    }
    if arguments.dry_run {
        print_plan(&planned, arguments.format);
        return Ok(0);
    }
    let ended = planned.prepare()?.enforce()?.run()?;
    if let Some(error) = &ended.not_started {
        output::complain(error);
    }
    tell(&ended);
    Ok(ended.status)
}

fn print_plan(planned: &Planned, format: Format) {
    let plan = planned.walls();
    if format != Format::Text {
        let pretty = serde_json::to_string_pretty(plan);
        println!("{}", pretty.unwrap_or_default());
        return;
    }
    println!("program   {}", plan.program.display());
    println!("workdir   {}", plan.workdir.display());
    println!("home      {} (empty, thrown away)", plan.home.display());
    for grant in &plan.grants {
        let mode = if grant.write { "write" } else { "read " };
        println!("{mode}     {}", grant.path.display());
    }
    let (kind, named) = match &plan.programs {
        remit_sandbox::plan::Programs::System(named) => ("system directories, and", named),
        remit_sandbox::plan::Programs::Only(named) => ("only", named),
    };
    for program in named {
        let asked = if program.asked { " (after a yes)" } else { "" };
        println!("execute   {kind} {}{asked}", program.path.display());
    }
}

/// What a person should know when the session is over: what was refused, and how to look.
fn tell(ended: &Ended) {
    if ended.denied == 0 {
        return;
    }
    eprintln!(
        "remit: {} denied, {} allowed in session {}",
        ended.denied, ended.allowed, ended.context.id
    );
    for record in ended.denials.iter().take(5) {
        let reason = record.reason.sentence();
        eprintln!("  {} {}: {reason}", record.action.as_str(), record.resource);
    }
    if let Some(record) = ended.denials.first() {
        eprintln!("  `remit why {}` names the rule and the change", record.event_id);
    }
}
