//! Git's configuration syntax, read as git's own reader does (`config.c`, `git_parse_source`).
//! Anything that it would refuse is refused here.

/// One key with its value, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Setting {
    /// Lower case.
    pub(crate) section: Vec<u8>,
    /// As it stands; lower case in the old `[section.sub]` spelling.
    pub(crate) subsection: Option<Vec<u8>>,
    /// Lower case.
    pub(crate) key: Vec<u8>,
    /// Absent for a key without `=`, which means true.
    pub(crate) value: Option<Vec<u8>>,
}

impl Setting {
    /// `section.subsection.key` for messages: bounded, without control characters.
    pub(crate) fn name(&self) -> String {
        let mut name = self.section.clone();
        for part in self.subsection.iter().chain(Some(&self.key)) {
            name.push(b'.');
            name.extend_from_slice(part);
        }
        let text = String::from_utf8_lossy(&name);
        text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}

/// All settings, or `None` where git would stop with an error.
pub(crate) fn parse(text: &[u8]) -> Option<Vec<Setting>> {
    // Git's strings end at a NUL: it would read something else than stands there.
    if text.contains(&0) {
        return None;
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader { text, at: 0, ended: false };
    let mut settings = Vec::new();
    let mut section: Option<(Vec<u8>, Option<Vec<u8>>)> = None;
    let mut comment = false;
    loop {
        let byte = reader.next();
        match byte {
            b'\n' if reader.ended => return Some(settings),
            b'\n' => comment = false,
            _ if comment || is_space(byte) => {}
            b'#' | b';' => comment = true,
            b'[' => section = Some(header(&mut reader)?),
            _ if byte.is_ascii_alphabetic() => {
                let (key, value) = entry(&mut reader, byte)?;
                // A key before any section has no name that git would look up.
                let (section, subsection) = section.clone()?;
                settings.push(Setting { section, subsection, key, value });
            }
            _ => return None,
        }
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    ended: bool,
}

impl Reader<'_> {
    /// The next byte; CRLF is one line feed, and the end is one too.
    fn next(&mut self) -> u8 {
        let Some(byte) = self.text.get(self.at).copied() else {
            self.ended = true;
            return b'\n';
        };
        self.at = self.at.saturating_add(1);
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            self.at = self.at.saturating_add(1);
            return b'\n';
        }
        byte
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// After `[`: the section and what stands in quotes.
fn header(reader: &mut Reader<'_>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut name = Vec::new();
    loop {
        let byte = reader.next();
        match byte {
            _ if reader.ended => return None,
            b']' => {
                // The old spelling `[section.sub]`; its subsection has no case.
                let mut halves = name.splitn(2, |byte| *byte == b'.');
                let section = halves.next()?.to_vec();
                return Some((section, halves.next().map(<[u8]>::to_vec)));
            }
            _ if is_space(byte) => return quoted(reader, byte, name),
            _ if is_key(byte) || byte == b'.' => name.push(byte.to_ascii_lowercase()),
            _ => return None,
        }
    }
}

fn quoted(reader: &mut Reader<'_>, space: u8, name: Vec<u8>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut byte = space;
    while is_space(byte) {
        if byte == b'\n' {
            return None;
        }
        byte = reader.next();
    }
    if byte != b'"' {
        return None;
    }
    // `[a.b "c"]` is the subsection `b.c` to git, whose names are joined with dots.
    let mut halves = name.splitn(2, |byte| *byte == b'.');
    let section = halves.next()?.to_vec();
    let mut sub = halves.next().map_or_else(Vec::new, |half| [half, b"."].concat());
    loop {
        match reader.next() {
            b'\n' => return None,
            b'"' => break,
            b'\\' => match reader.next() {
                b'\n' => return None,
                byte => sub.push(byte),
            },
            byte => sub.push(byte),
        }
    }
    (reader.next() == b']').then_some((section, Some(sub)))
}

/// A key, whose first letter is read already, and its value.
fn entry(reader: &mut Reader<'_>, first: u8) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut key = vec![first.to_ascii_lowercase()];
    let mut byte = reader.next();
    while !reader.ended && is_key(byte) {
        key.push(byte.to_ascii_lowercase());
        byte = reader.next();
    }
    while byte == b' ' || byte == b'\t' {
        byte = reader.next();
    }
    match byte {
        b'\n' => Some((key, None)),
        b'=' => Some((key, Some(value(reader)?))),
        _ => None,
    }
}

fn value(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let (mut in_quotes, mut comment) = (false, false);
    let mut trim_to: Option<usize> = None;
    loop {
        let byte = reader.next();
        if byte == b'\n' {
            if in_quotes {
                return None;
            }
            value.truncate(trim_to.unwrap_or(value.len()));
            return Some(value);
        }
        if comment {
            continue;
        }
        if is_space(byte) && !in_quotes {
            if trim_to.is_none() {
                trim_to = Some(value.len());
            }
            if !value.is_empty() {
                value.push(byte);
            }
            continue;
        }
        if !in_quotes && (byte == b';' || byte == b'#') {
            comment = true;
            continue;
        }
        trim_to = None;
        match byte {
            b'\\' => match reader.next() {
                b'\n' => {}
                b't' => value.push(b'\t'),
                b'b' => value.push(8),
                b'n' => value.push(b'\n'),
                byte @ (b'\\' | b'"') => value.push(byte),
                _ => return None,
            },
            b'"' => in_quotes = !in_quotes,
            byte => value.push(byte),
        }
    }
}
