//! Clients that trust the roots they were built with and read nothing else, as those with
//! `webpki-roots` do, or that pin the one root of their vendor.

use libtest_mimic::Trial;
use serde_json::json;

use super::{
    place::{MODELS, Place, VENDOR},
    python::python,
    shell::written,
    table::{Row, Table},
};

/// The row's name.
pub const NAME: &str = "any that pins its roots";

/// Interception is refused by the client; with passthrough it works.
pub fn trial(table: &Table) -> Trial {
    let table = table.clone();
    Trial::test("interop_a_client_that_pins_its_roots_works_by_passthrough_alone", move || {
        let place = Place::new("pins");
        place.area.write("work/pinned.pem", place.root_pem());
        let script = written(&place, "client.py", include_str!("clients/pinned.py"));
        let run = |place: &Place| place.session().run(&[&python(), &script, VENDOR]).must_succeed();
        let done = run(&place);
        assert!(done.stdout.contains("CERTIFICATE_VERIFY_FAILED"), "{done}");
        assert!(place.origin.seen().is_empty(), "{done}");
        let rule = json!([{ "host": VENDOR, "addresses": ["127.0.0.0/8"], "tls": "passthrough" }]);
        let place = place.with(|manifest| manifest.set("/permissions/network/egressHosts", rule));
        let done = run(&place);
        assert_eq!(done.stdout, format!("200 {MODELS}\n"), "{done}");
        let none = || "–".to_owned();
        let row = Row {
            client: NAME.into(),
            version: String::new(),
            protocol: none(),
            trust: "nothing: needs `\"tls\": \"passthrough\"`".into(),
            get: "works so".into(),
            post: none(),
            refused: none(),
        };
        table.take(row).map_err(Into::into)
    })
}
