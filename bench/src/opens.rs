//! What mediation adds to opening and closing a granted file.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::fanotify::{
    EventFFlags, Fanotify, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response,
};
use remit_testkit::{Area, ManifestBuilder, Session};

use crate::{
    figure::Figure,
    stats::{median, probe_times},
};

const COMMAND: &str = "cargo xtask bench --only opens";
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn measure(quick: bool) -> Vec<Figure> {
    let count = if quick { 2_000 } else { 20_000 };
    let area = Area::new("opens");
    let file = area.write("work/file.txt", "contents");
    let words = [
        probe().into_os_string(),
        "opens".into(),
        count.to_string().into(),
        file.clone().into_os_string(),
    ];
    let native = Session::native(&area);
    let micros = |command: &mut Command| median(probe_times(command, LIMIT)) / 1e3;
    let alone = micros(&mut native.command(&words));
    let manifest = ManifestBuilder::default().read(area.work());
    let mediated = micros(&mut Session::under(&area, &manifest).command(&words));
    let added = mediated - alone;
    let mut figures = vec![
        Figure::plain("open+close of a granted file: native", alone, "µs", COMMAND),
        Figure::plain("open+close of a granted file: added by remit", added, "µs", COMMAND)
            .promised("≤ 12 µs added", added <= 12.0),
    ];
    match with_fanotify(&file, || micros(&mut native.command(&words))) {
        Ok(time) => figures.push(Figure::plain(
            "open+close of a granted file: added by a fanotify permission event",
            time - alone,
            "µs",
            COMMAND,
        )),
        Err(error) => eprintln!("bench: fanotify: {error}, not measured (needs root)"),
    }
    figures
}

/// The probe lies beside this program.
pub(crate) fn probe() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let probe = this.with_file_name("remit-probe");
    assert!(probe.is_file(), "{} does not exist: build it with -p remit-bench", probe.display());
    probe
}

/// Runs `work` while every open of `file` waits for a yes from another process's thread.
fn with_fanotify<T>(file: &Path, work: impl FnOnce() -> T) -> nix::Result<T> {
    let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_NONBLOCK;
    // The path is absolute, so the folder to start from does not matter, but there must be one.
    let root = File::open("/").map_err(|_| nix::Error::EACCES)?;
    let group = Fanotify::init(flags, EventFFlags::O_RDONLY)?;
    group.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN_PERM, &root, Some(file))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let answering = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let mut ready = [rustix::event::PollFd::new(&group, rustix::event::PollFlags::IN)];
            let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let _ = rustix::event::poll(&mut ready, Some(&pause));
            for event in group.read_events().into_iter().flatten() {
                if let Some(descriptor) = event.fd() {
                    let _ = group
                        .write_response(FanotifyResponse::new(descriptor, Response::FAN_ALLOW));
                }
            }
        }
    });
    let done = work();
    stop.store(true, Ordering::Relaxed);
    let _ = answering.join();
    Ok(done)
}
