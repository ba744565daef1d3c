//! `remit top`: what running sessions do on the network, as it happens.

mod look;
mod screen;
mod state;

use std::{
    io::IsTerminal as _,
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use self::{
    look::{Observed, look},
    state::State,
};
use crate::{
    cli::{Format, TopArguments},
    commands::traffic,
    failure::Failure,
    moment, output,
};

/// How long a key may wait.
const BLINK: Duration = Duration::from_millis(100);

/// Runs it.
pub(crate) fn run(arguments: &TopArguments) -> Result<i32, Failure> {
    let only = arguments.session.clone();
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if arguments.format != Format::Text || arguments.once || !terminal {
        let observed = look(only.as_ref())?;
        return print(observed, arguments.format).map(|()| 0);
    }
    // One look before the screen is taken, so that a failure is shown as one.
    let mut state = State::new(look(only.as_ref())?);
    let pause = Duration::from_secs(arguments.interval);
    let (sender, observations) = sync_channel(1);
    // In a thread: a supervisor that is stopped answers late, keys must not.
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(pause);
            if sender.send(look(only.as_ref())).is_err() {
                return;
            }
        }
    });
    let mut terminal = ratatui::try_init().map_err(Failure::Output)?;
    let watched = watch(&mut terminal, &mut state, &observations);
    ratatui::restore();
    watched.map(|()| 0)
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    state: &mut State,
    observations: &Receiver<Result<Vec<Observed>, Failure>>,
) -> Result<(), Failure> {
    loop {
        match observations.try_recv() {
            Ok(observed) => state.update(observed?),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        terminal.draw(|frame| screen::draw(frame, state)).map_err(Failure::Output)?;
        if !event::poll(BLINK).map_err(Failure::Output)? {
            continue;
        }
        let Event::Key(key) = event::read().map_err(Failure::Output)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Down | KeyCode::Char('j') => state.choose(1),
            KeyCode::Up | KeyCode::Char('k') => state.choose(-1),
            KeyCode::Tab => state.switch(),
            _ => {}
        }
    }
}

/// The state of this moment.
fn print(observed: Vec<Observed>, format: Format) -> Result<(), Failure> {
    if format != Format::Text {
        let all: Vec<_> = observed.into_iter().map(output::versioned).collect();
        return output::list(&all, format);
    }
    if observed.is_empty() {
        output::say("no session is running");
    }
    for one in &observed {
        let since = moment::span(one.age());
        let info = &one.running.info;
        let head = format!("{}  {}  for {since}\n", info.session, output::plain(&info.agent));
        output::print(&head)?;
        traffic::table(&one.egress.summary.hosts)?;
    }
    Ok(())
}
