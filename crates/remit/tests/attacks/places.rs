//! Grants in awkward places: below scratch, in home, at odd names, single files.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::PathBuf};

use libtest_mimic::Trial;
use remit_testkit::ManifestBuilder;
use serde_json::json;

use crate::world::{DATA, World, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("fs_folders_that_lead_to_grants_in_tmp", tmp),
        trial("fs_folders_that_lead_to_grants_in_home", home),
        trial("fs_single_file_grants", single),
        trial("fs_grants_at_odd_names", odd_names),
        trial("fs_scratch_is_thrown_away", scratch),
        trial("fs_narrower_rules_for_what_does_not_exist_yet", not_yet),
    ]
}

const LEADING: &str = r#"
attempt("permitted read", lambda: read(G + "/read/file"))
attempt("permitted write", lambda: write(G + "/write/file", b"new"))
attempt("permitted scratch", lambda: write(os.path.dirname(TOP) + "/scratch"))
attempt("attack rename", lambda: os.rename(TOP, TOP + "-moved"))
attempt("attack rename inner", lambda: os.rename(G, G + "-moved"))
os.mkdir(TOP + "-own"); os.mkdir(TOP + "-own/write")
attempt("attack exchange", lambda: exchange(TOP, TOP + "-own"))
attempt("attack replace", lambda: os.rename(TOP + "-own", TOP))
attempt("attack remove", lambda: os.rmdir(G + "/read"))
attempt("attack write where read", lambda: write(G + "/read/file"))
attempt("attack sibling", lambda: read(G + "/other/file"))
attempt("attack dots", lambda: read(G + "/read/../other/file"))
"#;

fn leading(world: &World, base: &std::path::Path) {
    let top = base.file_name().unwrap();
    let place = base.join("inner");
    for part in ["read", "write", "other"] {
        fs::create_dir_all(place.join(part)).unwrap();
        fs::write(place.join(part).join("file"), DATA).unwrap();
    }
    let world = World {
        area: remit_testkit::Area::new(top.to_str().unwrap()),
        manifest: ManifestBuilder::default().read(place.join("read")).write(place.join("write")),
        limit: world.limit,
    };
    run(&world, base, &place);
}

fn run(world: &World, base: &std::path::Path, place: &std::path::Path) {
    let report = world.attack(&format!("TOP, G = {base:?}, {place:?}\n{LEADING}"));
    report.works(&["permitted read", "permitted write", "permitted scratch"]).all_refused("attack");
    assert_eq!(fs::read_to_string(place.join("read/file")).unwrap(), DATA);
    assert_eq!(fs::read_to_string(place.join("write/file")).unwrap(), "new");
    assert!(!base.with_file_name("scratch").exists(), "scratch stayed on the host");
}

fn tmp() {
    let folder = tempfile_in("/tmp");
    leading(&World::new("tmp"), &folder.join("top"));
    fs::remove_dir_all(folder).unwrap();
}

