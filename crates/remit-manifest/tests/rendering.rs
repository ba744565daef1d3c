//! How mistakes look to a person.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::parse;
use miette::{GraphicalReportHandler, GraphicalTheme};

fn render(text: &str) -> String {
    let errors = parse(text).unwrap_err();
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(90)
        .render_report(&mut out, &errors)
        .unwrap();
    out
}

#[test]
fn p1_mistakes_show_position_cause_and_remedy() {
    insta::assert_snapshot!(
        "unknown_key",
        render(
            "{\n  \"agent\": \"com.acme.agent\",\n  \"permissions\": {\n    \"fileAcces\": []\n  }\n}\n"
        )
    );
    insta::assert_snapshot!(
        "contradiction",
        render(
            "{\n  \"agent\": \"com.acme.agent\",\n  \"permissions\": {\"fileAccess\": [\n    {\"path\": \"/data\", \"mode\": \"read\"},\n    {\"path\": \"/data/\", \"mode\": \"write\"}\n  ]}\n}\n"
        )
    );
    insta::assert_snapshot!(
        "several",
        render(
            "{\n  \"permissions\": {\n    \"network\": {\"egressHosts\": [\"*.com\", \"https://a.test\"]},\n    \"execute\": \"yes\"\n  },\n  \"expiry\": \"tomorrow\"\n}\n"
        )
    );
    insta::assert_snapshot!("syntax", render("{\n  \"agent\": com\n}\n"));
}
