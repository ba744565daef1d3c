//! The schema and the parser agree on a corpus, and formatting keeps the meaning.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{good, meaningless, misshapen, parse};
use remit_manifest::{ManifestSource, format, schema};
use serde_json::Value;

/// The text as plain JSON, comments and trailing commas removed by the formatter.
fn plain(text: &str) -> Value {
    serde_json::from_str(&formatted(text)).unwrap()
}

fn formatted(text: &str) -> String {
    format(&ManifestSource::from_text("m", text)).unwrap()
}

#[test]
fn p1_the_schema_accepts_what_the_parser_accepts() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for text in good() {
        let errors: Vec<String> =
            schema.iter_errors(&plain(&text)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{text}: {errors:?}");
    }
    for (text, code, pointer) in misshapen() {
        assert!(!schema.is_valid(&plain(&text)), "{code} {pointer}: {text}");
        assert!(parse(&text).is_err(), "{text}");
    }
    // Of these the shape is right; a schema cannot see what is wrong.
    for (text, code, pointer) in meaningless() {
        assert!(schema.is_valid(&plain(&text)), "{code} {pointer}: {text}");
    }
}

#[test]
fn p1_the_schema_is_draft_2020_12_and_closed() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    fn closed(value: &Value) {
        if let Some(object) = value.as_object() {
            if object.contains_key("properties") {
                assert_eq!(object["additionalProperties"], false, "{value}");
            }
            object.values().for_each(closed);
        } else if let Some(list) = value.as_array() {
            list.iter().for_each(closed);
        }
    }
    closed(&schema);
    insta::assert_json_snapshot!("schema", schema);
}

#[test]
fn formatting_is_canonical_and_keeps_the_meaning() {
    insta::assert_snapshot!("formatted", formatted(common::FULL));
    for text in good().into_iter().chain(misshapen().into_iter().map(|(text, ..)| text)) {
        let once = formatted(&text);
        assert_eq!(formatted(&once), once);
        assert!(!once.contains("/*") || text.contains("/*"));
        match (parse(&text), parse(&once)) {
            (Ok(before), Ok(after)) => {
                assert_eq!(without_positions(&before), without_positions(&after), "{text}");
            }
            (Err(before), Err(after)) => {
                let list = |errors: &remit_manifest::ManifestErrors| -> Vec<_> {
                    let mut all: Vec<_> = errors
                        .errors()
                        .iter()
                        .map(|e| (e.place.pointer.clone(), e.problem.code()))
                        .collect();
                    all.sort();
                    all
                };
                assert_eq!(list(&before), list(&after), "{text}");
            }
            (before, after) => panic!("{text}: {before:?} became {after:?}"),
        }
    }
    assert!(format(&ManifestSource::from_text("m", "{")).is_err());
}

/// The model as text with every position cut out.
fn without_positions(manifest: &remit_manifest::Manifest) -> String {
    let text = format!("{manifest:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("line: ") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = &after[after.find("source:").unwrap()..];
    }
    out.push_str(rest);
    out
}
