//! Text that is made to hurt: linear time, no panics, and streams that say what whole texts say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use proptest::{prelude::*, test_runner::Config};
use remit_dlp::{Found, Scanner, Stream};

fn streamed(text: &[u8], size: usize) -> Vec<Found> {
    let mut stream = Stream::new(Scanner::new());
    let mut found: Vec<Found> =
        text.chunks(size.max(1)).flat_map(|chunk| stream.push(chunk)).collect();
    found.extend(stream.finish());
    found
}

/// What agents send, with values of many kinds between.
fn traffic(pieces: &[u8]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece % 12 {
            0 => text.push_str(&format!("api_key = \"{}{}\"\n", "AKIA", "Q7RT2MZX4KPLW9VB")),
            1 => text.push_str("mail lena.b@proton.me, call (415) 867-2210\n"),
            2 => text.push_str("{\"ssn\": \"536-22-8714\", \"dob\": \"1984-11-02\"}\n"),
            3 => text.push_str("let total = compute(&items, 42);\n"),
            4 => {
                text.push_str("aHR0cHM6Ly9leGFtcGxlLmNvbS9hL2xvbmcvcGF0aA== and more words here\n")
            }
            5 => text.push_str("password: tq7vXm2p\n"),
            6 => text.push_str("postgres://app:k9Xv2LqpT7@db/orders\n"),
            7 => text.push_str(&"lorem ipsum dolor sit amet ".repeat(usize::from(*piece))),
            8 => text.push_str("IBAN DE75512108001245126199 and 4556 7375 8689 9855\n"),
            9 => text.push_str("%41%42 \\u0041 &#65; =3D=41 \"a\" + \"b\"\n"),
            10 => text.push_str(
                "Gr\u{fc}\u{df}e \u{200b} \u{440}\u{443}\u{441}\u{441}\u{43a}\u{438}\u{439}\n",
            ),
            _ => text.push('\n'),
        }
    }
    text
}

proptest! {
    #![proptest_config(Config { cases: 24, ..Config::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        for found in Scanner::new().scan(&bytes) {
            prop_assert!(found.range.start < found.range.end && found.range.end <= bytes.len());
        }
    }

    #[test]
    fn any_archive_of_any_bytes_is_read_without_a_panic(start in 0..7_usize, bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let marks: [&[u8]; 7] = [b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"%PDF-1.4\nstream\n", b"\x28\xb5\x2f\xfd", b"BZh91AY&SY", b"\xff\xfe", b"\x78\x9c"];
        let text = [marks[start], &bytes].concat();
        for found in Scanner::new().scan(&text) {
            prop_assert!(found.range.end <= text.len());
        }
    }

    #[test]
    fn findings_do_not_overlap_and_do_not_depend_on_the_chunks(pieces in prop::collection::vec(any::<u8>(), 0..60), size in 1..5000_usize) {
        let text = traffic(&pieces);
        let whole = Scanner::new().scan(text.as_bytes());
        prop_assert!(whole.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        prop_assert_eq!(&whole, &streamed(text.as_bytes(), size));
    }
}

#[test]
fn a_long_stream_says_what_the_whole_text_says() {
    let pieces: Vec<u8> =
        (0..900_u32).map(|turn| u8::try_from(turn * 7919 % 251).expect("small")).collect();
    let text = traffic(&pieces);
    assert!(text.len() > 200_000, "{}", text.len());
    let whole = Scanner::new().scan(text.as_bytes());
    for size in [1, 4096, 65_537] {
        assert_eq!(whole, streamed(text.as_bytes(), size), "{size}");
    }
}

#[test]
fn time_is_linear_in_hostile_text() {
    let seeds = [
        "A",
        "=",
        "1",
        "1 ",
        "a.",
        "@",
        "a@",
        "://",
        "x://a:",
        "password=",
        "password is ",
        "token:\"",
        "\\\\\"",
        "%41",
        "&#6",
        "=41",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----\n",
        "eyJ",
        "eyJhbGciOi.",
        "AKIA",
        "sk-",
        "4111 ",
        "DE89",
        "+1 (",
        "((((",
        "'\"+",
        "\" + \"",
        "a b ",
        "41 4",
        "|",
        ",a",
        "PK\u{3}\u{4}",
        "abandon ",
        "born ",
        "salary ",
        "\u{200b}",
        "\u{410}",
        "diagnosed with ",
        "curl -u ",
        "\n",
        "0x",
        "::",
        "2001:",
        "bearer ",
        "H4sIAAAA",
        "\\u",
        "%PDF-",
        "insert into a(",
    ];
    let mut slow = Vec::new();
    for seed in seeds {
        let time = |length: usize| {
            let text = seed.repeat(length / seed.len());
            let start = Instant::now();
            let found = Scanner::new().inspect(text.as_bytes());
            std::hint::black_box(found);
            start.elapsed()
        };
        let _ = time(8_000);
        let (small, large) = (time(16_000), time(128_000));
        // Eight times as much text; a machine that is busy elsewhere is given four times that.
        if large > small * 32 + Duration::from_millis(400) {
            slow.push(format!("{seed:?}: {small:?}, {large:?}"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
