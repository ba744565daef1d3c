//! Tools that speak HTTP on the way to something else.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use remit_testkit::{Area, Reply, Seen, Site, pip_clients, program, run_bounded};

use super::{
    client::{Client, GET_WORKS, Made, Trust},
    compiled,
    place::{BODY, MODELS, Place, UNLISTED, VENDOR},
    python::python,
    shell::written,
};

const LIMIT: Duration = Duration::from_secs(60);

pub fn clients() -> Vec<Client> {
    let bundle = Trust::System("the system's bundle");
    vec![
        Client::new("git over https", bundle, git),
        Client::new("cargo", bundle, cargo),
        Client::new("pip", Trust::System("OpenSSL's default file"), pip),
        Client::new("uv", Trust::Variable("SSL_CERT_FILE"), uv),
        Client::new("npm", Trust::Variable("NODE_EXTRA_CA_CERTS"), npm),
        Client::new("aws", Trust::Variable("AWS_CA_BUNDLE"), aws),
        Client::new("gh", bundle, gh),
        Client::of_steps(
            "python grpcio",
            Trust::Variable("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
            format!(
                "{} -c 'import importlib.metadata as m; print(m.version(\"grpcio\"))'",
                python()
            ),
            |place| {
                let text = include_str!("clients/grpc.py");
                format!("{} {}", python(), written(place, "client.py", text))
            },
        ),
    ]
}

/// Lines for the four steps: commands whose success and output make them. A refusal's own words
/// are shown on one line.
struct Steps<'a> {
    /// Prints what the vendor has.
    get: &'a str,
    /// Sends something; empty for tools that do not.
    post: &'a str,
    /// Runs into the refused path.
    refused: &'a str,
    /// Looks for the host that is not listed.
    unlisted: &'a str,
}

impl Steps<'_> {
    fn script(&self) -> String {
        let Self { get, post, refused, unlisted } = self;
        let post = match *post {
            "" => "echo 'post: -'".to_owned(),
            post => format!("({post}) && echo 'post: 200 {BODY}' || echo 'post: failed'"),
        };
        format!(
            "got=$({get}) && echo \"get: 200 $got\" || echo 'get: failed'\n{post}\n\
             said=$( ({refused}) 2>&1 ) && echo 'refused: nothing' \
             || echo \"refused: $(echo \"$said\" | tr '\\n' ' ')\"\n\
             ({unlisted}) > /dev/null 2>&1 && echo 'unlisted: found' || echo 'unlisted: failed'"
        )
    }
}

fn made(place: Place, version: impl Into<String>, steps: &Steps<'_>, bare: String) -> Made {
    let script = steps.script();
    Made { place, version: version.into(), script, bare, get: GET_WORKS }
}

/// Clones and pushes over the smart protocol, whose requests have bodies.
fn git() -> Made {
    let place = Place::serving("git", |area| {
        let served = area.path().join("served");
        repository(&served);
        Site::Function(Arc::new(move |seen| backend(&served, seen)))
    });
    let steps = Steps {
        get: &format!("git clone -q https://{VENDOR}/v1/project.git p && cat p/file"),
        post: &format!(
            "cd p && git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m '{BODY}' \
             && git push -q origin HEAD:refs/heads/pushed \
             && git ls-remote https://{VENDOR}/v1/project.git | grep -q pushed"
        ),
        refused: &format!("git ls-remote https://{VENDOR}/admin/project.git"),
        unlisted: &format!("git ls-remote https://{UNLISTED}/v1/project.git"),
    };
    let bare = format!("git ls-remote https://{VENDOR}/v1/project.git > /dev/null && echo 200");
    made(place, "git --version", &steps, bare)
}

fn repository(served: &std::path::Path) {
    let script = format!(
        "set -e; git init -q -b main source; echo '{MODELS}' > source/file; git -C source add .\n\
         git -C source -c user.name=a -c user.email=a@b.example commit -q -m first\n\
         mkdir v1; git clone -q --bare source v1/project.git\n\
         git -C v1/project.git config http.receivepack true"
    );
    fs::create_dir(served).unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(served).env("HOME", served).args(["-c", &script]);
    run_bounded(&mut shell, LIMIT).must_succeed();
}

/// git-http-backend(1), by the rules of CGI (RFC 3875).
fn backend(served: &std::path::Path, seen: &Seen) -> Reply {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let header = |name: &str| {
        seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", served)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("HOME", served)
        .env("REQUEST_METHOD", seen.method.as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", seen.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&seen.body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let split = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
    let (head, body) = output.split_at(split);
    let mut reply = Reply::ok(body.get(4..).unwrap_or_default().to_vec());
    for line in String::from_utf8_lossy(head).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                reply.status = status[..3].parse().unwrap_or(StatusCode::BAD_GATEWAY);
            }
            Some(("Content-Type", kind)) => reply.headers.push(("content-type", kind.into())),
            _ => {}
        }
    }
    reply
}

