//! Any bytes: the parser answers, positions lie inside the text, and what it accepts it accepts
//! again in canonical form, which formatting does not change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_manifest::{Manifest, ManifestSource, Variables, format};

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = ManifestSource::from_bytes("m", bytes) else { return };
    let variables = Variables { home: "/home/a".into(), workdir: "/work".into() };
    match Manifest::parse(&source, &variables) {
        Ok(manifest) => {
            let once = format(&source).expect("what parses can be formatted");
            let again = ManifestSource::from_text("m", &once);
            assert_eq!(format(&again).expect("still parses"), once);
            let reread = Manifest::parse(&again, &variables).expect("still valid");
            assert_eq!(manifest.files.len(), reread.files.len());
            assert_eq!(manifest.network.hosts.len(), reread.network.hosts.len());
            assert_eq!(manifest.needs().len(), reread.needs().len());
        }
        Err(errors) => {
            let text = source.text().strip_prefix('\u{feff}').unwrap_or(source.text());
            assert!(!errors.errors().is_empty());
            for error in errors.errors() {
                let end = error.place.offset + error.place.length;
                assert!(text.get(error.place.offset..end).is_some());
            }
        }
    }
});
