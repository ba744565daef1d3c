//! Python: its own library, and packages that bring roots of their own (certifi).

use remit_testkit::pip_clients;

use super::{
    client::{Client, Trust},
    place::Place,
    shell::written,
};

pub fn python() -> String {
    pip_clients().join("bin/python").display().to_string()
}

pub fn clients() -> Vec<Client> {
    let script = |name, trust, package: &'static str, text: &'static str, first: &'static str| {
        let version = format!(
            "{} -c 'import importlib.metadata as m; print(m.version(\"{package}\"))'",
            python()
        );
        Client::of_steps(name, trust, version, move |place: &Place| {
            format!("{} {} {first}", python(), written(place, "client.py", text))
        })
    };
    let system = Trust::System("OpenSSL's default file");
    let httpx = include_str!("clients/httpx.py");
    vec![
        Client::of_steps("python urllib", system, format!("{} --version", python()), |place| {
            format!(
                "{} {}",
                python(),
                written(place, "client.py", include_str!("clients/urllib.py"))
            )
        }),
        script(
            "python requests",
            Trust::Variable("REQUESTS_CA_BUNDLE"),
            "requests",
            include_str!("clients/requests.py"),
            "",
        ),
        script("python httpx, HTTP/1.1", Trust::Variable("SSL_CERT_FILE"), "httpx", httpx, "1"),
        script("python httpx, HTTP/2", Trust::Variable("SSL_CERT_FILE"), "httpx", httpx, "2"),
        script("python aiohttp", system, "aiohttp", include_str!("clients/aiohttp.py"), ""),
        script(
            "python httplib2",
            Trust::Variable("HTTPLIB2_CA_CERTS"),
            "httplib2",
            include_str!("clients/httplib2.py"),
            "",
        ),
    ]
}
