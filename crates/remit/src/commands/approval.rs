//! `remit approval`: questions of running agents, and their answers.

use remit_core::{ApprovalId, Clock as _};
use remit_supervisor::{
    ApprovalView, Call, Client, ControlError, LifetimeChoice, Reply, SessionInfo, SystemClock,
    sessions,
};
use serde::Serialize;

use super::session::done;
use crate::{
    cli::{ApprovalCommand, ApproveArguments, Format, ShowArguments},
    failure::Failure,
    moment, output, place,
};

/// Runs it.
pub(crate) fn run(command: ApprovalCommand) -> Result<i32, Failure> {
    match command {
        ApprovalCommand::List(arguments) => list(arguments.format),
        ApprovalCommand::Show(arguments) => show(&arguments),
        ApprovalCommand::Approve(arguments) => approve(&arguments),
        ApprovalCommand::Deny(arguments) => {
            answer(&arguments.ids, "denied", |id, by| Call::Deny { id, by })
        }
    }
}

/// A question with the session that asks.
#[derive(Serialize)]
struct Question {
    #[serde(flatten)]
    view: ApprovalView,
    session: remit_core::SessionId,
    agent: String,
    principal: String,
    manifest: String,
    program: String,
}

impl Question {
    fn new(view: ApprovalView, info: &SessionInfo) -> Self {
        let SessionInfo { session, agent, principal, manifest, program, .. } = info.clone();
        Self { view, session, agent, principal, manifest, program }
    }
}

/// Every question of every session, oldest first. A session that ends meanwhile asks nothing.
fn questions() -> Result<Vec<Question>, Failure> {
    let home = place::home();
    let mut all = Vec::new();
    let running = sessions(&home).map_err(Failure::at(&home.sessions))?;
    for info in running.into_iter().filter(|one| one.reachable).map(|one| one.info) {
        let reply = Client::reach(&home, &info.session).and_then(|c| c.call(&Call::Approvals));
        if let Ok(Reply::Approvals { waiting }) = reply {
            all.extend(waiting.into_iter().map(|view| Question::new(view, &info)));
        }
    }
    all.sort_by_key(|question| question.view.asked);
    Ok(all)
}

fn list(format: Format) -> Result<i32, Failure> {
    let all = questions()?;
    if format != Format::Text {
        let all: Vec<_> = all.into_iter().map(output::versioned).collect();
        output::list(&all, format)?;
        return Ok(0);
    }
    if all.is_empty() {
        output::say("nothing waits for an answer");
        return Ok(0);
    }
    let now = SystemClock.now();
    let rows: Vec<[String; 5]> = all
        .iter()
        .map(|Question { view, agent, .. }| {
            let left = moment::span(now.until(view.expires));
            let action = view.action.as_str().to_owned();
            [view.id.to_string(), agent.clone(), action, view.resource.clone(), left]
        })
        .collect();
    output::table(["ID", "AGENT", "ACTION", "RESOURCE", "LEFT"], &rows)?;
    Ok(0)
}

fn show(arguments: &ShowArguments) -> Result<i32, Failure> {
    let id = &arguments.id;
    // Tells a session that is gone from a question that is answered.
    Client::reach(&place::home(), id.session())?;
    let question = questions()?.into_iter().find(|one| one.view.id == *id);
    let question = question.ok_or_else(|| Failure::Refused {
        id: id.to_string(),
        message: "no question with this id is waiting".into(),
    })?;
    if arguments.format != Format::Text {
        output::document(&output::versioned(&question), arguments.format)?;
        return Ok(0);
    }
    output::print(&describe(&question))?;
    Ok(0)
}

fn describe(question: &Question) -> String {
    let Question { view, session, agent, principal, manifest, program } = question;
    let now = SystemClock.now();
    let rule = view.rule.as_deref().unwrap_or("none");
    let (ago, left) = (moment::span(view.asked.until(now)), moment::span(now.until(view.expires)));
    let pid = view.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    let rows = [
        ("question", view.id.to_string()),
        ("wants", format!("{} {}", view.action.as_str(), view.resource)),
        ("agent", format!("{agent} ({program}, process {pid})")),
        ("principal", principal.clone()),
        ("session", session.to_string()),
        ("rule", format!("{rule} of {manifest}")),
        ("asked", format!("{} ({ago} ago)", view.asked)),
        ("refused", format!("by itself in {left}")),
    ];
    let mut text: String =
        rows.iter().map(|(name, value)| format!("{name:<10} {}\n", output::plain(value))).collect();
    let id = &view.id;
    text.push_str(&format!(
        "\nremit approval approve {id}                this one call\n\
         remit approval approve {id} --session      all that the rule covers, until the session ends\n\
         remit approval approve {id} --until 10m    the same, for ten minutes\n\
         remit approval deny {id}\n"
    ));
    text
}

fn approve(arguments: &ApproveArguments) -> Result<i32, Failure> {
    let (lifetime, how) = match (arguments.session, arguments.until) {
        (true, _) => (LifetimeChoice::Session, "until the session ends".to_owned()),
        (_, Some(moment)) => {
            let end = moment.ahead();
            if end <= SystemClock.now() {
                return Err(Failure::Past(end));
            }
            (LifetimeChoice::Until(end), format!("until {end}"))
        }
        _ => (LifetimeChoice::Once, "once".to_owned()),
    };
    answer(&arguments.ids, &format!("approved {how}"), |id, by| Call::Approve { id, lifetime, by })
}

/// Answers each question in the session that its id names.
fn answer(
    ids: &[ApprovalId],
    what: &str,
    call: impl Fn(ApprovalId, String) -> Call,
) -> Result<i32, Failure> {
    let (home, by) = (place::home(), place::login());
    let mut status = 0;
    for id in ids {
        let reply: Result<Reply, ControlError> = Client::reach(&home, id.session())
            .and_then(|client| client.call(&call(id.clone(), by.clone())));
        match reply.map_err(Failure::from).and_then(|reply| done(&id.to_string(), reply)) {
            Ok(()) => output::say(format_args!("{id} {what}")),
            Err(failure) => status = output::fail(&failure),
        }
    }
    Ok(status)
}
