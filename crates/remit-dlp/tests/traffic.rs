//! What agents send and read, with the values marked that are sensitive: `«CLASS:value»`.
//!
//! Every marked value must be found with its class (or one of its group for secrets), and no span
//! may be longer than four times the value; what is not marked must not be found. `~` inside a value
//! is dropped, so that no scanner takes these files for leaks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{fs, ops::Range, path::Path};

use remit_core::{DataClass, DataGroup};
use remit_dlp::{Found, Scanner};

struct Marked {
    text: String,
    spans: Vec<(Range<usize>, String)>,
}

fn read(source: &str) -> Marked {
    let mut marked = Marked { text: String::new(), spans: Vec::new() };
    let mut rest = source;
    while let Some((plain, tail)) = rest.split_once('«') {
        marked.text.push_str(plain);
        let (mark, tail) = tail.split_once('»').expect("a mark ends");
        let (class, value) = mark.split_once(':').expect("a mark has a class");
        let start = marked.text.len();
        marked.text.push_str(&value.replace('~', ""));
        marked.spans.push((start..marked.text.len(), class.to_owned()));
        rest = tail;
    }
    marked.text.push_str(rest);
    marked
}

fn is_same(found: &Found, class: &str) -> bool {
    let wanted = DataClass::parse(class).expect(class);
    found.class == wanted
        || found.class.group() == DataGroup::Secrets && wanted.group() == DataGroup::Secrets
}

fn check(name: &str, source: &str) -> Vec<String> {
    let marked = read(source);
    let found = Scanner::new().scan(marked.text.as_bytes());
    let mut problems = Vec::new();
    let overlaps = |left: &Range<usize>, right: &Range<usize>| {
        left.start < right.end && right.start < left.end
    };
    for (range, class) in &marked.spans {
        let hit = found.iter().any(|one| {
            overlaps(&one.range, range) && is_same(one, class) && one.range.len() <= 4 * range.len()
        });
        if !hit {
            problems.push(format!("{name}: missed {class} {:?}", &marked.text[range.clone()]));
        }
    }
    for one in &found {
        if !marked
            .spans
            .iter()
            .any(|(range, class)| overlaps(&one.range, range) && is_same(one, class))
        {
            let value =
                String::from_utf8_lossy(&marked.text.as_bytes()[one.range.clone()]).into_owned();
            problems.push(format!("{name}: false {} ({}) {value:?}", one.class.as_str(), one.kind));
        }
    }
    problems
}

#[test]
fn agent_traffic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traffic");
    let mut problems = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        problems.extend(check(&name, &fs::read_to_string(&path).expect("a text")));
        files += 1;
    }
    assert!(files >= 8, "{files}");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