/// One package in the forms of three registries, and a yes to whatever is sent.
fn registries(area: &Area) -> Site {
    let folder = area.path().join("registries/v1");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", include_str!("clients/registries.py")]).arg(&folder);
    python.args([&format!("https://{VENDOR}/v1"), MODELS]);
    run_bounded(&mut python, LIMIT).must_succeed();
    Site::Function(Arc::new(move |seen| registry(&folder, seen)))
}

fn registry(folder: &std::path::Path, seen: &Seen) -> Reply {
    if !["GET", "HEAD"].contains(&seen.method.as_str()) {
        // What npm asks there is what speaks against its packages.
        let asked = seen.path.ends_with("/security/advisories/bulk");
        let said = if asked { "{}" } else { r#"{"ok": true, "msg": "done", "success": true}"# };
        let headers = vec![("content-type", "application/json".to_owned())];
        return Reply { headers, ..Reply::ok(said) };
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    let mut file: PathBuf = folder.join(path.strip_prefix("/v1/").unwrap_or("nothing"));
    let mut headers = Vec::new();
    if file.is_dir() {
        file.push("index.html");
        headers.push(("content-type", "text/html".to_owned()));
    }
    match fs::read(file) {
        Ok(bytes) => Reply { headers, ..Reply::ok(bytes) },
        Err(_) => Reply { status: StatusCode::NOT_FOUND, ..Reply::ok("not found") },
    }
}

fn cargo() -> Made {
    let toolchain = compiled::toolchain();
    let place = Place::serving("cargo", registries)
        .with(|manifest| manifest.read(&toolchain).execute(&toolchain));
    let mut settings = "[net]\nretry = 0\n".to_owned();
    for (name, index) in [
        ("vendor", format!("{VENDOR}/v1")),
        ("refused", format!("{VENDOR}/admin")),
        ("unlisted", format!("{UNLISTED}/v1")),
    ] {
        settings.push_str(&format!(
            "[registries.{name}]\nindex = \"sparse+https://{index}/index/\"\ntoken = \"none\"\n"
        ));
    }
    settings.push_str("[registry]\nglobal-credential-providers = [\"cargo:token\"]\n");
    place.area.write("work/.cargo/config.toml", settings);
    for name in ["vendor", "refused", "unlisted"] {
        place.area.write(
            format!("work/{name}/Cargo.toml"),
            format!(
                "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n\
                 models = {{ version = \"1\", registry = \"{name}\" }}\n[workspace]\n"
            ),
        );
        place.area.write(format!("work/{name}/src/lib.rs"), "");
    }
    let bin = toolchain.join("bin");
    let fetch = |name: &str| format!("cd {name} && cargo fetch -q");
    let steps = Steps {
        get: &format!(
            "export PATH={}:$PATH; {} && sed 's/.*\"\\(.*\\)\".*/\\1/' \
             ~/.cargo/registry/src/*/models-1.0.0/src/lib.rs",
            bin.display(),
            fetch("vendor")
        ),
        post: &format!(
            "export PATH={}:$PATH; cargo owner -q --add someone --registry vendor models",
            bin.display()
        ),
        refused: &format!("export PATH={}:$PATH; {}", bin.display(), fetch("refused")),
        unlisted: &format!("export PATH={}:$PATH; {}", bin.display(), fetch("unlisted")),
    };
    let bare = format!(
        "export PATH={}:$PATH CARGO_HOME=/tmp/fresh; {} && echo 200",
        bin.display(),
        fetch("vendor")
    );
    made(place, format!("{}/cargo --version", bin.display()), &steps, bare)
}

fn pip() -> Made {
    let place = Place::serving("pip", registries);
    let download = |index: &str| {
        format!(
            "{} -m pip download --retries 0 --disable-pip-version-check --no-cache-dir --no-deps \
             -d out --index-url https://{index}/simple/ models",
            python()
        )
    };
    let steps = Steps {
        get: &format!(
            "{} > /dev/null && PYTHONPATH=out/models-1.0-py3-none-any.whl {} -c 'import models; \
             print(models.TEXT)'",
            download(&format!("{VENDOR}/v1")),
            python()
        ),
        post: "",
        // Why it found nothing it says only when asked.
        refused: &format!("{} -vv", download(&format!("{VENDOR}/admin"))),
        unlisted: &download(&format!("{UNLISTED}/v1")),
    };
    let bare = format!(
        "{} > /dev/null && echo 200",
        download(&format!("{VENDOR}/v1")).replace("out", "bare")
    );
    made(place, format!("{} -m pip --version", python()), &steps, bare)
}

fn uv() -> Made {
    let place = Place::serving("uv", registries);
    let uv = pip_clients().join("bin/uv");
    let install = |index: &str| {
        format!(
            "{} pip install -q --no-cache --python {} --target out --no-deps \
             --default-index https://{index}/simple/ --reinstall models",
            uv.display(),
            python()
        )
    };
    let steps = Steps {
        get: &format!(
            "{} && PYTHONPATH=out {} -c 'import models; print(models.TEXT)'",
            install(&format!("{VENDOR}/v1")),
            python()
        ),
        post: "",
        refused: &install(&format!("{VENDOR}/admin")),
        unlisted: &install(&format!("{UNLISTED}/v1")),
    };
    let bare = format!("{} && echo 200", install(&format!("{VENDOR}/v1")));
    made(place, format!("{} --version", uv.display()), &steps, bare)
}

fn npm() -> Made {
    let place = Place::serving("npm", registries);
    place.area.write("work/own/package.json", r#"{"name": "own", "version": "1.0.0"}"#);
    place.area.write("work/package.json", r#"{"private": true}"#);
    place
        .area
        .write("work/.npmrc", format!("//{VENDOR}/v1/npm/:_authToken=none\nfetch-retries=0\n"));
    place.area.write("work/own/.npmrc", format!("//{VENDOR}/v1/npm/:_authToken=none\n"));
    // The machine's settings may name a bundle.
    let npm = format!("{} --globalconfig /dev/null", program("npm").display());
    let install =
        |index: &str| format!("{} install --no-fund --registry https://{index}/npm/ models", npm);
    let steps = Steps {
        get: &format!(
            "{} > /dev/null && node -p 'require(\"models\")'",
            install(&format!("{VENDOR}/v1"))
        ),
        post: &format!(
            "cd own && {} publish --silent --registry https://{VENDOR}/v1/npm/ > /dev/null",
            npm
        ),
        refused: &format!("{} view --registry https://{VENDOR}/admin/npm/ models", npm),
        unlisted: &format!("{} view --registry https://{UNLISTED}/v1/npm/ models", npm),
    };
    let bare = format!(
        "{} view --cache /tmp/fresh --registry https://{VENDOR}/v1/npm/ models version > /dev/null && echo 200",
        npm
    );
    made(place, format!("{} --version", npm), &steps, bare)
}

/// S3: uploads wait for `100 Continue` and end with a checksum in a trailer.
fn aws() -> Made {
    let place = Place::new("aws");
    place.area.write(
        "work/config",
        "[default]\nregion = eu-central-1\ns3 =\n  addressing_style = path\n",
    );
    place.area.write("work/upload", BODY);
    let aws = format!(
        "env AWS_CONFIG_FILE={}/config AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_MAX_ATTEMPTS=1 \
         AWS_EC2_METADATA_DISABLED=true {} -m awscli",
        place.area.work().display(),
        python()
    );
    let get = |host: &str, key: &str| {
        format!(
            "{aws} s3api get-object --endpoint-url https://{host} --bucket {key} out > /dev/null && cat out"
        )
    };
    let steps = Steps {
        get: &get(VENDOR, "v1 --key models"),
        post: &format!(
            "{aws} s3api put-object --endpoint-url https://{VENDOR} --bucket v1 --key upload \
             --body upload > /dev/null"
        ),
        refused: &get(VENDOR, "admin --key models"),
        unlisted: &get(UNLISTED, "v1 --key models"),
    };
    let bare = format!("{} > /dev/null && echo 200", get(VENDOR, "v1 --key models"));
    made(place, format!("{} -m awscli --version", python()), &steps, bare)
}

fn gh() -> Made {
    let place = Place::new("gh");
    let gh = |host: &str, rest: &str| {
        format!("env GH_HOST={host} GH_ENTERPRISE_TOKEN=none GH_NO_UPDATE_NOTIFIER=1 gh api {rest}")
    };
    let models = format!("https://{VENDOR}/v1/models");
    let steps = Steps {
        get: &gh(VENDOR, &models),
        post: &format!(
            "{} | grep -q '{BODY}'",
            gh(VENDOR, &format!("https://{VENDOR}/v1/messages -f 'text={BODY}'"))
        ),
        // Where the API of an own GitHub stands.
        refused: &gh(VENDOR, "repos/some/project"),
        unlisted: &gh(UNLISTED, "repos/some/project"),
    };
    let bare = format!("{} > /dev/null && echo 200", gh(VENDOR, &models));
    made(place, "gh --version", &steps, bare)
}
