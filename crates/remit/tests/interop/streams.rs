//! What bodies do: large, chunked, refused half-way, waited for, sent as events, upgraded.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use libtest_mimic::Trial;
use remit_testkit::{ManifestBuilder, Site};
use serde_json::json;

use super::{
    node::node_script,
    place::{Place, VENDOR},
    python::python,
    shell::written,
};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn()| {
        Trial::test(name, move || {
            body();
            Ok(())
        })
    };
    vec![
        trial("interop_uploads_of_python_refused_ones_show_the_reason", uploads_of_python),
        trial("interop_uploads_of_node_refused_ones_show_the_reason", uploads_of_node),
        trial("interop_uploads_to_a_refused_address_show_the_reason", uploads_to_nowhere),
        trial("interop_streams_of_grpc_both_ways", grpc),
        trial("interop_uploads_of_curl_wait_for_the_yes", uploads_of_curl),
    ]
}

/// The pages of every kind, without `/refused`.
fn pages(manifest: ManifestBuilder) -> ManifestBuilder {
    let paths = ["/echo", "/bytes/*", "/sse", "/ws"];
    let rule = json!([{ "host": VENDOR, "addresses": ["127.0.0.0/8"], "paths": paths }]);
    manifest.set("/permissions/network/egressHosts", rule)
}

pub fn place(name: &str) -> Place {
    Place::serving(name, |_| Site::Builtin).with(pages)
}

fn uploads_of_python() {
    let place = place("uploads");
    let script = written(&place, "client.py", include_str!("clients/uploads.py"));
    let done = place.session().run(&[&python(), &script, VENDOR]).must_succeed();
    assert_eq!(done.stdout, PYTHON, "{done}");
}

const PYTHON: &str = "\
chunked True
large 20000000
refused, large 403 path_not_listed
refused, chunked 403 path_not_listed
head 200 12 True
chunked True
refused, large 403 path_not_listed
after it xxx
chunked True
refused, large 403 path_not_listed
after it xxx
refused, large 403 path_not_listed
many at once 0
";

fn uploads_of_node() {
    let place = place("uploads");
    let script = node_script(&place, include_str!("clients/uploads.mjs"), VENDOR);
    let done = place.session().shell(&script).must_succeed();
    assert_eq!(done.stdout, NODE, "{done}");
}

const NODE: &str = "\
chunked 200 true
refused, large 403 path_not_listed
expecting 200 true
refused, expecting 403 false
events one by one true
";

/// The name is listed, but not for where it leads to.
fn uploads_to_nowhere() {
    let place = place("nowhere").with(|manifest| {
        manifest.set("/permissions/network/egressHosts", json!([{ "host": VENDOR }]))
    });
    // Slowly, so that the answer comes long before the end.
    let program = "import http.client, json, sys, time\n\
        connection = http.client.HTTPSConnection(sys.argv[1])\n\
        connection.putrequest('POST', '/echo')\n\
        connection.putheader('Content-Length', '20000000')\n\
        connection.endheaders()\n\
        for _ in range(100):\n    connection.send(b'x' * 200_000); time.sleep(0.005)\n\
        answer = connection.getresponse()\n\
        print(answer.status, answer.reason, json.load(answer)['code'])\n";
    let script = written(&place, "client.py", program);
    let done = place.session().run(&[&python(), &script, VENDOR]).must_succeed();
    let expected = "403 Forbidden (Remit: address_refused) address_refused\n";
    assert_eq!(done.stdout, expected, "{done}");
}

/// With `Expect`, a refused body is not sent at all.
fn uploads_of_curl() {
    let place = place("uploads");
    let done = place
        .session()
        .shell(&format!(
            "head -c 3000000 /dev/zero > upload\n\
             for path in echo refused; do\n\
               curl -sS --http1.1 -H 'Expect: 100-continue' --expect100-timeout 30 -T upload -o answer \
                 -w '%{{http_code}} %{{size_upload}}\\n' https://{VENDOR}/$path\n\
               curl -sS --http1.1 -H 'Expect:' -T upload -o answer -w '%{{http_code}}\\n' \
                 https://{VENDOR}/$path\n\
               curl -sS --http2 -T upload -o answer -w '%{{http_code}}\\n' https://{VENDOR}/$path\n\
             done"
        ))
        .must_succeed();
    assert_eq!(done.stdout, "200 3000000\n200\n200\n403 0\n403\n403\n", "{done}");
}

/// Against a real server, where messages must not wait for one another.
fn grpc() {
    const PORT: u16 = 50051;
    let rule = json!([{ "host": VENDOR, "ports": [PORT], "addresses": ["127.0.0.0/8"],
        "paths": ["/v1.Echo/*"] }]);
    let place = place("grpc").with(|m| m.set("/permissions/network/egressHosts", rule));
    let (certificate, key) = place.server_pem();
    let _server = GrpcServer::start(&place, PORT, &certificate, &key);
    let script = written(&place, "client.py", include_str!("clients/grpc_stream.py"));
    let at = format!("{VENDOR}:{PORT}");
    let done = place.session().run(&[&python(), &script, &at]).must_succeed();
    let shown: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(shown[..GRPC.len()], GRPC, "{done}");
    let refused = shown[GRPC.len()];
    assert!(refused.starts_with("PERMISSION_DENIED {"), "{done}");
    assert!(refused.contains("path_not_listed"), "{done}");
}

const GRPC: [&str; 7] = [
    "8 echo one",
    "8 echo two",
    "2000005 echo xxxxxxx",
    "10 echo three",
    "the end OK",
    "8 echo one",
    "FAILED_PRECONDITION as asked",
];

struct GrpcServer(Child);

impl GrpcServer {
    fn start(place: &Place, port: u16, certificate: &str, key: &str) -> Self {
        let script = place.area.write("server.py", include_str!("clients/grpc_server.py"));
        let certificate = place.area.write("server.pem", certificate);
        let key = place.area.write("server.key", key);
        let child = Command::new(python())
            .arg(script)
            .arg(format!("127.0.0.2:{port}"))
            .args([key, certificate])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self(child);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "serving\n");
        server
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
