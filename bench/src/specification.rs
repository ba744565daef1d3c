//! Writing figures down.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::figure::Figure;

const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --write` -->";
const END: &str = "<!-- end of figures -->";

/// The machine-readable form.
pub(crate) fn write_json(path: &Path, figures: &[Figure]) {
    let value = json!({ "machine": machine(), "figures": figures.iter().map(Figure::json).collect::<Vec<Value>>() });
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("the folder of the JSON file can be created");
    }
    fs::write(path, format!("{value:#}\n")).expect("the JSON file can be written");
    println!("wrote {}", path.display());
}

/// Replaces what was measured anew in the marked block; other rows stay.
pub(crate) fn update(figures: &[Figure]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../SPECIFICATION.md");
    let text = fs::read_to_string(&path).expect("SPECIFICATION.md is there");
    let rows = merged(old_rows(&text), figures);
    let updated = replaced(&text, &block(&rows)).expect("SPECIFICATION.md has a marked block");
    fs::write(&path, updated).expect("SPECIFICATION.md can be written");
    println!("wrote {}", path.display());
}

fn replaced(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{block}{END}{after}"))
}

/// The rows that stand in the marked block.
fn old_rows(text: &str) -> Vec<&str> {
    let block = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let lines = block.map_or("", |(block, _)| block).lines();
    lines.filter(|line| line.starts_with("| ")).skip(1).collect()
}

/// The old rows in their order, those of a command that was run now replaced by its new ones.
fn merged(old: Vec<&str>, figures: &[Figure]) -> String {
    let row = |figure: &Figure| format!("| {} |", figure.cells().join(" | "));
    let mut left: Vec<&Figure> = figures.iter().collect();
    let mut rows = Vec::new();
    for line in old {
        let ran = figures.iter().find(|figure| line.ends_with(&format!("| {} |", figure.command)));
        let Some(ran) = ran else {
            rows.push(line.to_owned());
            continue;
        };
        rows.extend(left.iter().filter(|figure| figure.command == ran.command).map(|f| row(f)));
        left.retain(|figure| figure.command != ran.command);
    }
    rows.extend(left.into_iter().map(row));
    rows.into_iter().map(|row| row + "\n").collect()
}

fn block(rows: &str) -> String {
    format!(
        "\nMeasured on {}.\n\n| measure | must | figure | ratio | holds | command |\n\
         |---|---|---|---|---|---|\n{rows}\n",
        machine()
    )
}

/// Kernel, processor, cores: what a reader needs to compare.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {}, {cores} cores",
        read("/proc/sys/kernel/osrelease").trim(),
        model.trim_start_matches(['\t', ' ', ':']).trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_not_measured_now_stay() {
        let text =
            format!("{BEGIN}\n\n| measure | x |\n|---|---|\n| a | one |\n| b | two |\n{END}");
        let figure = |name: &str, command| Figure::plain(name, 1.0, "s", command);
        let new = [figure("c", "two"), figure("d", "two"), figure("e", "three")];
        let rows = merged(old_rows(&text), &new);
        let names: Vec<&str> = rows.lines().map(|row| &row[2..3]).collect();
        assert_eq!(names, ["a", "c", "d", "e"]);
    }

    #[test]
    fn replaces_the_marked_block_only() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("a\n{BEGIN}\nnew\n{END}\nz\n")));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
