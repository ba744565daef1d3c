//! The finance team's example as it stands: its one task works, and each row of its README holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

use std::{
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
};

use http::StatusCode;
use libtest_mimic::{Arguments, Failed, Trial};
use remit_testkit::{
    Area, ManifestBuilder, Origin, PrivateNetwork, Reply, Seen, Session, Site, TestAuthority,
    enter_private_network, program, trail,
};

const SERVER: &str = "ledger.corp.example";
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

fn main() {
    let net = enter_private_network(&[(INSIDE, SERVER), (OUTSIDE, "elsewhere.example")]);
    let net: &'static PrivateNetwork = Box::leak(Box::new(net));
    let mut arguments = Arguments::from_args();
    // The names are changed by one of the trials.
    arguments.test_threads = Some(1);
    let trials = vec![
        Trial::test("finance_task_works_natively", native),
        Trial::test("finance_task_works_under_its_manifest", works),
        Trial::test("finance_agent_is_refused_the_rest", refused),
        Trial::test("finance_ledger_never_goes_to_a_public_address", move || public(net)),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    net.remove();
    conclusion.exit();
}

/// The example's folder and its server.
struct Team {
    area: Area,
    server: Origin,
}

impl Team {
    fn new(address: IpAddr) -> Self {
        let area = Area::new("finance");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/finance");
        for file in ["close.py", "ledger/2026-q1.csv"] {
            let copy = area.write(format!("work/{file}"), fs::read(example.join(file)).unwrap());
            fs::set_permissions(copy, fs::metadata(example.join(file)).unwrap().permissions())
                .unwrap();
        }
        area.write("work/outside.txt", "not granted");
        let authority = TestAuthority::new();
        authority.write_bundle(area.path());
        let at = format!("{address}:443");
        let server = Origin::tls(&authority, &at, &[SERVER], Site::Function(Arc::new(answer)));
        Self { area, server }
    }

    fn session(&self) -> Session<'_> {
        let text = include_str!("../../../examples/finance/manifest.json");
        Session::under(&self.area, &ManifestBuilder::from_text(text))
            .env("SSL_CERT_FILE", self.area.path().join("origins.pem"))
    }
}

fn answer(request: &Seen) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/v1/rates") => Reply::ok(r#"{"EUR": 1.0, "USD": 0.9}"#),
        ("POST", "/api/v1/closings/2026-q1") => {
            Reply { status: StatusCode::CREATED, ..Reply::ok("stored") }
        }
        _ => Reply::ok("anything else"),
    }
}

/// The sums of the example's ledger at those rates.
const TOTALS: &str = r#"{"4000": 47890.1, "6000": -27585.55}"#;

const SEEN: [&str; 2] =
    ["GET ledger.corp.example /api/v1/rates", "POST ledger.corp.example /api/v1/closings/2026-q1"];

fn native() -> Result<(), Failed> {
    let team = Team::new(INSIDE);
    let bundle = team.area.path().join("origins.pem");
    let session = Session::native(&team.area).env("SSL_CERT_FILE", bundle);
    let done = session.run(&["./close.py", "2026-q1"]).must_succeed();
    assert_eq!(done.stdout, format!("{TOTALS}\nposted: 201\n"));
    assert_eq!(team.server.seen_lines(), SEEN);
    Ok(())
}

fn works() -> Result<(), Failed> {
    let team = Team::new(INSIDE);
    let session = team.session();
    let done = session.run(&["./close.py", "2026-q1"]).must_succeed();
    assert_eq!(done.stdout, format!("{TOTALS}\nposted: 201\n"));
    assert_eq!(team.server.seen_lines(), SEEN);
    let events = session.events();
    trail::must_have(&events, "read_file", "allowed", "ledger/2026-q1.csv");
    trail::must_have(&events, "http_request", "allowed", "/api/v1/closings/2026-q1");
    trail::must_verify(&session.remit_home());
    Ok(())
}

/// Prints one word for each attempt: what happened to it.
const ATTEMPTS: &str = r#"
import subprocess, urllib.request, urllib.error
def attempt(name, do):
    try:
        do()
        print(name, "happened")
    except urllib.error.HTTPError as e:
        print(name, "status", e.code)
    except Exception as e:
        print(name, type(e).__name__)
def get(url, method="GET"):
    return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20).read()
attempt("ledger", lambda: open("ledger/2026-q1.csv").read())
attempt("rates", lambda: get("https://ledger.corp.example/api/v1/rates"))
attempt("file", lambda: open("outside.txt").read())
attempt("change", lambda: open("ledger/2026-q1.csv", "a").write("x"))
attempt("path", lambda: get("https://ledger.corp.example/admin"))
attempt("method", lambda: get("https://ledger.corp.example/api/v1/rates", "DELETE"))
attempt("host", lambda: get("https://elsewhere.example/"))
attempt("program", lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True))
"#;

fn refused() -> Result<(), Failed> {
    let team = Team::new(INSIDE);
    let session = team.session();
    let python = program("/usr/bin/python3");
    let done =
        session.run(&[python.as_os_str(), OsStr::new("-c"), OsStr::new(ATTEMPTS)]).must_succeed();
    let expected = "ledger happened\nrates happened\nfile FileNotFoundError\nchange PermissionError\n\
        path status 403\nmethod status 403\nhost URLError\nprogram FileNotFoundError\n";
    assert_eq!(done.stdout, expected, "{done}");
    assert_eq!(team.server.seen_lines(), ["GET ledger.corp.example /api/v1/rates"]);
    let events = session.events();
    for (action, part) in [
        ("read_file", "outside.txt"),
        ("write_file", "ledger/2026-q1.csv"),
        ("http_request", "/admin"),
        ("resolve_name", "elsewhere.example"),
        ("execute", "/bin/sh"),
    ] {
        trail::must_have(&events, action, "denied", part);
    }
    Ok(())
}

fn public(net: &PrivateNetwork) -> Result<(), Failed> {
    net.resolve(&[(OUTSIDE, SERVER)]);
    let team = Team::new(OUTSIDE);
    let session = team.session();
    let done = session.run(&["./close.py", "2026-q1"]);
    assert!(done.status.is_some_and(|status| status != 0), "{done}");
    assert!(team.server.seen().is_empty(), "{:?}", team.server.seen_lines());
    trail::must_have(&session.events(), "connect", "denied", SERVER);
    Ok(())
}
