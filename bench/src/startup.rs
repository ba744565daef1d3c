//! How long until a program that does nothing has run.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use remit_testkit::{Area, ManifestBuilder, Session, npm_tools, run_bounded};

use crate::{figure::Figure, stats::median};

const COMMAND: &str = "cargo xtask bench --only startup";
const PROGRAM: &str = "/bin/true";

/// One way to run [`PROGRAM`].
struct Way {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
}

/// Interleaved, so that what else the machine does falls on all alike.
pub(crate) fn measure(quick: bool) -> Vec<Figure> {
    let rounds = if quick { 10 } else { 50 };
    let area: &'static Area = Box::leak(Box::new(Area::new("startup")));
    let ways: Vec<Way> = [plain(), remit(area)].into_iter().chain(rivals(area)).collect();
    let mut times: Vec<Vec<f64>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds + 2 {
        for (way, times) in ways.iter().zip(&mut times) {
            let done = run_bounded(&mut (way.command)(), Duration::from_secs(60));
            assert_eq!(done.status, Some(0), "{}: {done}", way.name);
            // The first two warm caches and make keys.
            if round >= 2 {
                times.push(done.took.as_secs_f64() * 1e3);
            }
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    // What was leaked lives as long as the process; its folder should not.
    let _ = std::fs::remove_dir_all(area.path());
    figures(&ways, &medians)
}

fn figures(ways: &[Way], medians: &[f64]) -> Vec<Figure> {
    let of = |name: &str| {
        let place = ways.iter().position(|way| way.name == name);
        place.and_then(|place| medians.get(place)).copied()
    };
    let bubblewrap = of(BUBBLEWRAP);
    ways.iter()
        .zip(medians)
        .map(|(way, median)| {
            let figure = Figure::plain(format!("start-up: {}", way.name), *median, "ms", COMMAND);
            match bubblewrap {
                Some(rival) if way.name == REMIT => {
                    figure.promised("≤ 2.5 × bubblewrap", *median <= 2.5 * rival).over(rival)
                }
                Some(rival) => figure.over(rival),
                None => figure,
            }
        })
        .collect()
}

const REMIT: &str = "remit run, network and audit on";
const BUBBLEWRAP: &str = "bubblewrap, all namespaces";

fn plain() -> Way {
    Way { name: "plain exec", command: Box::new(|| Command::new(PROGRAM)) }
}

fn remit(area: &'static Area) -> Way {
    let manifest = ManifestBuilder::default().write(area.work()).host("pages.example", &[443]);
    let session = Session::under(area, &manifest);
    Way { name: REMIT, command: Box::new(move || session.command(&[PROGRAM])) }
}

/// Those that are installed; a missing one is said, not hidden.
fn rivals(area: &'static Area) -> Vec<Way> {
    let mut ways = Vec::new();
    let mut add =
        |name: &'static str, program: Option<PathBuf>, command: fn(&Path, &Area) -> Command| {
            match program {
                Some(program) => {
                    ways.push(Way { name, command: Box::new(move || command(&program, area)) });
                }
                None => eprintln!("bench: {name}: not installed, not measured"),
            }
        };
    add(BUBBLEWRAP, installed("bwrap"), |program, _| {
        let mut command = Command::new(program);
        command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
        command.args(["--unshare-all", "--die-with-parent", PROGRAM]);
        command
    });
    add("firejail, no profile, no network", installed("firejail"), |program, _| {
        let mut command = Command::new(program);
        command.args(["--noprofile", "--quiet", "--net=none", PROGRAM]);
        command
    });
    add("codex sandbox", codex(), |program, area| {
        let mut command = Command::new(program);
        command.args(["sandbox", "--", PROGRAM]).env("CODEX_HOME", area.home());
        command.current_dir(area.work());
        command
    });
    add("sandbox-runtime (srt), one host", srt(), |program, area| {
        let settings = area.path().join("srt.json");
        if !settings.exists() {
            let text = "{\"network\":{\"allowedDomains\":[\"pages.example\"],\"deniedDomains\":[]},\
                \"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]}}";
            area.write("srt.json", text);
        }
        let mut command = Command::new("node");
        command.arg(program).arg("--settings").arg(settings).arg(PROGRAM);
        command
    });
    ways
}

fn installed(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.is_file())
}

/// The native program inside the npm package, not its slower wrapper.
fn codex() -> Option<PathBuf> {
    let found = std::fs::read_dir(npm_tools().join("@openai")).ok()?.flatten();
    let native = found.map(|entry| entry.path().join("vendor")).find(|path| path.is_dir())?;
    let platform = std::fs::read_dir(native).ok()?.flatten().next()?.path();
    Some(platform.join("bin/codex")).filter(|path| path.is_file())
}

/// `REMIT_BENCH_SRT`: a `node_modules` folder with `@anthropic-ai/sandbox-runtime`.
pub(crate) fn srt_folder() -> Option<PathBuf> {
    std::env::var_os("REMIT_BENCH_SRT").map(PathBuf::from)
}

fn srt() -> Option<PathBuf> {
    let cli = srt_folder()?.join("@anthropic-ai/sandbox-runtime/dist/cli.js");
    Some(cli).filter(|path| path.is_file())
}
