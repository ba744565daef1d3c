//! Every place where a program may look for whom to trust has the session's authority, and still
//! what the machine trusts.

use libtest_mimic::Trial;

use super::{place::Place, python::python, shell::written};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("interop_every_variable_and_file_of_trust_names_the_authority", || {
            everywhere();
            Ok(())
        }),
        Trial::test("interop_java_lists_the_authority_beside_the_machines_roots", || {
            java();
            Ok(())
        }),
    ]
}

fn everywhere() {
    let place = Place::new("trust");
    let script = written(&place, "trust.py", include_str!("clients/trust.py"));
    let done = place.session().run(&[&python(), &script]).must_succeed();
    assert_eq!(done.stdout, EXPECTED, "{done}");
}

/// Variables that replace a store name a bundle with the machine's roots too.
const EXPECTED: &str = "\
AWS_CA_BUNDLE: authority and roots
CARGO_HTTP_CAINFO: authority and roots
CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: authority and roots
CODEX_CA_CERTIFICATE: authority
CURL_CA_BUNDLE: authority and roots
DENO_CERT: authority
GIT_SSL_CAINFO: authority and roots
GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: authority and roots
HTTPLIB2_CA_CERTS: authority and roots
NIX_SSL_CERT_FILE: authority and roots
NODE_EXTRA_CA_CERTS: authority
PIP_CERT: authority and roots
REQUESTS_CA_BUNDLE: authority and roots
SSL_CERT_FILE: authority and roots
/etc/ssl/cert.pem: authority and roots
/etc/ssl/certs/ca-certificates.crt: authority and roots
";

fn java() {
    let place = Place::new("keystore");
    let list = "keytool -list -cacerts -storepass changeit";
    let count = "grep -c trustedCertEntry";
    let natively = remit_testkit::Session::native(&place.area)
        .shell(&format!("{list} 2> /dev/null | {count}"))
        .must_succeed();
    let inside = place
        .session()
        .shell(&format!("{list} > list && {count} list && grep -c ^remit-session, list"));
    let more = natively.stdout.trim().parse::<u32>().expect("a number") + 1;
    assert_eq!(inside.stdout, format!("{more}\n1\n"), "{inside}");
}
