//! A name and its value, in data, code, command lines and prose.

use std::ops::Range;

use super::{classify, names};
use crate::{
    context::{Role, Word},
    found::{Class, Hit},
    text::{before, byte, part, run, says},
};

/// Values are at most so long.
const LONGEST: usize = 2048;

/// How a value stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) range: Range<usize>,
    pub(crate) style: Style,
}

/// What surrounds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Between quotes.
    Quoted,
    /// Bare, right after a separator: `KEY=value`, `password: value`.
    Config,
    /// Bare, after `=` between blanks: code or a configuration file.
    Code,
    /// After a name on a command line.
    Argument,
    /// Quoted, as the next one after a quoted name in a list.
    Listed,
    /// In a sentence.
    Prose,
}

/// The secret that a word of this role announces.
pub(crate) fn at(text: &[u8], word: Word) -> Option<Hit> {
    let whole = names::around(text, word.start..word.end);
    let value = value(text, whole, word.role)?;
    let name = names::name(text, word.start..word.end, word.role)?;
    if is_verb(text, word, &name.range, &value) {
        return None;
    }
    let (value, class) = scheme(text, value, word.role)?;
    let percent = classify::judge(text, &name, &value)?;
    let kind = match class {
        Class::Password => "password",
        Class::Bearer => "header",
        _ => "named",
    };
    Some(Hit::new(value.range, class, percent, kind))
}

/// `pass` in a sentence, or as a function's name: to hand over, a turn, to succeed.
fn is_verb(text: &[u8], word: Word, name: &Range<usize>, value: &Value) -> bool {
    let alone = name.start == word.start
        && name.end == word.end
        && part(text, name.clone()).eq_ignore_ascii_case(b"pass");
    let sentence = matches!(before(text, name.start), b' ' | b'.')
        && before(text, name.start - 1).is_ascii_alphanumeric();
    let called = byte(text, name.end) == b'(';
    alone
        && (called
            || sentence && byte(text, name.end) != b'='
            || matches!(value.style, Style::Prose | Style::Argument | Style::Listed))
}

/// The value after the name.
pub(crate) fn value(text: &[u8], name: Range<usize>, role: Role) -> Option<Value> {
    let closed = run(text, name.end, 5, |byte| {
        matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'*')
    });
    let quoted_name = closed > name.end && matches!(before(text, closed), b'"' | b'\'' | b'`');
    let at = run(text, closed, 24, |byte| matches!(byte, b' ' | b'\t'));
    let blank = at > closed;
    if let Some(at) = separate_value(text, closed) {
        return literal(text, at, Style::Config);
    }
    match byte(text, at) {
        b':' if byte(text, at + 1) == b':' => None,
        b':' if byte(text, at + 1) == b'=' => literal(text, at + 2, Style::Code),
        b':' => typed(text, at + 1).or_else(|| literal(text, at + 1, Style::Config)),
        b'=' => {
            let end = run(text, at, 3, |byte| matches!(byte, b'=' | b'>' | b'~'));
            let style = if blank { Style::Code } else { Style::Config };
            literal(text, end, style)
        }
        b'!' if byte(text, at + 1) == b'=' => literal(text, at + 2, Style::Code),
        b'>' if !blank => {
            literal(text, at + 1, Style::Config).filter(|value| byte(text, value.range.end) == b'<')
        }
        b'(' if matches!(byte(text, at + 1), b'"' | b'\'' | b'`') => {
            literal(text, at + 1, Style::Code)
        }
        b'-' if byte(text, at + 1) == b'>' => literal(text, at + 2, Style::Code),
        b',' if quoted_name => {
            let next = run(text, at + 1, 4, |byte| byte == b' ');
            matches!(byte(text, next), b'"' | b'\'' | b'`')
                .then(|| literal(text, next, Style::Code))?
                .map(|value| Value { style: Style::Listed, ..value })
        }
        b'|' => pair_of_cells(text, &name, at),
        // A full-width colon.
        0xef if part(text, at..at + 3) == "：".as_bytes() => literal(text, at + 3, Style::Prose),
        // `const password string = "…"`.
        _ if blank && go_type(text, at).is_some() => literal(text, go_type(text, at)?, Style::Code),
        _ if blank && matches!(byte(text, at), b'"' | b'\'') => literal(text, at, Style::Argument),
        _ => flag(text, &name, at, blank).or_else(|| prose(text, at, role)),
    }
}

