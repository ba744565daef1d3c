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

/// Replaces the marked block.
pub(crate) fn update(figures: &[Figure]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../SPECIFICATION.md");
    let text = fs::read_to_string(&path).expect("SPECIFICATION.md is there");
    let updated = replaced(&text, &block(figures)).expect("SPECIFICATION.md has a marked block");
    fs::write(&path, updated).expect("SPECIFICATION.md can be written");
    println!("wrote {}", path.display());
}

fn replaced(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{block}{END}{after}"))
}

fn block(figures: &[Figure]) -> String {
    let rows: String =
        figures.iter().map(|figure| format!("| {} |\n", figure.cells().join(" | "))).collect();
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
    fn replaces_the_marked_block_only() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("a\n{BEGIN}\nnew\n{END}\nz\n")));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
