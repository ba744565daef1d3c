//! The session's own terminal. The person's terminal is never the agent's: bytes are carried
//! between the two, so nothing typed into the one by the agent (TIOCSTI) reaches the other, and a
//! question shown here cannot be answered from inside.

mod answer;
mod gate;
mod modes;
mod question;
mod screen;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::OwnedFd,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, openat},
    termios::{tcgetwinsize, tcsetwinsize},
};

use self::{
    gate::Gate,
    modes::Modes,
    question::{Keys, ask},
    screen::Screen,
};
use crate::Desk;

pub(crate) use self::screen::attended;

/// How long typed bytes wait for the agent before it is looked whether they still may.
const TURN: Duration = Duration::from_millis(200);

/// Which of the three standard streams are terminals.
pub(crate) fn standard_terminals() -> [bool; 3] {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
}

/// Carries bytes between the person's terminal and the session's, and shows questions.
pub(crate) struct Terminal {
    screen: Arc<Screen>,
    master: Option<Arc<File>>,
    gate: Arc<Gate>,
    output: Option<thread::JoinHandle<()>>,
}

impl Terminal {
    /// Opens the session's terminal inside its tree and starts carrying bytes.
    pub(crate) fn relay(root: &OwnedFd) -> io::Result<Self> {
        let screen = Arc::new(Screen::of_streams()?);
        // Not blocking: an agent that reads nothing must not keep a question from its answer.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let master = File::from(openat(root, "dev/pts/ptmx", flags, Mode::empty())?);
        rustix::pty::unlockpt(&master)?;
        if let Ok(size) = tcgetwinsize(&screen.output) {
            tcsetwinsize(&master, size)?;
        }
        if screen.input.is_some() && screen.may_change() {
            screen.raw()?;
        }
        let master = Some(Arc::new(master));
        let mut own = Self { screen, master, gate: Arc::default(), output: None };
        own.carry()?;
        Ok(own)
    }

    /// For sessions whose streams are not terminals: questions only.
    pub(crate) fn for_questions() -> io::Result<Self> {
        let screen = Arc::new(Screen::controlling()?);
        Ok(Self { screen, master: None, gate: Arc::default(), output: None })
    }

    fn carry(&mut self) -> io::Result<()> {
        let Some(master) = self.master.clone() else { return Ok(()) };
        let (screen, gate) = (Arc::clone(&self.screen), Arc::clone(&self.gate));
        let source = Arc::clone(&master);
        self.output =
            Some(thread::Builder::new().name("terminal-out".into()).spawn(move || {
                // EIO: the last descriptor of the session's side is closed.
                let _ = carry_out(&source, &screen, &gate);
            })?);
        let (screen, gate) = (Arc::clone(&self.screen), Arc::clone(&self.gate));
        thread::Builder::new().name("terminal-in".into()).spawn(move || {
            let Some(mut input) = screen.input.as_ref() else { return };
            // A program in the background that reads keys or changes modes is stopped.
            while !screen.may_change() {
                thread::sleep(TURN);
            }
            if !screen.is_raw() && screen.raw().is_err() {
                return;
            }
            let mut buffer = [0u8; 4096];
            while let Ok(got @ 1..) = input.read(&mut buffer) {
                let typed = buffer.get(..got).unwrap_or_default();
                if !gate.to_question(typed) && carry_in(&master, typed, &gate).is_err() {
                    break;
                }
            }
        })?;
        Ok(())
    }

    /// Passes the person's window size on.
    pub(crate) fn resize(&self) {
        if let (Some(master), Ok(size)) = (&self.master, tcgetwinsize(&self.screen.output)) {
            let _ = tcsetwinsize(&**master, size);
        }
    }

    /// Shows waiting questions one after the other, in a thread of its own.
    pub(crate) fn ask_here(&self, desk: Arc<Desk>) -> io::Result<()> {
        let mut changes = desk.changes();
        let (screen, gate) = (Arc::clone(&self.screen), Arc::clone(&self.gate));
        let carried = self.master.is_some();
        thread::Builder::new().name("questions".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
                return;
            };
            loop {
                let Some(question) = desk.list().into_iter().next() else {
                    if runtime.block_on(changes.changed()).is_err() {
                        return;
                    }
                    continue;
                };
                if !screen.is_foreground() {
                    // `remit approval` answers; here the person does something else.
                    thread::sleep(TURN);
                    continue;
                }
                let asked = if carried {
                    let closed = gate.close();
                    ask(&screen, &Keys::Relay(&closed.typed), &desk, &question)
                        .and_then(|()| screen.show(&gate.modes_again()))
                } else {
                    let asked =
                        screen.raw().and_then(|()| ask(&screen, &Keys::Own, &desk, &question));
                    screen.restore();
                    asked
                };
                if asked.is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// Waits until the session's last output is on the screen, and gives the terminal back.
    pub(crate) fn finish(mut self) {
        if self.master.take().is_some() {
            if let Some(output) = self.output.take() {
                let _ = output.join();
            }
            // What the agent switched on, and what its last output made the terminal answer, is
            // not for the program that the person types to next.
            if self.screen.is_raw() {
                let _ = self.screen.show(&Modes::off());
                self.screen.forget_typed();
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The thread that reads keys outlives us.
        self.screen.restore();
    }
}

fn carry_out(master: &File, screen: &Screen, gate: &Gate) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        let mut source = master;
        let got = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(master, PollFlags::IN)], None)?;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let output = buffer.get(..got).unwrap_or_default();
        gate.pass(output, || (&screen.output).write_all(output))?;
    }
}

/// Types to the agent. What it has not taken when a question comes is dropped: keys must not wait
/// behind an agent that reads none.
fn carry_in(master: &File, mut typed: &[u8], gate: &Gate) -> io::Result<()> {
    while !typed.is_empty() && !gate.is_closed() {
        let mut target = master;
        match target.write(typed) {
            Ok(taken) => typed = typed.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let turn = Timespec::try_from(TURN).ok();
                poll(&mut [PollFd::new(master, PollFlags::OUT)], turn.as_ref())?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
