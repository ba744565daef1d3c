//! Time for bodies of 4 KB and 1 MB, and throughput: `speed FOLDER` (of code, `*.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use remit_dlp::Scanner;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let mut code = Vec::new();
    gather(Path::new(&folder), &mut code)?;
    let scanner = Scanner::new();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} bytes of code", code.len())?;
    let _ = scanner.scan(&code[..code.len().min(1 << 20)]);
    for (name, size, turns) in [("4 KB", 4096, 2000), ("64 KB", 65_536, 200), ("1 MB", 1 << 20, 30)]
    {
        let mut times: Vec<Duration> = (0..turns)
            .map(|turn| {
                let from = turn * size % (code.len() - size).max(1);
                let start = Instant::now();
                let found = scanner.scan(&code[from..from + size]);
                let time = start.elapsed();
                std::hint::black_box(found);
                time
            })
            .collect();
        times.sort_unstable();
        let place = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        let rate = size as f64 / place(50).as_secs_f64() / 1e6;
        writeln!(out, "{name}: p50 {:?}, p99 {:?}, {rate:.0} MB/s", place(50), place(99))?;
    }
    Ok(())
}

fn gather(path: &Path, code: &mut Vec<u8>) -> std::io::Result<()> {
    if code.len() > 64 << 20 {
        return Ok(());
    }
    if path.is_dir() {
        let mut entries: Vec<_> =
            fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        entries.sort();
        return entries.iter().try_for_each(|entry| gather(entry, code));
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        code.extend(fs::read(path)?);
    }
    Ok(())
}
