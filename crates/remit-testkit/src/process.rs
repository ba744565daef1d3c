//! Running a program with an end in sight.

use std::{
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

/// What became of a program.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit status; 128+n when signal n ended it; `None` when it ran out of time and was killed.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall time.
    pub took: Duration,
}

impl Finished {
    /// Fails the test unless the program ended with status 0, showing what it wrote.
    #[track_caller]
    pub fn must_succeed(self) -> Self {
        assert_eq!(self.status, Some(0), "{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.map_or("out of time".to_owned(), |status| status.to_string());
        writeln!(f, "status {status} after {:?}", self.took)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}

/// Runs a program without input in a process group of its own; after `limit` the group is killed.
pub fn run_bounded(command: &mut Command, limit: Duration) -> Finished {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let (status, ended) = wait(&mut child, limit);
    Finished {
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        took: ended.duration_since(started),
    }
}

/// Waits for the end; a second thread kills the group when time runs out. The child is reaped only
/// when that thread has ended, so that it can never kill a stranger with the same number.
fn wait(child: &mut Child, limit: Duration) -> (Option<i32>, Instant) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
    let (done, stop) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let late = matches!(stop.recv_timeout(limit), Err(mpsc::RecvTimeoutError::Timeout));
        if late {
            // The group may be gone already; then there is nothing to kill.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        late
    });
    let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let waited = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), exited));
    let ended = Instant::now();
    assert!(waited.is_ok(), "a child can be waited for: {waited:?}");
    drop(done);
    let late = watchdog.join().unwrap_or(true);
    let status = child.wait().expect("a child can be waited for");
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    (code.filter(|_| !late), ended)
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What arrived before an error is still worth showing.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_status_signal_and_timeout() {
        let shell = |script: &str, limit| {
            run_bounded(Command::new("sh").args(["-c", script]), Duration::from_millis(limit))
        };
        let fine = shell("echo out; echo err >&2; exit 3", 5_000);
        assert_eq!((fine.status, fine.stdout.as_str()), (Some(3), "out\n"));
        assert_eq!(fine.stderr, "err\n");
        assert_eq!(shell("kill -9 $$", 5_000).status, Some(137));
        assert_eq!(shell("sleep 30", 100).status, None);
    }
}
