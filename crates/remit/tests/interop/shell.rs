//! Command line clients, and languages without a package manager in play.

use remit_testkit::program;

use super::{
    client::{Client, Trust},
    place::Place,
};

/// Writes a program to the work folder.
pub fn written(place: &Place, name: &str, text: &str) -> String {
    place.area.write(format!("work/{name}"), text).display().to_string()
}

pub fn clients() -> Vec<Client> {
    let script = |name, trust, version, text: &'static str, first: &'static str| {
        Client::of_steps(name, trust, version, move |place| {
            format!("sh {} {first}", written(place, "client.sh", text))
        })
    };
    let bundle = Trust::System("the system's bundle");
    let openssl = Trust::System("OpenSSL's default file");
    let curl = include_str!("clients/curl.sh");
    let language = |name, trust, command: &'static str, flags: &'static str, text| {
        Client::of_steps(name, trust, format!("{command} --version"), move |place| {
            let command = program(command);
            format!("{} {flags} {}", command.display(), written(place, "client", text))
        })
    };
    vec![
        script(
            "chromium",
            Trust::System("a policy of the machine"),
            "chromium --version",
            include_str!("clients/chromium.sh"),
            "",
        ),
        script("curl, HTTP/1.1", bundle, "curl --version", curl, "--http1.1"),
        script("curl, HTTP/2", bundle, "curl --version", curl, "--http2"),
        script("wget", bundle, "wget --version", include_str!("clients/wget.sh"), ""),
        script(
            "openssl s_client",
            openssl,
            "openssl version",
            include_str!("clients/openssl.sh"),
            "",
        ),
        language("ruby net/http", openssl, "ruby", "", include_str!("clients/client.rb")),
        language("php streams", openssl, "php", "", include_str!("clients/stream.php")),
        // Which extensions are loaded stands in `/etc/php`, which a session does not see.
        language("php curl", bundle, "php", "-d extension=curl", include_str!("clients/curl.php")),
    ]
}
