//! What runs inside and outside a session to be timed by the same clock in the same way.
//!
//! `remit-probe opens COUNT FILE` prints the nanoseconds of each of COUNT opens and closes;
//! `remit-probe runs COUNT PROGRAM [ARGUMENT…]` those of COUNT runs of a program, whose output is
//! thrown away. A `--fresh PATH` before PROGRAM removes that folder before each run.

use std::{
    env, fs, hint,
    io::{self, Write},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["opens", count, file] => opens(count.parse().unwrap_or(0), file),
        ["runs", count, "--fresh", folder, words @ ..] => {
            runs(count.parse().unwrap_or(0), words, Some(folder))
        }
        ["runs", count, words @ ..] => runs(count.parse().unwrap_or(0), words, None),
        _ => Err(io::Error::other("usage: remit-probe opens COUNT FILE | runs COUNT PROGRAM…")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("remit-probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn opens(count: usize, file: &str) -> io::Result<()> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        drop(hint::black_box(fs::File::open(file)?));
        times.push(started.elapsed().as_nanos());
    }
    print(&times)
}

fn runs(count: usize, words: &[&str], fresh: Option<&str>) -> io::Result<()> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::other("no program named"))?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        if let Some(folder) = fresh {
            remove(folder)?;
        }
        let started = Instant::now();
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        times.push(started.elapsed().as_nanos());
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("{program}: {}: {said}", output.status)));
        }
    }
    print(&times)
}

fn remove(folder: &str) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn print(times: &[u128]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for time in times {
        writeln!(out, "{time}")?;
    }
    out.flush()
}
