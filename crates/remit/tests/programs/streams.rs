//! The program's standard streams are its own: large, binary, early closed.

use std::{
    io::{Read, Write},
    process::Stdio,
    thread,
};

use libtest_mimic::Trial;

use super::place::{Place, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_large_binary_streams_both_ways", large),
        trial("programs_a_reader_that_goes_away_ends_the_writer", broken),
        trial("programs_closed_streams", closed),
    ]
}

fn large() {
    const SIZE: usize = 64 << 20;
    let place = Place::new("streams");
    let mut command = place.inside().command(&["cat"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("remit starts");
    let sent: Vec<u8> = (0..SIZE).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut stdin = child.stdin.take().expect("piped");
    let copy = sent.clone();
    let writer = thread::spawn(move || stdin.write_all(&copy));
    let mut got = Vec::with_capacity(SIZE);
    child.stdout.take().expect("piped").read_to_end(&mut got).expect("readable");
    writer.join().expect("no panic").expect("all is taken");
    assert!(child.wait().expect("ends").success());
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
}

fn broken() {
    let place = Place::new("broken");
    let mut command = place.inside().command(&["sh", "-c", "yes; echo $? >&2"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("remit starts");
    let mut first = [0; 4];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("readable");
    let mut errors = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut errors).expect("readable");
    assert!(child.wait().expect("ends").success(), "{errors}");
    // 128 + SIGPIPE, as natively.
    assert!(errors.contains("141"), "{errors}");
}

fn closed() {
    let place = Place::new("closed");
    // A shell closes the streams before `remit` starts.
    let remit = place.inside().command(&["sh", "-c", "echo kept > file; exit 5"]);
    let words: Vec<String> = std::iter::once(remit.get_program())
        .chain(remit.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shell =
        place.outside().command(&["sh", "-c", &format!("{} <&- >&- 2>&-", words.join(" "))]);
    let status = shell.env("REMIT_HOME", place.area.remit_home()).status().expect("sh starts");
    assert_eq!(status.code(), Some(5));
    assert_eq!(place.area.read("work/file").as_deref(), Some("kept\n"));
}
