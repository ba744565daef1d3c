//! Programs at a terminal: a shell that is typed to, signals by keys, sizes, job control.

use std::ffi::OsStr;

use libtest_mimic::Trial;

use super::place::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_an_interactive_shell", shell),
        trial("programs_the_terminal_is_as_it_was_afterwards", restored),
    ]
}

/// Runs `argv` on a terminal of 97 x 31, types what `DIALOG` says once what it waits for appears,
/// and prints what the terminal showed and the exit status.
const DRIVER: &str = r#"
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
dialog, argv = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    os.execvp(argv[0], argv)
shown, end = b"", time.time() + 50
def read():
    global shown
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            got = os.read(terminal, 65536)
        except OSError:
            return False
        shown += got
        return bool(got)
    return time.time() < end
for awaited, typed in dialog:
    mark = len(shown)
    while awaited.encode() not in shown and read():
        pass
    if awaited.encode() not in shown:
        break
    shown = shown.split(awaited.encode(), 1)[1]
    if typed == "RESIZE":
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        os.kill(pid, signal.SIGWINCH); time.sleep(0.3)
    elif typed:
        # A shell that has just shown its prompt may still throw away what is typed.
        time.sleep(0.2)
        os.write(terminal, typed.encode())
    sys.stdout.write(f"saw {awaited}\n")
while read():
    pass
if time.time() > end:
    os.kill(pid, signal.SIGKILL)
sys.stdout.write(shown.decode(errors="replace"))
print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

fn drive(place: &Place, dialog: &[(&str, &str)], words: &[&str]) -> String {
    let inside = place.inside().command(words);
    let mut all = vec!["/usr/bin/python3".into(), "-c".into(), DRIVER.into()];
    all.push(serde_json::to_string(dialog).expect("text").into());
    all.push(inside.get_program().to_owned());
    all.extend(inside.get_args().map(OsStr::to_owned));
    let done = place.outside().run(&all);
    done.stdout
}

fn shell() {
    let place = Place::new("terminal");
    let dialog = [
        ("bash-", "stty size; tty\n"),
        ("31 97", ""),
        (
            "/dev/pts/0",
            "sh -c 'trap \"echo caught; exit 7\" INT; echo ready$((1)); sleep 60 & wait'\n",
        ),
        ("ready1", "\u{3}"),
        ("caught", "echo \"status $?\"\n"),
        ("status 7", "sh -c 'echo ready$((2)); read word; echo \"in front: $word\"'\n"),
        ("ready2", "\u{1a}"),
        ("Stopped", "fg\n"),
        ("fg", "again\n"),
        ("in front: again", "RESIZE"),
        ("bash-", "stty size\n"),
        ("20 60", "exit 9\n"),
    ];
    let shown = drive(&place, &dialog, &["bash", "--norc", "--noprofile", "-i"]);
    for (awaited, _) in dialog {
        assert!(shown.contains(&format!("saw {awaited}\n")), "{awaited:?} in:\n{shown}");
    }
    assert!(shown.ends_with("status 9\n"), "{shown}");
}

fn restored() {
    let place = Place::new("restored");
    let shown = drive(&place, &[], &["sh", "-c", "stty raw -echo; exit 4"]);
    assert!(shown.ends_with("status 4\n"), "{shown}");
    let inside = place.inside().command(&["sh", "-c", "stty raw -echo"]);
    let words: Vec<String> = std::iter::once(inside.get_program())
        .chain(inside.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let script = format!(
        "stty -a > before; {}; stty -a > after; cmp before after && echo same",
        words.join(" ")
    );
    let all = ["/usr/bin/python3", "-c", DRIVER, "[]", "sh", "-c", &script];
    let done = place.outside().run(&all);
    assert!(done.stdout.contains("same"), "{done}");
}
