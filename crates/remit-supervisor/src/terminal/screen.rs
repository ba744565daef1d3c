//! The person's terminal, as it was given to us.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    process::{Pid, getpgrp},
    termios::{
        OptionalActions, QueueSelector, Termios, isatty, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
    },
};

/// Where output and questions go, and where keys come from; modes are restored when dropped.
pub(super) struct Screen {
    pub(super) output: File,
    pub(super) input: Option<File>,
    before: Option<Termios>,
    /// Modes as we set them.
    ours: Mutex<Option<Termios>>,
}

impl Screen {
    /// The terminal that the standard streams are.
    pub(super) fn of_streams() -> io::Result<Self> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [stdout.as_fd(), stderr.as_fd(), stdin.as_fd()];
        let output = streams.into_iter().find(|stream| isatty(stream));
        let output = output.ok_or(io::ErrorKind::NotFound)?;
        let input = if isatty(&stdin) {
            Some(duplicate(stdin.as_fd())?)
        } else if foreground(output).is_some() {
            // Programs that get their input elsewhere may still read keys from their terminal.
            open().ok()
        } else {
            None
        };
        Self::new(duplicate(output)?, input)
    }

    /// Our controlling terminal.
    pub(super) fn controlling() -> io::Result<Self> {
        let terminal = open()?;
        Self::new(terminal.try_clone()?, Some(terminal))
    }

    fn new(output: File, input: Option<File>) -> io::Result<Self> {
        let before = input.as_ref().map(tcgetattr).transpose()?;
        Ok(Self { output, input, before, ours: Mutex::default() })
    }

    /// Whether keys may be read and modes be changed: in the background of our controlling
    /// terminal, both would stop us (SIGTTIN and SIGTTOU, termios(3)).
    pub(super) fn may_change(&self) -> bool {
        let terminal = self.input.as_ref().unwrap_or(&self.output);
        foreground(terminal.as_fd()).is_none_or(|group| group == getpgrp())
    }

    /// Whether the person looks at us: a question to somebody else's terminal is none.
    pub(super) fn is_foreground(&self) -> bool {
        let input = self.input.as_ref().and_then(|input| foreground(input.as_fd()));
        input == Some(getpgrp())
    }

    pub(super) fn is_raw(&self) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn raw(&self) -> io::Result<()> {
        let (Some(input), Some(before)) = (&self.input, &self.before) else { return Ok(()) };
        let mut settings = before.clone();
        settings.make_raw();
        tcsetattr(input, OptionalActions::Now, &settings)?;
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(tcgetattr(input)?);
        Ok(())
    }

    pub(super) fn show(&self, text: &str) -> io::Result<()> {
        (&self.output).write_all(text.as_bytes())
    }

    /// Drops what was typed and not read yet.
    pub(super) fn forget_typed(&self) {
        if let Some(input) = &self.input {
            let _ = tcflush(input, QueueSelector::IFlush);
        }
    }

    /// Gives the terminal back, unless somebody beside us (a pager that reads our output) has
    /// changed it since.
    pub(super) fn restore(&self) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(input), Some(before), Some(ours)) = (&self.input, &self.before, ours) else {
            return;
        };
        if self.may_change() && tcgetattr(input).is_ok_and(|now| same(&now, &ours)) {
            let _ = tcsetattr(input, OptionalActions::Drain, before);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Whether there is a person at a terminal at all.
pub(crate) fn attended() -> bool {
    open().is_ok_and(|terminal| isatty(&terminal))
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn duplicate(stream: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(stream.try_clone_to_owned()?))
}

/// The group in the foreground; nothing where this is not our controlling terminal.
fn foreground(terminal: BorrowedFd<'_>) -> Option<Pid> {
    tcgetpgrp(terminal).ok()
}

fn same(one: &Termios, other: &Termios) -> bool {
    one.local_modes == other.local_modes
        && one.input_modes == other.input_modes
        && one.output_modes == other.output_modes
        && one.control_modes == other.control_modes
}
