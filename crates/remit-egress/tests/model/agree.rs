//! Conversations of several turns between an agent and a server that repeats what it is told.

use proptest::prelude::*;

use crate::{
    apis::{
        Api,
        anthropic::Anthropic,
        bedrock::{Converse, Invoke},
        chat::Chat,
        gemini::Gemini,
        responses::{Responses, Socket},
    },
    conversation::hold,
    support::{LOOK_ALIKE, VALUES},
};

fn apis() -> Vec<Box<dyn Api>> {
    vec![
        Box::new(Anthropic),
        Box::new(Chat),
        Box::new(Responses),
        Box::new(Socket),
        Box::new(Gemini { array: false }),
        Box::new(Gemini { array: true }),
        Box::new(Converse),
        Box::new(Invoke),
    ]
}

/// Every value, at the beginning, at the end, beside another one and beside what looks like one.
fn everything() -> String {
    let mut text = String::from("PII-");
    for (value, _) in VALUES {
        text.push_str(value);
        text.push_str(value);
        text.push_str("PI");
    }
    text.push_str("\u{1}\\ \" é PII-E12");
    text
}

#[test]
fn both_ends_agree_however_the_stream_is_cut() {
    for api in apis() {
        for size in (1..=20).chain([33, 40]) {
            hold(&*api, &[&everything(), "and again Ada Lovelace"], size, 1000, false);
        }
        for size in (1..=64).chain([500, 100_000]) {
            hold(&*api, &["Ada Lovelace, ada@example.org"], 3, size, true);
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let value = (0..VALUES.len()).prop_map(|at| VALUES[at].0.to_owned());
    let other = prop_oneof![
        Just("PII-"),
        Just("-"),
        Just("PI"),
        Just("SEC-K"),
        Just("P"),
        Just(" "),
        Just("\n"),
        Just("\""),
        Just("\\"),
        Just("\\u00e9"),
        Just("{\"a\": \"b\"}"),
        Just("ü"),
        Just("😀"),
        Just("é/"),
        Just(LOOK_ALIKE),
        Just("</script>"),
        Just("\u{7f}"),
        Just("0"),
        Just("x y z"),
    ]
    .prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![value, other], 1..10).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_ends_agree_on_any_text(
        texts in prop::collection::vec(text(), 1..4),
        size in 1..30_usize,
        cut in 1..90_usize,
        ascii in any::<bool>(),
    ) {
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        for api in apis() {
            hold(&*api, &texts, size, cut, ascii);
        }
    }
}
