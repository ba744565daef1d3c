//! `remit session egress`: what a session sent where.

use remit_audit::{Filter, query};
use remit_core::{Action, HostTraffic, SessionId};
use remit_supervisor::{Call, Client, ControlError, Reply};
use serde::Serialize;

use crate::{
    cli::{EgressArguments, Format},
    failure::Failure,
    output, place,
};

/// A session's traffic as it is printed.
#[derive(Serialize)]
struct Traffic {
    session: SessionId,
    running: bool,
    hosts: Vec<HostTraffic>,
}

/// Runs it.
pub(crate) fn run(arguments: EgressArguments) -> Result<i32, Failure> {
    let EgressArguments { session, log, format } = arguments;
    let traffic = match running(&session)? {
        Some(hosts) if log.is_none() => Traffic { session, running: true, hosts },
        _ => {
            let hosts = ended(&session, log)?;
            Traffic { session, running: false, hosts }
        }
    };
    if format != Format::Text {
        output::document(&output::versioned(traffic), format)?;
        return Ok(0);
    }
    if traffic.hosts.is_empty() {
        output::say("no network traffic");
    } else {
        table(&traffic.hosts)?;
    }
    Ok(0)
}

/// Prints totals by host.
pub(crate) fn table(hosts: &[HostTraffic]) -> Result<(), Failure> {
    let rows: Vec<[String; 8]> = hosts.iter().map(row).collect();
    output::table(HEADING, &rows)
}

/// The columns of [`row`].
pub(crate) const HEADING: [&str; 8] =
    ["HOST", "CONNECTIONS", "OPEN", "ALLOWED", "REFUSED", "CUT", "SENT", "RECEIVED"];

/// One line of the table: a word for what people look for, besides the numbers.
pub(crate) fn row(traffic: &HostTraffic) -> [String; 8] {
    [
        endpoint(&traffic.host, traffic.port),
        traffic.connections.to_string(),
        traffic.open.to_string(),
        traffic.permitted.to_string(),
        traffic.refused.to_string(),
        traffic.ended.to_string(),
        bytes(traffic.bytes_up),
        bytes(traffic.bytes_down),
    ]
}

/// `host:port`; the name alone where only that was asked for.
pub(crate) fn endpoint(host: &str, port: u16) -> String {
    let host = output::plain(host);
    match port {
        0 => format!("{host} (name)"),
        _ if host.contains(':') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// Bytes with three digits that matter: `999 B`, `1.46 KiB`, `12.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut whole, mut rest, mut unit) = (count, 0, "B");
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        rest = whole % 1024;
        whole /= 1024;
        unit = next;
    }
    match whole {
        0..10 => format!("{whole}.{:02} {unit}", rest * 100 / 1024),
        10..100 => format!("{whole}.{} {unit}", rest * 10 / 1024),
        _ => format!("{whole} {unit}"),
    }
}

fn running(session: &SessionId) -> Result<Option<Vec<HostTraffic>>, Failure> {
    let client = match Client::reach(&place::home(), session) {
        Ok(client) => client,
        Err(ControlError::NotRunning(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match client.call(&Call::Egress)? {
        Reply::Egress(view) => Ok(Some(view.summary.hosts)),
        _ => Ok(None),
    }
}

fn ended(
    session: &SessionId,
    log: Option<std::path::PathBuf>,
) -> Result<Vec<HostTraffic>, Failure> {
    let filter = Filter {
        session: Some(session.clone()),
        action: Some(Action::SessionEnd),
        limit: Some(1),
        ..Filter::default()
    };
    let found = query(&place::log(log)?, filter)?.next().transpose()?;
    let record = found.and_then(|found| found.record().ok());
    Ok(record.ok_or_else(|| Failure::NoSession(session.to_string()))?.traffic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        let all = [0, 1023, 1024, 1500, 10 << 10, (10 << 20) + (1 << 19), 999 << 30, u64::MAX];
        let texts = all.map(bytes);
        let wanted = [
            "0 B",
            "1023 B",
            "1.00 KiB",
            "1.46 KiB",
            "10.0 KiB",
            "10.5 MiB",
            "999 GiB",
            "16383 PiB",
        ];
        assert_eq!(texts, wanted);
    }
}
