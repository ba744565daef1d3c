//! Servers whose certificates or whose TLS are not good enough: each is refused with what is wrong
//! in words, and gets nothing of the request. Good ones beside them are accepted.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{
    client::{read_all, tls, tunnel},
    netns::{isolated, run},
    policy::Rule,
    world::World,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_RSA_SHA256, RsaKeySize,
};
use remit_egress::UpstreamTrust;
use serde_json::json;
use time::{Duration, OffsetDateTime};

/// Who signed a certificate.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// The trusted root.
    Root,
    /// An authority below it, which the server shows.
    Below,
    /// The same, without showing it.
    Unshown,
    /// An authority below one that may have none below it.
    TooDeep,
    /// An authority that may speak for `elsewhere.test` only.
    Elsewhere,
    /// The key of a certificate that is no authority's.
    Leaf,
    /// A root that nobody trusts here.
    Stranger,
    /// Its own key.
    Itself,
}

/// One certificate, good but for what is said.
#[derive(Clone, Copy)]
struct Paper {
    by: By,
    /// `None`: a common name only. `{}` stands for the case's own name.
    names: Option<&'static str>,
    /// Days from now.
    valid: (i64, i64),
    client: bool,
    authority: bool,
    rsa: bool,
}

const GOOD: Paper = Paper {
    by: By::Root,
    names: Some("{}"),
    valid: (-1, 30),
    client: false,
    authority: false,
    rsa: false,
};

