//! Known values, also back to front and shifted by 13: only for them are those worth a look.

use remit_core::{DataClass, Detector, Finding};

use crate::found::{Class, Decoder, Hit};

/// Every known value in the text.
pub(super) fn find(
    text: &[u8],
    detector: &dyn Detector,
    classes: &mut Vec<DataClass>,
    hits: &mut Vec<Hit>,
) {
    let mut keep = |finding: Finding, via: Option<Decoder>, classes: &mut Vec<DataClass>| {
        let place = classes.iter().position(|class| *class == finding.class).unwrap_or_else(|| {
            classes.push(finding.class.clone());
            classes.len() - 1
        });
        let mut hit = Hit::new(finding.range, Class::Known(place), 100, "known");
        hit.via.extend(via);
        hits.push(hit);
    };
    for finding in detector.find(text) {
        keep(finding, None, classes);
    }
    let reversed: Vec<u8> = text.iter().rev().copied().collect();
    for finding in detector.find(&reversed) {
        let range = text.len().saturating_sub(finding.range.end)
            ..text.len().saturating_sub(finding.range.start);
        keep(Finding { range, class: finding.class }, Some(Decoder::Reversed), classes);
    }
    let shifted: Vec<u8> = text.iter().map(|byte| rot13(*byte)).collect();
    for finding in detector.find(&shifted) {
        keep(finding, Some(Decoder::Rot13), classes);
    }
}

const fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'm' | b'A'..=b'M' => byte + 13,
        b'n'..=b'z' | b'N'..=b'Z' => byte - 13,
        other => other,
    }
}
