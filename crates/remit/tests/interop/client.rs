//! One client: how it is run, and what is asked of it.

use std::collections::BTreeSet;

use libtest_mimic::{Failed, Trial};
use remit_testkit::{Finished, trail};
use serde_json::Value;

use super::{
    place::{BODY, Place, UNLISTED, VENDOR},
    table::{Row, Table},
};

/// How a client comes to trust the session's authority.
#[derive(Clone, Copy)]
pub enum Trust {
    /// By what the system trusts: it needs no variable.
    System(&'static str),
    /// By this variable; without it, it does not.
    Variable(&'static str),
}

/// What a client's script prints, one line each with these labels; `-` where it has no such thing.
const STEPS: [&str; 4] = ["get", "post", "refused", "unlisted"];

pub struct Client {
    pub name: &'static str,
    pub trust: Trust,
    make: Box<dyn Fn() -> Made + Send>,
}

/// A client ready to run.
pub struct Made {
    pub place: Place,
    /// Prints the version.
    pub version: String,
    /// Prints the labelled lines for all steps.
    pub script: String,
    /// Prints whether a permitted GET works, as `200 …`; run with a bare environment.
    pub bare: String,
    /// What the first step prints where it works, and the table's words for that.
    pub get: (&'static str, &'static str),
}

/// As most clients print it.
pub const GET_WORKS: (&str, &str) = ("200 the models", "works");

impl Client {
    pub fn new(name: &'static str, trust: Trust, make: impl Fn() -> Made + Send + 'static) -> Self {
        Self { name, trust, make: Box::new(make) }
    }

    /// A program that takes steps (`get:URL`, `post:URL`) as words and prints a line for each.
    pub fn of_steps(
        name: &'static str,
        trust: Trust,
        version: impl Into<String>,
        make: impl Fn(&Place) -> String + Send + 'static,
    ) -> Self {
        let version = version.into();
        Self::new(name, trust, move || {
            let place = Place::new(name);
            let command = make(&place);
            let get = format!("get:https://{VENDOR}/v1/models");
            let steps = format!(
                "{get} post:https://{VENDOR}/v1/messages get:https://{VENDOR}/admin \
                 get:https://{UNLISTED}/v1/models"
            );
            Made {
                place,
                version: version.clone(),
                script: format!(
                    "{command} {steps} | for label in {}; do read -r line; echo \"$label: $line\"; \
                     done",
                    STEPS.join(" ")
                ),
                bare: format!("{command} {get}"),
                get: GET_WORKS,
            }
        })
    }

    pub fn trial(self, table: &Table) -> Trial {
        let table = table.clone();
        let name = format!("interop_{}", self.name.replace([' ', ',', '/'], "_"));
        Trial::test(name, move || self.run(&table))
    }

    fn run(self, table: &Table) -> Result<(), Failed> {
        let made = (self.make)();
        let done = made.place.session().shell(&script(&made, self.trust));
        let said = |label: &str| -> Option<&str> {
            done.stdout.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": "))
        };
        let events = trail::events(&made.place.area.remit_home());
        check_trust(self.trust, said("bare"), said("only"), &done);
        let get = said("get").unwrap_or_default();
        assert!(get.starts_with(made.get.0), "get: {get:?}\n{done}");
        let post = said("post").unwrap_or_default();
        let sent = post == "-" || (post.starts_with("200") && post.contains(BODY));
        assert!(sent, "post: {post:?}\n{done}");
        trail::must_have(&events, "http_request", "denied", VENDOR);
        trail::must_have(&events, "resolve_name", "denied", UNLISTED);
        let unlisted = said("unlisted").unwrap_or_default();
        assert!(unlisted.starts_with("failed"), "unlisted: {unlisted:?}\n{done}");
        let row = Row {
            client: self.name.into(),
            version: Row::number(said("version").unwrap_or_default()),
            protocol: protocols(&events),
            trust: self.trust.text(),
            get: made.get.1.into(),
            post: if post == "-" { "–" } else { "works" }.into(),
            refused: refusal(said("refused").unwrap_or_default(), &done),
        };
        // Nothing beyond the permitted part ever reached the vendor.
        for line in made.place.origin.seen_lines() {
            let beyond = [UNLISTED, " /admin", " /refused"].iter().any(|part| line.contains(part));
            assert!(!beyond && line.contains(VENDOR), "{line}\n{done}");
        }
        table.take(row).map_err(|text| format!("{text}\n{done}").into())
    }
}

impl Trust {
    fn text(self) -> String {
        match self {
            Self::System(what) => what.into(),
            Self::Variable(name) => format!("`{name}`"),
        }
    }
}

/// All steps in one session: with what Remit sets, with nothing set, with one variable set.
fn script(made: &Made, trust: Trust) -> String {
    let Made { version, script, bare, .. } = made;
    let bare = bare.replace('\'', "'\\''");
    let clean = "env -i PATH=\"$PATH\" HOME=\"$HOME\" LANG=C.UTF-8";
    let only = match trust {
        Trust::Variable(name) => {
            format!("{clean} {name}=\"${name}\" sh -c '{bare}' | sed 's/^/only: /'")
        }
        _ => String::new(),
    };
    format!(
        "{{ {version}; }} 2>&1 | head -n 1 | sed 's/^/version: /'\n\
         {script}\n\
         {clean} sh -c '{bare}' | sed 's/^/bare: /'\n{only}"
    )
}

#[track_caller]
fn check_trust(trust: Trust, bare: Option<&str>, only: Option<&str>, done: &Finished) {
    let works = |line: Option<&str>| line.is_some_and(|line| line.starts_with("200"));
    match trust {
        Trust::System(_) => assert!(works(bare), "needs a variable after all: {bare:?}\n{done}"),
        Trust::Variable(name) => {
            assert!(!works(bare), "works without {name}\n{done}");
            assert!(works(only), "{name} is not enough: {only:?}\n{done}");
        }
    }
}

/// The versions of HTTP that were spoken with Remit; a request in the trail at port 443 was
/// intercepted.
fn protocols(events: &[Value]) -> String {
    let spoken: BTreeSet<&str> = trail::matching(events, "http_request", "allowed", VENDOR)
        .into_iter()
        .map(|event| event["detail"].as_str().unwrap_or("not said"))
        .collect();
    spoken.into_iter().collect::<Vec<_>>().join(", ").replace("/2.0", "/2")
}

#[track_caller]
fn refusal(line: &str, done: &Finished) -> String {
    if line.starts_with("failed") {
        // The standard's WebSocket says no more (WHATWG WebSockets, 4).
        return "fails".into();
    }
    assert!(line.contains("403"), "refused: {line:?}\n{done}");
    if line.contains("path_not_listed") || line.contains("not listed") {
        "403 and the reason".into()
    } else {
        "403".into()
    }
}
