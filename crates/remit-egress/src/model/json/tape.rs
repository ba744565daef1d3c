//! One pass over a JSON text that notes where everything stands.

use std::ops::Range;

/// The values of a JSON text in their order, keys included.
#[derive(Debug)]
pub(crate) struct Tape<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

/// A value or a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// A string that holds a backslash.
    pub(crate) escaped: bool,
    /// First byte; of strings and keys the first one behind the quotation mark.
    start: u32,
    end: u32,
    /// The index behind the last node inside.
    behind: u32,
    /// The object or array around it; the root's is its own index.
    parent: u32,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Key,
    String,
    Number,
    /// `true`, `false`, `null`.
    Word,
}

/// Why there is no tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapeError {
    /// It is not JSON.
    NotJson,
    /// It is nested deeper or has more values than is read.
    TooMuch,
}

impl<'a> Tape<'a> {
    /// Reads a whole text (RFC 8259). Strict about structure and escapes; control characters in
    /// strings and the grammar of numbers are left to the receiver, who reads the same bytes.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, TapeError> {
        if u32::try_from(text.len()).is_err() {
            return Err(TapeError::TooMuch);
        }
        let text = std::str::from_utf8(text).map_err(|_| TapeError::NotJson)?;
        let mut reader =
            Reader { bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(text.len() / 32) };
        reader.document()?;
        Ok(Self { text, nodes: reader.nodes })
    }

    /// All nodes with their indexes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate()
    }

    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    /// The text of a node, as it stands.
    pub(crate) fn raw(&self, node: &Node) -> &'a str {
        self.text.get(node.range()).unwrap_or_default()
    }

    /// What stands before and behind a range of the text.
    pub(crate) fn around(&self, range: Range<usize>) -> (Vec<u8>, Vec<u8>) {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..range.start).unwrap_or_default();
        let behind = bytes.get(range.end..).unwrap_or_default();
        (before.to_vec(), behind.to_vec())
    }

    /// The key of the member whose value `index` is, as it stands.
    pub(crate) fn key_of(&self, index: usize) -> Option<&'a str> {
        let before = self.nodes.get(index.checked_sub(1)?)?;
        let parent = self.nodes.get(index)?.parent;
        (before.kind == Kind::Key && before.parent == parent).then(|| self.raw(before))
    }

    /// The object or array around `index`.
    pub(crate) fn parent(&self, index: usize) -> Option<usize> {
        let parent = self.nodes.get(index)?.parent();
        (parent != index).then_some(parent)
    }

    /// The value of a member of the object at `object`: the last one, as readers take it.
    pub(crate) fn member(&self, object: usize, name: &str) -> Option<usize> {
        self.children(object).filter(|value| self.key_of(*value) == Some(name)).last()
    }

    /// A path of members from `object`.
    pub(crate) fn path(&self, object: usize, names: &[&str]) -> Option<usize> {
        names.iter().try_fold(object, |at, name| self.member(at, name))
    }

    /// A member's string, as it stands.
    pub(crate) fn string(&self, object: usize, name: &str) -> Option<&'a str> {
        let node = self.nodes.get(self.member(object, name)?)?;
        (node.kind == Kind::String).then(|| self.raw(node))
    }

    /// A member's whole number.
    pub(crate) fn number(&self, object: usize, name: &str) -> Option<u64> {
        self.raw(self.nodes.get(self.member(object, name)?)?).parse().ok()
    }

    /// The values directly inside an object or array.
    pub(crate) fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let container =
            self.nodes.get(index).filter(|node| matches!(node.kind, Kind::Object | Kind::Array));
        let end = container.map_or(0, |node| node.behind());
        let mut at = index.saturating_add(1);
        std::iter::from_fn(move || {
            if self.nodes.get(at).is_some_and(|node| node.kind == Kind::Key) {
                at = at.saturating_add(1);
            }
            let value = self.nodes.get(at).filter(|_| at < end)?;
            let found = at;
            at = value.behind();
            Some(found)
        })
    }
}

impl Node {
    /// Its bytes in the text.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The index behind everything inside it.
    pub(crate) fn behind(&self) -> usize {
        self.behind as usize
    }

    fn parent(&self) -> usize {
        self.parent as usize
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), TapeError> {
        // Open containers; the last one is the innermost.
        let mut open: Vec<u32> = Vec::new();
        loop {
            // A value stands here.
            self.space();
            let parent = open.last().copied();
            let index = self.value(parent)?;
            let kind = self.kind(index);
            if matches!(kind, Some(Kind::Object | Kind::Array)) {
                if open.len() >= MAX_DEPTH {
                    return Err(TapeError::TooMuch);
                }
                open.push(index);
                self.space();
                if !self.take(closing(kind)) {
                    self.key_if_object(kind, index)?;
                    continue;
                }
                self.close(&mut open);
            }
            // Behind a value: more of the container, or its end.
            loop {
                self.space();
                let Some(container) = open.last().copied() else {
                    return if self.at == self.bytes.len() {
                        Ok(())
                    } else {
                        Err(TapeError::NotJson)
                    };
                };
                let kind = self.kind(container);
                if self.take(b',') {
                    self.space();
                    self.key_if_object(kind, container)?;
                    break;
                }
                if !self.take(closing(kind)) {
                    return Err(TapeError::NotJson);
                }
                self.close(&mut open);
            }
        }
    }

