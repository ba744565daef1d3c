//! Grants that end while a program uses them.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libtest_mimic::Trial;
use remit_testkit::{Origin, Reply, Site};
use serde_json::{Value, json};

use crate::{
    net::{LAN, LISTED},
    world::{DATA, World, answer_next, trial},
};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("expiry_file_names_in_a_running_session", names),
        trial("expiry_open_descriptors_and_mappings", descriptors),
        trial("expiry_never_widens", narrower),
        trial("expiry_around_a_place_that_stays", around),
        trial("expiry_of_one_yes_leaves_another", yes),
        trial("expiry_host_with_a_live_connection", host),
        trial("expiry_manifest_in_a_running_session", manifest),
    ]
}

/// RFC 3339, some seconds from now.
fn soon(seconds: u64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let done = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", &format!("@{}", now + seconds)])
        .output()
        .unwrap();
    json!(String::from_utf8(done.stdout).unwrap().trim())
}

/// Seconds until the end, and what scripts wait.
const END: u64 = 6;
const WAIT: &str = "time.sleep(8)";

fn names() {
    let world = World::new("expiry-names").with(|manifest, area| {
        area.write("work/ends/file", DATA);
        area.write("work/stops/file", DATA);
        let rule = |name: &str, mode: &str| {
            json!({"path": area.work().join(name), "mode": mode, "expiry": soon(END)})
        };
        manifest.file(rule("ends", "read")).file(rule("stops", "write"))
    });
    let report = world.attack(&format!(
        r#"
E, S = A + "/work/ends", A + "/work/stops"
attempt("permitted before", lambda: read(E + "/file"))
attempt("permitted write before", lambda: write(S + "/made"))
folder = os.open(S, os.O_PATH); os.chdir(S)
{WAIT}
attempt("permitted after", lambda: write(W + "/after"))
attempt("attack read", lambda: read(E + "/file"))
attempt("attack stat", lambda: os.stat(E + "/file"))
attempt("attack list", lambda: refuse(not os.listdir(E)))
attempt("attack write", lambda: write(S + "/file"))
attempt("attack create", lambda: write(S + "/new"))
attempt("attack relative", lambda: write("new"))
attempt("attack by folder", lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
attempt("attack rename", lambda: os.rename(S + "/made", W + "/made"))
attempt("attack unlink", lambda: os.unlink(S + "/file"))
attempt("attack make", lambda: os.makedirs(S + "/new"))
attempt("attack root", lambda: read("/proc/self/root" + E + "/file"))
"#
    ));
    report.works(&["permitted before", "permitted write before", "permitted after"]);
    report.all_refused("attack");
    report.recorded("revoke_grant", "allowed", "work/ends");
    assert_eq!(world.text("work/stops/file"), DATA);
    assert!(!world.exists("work/stops/new"));
}

/// What was opened in time goes dead with the grant; what belongs to other grants stays.
fn descriptors() {
    let world = World::new("expiry-descriptors").with(|manifest, area| {
        area.write("work/ends/file", DATA);
        area.write("work/stops/file", DATA);
        let rule = |name: &str, mode: &str| {
            json!({"path": area.work().join(name), "mode": mode, "expiry": soon(END)})
        };
        manifest.file(rule("ends", "read")).file(rule("stops", "write"))
    });
    let report = world.attack(&format!(
        r#"
E, S = A + "/work/ends", A + "/work/stops"
mine = os.open(W + "/file", os.O_RDWR)
source = os.open(E + "/file", os.O_RDONLY); target = os.open(S + "/file", os.O_RDWR)
twin = os.dup(source); folder = os.open(S, os.O_RDONLY)
one, other = socket.socketpair(); socket.send_fds(one, [b"x"], [target])
attempt("permitted before", lambda: (os.pread(source, 4, 0), os.pread(target, 4, 0)))
{WAIT}
attempt("permitted after", lambda: os.pwrite(mine, b"after", 0))
attempt("attack read", lambda: refuse(b"granted" not in os.pread(source, 100, 0)))
attempt("attack copy", lambda: refuse(b"granted" not in os.pread(twin, 100, 0)))
attempt("attack write", lambda: os.pwrite(target, b"late", 0))
attempt("attack truncate", lambda: os.ftruncate(target, 0))
attempt("attack reopen", lambda: read(f"/proc/self/fd/{{source}}"))
attempt("attack folder", lambda: refuse(not os.listdir(folder)))
attempt("attack stat below", lambda: os.stat("file", dir_fd=folder))
attempt("attack parked", lambda: os.pwrite(socket.recv_fds(other, 1, 1)[1][0], b"late", 0))
"#
    ));
    report.works(&["permitted before", "permitted after"]);
    assert_eq!(world.text("work/stops/file"), DATA, "{}", report.done);
    report.all_refused("attack");
}

/// A narrower rule that ends must not leave the wider one in its place.
fn narrower() {
    let world = World::new("expiry-narrower").with(|manifest, area| {
        area.write("work/write/narrow/file", DATA);
        std::os::unix::fs::symlink("/target", area.work().join("write/narrow/link")).unwrap();
        area.write("work/write/single", DATA);
        let single = area.work().join("write/single");
        let manifest = manifest.file(json!({"path": single, "mode": "read", "expiry": soon(END)}));
        let path = area.work().join("write/narrow");
        manifest.file(json!({"path": path, "mode": "read", "expiry": soon(END)}))
    });
    let report = world.attack(&format!(
        r#"
N = W + "/narrow"
attempt("permitted before", lambda: read(N + "/file"))
attempt("attack before", lambda: write(N + "/file"))
{WAIT}
attempt("permitted after", lambda: write(W + "/after"))
attempt("attack read", lambda: read(N + "/file"))
attempt("attack write", lambda: write(N + "/file"))
attempt("attack create", lambda: write(N + "/new"))
attempt("attack move", lambda: os.rename(N, W + "/free"))
attempt("attack exchange", lambda: (os.mkdir(W + "/e"), exchange(N, W + "/e")))
attempt("attack remove", lambda: os.unlink(N + "/file"))
attempt("attack stat", lambda: os.stat(N + "/file"))
attempt("attack path", lambda: os.open(N + "/file", os.O_PATH))
attempt("attack readlink", lambda: os.readlink(N + "/link"))
attempt("attack list", lambda: refuse(not os.listdir(N)))
attempt("attack time", lambda: os.utime(N))
attempt("attack time below", lambda: os.utime(N + "/file"))
attempt("attack single", lambda: read(W + "/single"))
attempt("attack single stat", lambda: refuse(os.stat(W + "/single").st_size == 0))
attempt("attack single time", lambda: os.utime(W + "/single"))
attempt("permitted outer", lambda: (os.stat(W + "/file"), os.utime(W + "/file"), os.listdir(W)))
"#
    ));
    report.works(&["permitted outer"]);
    report.works(&["permitted before", "permitted after"]).all_refused("attack");
    assert_eq!(world.text("work/write/narrow/file"), DATA);
}

/// A wider rule that ends leaves the narrower one inside it, and nothing else.
fn around() {
    let world = World::new("expiry-around").with(|manifest, area| {
        area.write("work/outer/file", DATA);
        area.write("work/outer/deep/inner/file", DATA);
        area.write("work/outer/deep/other", DATA);
        area.write("work/outer/single", DATA);
        let rule = |name: &str, mode: &str| json!({"path": area.work().join(name), "mode": mode});
        let path = area.work().join("outer");
        manifest
            .file(json!({"path": path, "mode": "write", "expiry": soon(END)}))
            .file(rule("outer/deep/inner", "write"))
            .file(rule("outer/single", "read"))
    });
    let report = world.attack(&format!(
        r#"
O = A + "/work/outer"; I = O + "/deep/inner"
held = os.open(I + "/file", os.O_RDWR); folder = os.open(I, os.O_PATH); outer = os.open(O, os.O_PATH)
attempt("permitted before", lambda: (write(O + "/made"), write(I + "/made")))
os.chdir(I)
{WAIT}
attempt("attack read", lambda: read(O + "/file"))
attempt("attack create", lambda: write(O + "/new"))
attempt("attack stat", lambda: os.stat(O + "/file"))
attempt("attack stat beside", lambda: os.stat(O + "/deep/other"))
attempt("attack stat above", lambda: os.stat("../../file"))
attempt("attack stat by folder", lambda: os.stat("file", dir_fd=outer))
attempt("attack list", lambda: refuse(set(os.listdir(O)) == {{"deep", "single"}}))
attempt("attack time", lambda: os.utime(O))
attempt("attack time of the way", lambda: os.utime(O + "/deep"))
attempt("attack make", lambda: os.mkdir(O + "/deep/new"))
attempt("permitted name", lambda: (write(I + "/after"), os.stat(I + "/file"), os.utime(I + "/file")))
attempt("permitted single", lambda: read(O + "/single"))
attempt("permitted folder", lambda: (os.stat("file", dir_fd=folder), os.open("new", os.O_CREAT | os.O_RDWR, dir_fd=folder)))
attempt("permitted relative", lambda: write("relative"))
attempt("permitted held", lambda: os.pwrite(held, b"after", 0))
attempt("permitted rest", lambda: write(W + "/after"))
"#
    ));
    report.works(&[
        "permitted before",
        "permitted name",
        "permitted single",
        "permitted folder",
        "permitted relative",
        "permitted held",
        "permitted rest",
    ]);
    report.all_refused("attack");
    assert!(world.exists("work/outer/deep/inner/relative"));
    assert!(!world.exists("work/outer/new"));
}

/// Two people's yeses to one rule: what the longer one permits outlives the shorter one.
fn yes() {
    let mut world = World::new("expiry-yes").with(|manifest, area| {
        area.write("work/asked/file", DATA);
        manifest.file(json!({"path": area.work().join("asked"), "mode": "write", "ask": true}))
    });
    world.limit = Duration::from_secs(30);
    let home = world.area.remit_home();
    thread::scope(|scope| {
        scope.spawn(|| {
            for how in [&["--session"][..], &["--until", "3s"]] {
                answer_next(&home, how);
            }
        });
        let report = world.attack(
            r#"
F = A + "/work/asked/file"
source = os.open(F, os.O_RDONLY)
target = os.open(F, os.O_RDWR)
attempt("permitted before", lambda: (os.pread(source, 4, 0), os.pwrite(target, b"early", 0)))
time.sleep(5)
attempt("permitted read", lambda: refuse(not os.pread(source, 100, 0)))
attempt("permitted name", lambda: read(F))
attempt("attack write", lambda: os.pwrite(target, b"late", 0))
"#,
        );
        report.works(&["permitted before", "permitted read", "permitted name"]);
        report.all_refused("attack");
    });
}

fn host() {
    let site = Site::Function(Arc::new(|_| Reply::ok("web")));
    let _web = Origin::plain(&format!("{LAN}:8081"), site);
    let raw = TcpListener::bind((LAN, 8082)).unwrap();
    thread::spawn(move || {
        for stream in raw.incoming() {
            let mut stream = stream.unwrap();
            // Speaks first and goes on until it is cut.
            thread::spawn(move || {
                while stream.write_all(b"tick\n").is_ok() {
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    let world = World::new("expiry-host").with(|manifest, _| {
        manifest.host_rule(json!({
            "host": LISTED, "ports": [8081, 8082], "addresses": ["10.77.0.0/16"], "expiry": soon(END),
        }))
    });
    let report = world.attack(&format!(
        r#"
import http.client, urllib.request
def get(): return urllib.request.urlopen("http://{LISTED}:8081/", timeout=5).read()
attempt("permitted before", get)
kept = http.client.HTTPConnection("{LISTED}", 8081, timeout=5)
def again():
    kept.auto_open = 0; kept.request("GET", "/"); kept.getresponse().read()
kept.connect(); attempt("permitted kept", again)
raw = socket.create_connection(("{LISTED}", 8082), 10)
attempt("permitted raw", lambda: refuse(raw.recv(4) != b"tick"))
address = socket.gethostbyname("{LISTED}")
{WAIT}
attempt("permitted after", lambda: write(W + "/after"))
attempt("attack new", get)
attempt("attack kept", again)
attempt("attack resolve", lambda: socket.gethostbyname("{LISTED}"))
attempt("attack address", lambda: socket.create_connection((address, 8081), 5).sendall(b"GET / HTTP/1.0\r\n\r\n") or refuse(True))
def ticking():
    raw.settimeout(2)
    end = time.time() + 3
    while time.time() < end:
        if not raw.recv(4096): refuse(True)
attempt("attack raw", ticking)
"#
    ));
    report.works(&["permitted before", "permitted kept", "permitted raw", "permitted after"]);
    report.all_refused("attack");
}

fn manifest() {
    let world =
        World::new("expiry-manifest").with(|manifest, _| manifest.set("/expiry", soon(END)));
    let report = world.attack(&format!(
        r#"
attempt("permitted before", lambda: (read(R + "/file"), write(W + "/before")))
{WAIT}
attempt("permitted scratch", lambda: write("/tmp/x"))
attempt("attack read", lambda: read(R + "/file"))
attempt("attack write", lambda: write(W + "/file"))
attempt("attack create", lambda: write(W + "/new"))
attempt("attack program", lambda: must("/proc/self/exe", "-c", "1"))
"#
    ));
    report.works(&["permitted before", "permitted scratch"]).all_refused("attack");
    assert_eq!(world.text("work/write/file"), DATA);
    let again = world.session().run(&[crate::world::python()]);
    assert_eq!(again.status, Some(125), "{again}");
    assert!(again.stderr.contains("expired"), "{again}");
}
