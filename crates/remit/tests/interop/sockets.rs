//! WebSocket clients: a text and a binary go to an echo and back.

use remit_testkit::npm_clients;

use super::{
    client::{Client, Made, Trust},
    node::{bun, deno, node_script},
    place::{Place, UNLISTED, VENDOR},
    python::python,
    shell::written,
    streams,
};

/// What each client prints of an echo that works.
const WORKS: &str = "open a text 300000";

pub fn clients() -> Vec<Client> {
    let system = Trust::System("OpenSSL's default file");
    let node = Trust::Variable("NODE_EXTRA_CA_CERTS");
    let version_of = |package: &str| {
        let file = npm_clients().join(package).join("package.json");
        format!("grep '\"version\"' {}", file.display())
    };
    let standard = include_str!("clients/socket.mjs");
    vec![
        client(
            "python websockets",
            system,
            format!(
                "{} -c 'import importlib.metadata as m; print(m.version(\"websockets\"))'",
                python()
            ),
            |place| {
                let text = include_str!("clients/websockets.py");
                format!("{} {}", python(), written(place, "client.py", text))
            },
        ),
        client("ws", node, version_of("ws"), |place| {
            node_script(place, include_str!("clients/ws.mjs"), "")
        }),
        client(
            "bun WebSocket",
            Trust::System("the system's bundle"),
            format!("{} --version", bun()),
            move |place| format!("{} {}", bun(), written(place, "client.mjs", standard)),
        ),
        client(
            "deno WebSocket",
            Trust::Variable("DENO_CERT"),
            format!("{} --version", deno()),
            move |place| format!("{} run -A {}", deno(), written(place, "client.mjs", standard)),
        ),
    ]
}

fn client(
    name: &'static str,
    trust: Trust,
    version: String,
    make: impl Fn(&Place) -> String + Send + 'static,
) -> Client {
    Client::new(name, trust, move || {
        let place = streams::place(name);
        let command = make(&place);
        Made {
            place,
            version: version.clone(),
            script: format!(
                "echo \"get: $({command} wss://{VENDOR}/ws)\"; echo 'post: -'\n\
                 echo \"refused: $({command} wss://{VENDOR}/refused)\"\n\
                 echo \"unlisted: $({command} wss://{UNLISTED}/ws)\""
            ),
            bare: format!("{command} wss://{VENDOR}/ws | sed 's/^{WORKS}$/200/'"),
            get: (WORKS, "WebSocket works"),
        }
    })
}