/// What a server shows and speaks.
#[derive(Clone, Copy)]
enum Server {
    Shows(Paper),
    /// Made by openssl(1): `req -newkey` and `x509 -req` options, with a SAN or without extensions.
    Openssl(&'static str, &'static str, bool),
    /// Versions and ciphers (OpenSSL's names); a good certificate.
    Speaks(&'static str, &'static str, &'static str),
    /// Bytes instead of TLS.
    Says(&'static str),
}

use Server::{Openssl, Says, Shows, Speaks};

const UNSAFE: &str = "the server offers no safe version or cipher of TLS";
const UNKNOWN: &str = "the server's certificate comes from no authority that is trusted here";
const NAME: &str = "the server's certificate is for another name";
const WEAK: &str = "a signature or key of the chain is weak or of an unknown kind";
const CLOSED: &str = "the server broke the TLS handshake off";

/// Case, server, and what is said of it; nothing where it is accepted.
const CASES: &[(&str, Server, Option<&str>)] = &[
    ("good-ecdsa", Shows(GOOD), None),
    ("good-rsa", Shows(Paper { rsa: true, ..GOOD }), None),
    ("good-chain", Shows(Paper { by: By::Below, ..GOOD }), None),
    ("good-wildcard.sub", Shows(Paper { names: Some("*.sub.test"), ..GOOD }), None),
    ("127.0.0.9", Shows(GOOD), None),
    ("good-tls12", Speaks("TLSv1_2", "TLSv1_2", "ECDHE+AESGCM"), None),
    ("good-tls13", Speaks("TLSv1_3", "TLSv1_3", "ECDHE+AESGCM"), None),
    (
        "expired",
        Shows(Paper { valid: (-30, -1), ..GOOD }),
        Some("the server's certificate has expired"),
    ),
    (
        "not-yet",
        Shows(Paper { valid: (1, 30), ..GOOD }),
        Some("the server's certificate is not valid yet"),
    ),
    ("wrong-name", Shows(Paper { names: Some("other.test"), ..GOOD }), Some(NAME)),
    ("wildcard.too.deep.sub", Shows(Paper { names: Some("*.sub.test"), ..GOOD }), Some(NAME)),
    ("wildcard-of-a-whole-domain", Shows(Paper { names: Some("*.test"), ..GOOD }), Some(NAME)),
    ("common-name-only", Shows(Paper { names: None, ..GOOD }), Some(NAME)),
    ("127.0.0.10", Shows(Paper { names: Some("127.0.0.9"), ..GOOD }), Some(NAME)),
    ("self-signed", Shows(Paper { by: By::Itself, ..GOOD }), Some(UNKNOWN)),
    ("unknown-root", Shows(Paper { by: By::Stranger, ..GOOD }), Some(UNKNOWN)),
    ("unshown-authority", Shows(Paper { by: By::Unshown, ..GOOD }), Some(UNKNOWN)),
    (
        "for-clients",
        Shows(Paper { client: true, ..GOOD }),
        Some("the server's certificate is not for servers"),
    ),
    (
        "authority-as-server",
        Shows(Paper { authority: true, ..GOOD }),
        Some("the server shows an authority's certificate as its own"),
    ),
    (
        "server-as-authority",
        Shows(Paper { by: By::Leaf, ..GOOD }),
        Some("the chain leads through a certificate of no authority"),
    ),
    (
        "path-too-long",
        Shows(Paper { by: By::TooDeep, ..GOOD }),
        Some("the chain is longer than one of its authorities permits"),
    ),
    (
        "constrained-elsewhere",
        Shows(Paper { by: By::Elsewhere, ..GOOD }),
        Some("the name is outside of what one of the chain's authorities may speak for"),
    ),
    ("signed-sha1", Openssl("rsa:2048", "-sha1", true), Some(WEAK)),
    (
        "rsa-1024",
        Openssl("rsa:1024", "-sha256", true),
        Some("a signature of the server does not hold"),
    ),
    (
        "version-1",
        Openssl("rsa:2048", "-sha256", false),
        Some("a certificate of the chain is of an old version"),
    ),
    ("tls-1-0", Speaks("TLSv1", "TLSv1", "ALL"), Some(UNSAFE)),
    ("tls-1-1", Speaks("TLSv1_1", "TLSv1_1", "ALL"), Some(UNSAFE)),
    ("static-rsa", Speaks("TLSv1_2", "TLSv1_2", "kRSA+AESGCM"), Some(UNSAFE)),
    (
        "cbc",
        Speaks("TLSv1_2", "TLSv1_2", "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384"),
        Some(UNSAFE),
    ),
    ("finite-field", Speaks("TLSv1_2", "TLSv1_2", "DHE+AESGCM"), Some(UNSAFE)),
    ("null", Speaks("TLSv1_2", "TLSv1_2", "eNULL"), Some(UNSAFE)),
    ("anonymous", Speaks("TLSv1_2", "TLSv1_2", "aNULL"), Some(UNSAFE)),
    ("not-tls", Says("HTTP/1.1 400 Bad Request\r\n\r\n"), Some("the server does not speak TLS")),
    ("closes", Says(""), Some(CLOSED)),
];

/// Serves every case; what comes through TLS goes into the case's file.
const SERVE: &str = r#"
import json, socket, ssl, sys, threading, warnings
warnings.simplefilter("ignore")
def answer(case, listener):
    context = None
    if "say" not in case:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(case["ciphers"] + ":@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion[case["least"]]
        context.maximum_version = ssl.TLSVersion[case["most"]]
        context.load_cert_chain(case["chain"], case["key"])
    while True:
        stream = listener.accept()[0]; stream.settimeout(10)
        try:
            if not context:
                stream.recv(1); stream.sendall(case["say"].encode()); stream.close(); continue
            stream = context.wrap_socket(stream, server_side=True)
            got = stream.recv(4096); open(case["got"], "ab").write(got)
            if got: stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except OSError: pass
for case in json.load(open(sys.argv[1])):
    listener = socket.create_server((case["at"], case["port"]))
    threading.Thread(target=answer, args=(case, listener)).start()
print("ready", flush=True)
"#;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Issuing = CertifiedIssuer<'static, KeyPair>;

/// The authorities of the outside world.
struct Authorities {
    root: Issuing,
    below: Issuing,
    deeper: Issuing,
    deepest: Issuing,
    elsewhere: Issuing,
    leaf: Issuing,
    stranger: Issuing,
}

fn authority(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

impl Authorities {
    fn new() -> Self {
        let root = |name| {
            let (params, key) = authority(name, |_| {});
            Issuing::self_signed(params, key).unwrap()
        };
        let below = |name, above: &Issuing, change: &dyn Fn(&mut CertificateParams)| {
            let (params, key) = authority(name, change);
            Issuing::signed_by(params, key, above).unwrap()
        };
        let (own, stranger) = (root("Trusted root"), root("Strange root"));
        let shallow = |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        };
        let deeper = below("May have none below", &own, &shallow);
        Self {
            below: below("Below", &own, &|_| {}),
            deepest: below("Below all the same", &deeper, &|_| {}),
            elsewhere: below("Elsewhere", &own, &|params| {
                let permitted_subtrees = vec![GeneralSubtree::DnsName("elsewhere.test".into())];
                let excluded_subtrees = Vec::new();
                params.name_constraints =
                    Some(NameConstraints { permitted_subtrees, excluded_subtrees });
            }),
            leaf: below("leaf.test", &own, &|params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            }),
            deeper,
            stranger,
            root: own,
        }
    }

    /// Writes chain and key of one case.
    fn issue(&self, name: &str, paper: Paper, chain: &Path, secret: &Path) {
        let names = paper.names.map(|names| vec![names.replace("{}", name)]).unwrap_or_default();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(paper.valid.0);
        params.not_after = now + Duration::days(paper.valid.1);
        params.extended_key_usages = vec![match paper.client {
            true => ExtendedKeyUsagePurpose::ClientAuth,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.is_ca = match paper.authority {
            true => IsCa::Ca(BasicConstraints::Unconstrained),
            false => IsCa::ExplicitNoCa,
        };
        let key = match paper.rsa {
            true => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
            false => KeyPair::generate().unwrap(),
        };
        let signed = |by: &Issuing| params.clone().signed_by(&key, by).unwrap().pem();
        let text = match paper.by {
            By::Root => signed(&self.root),
            By::Below => signed(&self.below) + &self.below.pem(),
            By::Unshown => signed(&self.below),
            By::TooDeep => signed(&self.deepest) + &self.deepest.pem() + &self.deeper.pem(),
            By::Elsewhere => signed(&self.elsewhere) + &self.elsewhere.pem(),
            By::Leaf => signed(&self.leaf) + &self.leaf.pem(),
            By::Stranger => signed(&self.stranger) + &self.stranger.pem(),
            By::Itself => params.clone().self_signed(&key).unwrap().pem(),
        };
        fs::write(chain, text).unwrap();
        fs::write(secret, key.serialize_pem()).unwrap();
    }
}

/// The same by openssl(1), for what rcgen does not make.
fn openssl(folder: &Path, name: &str, key: &str, digest: &str, extensions: bool) {
    let at = |end: &str| folder.join(format!("{name}.{end}"));
    let subject = format!("/CN={name}");
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-nodes", "-newkey", key, "-subj", &subject, "-keyout"]);
    run(request.arg(at("key")).arg("-out").arg(at("csr")));
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "30", "-set_serial", "7", digest, "-in"]).arg(at("csr"));
    sign.arg("-CA").arg(folder.join("root.pem")).arg("-CAkey").arg(folder.join("root.key"));
    if extensions {
        fs::write(at("ext"), format!("subjectAltName=DNS:{name}\n")).unwrap();
        sign.arg("-extfile").arg(at("ext"));
    }
    run(sign.arg("-out").arg(at("pem")));
}

/// Writes one case's files; what the server script must know of it.
fn prepare(folder: &Path, authorities: &Authorities, case: &str, port: u16) -> serde_json::Value {
    let (_, server, _) = CASES.iter().find(|(name, ..)| *name == case).unwrap();
    let (name, at) = address(case);
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    let mut told = json!({"at": at, "port": port, "chain": file("pem"), "key": file("key"),
        "got": file("got"), "ciphers": "ALL", "least": "TLSv1_2", "most": "TLSv1_3"});
    match *server {
        Shows(paper) => authorities.issue(&name, paper, &file("pem"), &file("key")),
        Openssl(key, digest, extensions) => openssl(folder, &name, key, digest, extensions),
        Speaks(least, most, ciphers) => {
            authorities.issue(&name, Paper { rsa: true, ..GOOD }, &file("pem"), &file("key"));
            told["least"] = json!(least);
            told["most"] = json!(most);
            told["ciphers"] = json!(ciphers);
        }
        Says(text) => told["say"] = json!(text),
    }
    told
}

/// A case's host and the address that it is served at.
fn address(case: &str) -> (String, &str) {
    if case.starts_with("127.") {
        (case.to_owned(), case)
    } else {
        (format!("{case}.test"), "127.0.0.1")
    }
}

#[test]
fn bad_servers_are_refused_with_what_is_wrong_and_good_ones_are_not() {
    // Nobody else takes the ports there.
    if !isolated() {
        return;
    }
    let mut world = World::new();
    let authorities = Authorities::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("root.pem"), authorities.root.pem()).unwrap();
    fs::write(folder.path().join("root.key"), authorities.root.key().serialize_pem()).unwrap();
    // Held together, so that each gets a port of its own.
    let held: Vec<TcpListener> =
        CASES.iter().map(|(case, ..)| TcpListener::bind((address(case).1, 0)).unwrap()).collect();
    let ports: Vec<u16> = held.iter().map(|one| one.local_addr().unwrap().port()).collect();
    drop(held);
    let each = || CASES.iter().zip(&ports);
    let told: Vec<_> = each()
        .map(|((case, ..), port)| prepare(folder.path(), &authorities, case, *port))
        .collect();
    let list = folder.path().join("cases.json");
    fs::write(&list, json!(told).to_string()).unwrap();
    let mut servers = Command::new("python3");
    servers.args(["-c", SERVE]).arg(&list).stdout(Stdio::piped());
    let mut servers = Killed(servers.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(servers.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");

    let names = |case: &str| address(case).0;
    world.names(
        &each().map(|((case, ..), _)| format!("127.0.0.1 {}\n", names(case))).collect::<String>(),
    );
    world.rules(each().map(|((case, ..), port)| Rule::new(&names(case), &[*port])).collect());
    world.trust = Some(UpstreamTrust::none().with_pem(&authorities.root.pem()).unwrap());
    let (_running, proxy) = world.explicit();
    let mut wrong = Vec::new();
    for ((case, _, expected), port) in each() {
        let name = names(case);
        let stream = tunnel(proxy, &format!("{name}:{port}"));
        let mut stream = tls(stream, &name, world.ca()).unwrap();
        write!(stream, "GET /secret HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let answer = read_all(&mut stream);
        let got = fs::read_to_string(folder.path().join(format!("{name}.got"))).unwrap_or_default();
        let right = match expected {
            None => answer.starts_with("HTTP/1.1 200") && got.contains("GET /secret"),
            Some(words) => {
                answer.starts_with("HTTP/1.1 502")
                    && answer.contains("\"error\":\"upstream_failed\"")
                    && answer.contains(&format!("\"detail\":\"{words}\""))
                    && got.is_empty()
                    && world.trail.lines().iter().any(|l| l.contains(&name) && l.contains(words))
            }
        };
        if !right {
            wrong.push(format!("{case}: {answer}\n   server got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{:#?}", wrong.join("\n"), world.trail.lines());
}