/// `| password | value |`: a row of two cells, the first of which is the name.
fn pair_of_cells(text: &[u8], name: &Range<usize>, at: usize) -> Option<Value> {
    let line = crate::text::line(text, name.start);
    let front = part(text, line.start..name.start)
        .iter()
        .all(|byte| matches!(byte, b'|' | b' ' | b'*' | b'`'));
    let value = literal(text, at + 1, Style::Config)?;
    let rest = part(text, value.range.end..line.end);
    (front && rest.iter().all(|byte| matches!(byte, b'|' | b' ' | b'`' | b'*' | b'\r')))
        .then_some(value)
}

/// `"name": "PASSWORD", "value": "…"`, `<add key="Password" value="…"/>`, `- name: X\n  value: …`.
fn separate_value(text: &[u8], at: usize) -> Option<usize> {
    let gap = run(text, at, 40, |byte| {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'"' | b'\\' | b'n')
    });
    if gap == at || !says(text, gap, b"value") {
        return None;
    }
    let end = run(text, gap + 5, 6, |byte| matches!(byte, b'"' | b'\\' | b' '));
    matches!(byte(text, end), b':' | b'=').then_some(end + 1)
}

/// `: String = "…"`: past the type.
fn typed(text: &[u8], at: usize) -> Option<Value> {
    let start = run(text, at, 4, |byte| byte == b' ');
    let class = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'&' | b'_' | b'<' | b'>' | b'[' | b']' | b'?' | b'.' | b'*' | b'\'' | b'|' | b' '
            )
    };
    let end = run(text, start, 40, class);
    let equals = byte(text, end) == b'=' && end > start && before(text, end) == b' ';
    equals.then(|| literal(text, end + 1, Style::Code))?
}

/// ` string = `: where the value starts.
fn go_type(text: &[u8], at: usize) -> Option<usize> {
    let end = ["string", "str", "&str", "String", "[]byte", "char*"]
        .iter()
        .find_map(|word| says(text, at, word.as_bytes()).then_some(at + word.len()))?;
    let end = run(text, end, 4, |byte| byte == b' ');
    (byte(text, end) == b'=').then_some(end + 1)
}

/// `--password value`, `machine … password value`.
fn flag(text: &[u8], name: &Range<usize>, at: usize, blank: bool) -> Option<Value> {
    let dashes = part(text, name.start..name.end).starts_with(b"--")
        || part(text, name.start.saturating_sub(2)..name.start) == b"--";
    let line = crate::text::line(text, name.start);
    let front = part(text, line.start..name.start);
    let netrc = crate::text::mentions(front, b"login ")
        || front.trim_ascii().is_empty() && part(text, name.clone()) == b"password";
    let sql = crate::text::mentions(part(text, name.clone()), b"identified")
        && matches!(byte(text, at), b'\'' | b'"');
    if !blank || !(dashes || netrc || sql) || byte(text, at) == b'-' {
        return None;
    }
    let value = literal(text, at, Style::Argument)?;
    // The rest of a line that is one pair, not a sentence.
    let rest = part(text, value.range.end..line.end);
    (dashes || sql || netrc && rest.trim_ascii().len() < 24).then_some(value)
}

/// `the password is …`, `Passwort lautet …`, `contraseña es …`.
fn prose(text: &[u8], at: usize, role: Role) -> Option<Value> {
    if !matches!(role, Role::Password | Role::Pin | Role::Secret) {
        return None;
    }
    const VERBS: [&str; 21] = [
        "is now ",
        "is set to ",
        "was set to ",
        "set to ",
        "changed to ",
        "is ",
        "was ",
        "to ",
        "lautet ",
        "ist ",
        "est ",
        "es ",
        "é ",
        "è ",
        "jest ",
        "är ",
        "er ",
        "— ",
        "- ",
        "は",
        "是",
    ];
    let mut place = at;
    // `for the staging box is …`: a few words may come between.
    for _ in 0..6 {
        let first = byte(text, place).to_ascii_lowercase();
        let verb = VERBS.iter().find(|verb| {
            verb.as_bytes().first() == Some(&first) && says(text, place, verb.as_bytes())
        });
        if let Some(verb) = verb {
            let start = place + verb.len();
            let colon = usize::from(byte(text, start) == b':');
            return literal(text, start + colon, Style::Prose).map(prosaic);
        }
        let end = run(text, place, 24, |byte| {
            crate::text::is_word(byte) || matches!(byte, b'.' | b'-' | b'_' | b'\'' | b'(' | b')')
        });
        if byte(text, end) == b':' && byte(text, end + 1) != b':' && end > place {
            return literal(text, end + 1, Style::Prose).map(prosaic);
        }
        if end == place || byte(text, end) != b' ' {
            return None;
        }
        place = end + 1;
    }
    None
}

