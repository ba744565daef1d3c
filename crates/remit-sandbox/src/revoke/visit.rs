//! A stopped thread made to run system calls for us, and left as it was.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    maps::Mapping,
    regs::{self, Raw},
    sys::{self, State},
};

/// How long one call may take: closing a file on a slow network file system waits for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How much code is searched for a system-call instruction.
const MAX_CODE: u64 = 64 << 20;
const PAGE: u64 = 4096;

/// A thread that we run.
pub(super) struct Visit {
    tid: i32,
    original: Raw,
    mask: u64,
    sequence: Option<(u64, [u8; 8])>,
    instruction: u64,
}

impl Visit {
    /// Takes over a thread in an event stop.
    pub(super) fn begin(tid: i32, maps: &[Mapping]) -> io::Result<Self> {
        let original = sys::registers(tid)?;
        let instruction = instruction(tid, &original, maps)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOEXEC))?;
        let mask = sys::blocked(tid)?;
        // The kernel forgets a restartable sequence when it sees another instruction pointer; it
        // must not, or the sequence would go on after a change of processor.
        let sequence = sys::sequence_word(tid).and_then(|word| {
            let mut value = [0; 8];
            sys::read(tid, word, &mut value).ok()?;
            (value != [0; 8]).then_some((word, value))
        });
        sys::block(tid, u64::MAX)?;
        Ok(Self { tid, original, mask, sequence, instruction })
    }

    /// Makes one system call. The inner result is the call's own; the outer one fails when the
    /// thread is gone or does something else.
    pub(super) fn call(
        &mut self,
        number: libc::c_long,
        args: [u64; 6],
    ) -> io::Result<Result<u64, i32>> {
        let raw = regs::calling(&self.original, self.instruction, number, args);
        sys::set_registers(self.tid, &raw)?;
        for _ in ["entry", "exit"] {
            sys::to_syscall(self.tid, 0)?;
            self.until_call()?;
        }
        let result = regs::result(&sys::registers(self.tid)?);
        Ok(match i32::try_from(result) {
            Ok(error @ -4095..=-1) => Err(error.saturating_neg()),
            _ => Ok(result.cast_unsigned()),
        })
    }

    /// `chdir("/")`. The path needs a place in the thread's memory, which we make and take away.
    pub(super) fn leave_folder(&mut self) -> io::Result<Result<u64, i32>> {
        let protection = (libc::PROT_READ | libc::PROT_WRITE).cast_unsigned();
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).cast_unsigned();
        let map = [0, PAGE, protection.into(), flags.into(), u64::MAX, 0];
        let at = match self.call(libc::SYS_mmap, map)? {
            Ok(at) => at,
            Err(error) => return Ok(Err(error)),
        };
        sys::write(self.tid, at, *b"/\0\0\0\0\0\0\0")?;
        let done = self.call(libc::SYS_chdir, [at, 0, 0, 0, 0, 0])?;
        let _ = self.call(libc::SYS_munmap, [at, PAGE, 0, 0, 0, 0])?;
        Ok(done)
    }

    /// Puts the thread back where it was, stopped as it was: from such a stop the kernel itself
    /// restarts the call that we interrupted.
    pub(super) fn end(self) -> io::Result<()> {
        sys::interrupt(self.tid)?;
        sys::set_registers(self.tid, &self.original)?;
        sys::go_on(self.tid, 0)?;
        wait(self.tid, |state| match state {
            State::Stopped => Step::Done,
            State::Signal(libc::SIGSTOP) => Step::Again(libc::SIGSTOP),
            _ => Step::Failed,
        })?;
        if let Some((word, value)) = self.sequence {
            sys::write(self.tid, word, value)?;
        }
        sys::block(self.tid, self.mask)
    }

    fn until_call(&self) -> io::Result<()> {
        wait(self.tid, |state| match state {
            State::Syscall => Step::Done,
            // The process is being stopped as a whole; it is stopped enough for now.
            State::Stopped => Step::Again(0),
            State::Signal(libc::SIGSTOP) => Step::Again(libc::SIGSTOP),
            _ => Step::Failed,
        })
    }
}

enum Step {
    Done,
    /// Let it run on towards the next call, with this signal.
    Again(i32),
    Failed,
}

fn wait(tid: i32, judge: impl Fn(State) -> Step) -> io::Result<()> {
    let begun = Instant::now();
    let mut turns = 0u32;
    loop {
        match sys::look(tid) {
            State::Running if begun.elapsed() > PATIENCE => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            State::Running => pause(&mut turns),
            state => match judge(state) {
                Step::Done => return Ok(()),
                Step::Again(signal) => {
                    if state != State::Stopped {
                        sys::interrupt(tid)?;
                    }
                    sys::to_syscall(tid, signal)?;
                }
                Step::Failed => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
        }
    }
}

/// Gives the processor to others, then sleeps a little.
pub(super) fn pause(turns: &mut u32) {
    if *turns < 50 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(100));
    }
    *turns = turns.saturating_add(1);
}

/// A system-call instruction in the process: its own last one, the kernel's in the vDSO, or any.
fn instruction(tid: i32, raw: &Raw, maps: &[Mapping]) -> Option<u64> {
    if let Some(at) = regs::own_call(raw) {
        let mut bytes = [0; 8];
        let bytes = bytes.get_mut(..regs::CALL.len())?;
        if sys::read(tid, at, bytes).is_ok() && bytes == regs::CALL {
            return Some(at);
        }
    }
    let code = libc::PROT_READ | libc::PROT_EXEC;
    let runs = |mapping: &&Mapping| mapping.protection & code == code;
    let (kernel, others): (Vec<_>, Vec<_>) =
        maps.iter().filter(runs).partition(|mapping| mapping.path == b"[vdso]");
    let mut left = MAX_CODE;
    kernel.into_iter().chain(others).find_map(|mapping| search(tid, mapping, &mut left))
}

fn search(tid: i32, mapping: &Mapping, left: &mut u64) -> Option<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut buffer = vec![0u8; usize::try_from(CHUNK).ok()?];
    let mut at = mapping.start;
    while at < mapping.end && *left > 0 {
        let size = CHUNK.min(mapping.end.saturating_sub(at));
        *left = left.saturating_sub(size);
        let part = buffer.get_mut(..usize::try_from(size).ok()?)?;
        // A hole (a file that is shorter than its mapping) ends this one.
        sys::read(tid, at, part).ok()?;
        let found = part.windows(regs::CALL.len()).enumerate().find_map(|(offset, bytes)| {
            let address = at.checked_add(u64::try_from(offset).ok()?)?;
            (bytes == regs::CALL && address.is_multiple_of(regs::ALIGN)).then_some(address)
        });
        if found.is_some() {
            return found;
        }
        at = at.checked_add(size)?;
    }
    None
}
