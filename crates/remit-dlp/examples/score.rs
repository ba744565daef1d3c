//! Precision and recall of secrets over labelled windows: `score FOLDER [--show fp|fn] [--part N]`.
//!
//! The folder holds `*.jsonl`: objects with `text`, `file` and `spans` of `start`, `end` (characters)
//! and `label` (T: a secret, F: none, X: a placeholder). A finding on a line with a T counts; one on
//! a line with nothing but X is ignored; any other is false. `--part` takes only files whose name
//! has that parity, so that one half can stay unseen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{collections::BTreeSet, fs, io::Write as _};

use remit_core::{DataClass, DataGroup};
use remit_dlp::Scanner;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("which folder?")?;
    let option = |name: &str| {
        arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let (show, half) =
        (option("--show"), option("--part").and_then(|part| part.parse::<u32>().ok()));
    let scanner = Scanner::new().with_classes(DataClass::parse("secrets"));
    let mut out = std::io::stdout().lock();
    let (mut right, mut wrong, mut missed, mut lost, mut bytes) =
        (0_u32, 0_u32, 0_u32, 0_u32, 0_usize);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for row in fs::read_to_string(path)?.lines() {
            let row: serde_json::Value = serde_json::from_str(row)?;
            let text = row["text"].as_str().unwrap_or_default();
            let file = row["file"].as_str().unwrap_or_default();
            let parity = u32::from(crc(file) % 2 == 1);
            if half.is_some_and(|half| half != parity) {
                continue;
            }
            bytes += text.len();
            let lines = Lines::of(text);
            let (mut secret, mut placeholder) = (BTreeSet::new(), BTreeSet::new());
            let mut spans = Vec::new();
            for span in row["spans"].as_array().into_iter().flatten() {
                let at = |key: &str| {
                    lines.byte(usize::try_from(span[key].as_u64().unwrap_or(0)).unwrap_or(0))
                };
                let range = lines.line(at("start"))..=lines.line(at("end").saturating_sub(1));
                match span["label"].as_str() {
                    Some("T") => {
                        secret.extend(range.clone());
                        spans.push((range, at("start"), at("end")));
                    }
                    Some("X") => placeholder.extend(range),
                    _ => {}
                }
            }
            let found = scanner.scan(text.as_bytes());
            let mut hit = BTreeSet::new();
            for one in &found {
                debug_assert_eq!(one.class.group(), DataGroup::Secrets);
                let range =
                    lines.line(one.range.start)..=lines.line(one.range.end.saturating_sub(1));
                hit.extend(range.clone());
                if range.clone().any(|line| secret.contains(&line)) {
                    right += 1;
                } else if !range.clone().any(|line| placeholder.contains(&line)) {
                    wrong += 1;
                    if show.as_deref() == Some("fp") {
                        writeln!(
                            out,
                            "{file} {} {}: {:?} in {}",
                            one.class.as_str(),
                            one.kind,
                            &text[one.range.clone()],
                            lines.content(text, *range.start())
                        )?;
                    }
                }
            }
            for (range, start, end) in spans {
                if range.clone().any(|line| hit.contains(&line)) {
                    missed += 1;
                } else {
                    lost += 1;
                    if show.as_deref() == Some("fn") {
                        writeln!(
                            out,
                            "{file}: {:?} in {}",
                            &text[start..end.min(start + 60)],
                            lines.content(text, *range.start())
                        )?;
                    }
                }
            }
        }
    }
    let ratio = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
    let (precision, recall) = (ratio(right, right + wrong), ratio(missed, missed + lost));
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
    writeln!(
        out,
        "{bytes} bytes: precision {precision:.3} ({wrong} false), recall {recall:.3} ({lost} missed), F1 {f1:.3}"
    )?;
    Ok(())
}

fn crc(text: &str) -> u32 {
    text.bytes()
        .fold(17, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)) ^ (sum >> 7))
}

/// Where lines and characters start, in bytes.
struct Lines {
    starts: Vec<usize>,
    characters: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let starts =
            [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let characters = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { starts, characters }
    }

    fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) - 1
    }

    fn byte(&self, character: usize) -> usize {
        self.characters.get(character).or(self.characters.last()).copied().unwrap_or(0)
    }

    fn content<'a>(&self, text: &'a str, line: usize) -> &'a str {
        let end = self.starts.get(line + 1).map_or(text.len(), |end| end - 1);
        let line = text[self.starts[line]..end].trim();
        &line[..line.char_indices().nth(160).map_or(line.len(), |(at, _)| at)]
    }
}
