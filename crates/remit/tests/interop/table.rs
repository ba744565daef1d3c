//! `docs/reference/clients.md`: written from what the tests found, compared without versions.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use libtest_mimic::Trial;

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub client: String,
    pub version: String,
    pub protocol: String,
    pub trust: String,
    pub get: String,
    pub post: String,
    pub refused: String,
}

impl Row {
    /// The first number with a point in what a client says of its version.
    pub fn number(said: &str) -> String {
        let numeric = |c: char| c.is_ascii_digit() || c == '.';
        said.split(|c| !numeric(c))
            .find(|part| part.contains('.') && part.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or_default()
            .to_owned()
    }

    fn cells(&self) -> [&str; 7] {
        [
            &self.client,
            &self.version,
            &self.protocol,
            &self.trust,
            &self.get,
            &self.post,
            &self.refused,
        ]
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<String> = line.split(" | ").map(str::to_owned).collect();
        let [client, version, protocol, trust, get, post, refused] = cells.try_into().ok()?;
        Some(Self { client, version, protocol, trust, get, post, refused })
    }

    fn without_version(&self) -> Self {
        Self { version: String::new(), ..self.clone() }
    }
}

/// The committed table, and what this run finds.
#[derive(Clone)]
pub struct Table {
    committed: Arc<BTreeMap<String, Row>>,
    found: Arc<Mutex<Vec<Row>>>,
}

impl Table {
    pub fn committed() -> Self {
        let text = fs::read_to_string(path()).unwrap_or_default();
        let rows = text.lines().filter_map(Row::parse).map(|row| (row.client.clone(), row));
        Self { committed: Arc::new(rows.collect()), found: Arc::default() }
    }

    /// Takes a finding; an error where the committed one says otherwise.
    pub fn take(&self, row: Row) -> Result<(), String> {
        self.found.lock().unwrap().push(row.clone());
        let known = self.committed.get(&row.client).map(Row::without_version);
        if is_written() || known.as_ref() == Some(&row.without_version()) {
            return Ok(());
        }
        let shown = path();
        Err(format!(
            "{} says {known:#?}\nfound {row:#?}\n(REMIT_TEST_WRITE=1 writes the table anew)",
            shown.display()
        ))
    }

    /// The table has the tested clients and no others.
    pub fn trial_of_names(&self, tested: &[&str]) -> Trial {
        let mut committed: Vec<String> = self.committed.keys().cloned().collect();
        committed.retain(|name| name != "client" && !name.starts_with("--"));
        let mut tested: Vec<String> = tested.iter().map(|name| (*name).to_owned()).collect();
        tested.sort();
        Trial::test("interop_the_table_has_the_tested_clients", move || {
            if !is_written() {
                assert_eq!(committed, tested);
            }
            Ok(())
        })
    }

    /// Writes what was found; clients that did not run keep their rows.
    pub fn write_when_asked(&self) {
        if !is_written() {
            return;
        }
        let mut rows = (*self.committed).clone();
        rows.retain(|name, _| name != "client" && !name.starts_with("--"));
        for row in self.found.lock().unwrap().iter() {
            rows.insert(row.client.clone(), row.clone());
        }
        let mut text = HEAD.to_owned();
        for row in rows.values() {
            text.push_str(&format!("| {} |\n", row.cells().join(" | ")));
        }
        fs::write(path(), text).unwrap();
    }
}

fn is_written() -> bool {
    std::env::var_os("REMIT_TEST_WRITE").is_some()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/clients.md")
}

const HEAD: &str = "# Clients

Written by the test that ran them: `REMIT_TEST_WRITE=1 cargo test -p remit --test interop`. Each client
ran unmodified inside `remit run`, told of no proxy and no certificate, against a host with a path rule
whose TLS Remit intercepts. For every row: a host that is not listed was not found. *Finds trust by* says
what the client needed of what Remit gives every session: with nothing but that it worked, and where it is
a variable it did not work without. *Protocol* is what the client spoke with Remit, from the trail.
*Refused path* is what the client itself shows of the refusal.

| client | version | protocol | finds trust by | GET | POST or PUT | refused path |
|---|---|---|---|---|---|---|
";
