//! `remit session`: what runs now, and its end.

use remit_core::{Clock as _, SessionId};
use remit_supervisor::{Reply, Running, SystemClock, kill_session, sessions};

use crate::{
    cli::{Format, KillArguments, SessionCommand},
    failure::Failure,
    moment, output, place,
};

/// Runs it.
pub(crate) fn run(command: SessionCommand) -> Result<i32, Failure> {
    match command {
        SessionCommand::List(arguments) => list(arguments.format),
        SessionCommand::Kill(arguments) => kill(&arguments),
        SessionCommand::Egress(arguments) => super::traffic::run(arguments),
    }
}

fn list(format: Format) -> Result<i32, Failure> {
    let home = place::home();
    let all = sessions(&home).map_err(Failure::at(&home.sessions))?;
    if format != Format::Text {
        let all: Vec<_> = all.into_iter().map(output::versioned).collect();
        output::list(&all, format)?;
        return Ok(0);
    }
    if all.is_empty() {
        output::say("no session is running");
        return Ok(0);
    }
    let now = SystemClock.now();
    let rows: Vec<[String; 6]> = all
        .into_iter()
        .map(|Running { info, reachable }| {
            let since = moment::span(info.started.until(now));
            let silent = if reachable { "" } else { " (does not answer)" };
            let pid = format!("{}{silent}", info.pid);
            [info.session.to_string(), info.agent, info.principal, since, pid, info.program]
        })
        .collect();
    output::table(["SESSION", "AGENT", "PRINCIPAL", "SINCE", "PID", "PROGRAM"], &rows)?;
    Ok(0)
}

fn kill(arguments: &KillArguments) -> Result<i32, Failure> {
    let (home, by) = (place::home(), place::login());
    let ids: Vec<SessionId> = if arguments.all {
        let all = sessions(&home).map_err(Failure::at(&home.sessions))?;
        all.into_iter().map(|one| one.info.session).collect()
    } else {
        arguments.sessions.clone()
    };
    let mut status = 0;
    for id in &ids {
        // One that cannot be reached must not save the others.
        let ended = kill_session(&home, id, &by);
        match ended.map_err(Failure::from).and_then(|reply| done(id.as_str(), reply)) {
            Ok(()) => output::say(format_args!("session {id} ended")),
            Err(failure) => status = output::fail(&failure),
        }
    }
    if ids.is_empty() {
        output::say("no session is running");
    }
    Ok(status)
}

/// Whether the session did what it was asked.
pub(crate) fn done(id: &str, reply: Reply) -> Result<(), Failure> {
    let id = id.to_owned();
    match reply {
        Reply::Done => Ok(()),
        Reply::Failed { message } => Err(Failure::Refused { id, message: output::plain(&message) }),
        _ => Err(Failure::Refused { id, message: "the session gave another answer".into() }),
    }
}