    fn kind(&self, index: u32) -> Option<Kind> {
        self.nodes.get(index as usize).map(|node| node.kind)
    }

    /// Notes the end of the innermost container, whose bracket was just taken.
    fn close(&mut self, open: &mut Vec<u32>) {
        let behind = position(self.nodes.len());
        let end = position(self.at);
        if let Some(node) = open.pop().and_then(|index| self.nodes.get_mut(index as usize)) {
            node.behind = behind;
            node.end = end;
        }
    }

    fn key_if_object(&mut self, kind: Option<Kind>, object: u32) -> Result<(), TapeError> {
        if kind != Some(Kind::Object) {
            return Ok(());
        }
        if self.peek() != Some(b'"') {
            return Err(TapeError::NotJson);
        }
        self.string(Kind::Key, Some(object))?;
        self.space();
        if self.take(b':') { Ok(()) } else { Err(TapeError::NotJson) }
    }

    fn value(&mut self, parent: Option<u32>) -> Result<u32, TapeError> {
        let start = self.at;
        match self.peek().ok_or(TapeError::NotJson)? {
            b'"' => self.string(Kind::String, parent),
            byte @ (b'{' | b'[') => {
                self.at = start.saturating_add(1);
                let kind = if byte == b'{' { Kind::Object } else { Kind::Array };
                self.push(kind, start, self.at, parent)
            }
            b'-' | b'0'..=b'9' => {
                let rest = self.bytes.get(start..).unwrap_or_default();
                let number =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                self.at = start.saturating_add(rest.iter().take_while(number).count());
                self.push(Kind::Number, start, self.at, parent)
            }
            _ => {
                let rest = self.bytes.get(start..).unwrap_or_default();
                let word = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| rest.starts_with(word.as_bytes()))
                    .ok_or(TapeError::NotJson)?;
                self.at = start.saturating_add(word.len());
                self.push(Kind::Word, start, self.at, parent)
            }
        }
    }

    /// Reads a string whose opening quotation mark is next.
    fn string(&mut self, kind: Kind, parent: Option<u32>) -> Result<u32, TapeError> {
        let start = self.at.saturating_add(1);
        let mut at = start;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(at..).ok_or(TapeError::NotJson)?;
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(TapeError::NotJson)?;
            at = at.saturating_add(found);
            if self.bytes.get(at) == Some(&b'"') {
                break;
            }
            escaped = true;
            at = at.saturating_add(self.escape(at)?);
        }
        self.at = at.saturating_add(1);
        let index = self.push(kind, start, at, parent)?;
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.escaped = escaped;
        }
        Ok(index)
    }

    /// The length of the escape at a backslash.
    fn escape(&self, at: usize) -> Result<usize, TapeError> {
        match self.bytes.get(at.saturating_add(1)) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                let digits = self.bytes.get(at.saturating_add(2)..at.saturating_add(6));
                let hex = digits.is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit));
                if hex { Ok(6) } else { Err(TapeError::NotJson) }
            }
            _ => Err(TapeError::NotJson),
        }
    }

    fn push(
        &mut self,
        kind: Kind,
        start: usize,
        end: usize,
        parent: Option<u32>,
    ) -> Result<u32, TapeError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(TapeError::TooMuch);
        }
        let index = position(self.nodes.len());
        self.nodes.push(Node {
            kind,
            escaped: false,
            start: position(start),
            end: position(end),
            behind: index.saturating_add(1),
            parent: parent.unwrap_or(index),
        });
        Ok(index)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.at = self.at.saturating_add(1);
        }
        there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at = self.at.saturating_add(1);
        }
    }
}

fn closing(kind: Option<Kind>) -> u8 {
    if kind == Some(Kind::Object) { b'}' } else { b']' }
}

/// Positions fit: the length of the text was looked at first.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Deeper texts are refused.
const MAX_DEPTH: usize = 256;
/// Values of one text: what memory a hostile body may cost.
const MAX_NODES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_found_where_it_stands() {
        let text = br#" {"a" : [1, {"b":"x\"y"}, []], "c":null, "c":{"d":-1.5e3}} "#;
        let tape = Tape::read(text).expect("json");
        let d = tape.path(0, &["c", "d"]).expect("the last of two");
        assert_eq!(tape.raw(tape.node(d).expect("node")), "-1.5e3");
        let a = tape.member(0, "a").expect("member");
        let kinds: Vec<_> = tape.children(a).map(|at| tape.node(at).expect("node").kind).collect();
        assert_eq!(kinds, [Kind::Number, Kind::Object, Kind::Array]);
        let object = tape.children(a).nth(1).expect("second");
        assert_eq!(tape.string(object, "b"), Some("x\\\"y"));
        assert_eq!(tape.key_of(object), None);
        assert_eq!(tape.parent(object), Some(a));
        assert_eq!(tape.raw(tape.node(a).expect("node")), "[1, {\"b\":\"x\\\"y\"}, []]");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "{} {}",
            "{\"a\"}",
            "tru",
            "]",
            "{\"a\":1]",
            "\u{feff}{}",
        ] {
            assert_eq!(Tape::read(text.as_bytes()).err(), Some(TapeError::NotJson), "{text}");
        }
        let deep = "[".repeat(300);
        assert_eq!(Tape::read(deep.as_bytes()).err(), Some(TapeError::TooMuch));
        assert_eq!(Tape::read(b"\"\xff\"").err(), Some(TapeError::NotJson));
    }
}
