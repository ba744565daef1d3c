//! The events of a session, read through the command line as an outside program would.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::{Finished, remit, run_bounded};

/// All events in `home`'s log, oldest first.
pub fn events(home: &Path) -> Vec<Value> {
    let done = ask(home, &["audit", "query"]).must_succeed();
    done.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// The events with that action and outcome whose resource contains `part`.
pub fn matching<'a>(
    events: &'a [Value],
    action: &str,
    outcome: &str,
    part: &str,
) -> Vec<&'a Value> {
    let text = |event: &Value, key: &str| {
        event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    events
        .iter()
        .filter(|event| text(event, "action") == action && text(event, "outcome") == outcome)
        .filter(|event| text(event, "resource").contains(part))
        .collect()
}

/// Fails the test unless such an event is in the log.
#[track_caller]
pub fn must_have(events: &[Value], action: &str, outcome: &str, part: &str) {
    assert!(
        !matching(events, action, outcome, part).is_empty(),
        "no {action} {outcome} of {part} in the trail:\n{}",
        events.iter().map(summary).collect::<Vec<_>>().join("\n")
    );
}

/// Fails the test unless `remit audit verify` finds the log intact.
#[track_caller]
pub fn must_verify(home: &Path) {
    let _ = ask(home, &["audit", "verify"]).must_succeed();
}

fn ask(home: &Path, arguments: &[&str]) -> Finished {
    run_bounded(
        Command::new(remit()).args(arguments).env("REMIT_HOME", home),
        Duration::from_secs(60),
    )
}

fn summary(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!("{} {} {} ({})", text("action"), text("outcome"), text("resource"), text("reason"))
}
