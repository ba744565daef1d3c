//! The agent looks for what controls it: Remit's own files, its manifest, its supervisor.

use std::{fs, path::PathBuf};

use libtest_mimic::Trial;
use remit_testkit::{ManifestBuilder, Session, remit, trail};

use crate::world::{Report, World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("control_own_files_in_granted_home", || own_files(Layout::Below)),
        trial("control_own_files_in_granted_home_xdg", || own_files(Layout::Xdg)),
        trial("control_own_files_through_a_linked_home", || own_files(Layout::Linked)),
        trial("control_manifest_in_a_writable_grant", manifest),
        trial("control_nested_run_and_approval", nested),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// `REMIT_HOME` below the home.
    Below,
    /// No `REMIT_HOME`: the XDG folders.
    Xdg,
    /// `REMIT_HOME` named by way of a link.
    Linked,
}

const LOOK: &str = r#"
H = A + "/home"
attempt("permitted read", lambda: read(H + "/document"))
attempt("permitted write", lambda: write(H + "/new"))
for name in FOLDERS:
    for path in (name, "/proc/self/root" + name, H + "/../home" + name[len(H):]):
        attempt("attack list " + path, lambda: os.listdir(path))
        attempt("attack create in " + path, lambda: write(path + "/planted"))
    attempt("attack become " + name, lambda: (os.makedirs(os.path.dirname(name), exist_ok=True), write(name)))
    attempt("attack make " + name, lambda: os.mkdir(name))
    attempt("attack link " + name, lambda: os.symlink("/tmp", name))
    attempt("attack rename " + name, lambda: os.rename(name, H + "/taken"))
    attempt("attack remove " + name, lambda: os.rmdir(name))
    above = os.path.dirname(name)
    while above != H:
        os.makedirs(H + "/fake", exist_ok=True)
        attempt("attack rename above " + above, lambda: os.rename(above, H + "/taken"))
        attempt("attack exchange above " + above, lambda: exchange(above, H + "/fake"))
        above = os.path.dirname(above)
found = []
for folder, _, files in os.walk(H):
    found += [one for one in files if one in ("audit.key", "control.sock", "session.json", "checkpoint", "log.pub")]
attempt("attack find", lambda: refuse(not found))
"#;

fn own_files(layout: Layout) {
    let mut world = World::new("own-files");
    let home = world.area.home();
    world.area.write("home/document", "text");
    world.manifest = ManifestBuilder::default().write(&home);
    let base = home.join("deep/state/remit");
    let mut session = world.session();
    let names: Vec<PathBuf> = match layout {
        Layout::Below | Layout::Linked => {
            ["config", "audit", "sessions", "quarantine", "cache"].map(|n| base.join(n)).to_vec()
        }
        Layout::Xdg => {
            let state = home.join(".local/state/remit");
            vec![home.join(".config/remit"), state.join("audit"), state.join("sessions")]
        }
    };
    match layout {
        Layout::Below => session = session.env("REMIT_HOME", &base),
        Layout::Xdg => session = session.env("REMIT_HOME", ""),
        Layout::Linked => {
            fs::create_dir_all(&base).unwrap();
            world.link(base.parent().unwrap(), "by-link");
            session = session.env("REMIT_HOME", world.area.path().join("by-link/remit"));
        }
    }
    // The first session of a person, when none of the folders exists yet, and one after it.
    for _ in 0..2 {
        let report: Report = world.attack_in(&session, &format!("FOLDERS = {names:?}\n{LOOK}"));
        report.works(&["permitted read", "permitted write"]).all_refused("attack");
        fs::remove_dir_all(home.join("fake")).unwrap();
    }
    match layout {
        Layout::Xdg => {
            let audit = home.join(".local/state/remit/audit");
            let done = remit_testkit::run_bounded(
                std::process::Command::new(remit()).args(["audit", "verify", "--log"]).arg(audit),
                std::time::Duration::from_secs(60),
            );
            assert_eq!(done.status, Some(0), "{done}");
        }
        Layout::Below | Layout::Linked => trail::must_verify(&base),
    }
}

fn manifest() {
    let world = World::new("own-manifest");
    let folder = world.area.work().join("write/config/agent");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("manifest.json");
    fs::write(&path, world.manifest.text()).unwrap();
    let inside = world.script(
        r#"
M = W + "/config/agent/manifest.json"
attempt("permitted beside", lambda: write(W + "/config/other"))
attempt("attack write", lambda: write(M))
attempt("attack append", lambda: open(M, "ab"))
attempt("attack truncate", lambda: os.truncate(M, 0))
attempt("attack mode", lambda: os.chmod(M, 0o666))
attempt("attack unlink", lambda: os.unlink(M))
write(W + "/mine")
attempt("attack rename over", lambda: os.rename(W + "/mine", M))
attempt("attack exchange", lambda: exchange(W + "/mine", M))
attempt("attack link", lambda: (os.link(M, W + "/linked"), write(W + "/linked")))
attempt("attack rename folder", lambda: os.rename(W + "/config/agent", W + "/config/old"))
attempt("attack rename above", lambda: os.rename(W + "/config", W + "/old"))
os.mkdir(W + "/fake")
attempt("attack exchange folder", lambda: exchange(W + "/fake", W + "/config"))
attempt("attack descriptor", lambda: write(f"/proc/self/fd/{os.open(M, os.O_RDONLY)}"))
"#,
    );
    let area = &world.area;
    let done = remit_testkit::run_bounded(
        std::process::Command::new(remit())
            .args(["run", "--non-interactive", "--manifest"])
            .arg(&path)
            .arg("--workdir")
            .arg(area.work())
            .arg("--")
            .arg(crate::world::python())
            .args(["-c", &inside])
            .env("REMIT_HOME", area.remit_home())
            .env("HOME", area.home()),
        std::time::Duration::from_secs(60),
    )
    .must_succeed();
    assert!(done.stdout.contains("permitted beside: happened"), "{done}");
    let through = |line: &&str| line.starts_with("attack") && line.contains("happened");
    assert_eq!(done.stdout.lines().filter(through).count(), 0, "{done}");
    assert!(done.stdout.lines().filter(|line| line.starts_with("attack")).count() >= 11, "{done}");
    assert_eq!(fs::read_to_string(&path).unwrap(), world.manifest.text());
}

/// Remit itself inside: a wider manifest of the agent's own, and a yes to its own question.
fn nested() {
    let world = World::new("nested-run").with(|manifest, _| manifest.execute(remit()));
    let wider = ManifestBuilder::default().read(world.area.path()).execute_any();
    world.area.write("work/read/wider.json", wider.text());
    let session: Session<'_> = world.session();
    let report = world.attack_in(
        &session,
        &format!(
            r#"
REMIT = {:?}
attempt("permitted help", lambda: must(REMIT, "--help"))
attempt("attack wider", lambda: must(REMIT, "run", "--manifest", R + "/wider.json", "--", "/usr/bin/cat", A + "/secret/key"))
attempt("attack plain", lambda: must(REMIT, "run", "--manifest", R + "/wider.json", "--", "/proc/self/exe"))
for words in (("session", "list"), ("approval", "list")):
    done = subprocess.run([REMIT, *words], capture_output=True, env={{**os.environ, "REMIT_HOME": A + "/remit"}})
    attempt("attack " + words[0], lambda: refuse(b"s-" not in done.stdout))
attempt("attack kill", lambda: must(REMIT, "session", "kill", os.environ["REMIT_SESSION"], env={{**os.environ, "REMIT_HOME": A + "/remit"}}))
"#,
            remit()
        ),
    );
    report.works(&["permitted help"]).silent().all_refused("attack");
}
