//! Drawing. Words carry the meaning; weight and colour only repeat it.

use std::iter::once;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::Line,
    widgets::{Block, Borders, Cell, Row, Table, TableState},
};

use super::{
    look::Observed,
    state::{Below, State, bytes},
};
use crate::{commands::traffic, moment, output};

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let sessions = u16::try_from(state.observed.len()).unwrap_or(u16::MAX).saturating_add(3);
    let upper = Constraint::Length(sessions.min(frame.area().height / 2).max(4));
    let [top, below, keys] =
        Layout::vertical([upper, Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    draw_sessions(frame, top, state);
    match (state.chosen(), state.below) {
        (Some(one), Below::Hosts) => draw_hosts(frame, below, one),
        (Some(one), Below::Connections) => draw_connections(frame, below, one),
        (None, _) => frame.render_widget(Line::from("no session is running"), below),
    }
    frame.render_widget(Line::from("up/down session   tab hosts/connections   q quit"), keys);
}

fn draw_sessions(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let rows = state.observed.iter().map(|one| {
        let info = &one.running.info;
        let (up, down) = bytes(one);
        let rate = state.rates.get(&info.session).copied().unwrap_or_default();
        let note = match (one.running.reachable, one.waiting) {
            (false, _) => "does not answer".to_owned(),
            (true, 0) => String::new(),
            (true, count) => format!("{count} waiting for an answer"),
        };
        [
            info.session.to_string(),
            output::plain(&info.agent),
            moment::span(one.age()),
            one.egress.summary.open.to_string(),
            one.egress.summary.refused.to_string(),
            format!("{} ({}/s)", traffic::bytes(up), traffic::bytes(rate.up)),
            format!("{} ({}/s)", traffic::bytes(down), traffic::bytes(rate.down)),
            note,
        ]
    });
    let heading = ["SESSION", "AGENT", "SINCE", "OPEN", "REFUSED", "SENT", "RECEIVED", ""];
    let table = table(heading, rows.collect(), format!(" sessions: {} ", state.observed.len()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ");
    let mut chosen = TableState::new().with_selected(state.position());
    frame.render_stateful_widget(table, area, &mut chosen);
}

fn draw_hosts(frame: &mut Frame<'_>, area: Rect, one: &Observed) {
    let rows = one.egress.summary.hosts.iter().map(traffic::row).collect();
    let title = format!(" hosts of {} ", one.running.info.session);
    frame.render_widget(table(traffic::HEADING, rows, title), area);
}

fn draw_connections(frame: &mut Frame<'_>, area: Rect, one: &Observed) {
    let rows = one.egress.connections.iter().map(|connection| {
        [
            traffic::endpoint(&connection.host, connection.port),
            moment::span(connection.since.until(one.seen)),
            connection.until.map_or_else(String::new, |until| moment::span(one.seen.until(until))),
            connection.permitted.to_string(),
            connection.refused.to_string(),
            traffic::bytes(connection.bytes_up),
            traffic::bytes(connection.bytes_down),
        ]
    });
    let heading = ["HOST", "SINCE", "ENDS IN", "ALLOWED", "REFUSED", "SENT", "RECEIVED"];
    let open = one.egress.summary.open;
    let title = format!(" {open} connections of {} ", one.running.info.session);
    frame.render_widget(table(heading, rows.collect(), title), area);
}

/// A table whose columns are as wide as their widest cell.
fn table<'t, const N: usize>(
    heading: [&'static str; N],
    rows: Vec<[String; N]>,
    title: String,
) -> Table<'t> {
    let widths: Vec<Constraint> = (0..N)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(String::as_str);
            let all = once(heading.get(at).copied().unwrap_or_default()).chain(cells);
            let width = all.map(|cell| cell.chars().count()).max().unwrap_or(0);
            Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))
        })
        .collect();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let rows = rows.into_iter().map(|row| Row::new(row.map(Cell::from)));
    Table::new(rows, widths)
        .column_spacing(2)
        .header(Row::new(heading.map(Cell::from)).style(bold))
        .block(Block::new().borders(Borders::TOP).title(title))
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use remit_core::HostTraffic;
    use remit_supervisor::{ConnectionInfo, EgressSummary, EgressView, Running, SessionInfo};

    use super::*;

    fn observed(bytes_up: u64, seen: &str) -> Observed {
        let started = "2026-11-24T10:00:00Z".parse().expect("a time");
        let seen = seen.parse().expect("a time");
        let host = HostTraffic {
            host: "api.example.org".into(),
            port: 443,
            open: 1,
            connections: 3,
            permitted: 12,
            refused: 2,
            ended: 0,
            bytes_up,
            bytes_down: 5 << 20,
        };
        let connection = ConnectionInfo {
            host: "api.example.org".into(),
            port: 443,
            since: started,
            until: None,
            bytes_up: 10,
            bytes_down: 20,
            permitted: 4,
            refused: 0,
        };
        let info = SessionInfo {
            session: "s-0123456789abcdef".parse().expect("an id"),
            agent: "org.example.\u{1b}[2Kagent".into(),
            principal: "ada".into(),
            manifest: "/m.json".into(),
            started,
            pid: 1,
            program: "/bin/true".into(),
        };
        let summary =
            EgressSummary { open: 1, refused: 2, hosts: vec![host], ..Default::default() };
        Observed {
            running: Running { info, reachable: true },
            seen,
            waiting: 1,
            egress: EgressView { summary, connections: vec![connection] },
        }
    }

    fn drawn(state: &State) -> String {
        let mut terminal = Terminal::new(TestBackend::new(150, 12)).expect("a terminal");
        terminal.draw(|frame| draw(frame, state)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn what_people_look_for_is_on_the_screen() {
        let mut state = State::new(vec![observed(1 << 20, "2026-11-24T10:01:00Z")]);
        state.update(vec![observed(3 << 20, "2026-11-24T10:01:02Z")]);
        let hosts = drawn(&state);
        for wanted in ["api.example.org:443", "3.00 MiB (1.00 MiB/s)", "1 waiting for an answer"] {
            assert!(hosts.contains(wanted), "{wanted} is missing in\n{hosts}");
        }
        assert!(!hosts.contains('\u{1b}'), "an agent's name moved the cursor\n{hosts}");
        state.switch();
        let connections = drawn(&state);
        assert!(connections.contains("1 connections of"), "{connections}");
        assert!(connections.contains("1m 2s"), "{connections}");
    }

    #[test]
    fn the_choice_stays_with_its_session() {
        let mut state = State::new(vec![observed(0, "2026-11-24T10:01:00Z")]);
        state.choose(5);
        assert_eq!(state.position(), Some(0));
        state.update(Vec::new());
        assert_eq!(state.position(), None);
        assert!(drawn(&state).contains("no session is running"));
    }
}
