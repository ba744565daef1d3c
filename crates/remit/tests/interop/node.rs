//! Node, Bun and Deno, and packages for Node.

use std::os::unix::fs::symlink;

use remit_testkit::{npm_clients, program};

use super::{
    client::{Client, Trust},
    place::Place,
    shell::written,
};

/// BoringSSL's default, which most machines lack and every session has.
pub const BUN: Trust = Trust::System("`/etc/ssl/cert.pem`");

pub fn clients() -> Vec<Client> {
    let node = Trust::Variable("NODE_EXTRA_CA_CERTS");
    let own = |name, text: &'static str| {
        Client::of_steps(name, node, "node --version", move |place| node_script(place, text, ""))
    };
    let package = |name, package: &str, text: &'static str, first: &'static str| {
        let file = npm_clients().join(package).join("package.json");
        let version = format!("sed -n 's/.*\"version\": *\"\\(.*\\)\".*/\\1/p' {}", file.display());
        Client::of_steps(name, node, version, move |place| node_script(place, text, first))
    };
    let fetch = include_str!("clients/fetch.mjs");
    let (undici, got) = (include_str!("clients/undici.mjs"), include_str!("clients/got.mjs"));
    vec![
        own("node fetch", fetch),
        own("node https", include_str!("clients/https.mjs")),
        own("node http2", include_str!("clients/http2.mjs")),
        package("undici, HTTP/1.1", "undici", undici, "1"),
        package("undici, HTTP/2", "undici", undici, "2"),
        package("axios", "axios", include_str!("clients/axios.mjs"), ""),
        package("got, HTTP/1.1", "got", got, "1"),
        package("got, HTTP/2", "got", got, "2"),
        Client::of_steps("bun fetch", BUN, format!("{} --version", bun()), move |place| {
            format!("{} {}", bun(), written(place, "client.mjs", fetch))
        }),
        Client::of_steps(
            "deno fetch",
            Trust::Variable("DENO_CERT"),
            format!("{} --version", deno()),
            move |place| format!("{} run -A {}", deno(), written(place, "client.mjs", fetch)),
        ),
    ]
}

/// The program behind npm's link.
pub fn bun() -> String {
    binary("bun")
}

pub fn deno() -> String {
    binary("deno")
}

fn binary(name: &str) -> String {
    let link = npm_clients().join(".bin").join(name);
    link.canonicalize().expect("the package brings its program").display().to_string()
}

/// Node with a script that finds the installed packages.
pub fn node_script(place: &Place, text: &str, first: &str) -> String {
    symlink(npm_clients(), place.area.work().join("node_modules")).unwrap();
    format!("{} {} {first}", program("node").display(), written(place, "client.mjs", text))
}
