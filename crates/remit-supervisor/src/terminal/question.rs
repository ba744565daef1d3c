//! Shows one question on the person's terminal and reads its answer.

use std::{
    io::{self, Read as _},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    Screen,
    answer::{Answering, Said, Show},
    modes::Modes,
};
use crate::{ApprovalView, Desk, LifetimeChoice};

/// How often it is looked whether somebody answered elsewhere.
const LOOK: Duration = Duration::from_millis(100);
/// Characters of a resource that are shown; an agent chooses names, also very long ones.
const MOST_SHOWN: usize = 400;

/// Makes the screen ours whatever the agent's output left behind: ends a string or sequence that
/// was begun, printing, inserting, margins, character sets and colours; asks for plain keys (the
/// kitty protocol's stack, popped by [`LEAVE`]); and goes to the last line (xterm's ctlseqs).
const TAKE: &str = "\x18\x1b\\\x1b[4i\x1b[?2026l\x1b[4l\x1b[?69l\x1b[r\x1b[?6l\x1b[?7h\x1b(B\x0f\
                    \x1b[0m\x1b[>0u\x1b[999;1H";
const LEAVE: &str = "\x1b[<u";

/// Where keys come from.
pub(super) enum Keys<'k> {
    /// From the relay between the two terminals.
    Relay(&'k Receiver<Vec<u8>>),
    /// The terminal is read for the question alone.
    Own,
}

/// Asks until somebody has answered, here or elsewhere.
pub(super) fn ask(
    screen: &Screen,
    keys: &Keys<'_>,
    desk: &Desk,
    question: &ApprovalView,
) -> io::Result<()> {
    let show = |text: &str| screen.show(text);
    show(&format!("{TAKE}{}{}", Modes::off(), text(question)))?;
    screen.forget_typed();
    let by = "the person at the terminal";
    let mut answering = Answering::new(Instant::now());
    let said = loop {
        if !desk.list().iter().any(|one| one.id == question.id) {
            break "answered elsewhere";
        }
        let next = match next(screen, keys)? {
            Some(bytes) => answering.take(&bytes, Instant::now()),
            None => answering.wait(Instant::now()),
        };
        match next {
            Show::Nothing => {}
            Show::Code(code) => show(&format!(
                "\r\x1b[K  type {code}o for once, {code}s for this session, d to deny, \
                 then Enter: "
            ))?,
            // The cursor's place is kept behind the colon.
            Show::Typed(typed) => show(&format!("\x1b[K{typed}{}", back(typed.len())))?,
            Show::Dropped => show("\r\x1b[K  not understood; wait for the new code")?,
            Show::Said(Said::Once) => {
                break answered(
                    desk.approve(&question.id, LifetimeChoice::Once, by),
                    "approved once",
                );
            }
            Show::Said(Said::Session) => {
                let choice = LifetimeChoice::Session;
                let done = desk.approve(&question.id, choice, by);
                break answered(done, "approved for this session");
            }
            Show::Said(Said::Deny) => break answered(desk.deny(&question.id, by), "denied"),
        }
    };
    show(&format!("\r\x1b[K  {said}\r\n{LEAVE}"))
}

/// The next typed bytes, or nothing within a moment.
fn next(screen: &Screen, keys: &Keys<'_>) -> io::Result<Option<Vec<u8>>> {
    match keys {
        Keys::Relay(typed) => match typed.recv_timeout(LOOK) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        },
        Keys::Own => {
            let Some(mut input) = screen.input.as_ref() else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let mut waited = [PollFd::new(input, PollFlags::IN)];
            let span = Timespec::try_from(LOOK).ok();
            if poll(&mut waited, span.as_ref())? == 0 {
                return Ok(None);
            }
            let mut buffer = [0u8; 4096];
            match input.read(&mut buffer)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                got => Ok(Some(buffer.get(..got).unwrap_or_default().to_vec())),
            }
        }
    }
}

fn text(question: &ApprovalView) -> String {
    format!(
        "\r\n\x1b[1mremit asks:\x1b[0m {} {}\r\n  rule {}   (refused by itself at {})\r\n",
        question.action.as_str(),
        shown(&question.resource),
        question.rule.as_deref().map_or_else(|| "-".to_owned(), shown),
        question.expires,
    )
}

/// What cannot steer the terminal, nor turn or hide text; both ends of what is too long.
fn shown(text: &str) -> String {
    let escaped = |c: char| -> String {
        if c == '\'' || c == '"' { c.to_string() } else { c.escape_debug().collect() }
    };
    let all: Vec<String> = text.chars().map(escaped).collect();
    let half = MOST_SHOWN.div_euclid(2);
    match (all.get(..half), all.len().checked_sub(half).and_then(|at| all.get(at..))) {
        (Some(head), Some(tail)) if all.len() > MOST_SHOWN => {
            let (head, tail) = (head.concat(), tail.concat());
            format!("{head} [… see `remit approval list` …] {tail}")
        }
        _ => all.concat(),
    }
}

/// Moves the cursor back.
fn back(columns: usize) -> String {
    if columns == 0 { String::new() } else { format!("\x1b[{columns}D") }
}

fn answered<E>(result: Result<(), E>, said: &'static str) -> &'static str {
    if result.is_ok() { said } else { "not possible; see `remit approval list`" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bypass_names_that_steer_the_terminal_or_hide_text() {
        let shown = super::shown("/a\x1b[2J\r\nremit asks:\u{202e}\u{200b}\u{9b}8mb c'd");
        assert_eq!(shown, "/a\\u{1b}[2J\\r\\nremit asks:\\u{202e}\\u{200b}\\u{9b}8mb c'd");
        let long = super::shown(&format!("/begin{}end", "x".repeat(10_000)));
        assert!(long.starts_with("/begin") && long.ends_with("end") && long.len() < 500, "{long}");
    }
}
