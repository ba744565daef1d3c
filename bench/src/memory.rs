//! What an idle supervisor holds.

use std::{fs, path::Path, process::Stdio, thread, time::Duration};

use remit_testkit::{Area, ManifestBuilder, Session};

use crate::figure::Figure;

const COMMAND: &str = "cargo xtask bench --only memory";

/// Proportional set size of everything that `remit run` started except the program itself.
pub(crate) fn measure() -> Vec<Figure> {
    let area = Area::new("memory");
    let manifest = ManifestBuilder::default().write(area.work()).host("pages.example", &[443]);
    let mut command = Session::under(&area, &manifest).command(&["sleep", "30"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("remit starts");
    thread::sleep(Duration::from_secs(3));
    let ended = child.try_wait().expect("a child can be waited for");
    assert!(ended.is_none(), "the session ended at once: {ended:?}");
    let kib: u64 =
        tree(child.id()).iter().filter(|pid| !is_sleep(**pid)).map(|pid| pss(*pid)).sum();
    // The session ends with its supervisor.
    let _ = child.kill();
    let _ = child.wait();
    let mib = kib as f64 / 1024.0;
    vec![
        Figure::plain("supervisor memory, idle (PSS)", mib, "MiB", COMMAND)
            .promised("≤ 30 MiB", mib <= 30.0),
    ]
}

fn is_sleep(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

fn pss(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A process and all below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(Path::new(&task.path()).join("children"));
            let children = children.unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}
