//! Authorities made by other programs, and what is wrong with some of them.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{path::Path, process::Command};

use common::netns::run;
use remit_egress::{Authority, AuthorityError, TrustError, UpstreamTrust};

fn openssl(folder: &Path, arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
}

const REQUEST: &str = "-nodes -days 9 -subj /CN=own -addext basicConstraints=critical,CA:TRUE \
                       -addext keyUsage=critical,keyCertSign";

#[test]
fn rsa_and_ec_authorities_of_openssl_are_taken_in_every_key_form() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for (name, kind) in [("rsa", "rsa:2048"), ("ec", "ec -pkeyopt ec_paramgen_curve:P-256")] {
        openssl(
            folder.path(),
            &format!("req -x509 -newkey {kind} -keyout {name}.key -out {name}.pem {REQUEST}"),
        );
        let authority =
            Authority::from_pem(&read(&format!("{name}.pem")), &read(&format!("{name}.key")));
        assert_eq!(authority.unwrap().ca_pem(), read(&format!("{name}.pem")));
    }
    openssl(folder.path(), "rsa -in rsa.key -traditional -out rsa1.key");
    openssl(folder.path(), "ec -in ec.key -out ec1.key");
    assert!(read("rsa1.key").contains("BEGIN RSA PRIVATE KEY"));
    assert!(read("ec1.key").contains("BEGIN EC PRIVATE KEY"));
    Authority::from_pem(&read("rsa.pem"), &read("rsa1.key")).unwrap();
    Authority::from_pem(&read("ec.pem"), &read("ec1.key")).unwrap();
    // A key of somebody else, found at start and not as a puzzle in every client.
    let wrong = Authority::from_pem(&read("ec.pem"), &read("rsa.key"));
    assert!(matches!(wrong, Err(AuthorityError::Mismatch(_))), "{wrong:?}");
    let none = Authority::from_pem("nothing", &read("rsa.key"));
    assert!(matches!(none, Err(AuthorityError::NoCertificate)));
    assert!(matches!(
        Authority::from_pem(&read("ec.pem"), "x"),
        Err(AuthorityError::Certificate(_))
    ));
}

#[test]
fn a_leaf_is_no_authority_and_trust_needs_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    openssl(
        folder.path(),
        "req -x509 -newkey rsa:2048 -keyout k -out c -nodes -days 9 -subj /CN=leaf -addext \
         basicConstraints=critical,CA:FALSE"
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .as_str(),
    );
    let leaf = Authority::from_pem(&read("c"), &read("k"));
    assert!(matches!(leaf, Err(AuthorityError::NotAuthority)), "{leaf:?}");
    assert!(matches!(UpstreamTrust::none().with_pem("x"), Err(TrustError::NoCertificate)));
    assert!(UpstreamTrust::none().with_pem(&read("c")).is_ok());
}

#[test]
fn generated_authorities_are_short_lived_and_sign_no_further_authorities() {
    let authority = Authority::new("s-abc").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.ca_pem()).unwrap();
    // It exits with 1 when the certificate ends within the seven days.
    let output = Command::new("openssl")
        .args(["x509", "-in", "ca.pem", "-noout", "-text", "-checkend", "604800"])
        .current_dir(folder.path())
        .output()
        .unwrap()
        .stdout;
    let text = String::from_utf8_lossy(&output);
    assert!(text.contains("Certificate will expire"), "{text}");
    assert!(text.contains("pathlen:0") && text.contains("s-abc"), "{text}");
    assert!(text.contains("prime256v1"), "{text}");
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}
