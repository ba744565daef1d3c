//! Whatever the text, the parser answers; whatever it accepts, it accepts again when formatted.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{FULL, parse};
use proptest::prelude::*;
use remit_manifest::{ManifestSource, format};

/// Text near a manifest: a right one with parts cut, doubled, or replaced.
fn near() -> impl Strategy<Value = String> {
    let letters: Vec<char> = FULL.chars().collect();
    let piece = prop_oneof![
        Just(String::new()),
        Just("null".to_owned()),
        Just("{".to_owned()),
        Just("]".to_owned()),
        Just("\"".to_owned()),
        Just(",,".to_owned()),
        Just("-1e999".to_owned()),
        Just("\"../..\"".to_owned()),
        "\\PC{0,6}",
    ];
    prop::collection::vec((0..letters.len(), 0_usize..12, piece), 1..4).prop_map(move |edits| {
        let mut text = letters.clone();
        for (at, length, new) in edits {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        text.into_iter().collect()
    })
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let source = ManifestSource::from_text("m", text);
    let shown = source.text().strip_prefix('\u{feff}').unwrap_or(source.text());
    match parse(text) {
        Ok(_) => {
            let once = format(&source).unwrap();
            prop_assert_eq!(&format(&ManifestSource::from_text("m", &once)).unwrap(), &once);
            prop_assert!(parse(&once).is_ok());
        }
        Err(errors) => {
            prop_assert!(!errors.errors().is_empty());
            for error in errors.errors() {
                let end = error.place.offset + error.place.length;
                prop_assert!(shown.get(error.place.offset..end).is_some());
                prop_assert!(error.place.line > 0 && error.place.column > 0);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn p1_any_text_is_answered(text in "\\PC{0,200}") {
        holds(&text)?;
    }

    #[test]
    fn p1_any_text_near_a_manifest_is_answered(text in near()) {
        holds(&text)?;
    }

    #[test]
    fn p1_any_json_object_is_answered(keys in prop::collection::vec(
        (prop::sample::select(vec!["agent", "permissions", "expiry", "limits", "dlp", "x"]),
         prop::sample::select(vec!["1", "null", "[]", "{}", "\"a.b\"", "[[{}]]", "true"])), 0..6)) {
        let body: Vec<String> = keys.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
        holds(&format!("{{{}}}", body.join(", ")))?;
    }
}