/// Quotes in a sentence are no proof of a literal.
fn prosaic(value: Value) -> Value {
    Value { style: Style::Prose, ..value }
}

/// The literal at or after `at`.
fn literal(text: &[u8], at: usize, style: Style) -> Option<Value> {
    let mut start = run(text, at, 40, |byte| matches!(byte, b' ' | b'\t'));
    // `[]byte("…")`, `String("…")`, `b"…"`: the literal inside.
    let call = [
        "[]byte(",
        "String(",
        "string(",
        "str(",
        "bytes(",
        "SecretStr(",
        "Secret(",
        "Buffer.from(",
        "new String(",
        "b",
        "r",
        "u",
        "f",
        "@",
    ]
    .iter()
    .find(|call| {
        part(text, start..start + call.len()) == call.as_bytes()
            && matches!(byte(text, start + call.len()), b'"' | b'\'' | b'`')
    });
    start += call.map_or(0, |call| call.len());
    if matches!(byte(text, start), b'*' | b'_') && style == Style::Prose {
        start = run(text, start, 3, |byte| matches!(byte, b'*' | b'_'));
    }
    let escaped = run(text, start, 3, |byte| byte == b'\\');
    let quote = byte(text, escaped);
    if matches!(quote, b'"' | b'\'' | b'`') && (escaped == start || quote != b'`') {
        // The same number of backslashes stands before the closing one.
        return quoted(text, escaped + 1, quote, escaped - start);
    }
    if part(text, start..start + 3) == "“".as_bytes()
        || part(text, start..start + 3) == "„".as_bytes()
    {
        let end = run(text, start + 3, 128, |byte| byte != 0xe2 && byte != b'\n');
        return Some(Value { range: start + 3..end, style: Style::Quoted });
    }
    bare(text, start, style)
}

fn quoted(text: &[u8], start: usize, quote: u8, depth: usize) -> Option<Value> {
    // Three quotes open a block of text.
    let mut at = start;
    while at < text.len().min(start + LONGEST) {
        let here = byte(text, at);
        if here == b'\n' {
            return None;
        }
        if here == b'\\' {
            let end = run(text, at, 8, |byte| byte == b'\\');
            if byte(text, end) == quote && end - at <= depth {
                return Some(Value { range: start..at, style: Style::Quoted });
            }
            at = end + 1;
            continue;
        }
        if here == quote {
            return Some(Value { range: start..at, style: Style::Quoted });
        }
        at += 1;
    }
    None
}

fn bare(text: &[u8], start: usize, style: Style) -> Option<Value> {
    let stop = |byte: u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'|' | b'\\')
    };
    let mut end = run(text, start, LONGEST, |byte| !stop(byte));
    let value = part(text, start..end);
    // What ends a value in the notation around it.
    let cut = value.iter().enumerate().position(|(at, byte)| match byte {
        b',' | b';' => true,
        b'}' | b')' | b']' => !value.get(..at).unwrap_or_default().contains(&opening(*byte)),
        b'&' => {
            style == Style::Config
                && at > 0
                && value.get(at + 1..).is_some_and(|rest| rest.contains(&b'='))
        }
        b'#' => false,
        _ => false,
    });
    end = cut.map_or(end, |cut| start + cut);
    // A sentence's end.
    while end > start && matches!(before(text, end), b'.' | b',' | b':' | b'?')
        || end > start && style == Style::Prose && matches!(before(text, end), b'*' | b'_')
    {
        end -= 1;
    }
    (start < end).then_some(Value { range: start..end, style })
}

const fn opening(close: u8) -> u8 {
    match close {
        b'}' => b'{',
        b')' => b'(',
        _ => b'[',
    }
}

/// Past the scheme of an `Authorization` header, and what class the value has.
fn scheme(text: &[u8], value: Value, role: Role) -> Option<(Value, Class)> {
    let class = match role {
        Role::Password | Role::Pin => Class::Password,
        _ => Class::ApiKey,
    };
    let content = part(text, value.range.clone());
    const SCHEMES: [&str; 9] =
        ["bearer ", "basic ", "token ", "apikey ", "api-key ", "key ", "ssws ", "bot ", "splunk "];
    if let Some(scheme) = SCHEMES.iter().find(|scheme| says(content, 0, scheme.as_bytes())) {
        // Bearer and Basic have recognisers of their own.
        if matches!(*scheme, "bearer " | "basic ") {
            return None;
        }
        let start = value.range.start + scheme.len();
        return Some((Value { range: start..value.range.end, ..value }, Class::Bearer));
    }
    Some((value, class))
}
