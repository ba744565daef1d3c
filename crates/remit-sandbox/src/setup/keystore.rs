//! Java's keystore format JKS, as far as trusted certificates go.
//!
//! All numbers are big-endian: a magic number, the version, the count of entries; for each a tag,
//! an alias, a date in milliseconds, the certificate's type and its DER; then a digest (see
//! `sun.security.provider.JavaKeyStore` in OpenJDK).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const VERSION: [u8; 4] = [0, 0, 0, 2];
const TRUSTED: [u8; 4] = [0, 0, 0, 2];
/// Magic number, version and count.
const HEAD: usize = 12;
const DIGEST: usize = 20;
/// What every Java is shipped with; programs that open the store with a password give this one.
const PASSWORD: &str = "changeit";
/// What the digest takes in after the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";
const ALIAS: &str = "remit-session";

/// The store and one certificate more; `None` when it is not in this format.
pub(super) fn with(store: &[u8], certificate: &str) -> Option<Vec<u8>> {
    let count = u32::from_be_bytes(store.get(8..HEAD)?.try_into().ok()?);
    let entries = store.get(HEAD..store.len().checked_sub(DIGEST)?)?;
    if store.get(..4)? != MAGIC || store.get(4..8)? != VERSION {
        return None;
    }
    let mut out = head(count.checked_add(1)?, store.len());
    out.extend_from_slice(entries);
    add(&mut out, ALIAS, &certificates(certificate).next()?)?;
    Some(sealed(out))
}

/// A store of the certificates of a PEM text, and one more.
pub(super) fn of(roots: &str, certificate: &str) -> Option<Vec<u8>> {
    let mut entries = Vec::with_capacity(roots.len());
    let mut count = 1_u32;
    for der in certificates(roots) {
        add(&mut entries, &format!("root-{count}"), &der)?;
        count = count.checked_add(1)?;
    }
    add(&mut entries, ALIAS, &certificates(certificate).next()?)?;
    let mut out = head(count, entries.len());
    out.extend_from_slice(&entries);
    Some(sealed(out))
}

fn head(count: u32, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size.saturating_add(2048));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION);
    out.extend_from_slice(&count.to_be_bytes());
    out
}

fn add(out: &mut Vec<u8>, alias: &str, der: &[u8]) -> Option<()> {
    out.extend_from_slice(&TRUSTED);
    text(out, alias)?;
    // The day of entry is nobody's business.
    out.extend_from_slice(&0_u64.to_be_bytes());
    text(out, "X.509")?;
    out.extend_from_slice(&u32::try_from(der.len()).ok()?.to_be_bytes());
    out.extend_from_slice(der);
    Some(())
}

/// `DataOutput.writeUTF`; what is written here is ASCII.
fn text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn sealed(mut out: Vec<u8>) -> Vec<u8> {
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(WHITENER);
    digest.update(&out);
    out.extend_from_slice(&digest.finalize());
    out
}

/// The certificates of a PEM text (RFC 7468); what cannot be decoded is left out.
fn certificates(pem: &str) -> impl Iterator<Item = Vec<u8>> {
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|rest| {
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.split_ascii_whitespace().collect();
        STANDARD.decode(body).ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    const OTHER: &str =
        "-----BEGIN CERTIFICATE-----\r\nMAMC\r\nAQI=\r\n-----END CERTIFICATE-----\r\n";

    /// `(alias, DER)` of each entry, with the digest checked.
    fn read(store: &[u8]) -> Vec<(String, Vec<u8>)> {
        let resealed = sealed(store[..store.len() - DIGEST].to_vec());
        assert_eq!(resealed, store);
        let mut rest = &store[HEAD..store.len() - DIGEST];
        let mut take = |count: usize| {
            let (part, after) = rest.split_at(count);
            rest = after;
            part.to_vec()
        };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let count = number(&store[8..HEAD]);
        let entries = (0..count).map(|_| {
            assert_eq!(take(4), TRUSTED);
            let alias = number(&take(2));
            let alias = String::from_utf8(take(alias)).unwrap();
            assert_eq!(take(8), [0; 8]);
            let kind = number(&take(2));
            assert_eq!(take(kind), b"X.509");
            let length = number(&take(4));
            (alias, take(length))
        });
        entries.collect()
    }

    #[test]
    fn a_certificate_joins_the_roots_of_a_bundle_and_of_a_store() {
        let der = |last| vec![0x30, 3, 2, 1, last];
        let store = of(&format!("text\n{PEM}{PEM}"), OTHER).unwrap();
        let names = ["root-1", "root-2", ALIAS].map(str::to_owned);
        let expected: Vec<_> = names.into_iter().zip([der(1), der(1), der(2)]).collect();
        assert_eq!(read(&store), expected);
        let more = read(&with(&store, PEM).unwrap());
        assert_eq!(more.len(), 4);
        assert_eq!(more.last(), Some(&(ALIAS.to_owned(), der(1))));
    }

    #[test]
    fn what_is_no_store_of_this_format_is_left_alone() {
        let store = of(PEM, PEM).unwrap();
        for cut in [0, 3, 11, HEAD, 31] {
            assert_eq!(with(&store[..cut], PEM), None, "{cut}");
        }
        let mut other = store.clone();
        other[7] = 1;
        assert_eq!(with(&other, PEM), None);
        assert_eq!(with(b"0\x82\x01\x00 this would be PKCS #12, which is DER", PEM), None);
        assert_eq!(with(&store, "no certificate"), None);
    }
}
