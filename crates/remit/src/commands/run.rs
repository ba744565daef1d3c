//! `remit run`: from manifest to verified trail.

use remit_supervisor::{Ended, Planned, RunError, RunRequest};

use crate::{
    cli::{Format, RunArguments},
    failure::Failure,
    output, plan,
};

/// Runs the program; returns the exit status of `remit` itself.
pub(crate) fn run(arguments: RunArguments) -> i32 {
    match start(arguments) {
        Ok(status) => status,
        Err(failure) => match output::fail(&failure) {
            // Also a plan that could not be printed is a failure before anything ran.
            1 => 125,
            status => status,
        },
    }
}

fn start(arguments: RunArguments) -> Result<i32, Failure> {
    if arguments.observe {
        return Err(RunError::Option("--observe").into());
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
        output::say(format_args!("remit: warning: {}", output::plain(warning)));
    }
    if arguments.dry_run {
        match arguments.format {
            Format::Text => output::print(&plan::text(&planned))?,
            format => output::document(&plan::json(&planned), format)?,
        }
        return Ok(0);
    }
    let prepared = planned.prepare()?;
    if let Some(partial) = prepared.partial() {
        output::say(format_args!("remit: warning: {partial} (`remit doctor`)"));
    }
    let ended = prepared.enforce()?.run()?;
    if let Some(error) = &ended.not_started {
        output::complain(error);
    }
    tell(&ended);
    Ok(ended.status)
}

/// What a person should know when the session is over: what was refused, and how to look.
fn tell(ended: &Ended) {
    if ended.denied == 0 {
        return;
    }
    output::say(format_args!(
        "remit: {} denied, {} allowed in session {}",
        ended.denied, ended.allowed, ended.context.id
    ));
    for record in ended.denials.iter().take(5) {
        let (action, reason) = (record.action.as_str(), record.reason.sentence());
        let resource = output::plain(&record.resource);
        output::say(format_args!("  {action} {resource}: {reason}"));
    }
    if let Some(record) = ended.denials.first() {
        let event = &record.event_id;
        output::say(format_args!("  `remit why {event}` names the rule and the change"));
    }
}
