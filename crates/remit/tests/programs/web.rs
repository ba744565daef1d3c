//! Clients of the web, told of no proxy and of no certificate.

use libtest_mimic::Trial;
use remit_testkit::{Origin, Site};

use super::place::{Place, SERVER, WEB, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("programs_curl_over_both_versions_and_in_the_clear", curl),
        trial("programs_large_uploads_and_downloads", large),
        trial("programs_web_clients_of_languages", languages),
    ]
}

struct Servers {
    place: Place,
    _origins: [Origin; 2],
}

fn servers(name: &str) -> Servers {
    let place = Place::new(name).host(WEB, &[80, 443]);
    let tls = Origin::tls(&place.authority, &format!("{SERVER}:443"), &[WEB], Site::Builtin);
    let plain = Origin::plain(&format!("{SERVER}:80"), Site::Builtin);
    Servers { place, _origins: [tls, plain] }
}

fn curl() {
    let servers = servers("curl");
    servers.place.same(&format!(
        "for version in --http1.1 --http2; do\n\
           curl -sS $version https://{WEB}/ -w '%{{http_version}} %{{http_code}}\\n'\n\
           curl -sS $version https://{WEB}/echo -d 'a body' -H 'x-own: yes' | grep -c -e 'a body' -e x-own\n\
           curl -sS $version https://{WEB}/status/404 -o /dev/null -w '%{{http_code}}\\n'\n\
           curl -sS $version -I https://{WEB}/bytes/5 | grep -i content-length\n\
           curl -sSL $version https://{WEB}/redirect//bytes/3 -w '\\n'\n\
           curl -sSN $version https://{WEB}/sse | grep -c data\n\
           curl -sS $version https://{WEB}/bytes/1 https://{WEB}/bytes/2 -w '\\n%{{num_connects}}\\n'\n\
         done\n\
         curl -sS http://{WEB}/ -w '%{{http_code}}\\n'"
    ));
    servers.place.nothing_was_denied();
}

fn large() {
    let servers = servers("large");
    servers.place.same(&format!(
        "head -c 60000000 /dev/zero | tr '\\0' u > upload\n\
         for version in --http1.1 --http2; do\n\
           curl -sS $version https://{WEB}/bytes/60000000 | sha256sum\n\
           curl -sS $version -T upload https://{WEB}/echo -o /dev/null -w '%{{size_upload}} %{{http_code}}\\n'\n\
         done\n\
         rm upload"
    ));
}

fn languages() {
    let servers = servers("languages");
    servers.place.same(&format!(
        "/usr/bin/python3 -c '\
import urllib.request as r, http.client as h\n\
print(r.urlopen(\"https://{WEB}/bytes/3\").read(), r.urlopen(\"http://{WEB}/bytes/4\").read())\n\
c = h.HTTPSConnection(\"{WEB}\")\n\
for n in range(3):\n    c.request(\"POST\", \"/echo\", b\"x\" * n); print(c.getresponse().read().count(b\"x\") >= n)\n'\n\
         node -e '\
(async () => {{\n\
  const one = await fetch(\"https://{WEB}/echo\", {{ method: \"POST\", body: \"from node\" }});\n\
  console.log(one.status, (await one.json()).body);\n\
  await new Promise((done) => require(\"https\").get(\"https://{WEB}/bytes/2\", (r) => r.on(\"data\", (d) => console.log(String(d))).on(\"end\", done)));\n\
  const h2 = require(\"http2\").connect(\"https://{WEB}\");\n\
  const stream = h2.request({{ \":path\": \"/bytes/6\" }});\n\
  stream.on(\"data\", (d) => console.log(String(d))).on(\"end\", () => h2.close());\n\
}})()'"
    ));
    servers.place.nothing_was_denied();
}
