//! `remit quarantine`: payloads that wait for a person.

use remit_core::Clock as _;
use remit_supervisor::{
    SystemClock,
    quarantine::{Decided, HeldItem, Opened, Ticket, decide, list as held, show as open},
};

use crate::{
    cli::{Format, QuarantineCommand, QuarantineShowArguments, ReleaseArguments},
    failure::Failure,
    moment, output, place,
};

/// Runs it.
pub(crate) fn run(command: QuarantineCommand) -> Result<i32, Failure> {
    match command {
        QuarantineCommand::List(arguments) => list(arguments.format),
        QuarantineCommand::Show(arguments) => show(&arguments),
        QuarantineCommand::Release(arguments) => release(&arguments),
        QuarantineCommand::Reject(arguments) => {
            settle(&arguments.tickets, Decided::Reject, "rejected")
        }
    }
}

fn list(format: Format) -> Result<i32, Failure> {
    let all = held(&place::home())?;
    if format != Format::Text {
        let all: Vec<_> = all.into_iter().map(output::versioned).collect();
        output::list(&all, format)?;
        return Ok(0);
    }
    if all.is_empty() {
        output::say("nothing is held");
        return Ok(0);
    }
    let now = SystemClock.now();
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|item| {
            [
                item.ticket.clone(),
                item.state.as_str().to_owned(),
                item.agent.clone(),
                classes(item),
                item.resource.clone(),
                moment::span(now.until(item.expires)),
            ]
        })
        .collect();
    output::table(["TICKET", "STATE", "AGENT", "FOUND", "RESOURCE", "LEFT"], &rows)?;
    Ok(0)
}

fn show(arguments: &QuarantineShowArguments) -> Result<i32, Failure> {
    let opened = open(&place::home(), &arguments.ticket)?;
    if arguments.format != Format::Text {
        output::document(&output::versioned(&opened), arguments.format)?;
        return Ok(0);
    }
    let Opened { item, head, findings } = opened;
    let now = SystemClock.now();
    let rule = item.rule.as_ref().map_or("none", |rule| &rule.pointer);
    let what = match item.action.as_str() {
        "http_response" => "answer",
        _ => "request",
    };
    let (ago, left) = (moment::span(item.held.until(now)), moment::span(now.until(item.expires)));
    let rows = [
        ("ticket", item.ticket.clone()),
        ("state", item.state.as_str().to_owned()),
        (what, item.resource.clone()),
        ("found", classes(&item)),
        ("size", format!("{} bytes", item.bytes)),
        ("digest", item.digest.clone()),
        ("agent", item.agent.clone()),
        ("principal", item.principal.clone()),
        ("session", item.session.to_string()),
        ("rule", rule.to_owned()),
        ("held", format!("{} ({ago} ago)", item.held)),
        ("goes", format!("by itself in {left}")),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<10} {}\n", output::plain(value));
    let mut text: String = rows.iter().map(line).collect();
    text.push('\n');
    for (name, value) in &head {
        text.push_str(&format!("> {}: {}\n", output::plain(name), output::plain(value)));
    }
    for excerpt in &findings {
        text.push_str(&format!("\n{}: {}", excerpt.class, output::plain(&excerpt.text)));
    }
    let ticket = &item.ticket;
    text.push_str(&format!(
        "\n\nremit quarantine release {ticket}     let it pass once\n\
         remit quarantine reject {ticket}      refuse it\n"
    ));
    output::print(&text)?;
    Ok(0)
}

fn release(arguments: &ReleaseArguments) -> Result<i32, Failure> {
    let (now, end) = (SystemClock.now(), arguments.within.ahead());
    if end <= now {
        return Err(Failure::Past(end));
    }
    let decided = Decided::Release(now.until(end));
    settle(&arguments.tickets, decided, "released: the agent may repeat its request once")
}

fn settle(tickets: &[Ticket], decided: Decided, what: &str) -> Result<i32, Failure> {
    let (home, by) = (place::home(), place::login());
    let mut status = 0;
    for ticket in tickets {
        // One that cannot be decided on must not keep the others waiting.
        match decide(&home, ticket, decided, &by) {
            Ok(_) => output::say(format_args!("{ticket} {what}")),
            Err(error) => status = output::fail(&error.into()),
        }
    }
    Ok(status)
}

fn classes(item: &HeldItem) -> String {
    let all: Vec<String> =
        item.classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
    all.join(", ")
}
