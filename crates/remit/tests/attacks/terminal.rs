//! Questions on the person's terminal, which also types by itself: it answers queries and reports
//! the mouse.

use std::{ffi::OsStr, process::Command};

use libtest_mimic::Trial;
use remit_testkit::{Finished, run_bounded};
use serde_json::json;

use crate::world::{DATA, World, python, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("terminal_reports_are_no_answers", reports),
        trial("terminal_typing_to_the_agent_is_no_answer", typing),
        trial("terminal_a_person_answers", person),
        trial("terminal_a_person_answers_without_the_agent_there", elsewhere),
        trial("terminal_in_the_background_stops_nothing", background),
        trial("terminal_that_is_not_the_controlling_one", other),
    ]
}

/// A terminal that answers the query for its name, and a person who does what `HANDS` says.
/// Prints all that was shown.
const DRIVER: &str = r#"
import os, pty, re, select, signal, sys, time
argv = sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
shown, end = b"", time.time() + 50
def read(wait=0.02):
    global shown
    if not select.select([terminal], [], [], wait)[0]: return True
    try: got = os.read(terminal, 65536)
    except OSError: return False
    for query in re.findall(rb"\x1b\[>q", got): type(b"\x1bP>|xterm.js(6.1)\x1b\\")
    for on in re.findall(rb"\x1b\[\?1000([hl])", got): mouse.append(on)
    shown += got
    return bool(got) and time.time() < end
def type(what): os.write(terminal, what)
def see(pattern):
    while not re.search(pattern, shown):
        if not read(): raise SystemExit(f"{pattern} is not in {shown[-4000:]}")
    return re.search(pattern, shown)
def during(seconds, act):
    until = time.time() + seconds
    while time.time() < until: act(); read(0.05)
mouse = []
def code(): return see(rb"type (\w{4})o for once[^\r]*$").group(1)
try:
    exec(sys.argv[1])
    while read(): pass
finally:
    if time.time() > end: os.kill(pid, signal.SIGKILL)
    shown = re.sub(rb"(AGENT(\x1b\[>q)?)+", b"AGENT ", shown)
    shown = re.sub(rb"(\^\[P>\|xterm.js\(6.1\)\^\[\\)+", b"REPLIES ", shown)
    sys.stdout.write(shown.decode(errors="replace"))
print("\nstatus", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// Prints without end, turns the mouse on, asks the terminal for its name, and then needs a yes.
const AGENT: &str = r#"
import termios
modes = termios.tcgetattr(0); modes[3] &= ~termios.ECHO; termios.tcsetattr(0, termios.TCSANOW, modes)
def noise():
    while not stop: os.write(1, b"AGENT\x1b[>q" * 100); time.sleep(0.01)
def wanted():
    try: read(A + "/asked/file")
    finally: stop.append(1); one.join()
stop = []
os.write(1, b"\x1b[?1000h\x1b[?1006h")
one = threading.Thread(target=noise); one.start()
time.sleep(0.2)
attempt("asked", wanted)
time.sleep(0.5)
os._exit(0)
"#;

fn world(name: &str) -> World {
    World::new(name).with(|manifest, area| {
        area.write("asked/file", DATA);
        manifest.file(json!({"path": area.path().join("asked"), "mode": "read", "ask": true}))
    })
}

fn drive(world: &World, agent: &str, hands: &str) -> Finished {
    let (session, script) = (world.session(), world.script(agent));
    let inside = session.command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&script)]);
    start(world, &["-c", DRIVER, hands], &inside)
}

/// Runs the driver with what starts the session as its last arguments.
fn start(world: &World, before: &[&str], inside: &Command) -> Finished {
    let mut driver = Command::new(python());
    driver.args(before).arg(inside.get_program());
    driver.args(inside.get_args().filter(|word| *word != "--non-interactive"));
    driver.current_dir(world.area.work()).env_clear();
    driver.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    run_bounded(&mut driver, world.limit)
}

/// Between question and answer.
fn question(shown: &str) -> &str {
    let (_, after) = shown.split_once("remit asks:").expect("a question was shown");
    after.split_once("denied").or_else(|| after.split_once("approved")).map_or(after, |(q, _)| q)
}

fn answers(world: &World) -> Vec<String> {
    let events = remit_testkit::trail::events(&world.area.remit_home());
    let answers = events.iter().filter(|event| event["action"] == "approval_decision");
    answers.map(|event| event["outcome"].to_string()).collect()
}

