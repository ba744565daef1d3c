//! Findings a megabyte in files that hold none to speak of: `density FOLDER… [--ext rs] [--show CLASS]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use remit_dlp::Scanner;

struct Tally {
    scanner: Scanner,
    extension: String,
    show: Option<String>,
    classes: BTreeMap<String, (usize, usize)>,
    bytes: usize,
    time: Duration,
    most: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let most =
        option("--megabytes").and_then(|text| text.parse::<usize>().ok()).unwrap_or(64) << 20;
    let mut tally = Tally {
        scanner: Scanner::new(),
        extension: option("--ext").unwrap_or_else(|| "rs".into()),
        show: option("--show"),
        classes: BTreeMap::new(),
        bytes: 0,
        time: Duration::ZERO,
        most,
    };
    for folder in arguments.iter().take_while(|word| !word.starts_with("--")) {
        walk(Path::new(folder), &mut tally)?;
    }
    let mut out = std::io::stdout().lock();
    let megabytes = tally.bytes as f64 / 1e6;
    writeln!(out, "{megabytes:.1} MB, {:.0} MB/s", megabytes / tally.time.as_secs_f64())?;
    for (class, (count, encoded)) in &tally.classes {
        writeln!(
            out,
            "{class:20} {count:6} ({encoded} behind encodings), {:.3} a megabyte",
            *count as f64 / megabytes
        )?;
    }
    Ok(())
}

fn walk(path: &Path, tally: &mut Tally) -> Result<(), Box<dyn std::error::Error>> {
    if tally.bytes > tally.most {
        return Ok(());
    }
    if path.is_dir() && !path.is_symlink() {
        let mut entries: Vec<_> =
            fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        entries.sort();
        return entries.iter().try_for_each(|entry| walk(entry, tally));
    }
    if path.extension().is_none_or(|extension| extension != tally.extension.as_str()) {
        return Ok(());
    }
    let text = fs::read(path)?;
    let start = Instant::now();
    let found = tally.scanner.scan(&text);
    tally.time += start.elapsed();
    tally.bytes += text.len();
    for one in found {
        let entry = tally.classes.entry(one.class.as_str().to_owned()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(!one.via.is_empty());
        if tally.show.as_deref() == Some(one.class.as_str()) {
            let value = String::from_utf8_lossy(&text[one.range.clone()]).into_owned();
            let before =
                String::from_utf8_lossy(&text[one.range.start.saturating_sub(50)..one.range.start])
                    .into_owned();
            let via: Vec<&str> = one.via.iter().map(|via| via.as_str()).collect();
            writeln!(
                std::io::stdout(),
                "{}: {} {via:?} {before:?} >>> {value:.80}",
                path.display(),
                one.kind
            )?;
        }
    }
    Ok(())
}
