//! The session's own terminal. The person's terminal is never the agent's: bytes are carried
//! between the two, so nothing typed into the one by the agent (TIOCSTI) reaches the other, and a
//! question shown here cannot be answered from inside.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};

use crate::{ApprovalView, Desk, LifetimeChoice};

/// How long a question stands before keys count as its answer.
const READING_TIME: Duration = Duration::from_millis(700);

/// Which of the three standard streams are terminals.
pub(crate) fn standard_terminals() -> [bool; 3] {
    [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()]
}

/// The person's terminal with its settings, restored when dropped.
struct Screen {
    terminal: File,
    before: Termios,
}

impl Screen {
    fn open() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        Ok(Self { terminal, before })
    }

    fn raw(&self) -> io::Result<()> {
        let mut settings = self.before.clone();
        settings.make_raw();
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &settings)?)
    }

    fn restore(&self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Carries bytes between the person's terminal and the session's, and shows questions.
pub(crate) struct Terminal {
    screen: Arc<Screen>,
    master: Option<Arc<File>>,
    /// Where typed bytes go while a question is shown.
    answers: Arc<Mutex<Option<Sender<u8>>>>,
    asking: Arc<AtomicBool>,
    output: Option<thread::JoinHandle<()>>,
}

impl Terminal {
    /// Opens the session's terminal inside its tree and starts carrying bytes.
    pub(crate) fn relay(root: &OwnedFd) -> io::Result<Self> {
        let screen = Arc::new(Screen::open()?);
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = File::from(openat(root, "dev/pts/ptmx", flags, Mode::empty())?);
        rustix::pty::unlockpt(&master)?;
        if let Ok(size) = tcgetwinsize(&screen.terminal) {
            tcsetwinsize(&master, size)?;
        }
        screen.raw()?;
        let mut own = Self {
            screen,
            master: Some(Arc::new(master)),
            answers: Arc::default(),
            asking: Arc::default(),
            output: None,
        };
        own.carry()?;
        Ok(own)
    }

    /// For sessions whose streams are not terminals: questions only.
    pub(crate) fn for_questions() -> io::Result<Self> {
        Ok(Self {
            screen: Arc::new(Screen::open()?),
            master: None,
            answers: Arc::default(),
            asking: Arc::default(),
            output: None,
        })
    }

    fn carry(&mut self) -> io::Result<()> {
        let Some(master) = self.master.clone() else { return Ok(()) };
        let (screen, source) = (Arc::clone(&self.screen), Arc::clone(&master));
        self.output =
            Some(thread::Builder::new().name("terminal-out".into()).spawn(move || {
                // EIO: the last descriptor of the session's side is closed.
                let _ = io::copy(&mut &*source, &mut &screen.terminal);
            })?);
        let (screen, answers) = (Arc::clone(&self.screen), Arc::clone(&self.answers));
        thread::Builder::new().name("terminal-in".into()).spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(got @ 1..) = (&screen.terminal).read(&mut buffer) {
                let typed = buffer.get(..got).unwrap_or_default();
                let question = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let sent = match question {
                    Some(question) => {
                        // A question that was answered meanwhile swallows the rest.
                        typed.iter().try_for_each(|byte| question.send(*byte)).or(Ok(()))
                    }
                    None => (&*master).write_all(typed),
                };
                if sent.is_err() {
                    break;
                }
            }
        })?;
        Ok(())
    }

    /// Passes the person's window size on.
    pub(crate) fn resize(&self) {
        if let (Some(master), Ok(size)) = (&self.master, tcgetwinsize(&self.screen.terminal)) {
            let _ = tcsetwinsize(&**master, size);
        }
    }

    /// Shows waiting questions one after the other, in a thread of its own.
    pub(crate) fn ask_here(&self, desk: Arc<Desk>) -> io::Result<()> {
        let changes = desk.changes();
        let (screen, answers) = (Arc::clone(&self.screen), Arc::clone(&self.answers));
        let (asking, carried) = (Arc::clone(&self.asking), self.master.is_some());
        let mut changes = changes;
        thread::Builder::new().name("questions".into()).spawn(move || {
            loop {
                if let Some(question) = desk.list().into_iter().next() {
                    asking.store(true, Ordering::Relaxed);
                    let asked = ask(&screen, &answers, carried, &desk, &question);
                    asking.store(false, Ordering::Relaxed);
                    if asked.is_err() {
                        return;
                    }
                } else {
                    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
                        return;
                    };
                    if runtime.block_on(changes.changed()).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(())
    }

    /// Waits until the session's last output is on the screen, and gives the terminal back.
    pub(crate) fn finish(mut self) {
        self.master = None;
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
        self.screen.restore();
    }
}

fn ask(
    screen: &Screen,
    answers: &Mutex<Option<Sender<u8>>>,
    carried: bool,
    desk: &Desk,
    question: &ApprovalView,
) -> io::Result<()> {
    let (sender, typed) = channel();
    let resource: String = question.resource.chars().filter(|c| !c.is_control()).collect();
    let line = format!(
        "\r\n\x1b[1mremit asks:\x1b[0m {} {resource}\r\n  rule {}\r\n  \
         [o] once   [s] for this session   [d] deny   (refused by itself at {})\r\n",
        question.action.as_str(),
        question.rule.as_deref().unwrap_or("-"),
        question.expires,
    );
    (&screen.terminal).write_all(line.as_bytes())?;
    if carried {
        *answers.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    } else {
        screen.raw()?;
        let terminal = screen.terminal.try_clone()?;
        thread::Builder::new().name("answer".into()).spawn(move || {
            let mut byte = [0u8; 1];
            while let Ok(1) = (&terminal).read(&mut byte) {
                if sender.send(byte[0]).is_err() || matches!(byte[0], b'o' | b's' | b'd' | 3) {
                    return;
                }
            }
        })?;
    }
    let by = "the person at the terminal";
    let shown = Instant::now();
    let said = loop {
        let waiting = desk.list().iter().any(|one| one.id == question.id);
        if !waiting {
            break "answered elsewhere";
        }
        let Ok(byte) = typed.recv_timeout(Duration::from_millis(200)) else { continue };
        // The agent chooses the moment of its question: a key that was meant for the agent must
        // not become an answer.
        if shown.elapsed() < READING_TIME {
            continue;
        }
        break match byte {
            b'o' => answered(desk.approve(&question.id, LifetimeChoice::Once, by), "approved once"),
            b's' => {
                let choice = LifetimeChoice::Session;
                answered(desk.approve(&question.id, choice, by), "approved for this session")
            }
            b'd' | b'n' | 3 => answered(desk.deny(&question.id, by), "denied"),
            _ => continue,
        };
    };
    *answers.lock().unwrap_or_else(PoisonError::into_inner) = None;
    if !carried {
        screen.restore();
    }
    (&screen.terminal).write_all(format!("  {said}\r\n").as_bytes())
}

fn answered<E>(result: Result<(), E>, said: &'static str) -> &'static str {
    if result.is_ok() { said } else { "not possible; see `remit approval list`" }
}

/// Whether there is a person at a terminal at all.
pub(crate) fn attended() -> bool {
    Path::new("/dev/tty").exists()
        && File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .is_ok_and(|t| rustix::termios::isatty(t.as_fd()))
}