fn tempfile_in(base: &str) -> PathBuf {
    let folder = PathBuf::from(base).join(format!("remit-attack-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn home() {
    let mut world = World::new("home");
    let base = world.area.home().join("top");
    let place = base.join("inner");
    for part in ["read", "write", "other"] {
        world.area.write(format!("home/top/inner/{part}/file"), DATA);
    }
    world.manifest = ManifestBuilder::default().read(place.join("read")).write(place.join("write"));
    run(&world, &base, &place);
}

fn single() {
    let world = World::new("single").with(|manifest, area| {
        area.write("docs/one.txt", DATA);
        area.write("docs/two.txt", DATA);
        area.write("docs/other.txt", DATA);
        manifest.read(area.path().join("docs/one.txt")).write(area.path().join("docs/two.txt"))
    });
    let report = world.attack(
        r#"
D = A + "/docs"
attempt("permitted read", lambda: read(D + "/one.txt"))
attempt("permitted write", lambda: write(D + "/two.txt", b"new"))
attempt("attack sibling", lambda: read(D + "/other.txt"))
attempt("attack create", lambda: write(D + "/new.txt"))
attempt("attack write", lambda: write(D + "/one.txt"))
attempt("attack rename", lambda: os.rename(D + "/two.txt", D + "/three.txt"))
attempt("attack exchange", lambda: exchange(D + "/one.txt", D + "/two.txt"))
attempt("attack unlink", lambda: os.unlink(D + "/one.txt"))
attempt("attack as folder", lambda: read(D + "/one.txt/../other.txt"))
attempt("attack folder", lambda: os.rename(D, A + "/docs2"))
"#,
    );
    report.works(&["permitted read", "permitted write"]).all_refused("attack");
    assert_eq!(world.text("docs/one.txt"), DATA);
    assert_eq!(world.text("docs/two.txt"), "new");
    assert!(!world.exists("docs/new.txt"));
}

fn odd_names() {
    let odd = ["with space", "new\nline", "-dash", "quote'\"", "ünï", "tab\there", "a\\b"];
    let world = World::new("odd").with(|mut manifest, area| {
        for name in odd {
            area.write(format!("odd/{name}/file"), DATA);
            area.write(format!("odd/{name}x/file"), DATA);
            manifest = manifest.write(area.path().join("odd").join(name));
        }
        manifest
    });
    // A neighbour that no JSON can name.
    let strange = world.area.path().join("odd").join(OsStr::from_bytes(b"with\xff"));
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("file"), DATA).unwrap();
    let report = world.attack(&format!(
        r#"
names = {odd:?}
for index, name in enumerate(names):
    attempt(f"permitted {{index}}", lambda: write(A + "/odd/" + name + "/file", b"new"))
    attempt(f"permitted strange {{index}}", lambda: write((A + "/odd/" + name).encode() + b"/\xff\n"))
    attempt(f"attack {{index}}", lambda: read(A + "/odd/" + name + "x/file"))
attempt("attack bytes", lambda: read((A + "/odd/with").encode() + b"\xff/file"))
"#
    ));
    report.all_refused("attack");
    for (index, name) in odd.iter().enumerate() {
        report.works(&[&format!("permitted {index}"), &format!("permitted strange {index}")]);
        assert_eq!(world.text(&format!("odd/{name}/file")), "new");
        let made = world.area.path().join("odd").join(name).join(OsStr::from_bytes(b"\xff\n"));
        assert!(made.exists());
    }
}

/// A wider rule does not take over where a narrower one has nothing to name yet.
fn not_yet() {
    let world = World::new("not-yet").with(|manifest, area| {
        let work = area.work();
        let rule = |name: &str, mode: &str| json!({"path": work.join(name), "mode": mode});
        let asking = json!({"path": work.join("write/asks"), "mode": "write", "ask": true});
        let ended = json!({"path": work.join("write/ends"), "mode": "write", "expiry": "2020-01-01T00:00:00Z"});
        manifest
            .file(rule("write/.github", "read"))
            .file(rule("write/.mcp.json", "write"))
            .file(rule("write/new/deep", "write"))
            .file(asking)
            .file(ended)
    });
    let report = world.attack(
        r#"
attempt("attack folder", lambda: os.mkdir(W + "/.github"))
attempt("attack file", lambda: write(W + "/.github"))
os.mkdir(W + "/own"); write(W + "/own/x")
attempt("attack rename", lambda: os.rename(W + "/own", W + "/.github"))
attempt("attack link", lambda: os.link(W + "/file", W + "/.github"))
attempt("attack ended", lambda: os.mkdir(W + "/ends"))
threading.Thread(target=lambda: os.mkdir(W + "/asks"), daemon=True).start()
attempt("permitted named", lambda: write(W + "/.mcp.json"))
attempt("attack not named", lambda: write(W + "/own/.mcp.json"))
attempt("permitted deep", lambda: (os.makedirs(W + "/new/deep"), write(W + "/new/deep/x")))
time.sleep(0.5); os._exit(0)
"#,
    );
    report.works(&["permitted named", "permitted deep"]).all_refused("attack");
    report.recorded("approval_request", "asked", "asks");
    for name in [".github", "ends", "asks"] {
        assert!(!world.exists(&format!("work/write/{name}")), "{name}");
    }
}

fn scratch() {
    let world = World::new("scratch");
    world.area.write("home/.ssh/id_ed25519", "key of the person");
    let report = world.attack(
        r#"
for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", os.environ["HOME"]):
    attempt("permitted " + place, lambda: write(place + "/remit-attack-scratch"))
    attempt("attack list " + place, lambda: refuse(os.listdir(place) == ["remit-attack-scratch"]))
attempt("attack key", lambda: read(os.environ["HOME"] + "/.ssh/id_ed25519"))
"#,
    );
    report.works(&["permitted /tmp", "permitted /var/tmp", "permitted /dev/shm", "permitted /run"]);
    report.all_refused("attack");
    for place in ["/tmp", "/var/tmp", "/dev/shm", "/run"] {
        assert!(!PathBuf::from(place).join("remit-attack-scratch").exists(), "{place}");
    }
    assert!(!world.exists("home/remit-attack-scratch"));
}
