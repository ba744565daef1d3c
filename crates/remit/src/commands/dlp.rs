//! `remit dlp`: what is sensitive in files, and texts without it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use remit_core::{DataClass, display_path};
use remit_dlp::{Found, Inspection, Scanner, Stream, Unread};
use serde::Serialize;

use crate::{
    cli::{DlpCommand, Format, RedactArguments, ScanArguments},
    failure::Failure,
    output,
};

/// What is larger is read as a stream, without looking into archives.
const WHOLE: u64 = 128 << 20;
/// Folders inside folders.
const DEPTH: usize = 64;
/// A stream is read in such pieces.
const PIECE: usize = 64 * 1024;

/// Runs it.
pub(crate) fn run(command: DlpCommand) -> Result<i32, Failure> {
    match command {
        DlpCommand::Scan(arguments) => scan(arguments),
        DlpCommand::Redact(arguments) => redact(&arguments),
    }
}

fn scan(arguments: ScanArguments) -> Result<i32, Failure> {
    let paths = if arguments.paths.is_empty() { vec![PathBuf::from("-")] } else { arguments.paths };
    let mut report = Report {
        scanner: scanner(&arguments.classes),
        format: arguments.format,
        out: BufWriter::new(io::stdout().lock()),
        found: 0,
        failed: false,
    };
    if report.format == Format::Json {
        report.out.write_all(b"[").map_err(Failure::Output)?;
    }
    for path in paths {
        report.path(&path)?;
    }
    if report.format == Format::Json {
        report.out.write_all(b"\n]\n").map_err(Failure::Output)?;
    }
    report.out.flush().map_err(Failure::Output)?;
    Ok(match (report.failed, report.found) {
        (true, _) => 2,
        (false, 0) => 0,
        _ => 1,
    })
}

fn scanner(classes: &[DataClass]) -> Scanner {
    let scanner = Scanner::new();
    if classes.is_empty() { scanner } else { scanner.with_classes(classes.iter().cloned()) }
}

/// Prints findings as they come.
struct Report {
    scanner: Scanner,
    format: Format,
    out: BufWriter<io::StdoutLock<'static>>,
    found: u64,
    failed: bool,
}

/// A finding as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    start: usize,
    end: usize,
    class: &'a str,
    confidence: f64,
    via: Vec<&'static str>,
}

impl Report {
    fn path(&mut self, path: &Path) -> Result<(), Failure> {
        if path == Path::new("-") {
            return self.read(path, io::stdin().lock());
        }
        // What was named is followed; what a folder holds is not.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, 0),
            Ok(_) => self.file(path),
            Err(error) => {
                self.complain(path, &error);
                Ok(())
            }
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Failure> {
        if depth >= DEPTH {
            self.complain(folder, &"nested too deeply");
            return Ok(());
        }
        let entries = fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                self.complain(folder, &error);
                return Ok(());
            }
        };
        entries.sort();
        for path in entries {
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(&path, depth + 1)?,
                Ok(metadata) if metadata.is_file() => self.file(&path)?,
                // Links lead elsewhere; pipes and devices have no end.
                Ok(_) => {}
                Err(error) => self.complain(&path, &error),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        match File::open(path) {
            Ok(file) => self.read(path, file),
            Err(error) => {
                self.complain(path, &error);
                Ok(())
            }
        }
    }

    fn read(&mut self, path: &Path, mut input: impl Read) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        if let Err(error) = input.by_ref().take(WHOLE + 1).read_to_end(&mut bytes) {
            self.complain(path, &error);
            return Ok(());
        }
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= WHOLE) {
            let Inspection { found, unread } = self.scanner.inspect(&bytes);
            self.print(path, &found)?;
            for unread in unread {
                self.complain(path, &unread_text(&unread));
            }
            return Ok(());
        }
        self.stream(path, bytes, input)
    }

    fn stream(&mut self, path: &Path, first: Vec<u8>, mut input: impl Read) -> Result<(), Failure> {
        let mut stream = Stream::new(self.scanner.clone());
        for piece in first.chunks(PIECE) {
            let found = stream.push(piece);
            self.print(path, &found)?;
        }
        drop(first);
        let mut piece = vec![0; PIECE];
        loop {
            match input.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    let found = stream.push(piece.get(..count).unwrap_or_default());
                    self.print(path, &found)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.complain(path, &error);
                    break;
                }
            }
        }
        let found = stream.finish();
        self.print(path, &found)?;
        self.complain(path, &"too large for archives inside to be looked into; its text was read");
        Ok(())
    }

    fn print(&mut self, path: &Path, found: &[Found]) -> Result<(), Failure> {
        let name = path.to_string_lossy();
        for one in found {
            let line = Line {
                path: &name,
                start: one.range.start,
                end: one.range.end,
                class: one.class.as_str(),
                confidence: one.confidence.fraction(),
                via: one.via.iter().map(|via| via.as_str()).collect(),
            };
            let text = match self.format {
                Format::Text => text(&line),
                _ => serde_json::to_string(&line).map_err(|error| Failure::Output(error.into()))?,
            };
            let before = match (self.format, self.found) {
                (Format::Json, 0) => "\n",
                (Format::Json, _) => ",\n",
                _ => "",
            };
            let after = if self.format == Format::Json { "" } else { "\n" };
            self.found += 1;
            write!(self.out, "{before}{text}{after}").map_err(Failure::Output)?;
        }
        Ok(())
    }

    fn complain(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        self.failed = true;
        output::say(format_args!("{}: {why}", display_path(path)));
    }
}

fn text(line: &Line<'_>) -> String {
    let path = output::plain(line.path);
    let via = if line.via.is_empty() {
        String::new()
    } else {
        format!("  behind {}", line.via.join(", "))
    };
    format!(
        "{path}:{}-{}  {:<17}  {:.0} %{via}",
        line.start,
        line.end,
        line.class,
        line.confidence * 100.0
    )
}

fn unread_text(unread: &Unread) -> String {
    let (start, end) = (unread.range.start, unread.range.end);
    format!("bytes {start} to {end}: {}", unread.reason)
}

fn redact(arguments: &RedactArguments) -> Result<i32, Failure> {
    let path = arguments.path.clone().unwrap_or_else(|| PathBuf::from("-"));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(WHOLE + 1).read_to_end(&mut bytes)
    } else {
        File::open(&path).and_then(|file| file.take(WHOLE + 1).read_to_end(&mut bytes))
    };
    read.map_err(Failure::at(&path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > WHOLE) {
        return Err(Failure::Text { path, problem: "larger than 128 MB".into() });
    }
    let Inspection { found, unread } = scanner(&arguments.classes).inspect(&bytes);
    // What was not seen may be what should be removed.
    if let Some(unread) = unread.first() {
        return Err(Failure::Text { path, problem: unread_text(unread) });
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let mut at = 0;
    for one in found {
        let plain = bytes.get(at..one.range.start).unwrap_or_default();
        out.write_all(plain)
            .and_then(|()| write!(out, "[{}]", one.class.as_str()))
            .map_err(Failure::Output)?;
        at = one.range.end;
    }
    out.write_all(bytes.get(at..).unwrap_or_default())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)?;
    Ok(0)
}