fn reports() {
    let world = world("terminal-reports");
    let done = drive(
        &world,
        AGENT,
        r#"
see(rb"remit asks:")
flood = lambda: type(b"\x1bP>|xterm.js(6.1)\x1b\\\x1b[<0;1;1M\x1b[M s o\x1b[Io\rs\rd\x1b[200~s\r\x1b[201~")
during(3, flood)
assert b"approved" not in shown and b"denied" not in shown
# Not with the code in it either.
right = code()
type(b"\x1bP>|" + right + b"s\r\x1b\\"); during(0.4, lambda: None)
assert b"approved" not in shown and mouse[-1] == b"l", mouse
during(2, lambda: None)
assert code() != right
type(b"d\r")
see(rb"denied")
during(0.4, lambda: None)
assert mouse[-1] == b"h", mouse
"#,
    );
    assert!(done.stdout.contains("asked: EACCES"), "{done}");
    assert!(done.stdout.ends_with("status 0\n"), "{done}");
    assert_eq!(answers(&world), ["\"denied\""], "{done}");
    // The agent's output waits; it goes on afterwards.
    assert!(!question(&done.stdout).contains("AGENT"), "{done}");
    assert!(done.stdout.split("  denied\r\n").nth(1).unwrap().contains("AGENT"), "{done}");
}

fn typing() {
    let world = world("terminal-typing");
    let done = drive(
        &world,
        AGENT,
        r#"
see(rb"remit asks:")
during(3, lambda: type(b"os"))
during(1, lambda: type(b"o\rs\r"))
assert b"approved" not in shown and b"denied" not in shown
code(); type(b"\x03")
"#,
    );
    assert_eq!(answers(&world), ["\"denied\""], "{done}");
    assert!(done.stdout.contains("asked: EACCES"), "{done}");
}

fn person() {
    for (letter, said) in [("o", "approved once"), ("s", "approved for this session")] {
        let world = world("terminal-person");
        let hands = format!(
            "c = code()\nfor k in c + b'x\\x7f {letter}\\r': type(bytes([k])); time.sleep(0.05)"
        );
        let done = drive(&world, AGENT, &hands);
        assert!(done.stdout.contains(said), "{done}");
        assert!(done.stdout.contains("asked: happened"), "{done}");
        assert_eq!(answers(&world), ["\"allowed\""], "{done}");
    }
}

/// The agent's streams are no terminals.
fn elsewhere() {
    let world = world("terminal-elsewhere");
    let session = world.session();
    let script = world.script("attempt('asked', lambda: read(A + '/asked/file'))");
    let inside = session.command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&script)]);
    let hands = "see(rb'remit asks:'); type(b's\\r')\nc = code(); type(c + b'o\\r')";
    let shell = ["-c", DRIVER, hands, "sh", "-c", "\"$@\" </dev/null 2>&1 | cat", "sh"];
    let done = start(&world, &shell, &inside);
    assert!(done.stdout.contains("asked: happened"), "{done}");
    assert_eq!(answers(&world), ["\"allowed\""], "{done}");
}

/// SIGTTOU must not stop the supervisor, with all that waits for it.
fn background() {
    let world = world("terminal-background");
    let session = world.session();
    let script = world.script("attempt('asked', lambda: read(A + '/asked/file'))");
    let inside = session.command(&[python().as_os_str(), OsStr::new("-c"), OsStr::new(&script)]);
    let job = r#"set -m; "$@" </dev/null >out 2>&1 & sleep 3; jobs; fg; cat out"#;
    let hands = "c = code(); type(c + b'o\\r')";
    let done = start(&world, &["-c", DRIVER, hands, "bash", "-c", job, "bash"], &inside);
    assert!(done.stdout.contains("Running"), "{done}");
    assert!(done.stdout.contains("asked: happened"), "{done}");
}

fn other() {
    let world = world("terminal-other");
    let script =
        "import os; print(os.ttyname(0), *os.get_terminal_size(), flush=True); print([input()])";
    let inside = world.session().command(&[python().as_os_str(), "-c".as_ref(), script.as_ref()]);
    let streams = r#"
import fcntl, os, pty, select, struct, subprocess, sys, termios, time
terminal, side = pty.openpty()
fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
one = subprocess.Popen(sys.argv[1:], stdin=side, stdout=side, stderr=side, start_new_session=True)
os.close(side); shown, typed = b"", False
while True:
    try: got = os.read(terminal, 65536)
    except OSError: break
    shown += got
    if b"97 31" in shown and not typed: typed = True; os.write(terminal, b"typed\r")
print(shown.decode()); print("status", one.wait())
"#;
    let done = start(&world, &["-c", streams], &inside);
    for part in ["/dev/pts/0", "['typed']", "status 0"] {
        assert!(done.stdout.contains(part), "{done}");
    }
}
