//! Tables: the header names the column's values.

use std::ops::Range;

use super::{Role, Word};
use crate::text::{byte, line, part};

/// A header has so many columns at most.
const COLUMNS: usize = 64;

/// The last header that was passed: what its columns hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// The line of the header.
    start: usize,
    end: usize,
    delimiter: u8,
    count: usize,
    /// Column and role.
    roles: Vec<(usize, Role)>,
    /// Lines before this were looked at.
    judged: usize,
}

impl Columns {
    /// Notes a word: perhaps its line is a header.
    pub(crate) fn note(&mut self, text: &[u8], word: Word) {
        if word.role == Role::Other {
            return;
        }
        if word.start >= self.end || word.start < self.start {
            if word.start < self.judged {
                return;
            }
            let line = line(text, word.start);
            self.judged = line.end.max(word.end);
            let Some((delimiter, count, header)) = header(text, line) else { return };
            if word.end > header.end {
                return;
            }
            *self = Self {
                start: header.start,
                end: header.end,
                delimiter,
                count,
                roles: Vec::new(),
                judged: self.judged,
            };
        }
        let column = count(part(text, self.start..word.start), self.delimiter);
        let cell = (column, word.role);
        if self.roles.len() < COLUMNS && !self.roles.contains(&cell) {
            self.roles.push(cell);
        }
    }

    /// What the header says about the value that starts at `at`.
    pub(crate) fn role(&self, text: &[u8], at: usize, roles: &[Role]) -> Option<Role> {
        if self.roles.is_empty() || at < self.end {
            return None;
        }
        let (start, whole) = self.row(text, at)?;
        // A cell between quotes may hold one more.
        if !(self.count..=self.count + 1).contains(&count(part(text, whole), self.delimiter)) {
            return None;
        }
        let column = count(part(text, start..at), self.delimiter);
        let found = self.roles.iter().find(|(at, role)| *at == column && roles.contains(role));
        found.map(|(_, role)| *role)
    }

    /// The row around `at`: where it starts, and all of it.
    fn row(&self, text: &[u8], at: usize) -> Option<(usize, Range<usize>)> {
        let line = line(text, at);
        let front = part(text, line.start..at);
        // A tuple of SQL, or the line.
        let tuple = memchr::memrchr(b'(', front).map(|found| line.start + found + 1);
        match tuple {
            Some(start) if self.delimiter == b',' => {
                let rest = part(text, at..line.end);
                let end = memchr::memchr(b')', rest).map_or(line.end, |found| at + found);
                Some((start, start..end))
            }
            _ => Some((line.start, line)),
        }
    }

    /// Moves every position back: the text lost its first `count` bytes.
    pub(crate) fn shift(&mut self, count: usize) {
        self.start = self.start.saturating_sub(count);
        self.end = self.end.saturating_sub(count);
        self.judged = self.judged.saturating_sub(count);
    }

    /// Columns of these roles and the delimiter, with where the rows start; once a header was
    /// noted.
    pub(crate) fn of(&self, role: Role) -> Option<(usize, u8)> {
        let found = self.roles.iter().find(|(_, column)| *column == role)?;
        Some((found.0, self.delimiter))
    }

    /// Where the header's line ends.
    pub(crate) const fn end(&self) -> usize {
        self.end
    }

    /// How many delimiters the header has.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

/// The delimiter, how often it stands there, and where the columns are, when a line is a header:
/// several names, nothing that looks like data.
fn header(text: &[u8], range: Range<usize>) -> Option<(u8, usize, Range<usize>)> {
    let whole = part(text, range.clone());
    let insert = crate::text::says(whole.trim_ascii_start(), 0, b"insert into");
    let (mut start, mut cells) = (range.start, whole);
    if insert {
        let open = memchr::memchr(b'(', whole)?;
        let close = memchr::memchr(b')', whole).unwrap_or(whole.len());
        start += open + 1;
        cells = whole.get(open + 1..close)?;
    } else if cells
        .iter()
        .any(|byte| matches!(byte, b':' | b'=' | b'{' | b'(' | b'[' | b'<' | b'&' | b'?'))
    {
        return None;
    }
    let delimiter =
        [b'\t', b'|', b',', b';'].into_iter().max_by_key(|delimiter| count(cells, *delimiter))?;
    let count = count(cells, delimiter);
    let names = cells.split(|byte| *byte == delimiter).all(is_name);
    // A list in a program is indented, or goes on.
    let listed = matches!(delimiter, b',' | b';')
        && !insert
        && (whole.first().is_some_and(u8::is_ascii_whitespace)
            || cells.trim_ascii_end().last() == Some(&delimiter));
    // One comma is a sentence's as well.
    let least = if delimiter == b',' && cells.contains(&b' ') { 2 } else { 1 };
    (count >= least && names && !listed).then(|| (delimiter, count, start..start + cells.len()))
}

/// A column's name: short, without numbers at its start, few words.
fn is_name(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    let words = cell.iter().filter(|byte| byte.is_ascii_whitespace()).count();
    let first = cell.iter().find(|byte| !matches!(byte, b'"' | b'\'' | b'`' | b'[')).copied();
    let quoted = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let marks = cell.iter().filter(|byte| matches!(**byte, b'"' | b'\'')).count();
    let closed = quoted(cell.first()) == quoted(cell.last())
        && marks % 2 == 0
        && marks <= 2
        && (marks == 0 || quoted(cell.first()));
    closed
        && cell.len() <= 40
        && words <= 4
        && !first.is_some_and(|byte| byte.is_ascii_digit() || byte == b'.')
        && byte(cell, cell.len().saturating_sub(1)) != b'.'
}

fn count(text: &[u8], delimiter: u8) -> usize {
    memchr::memchr_iter(delimiter, text).count()
}
