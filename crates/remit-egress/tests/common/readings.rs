//! What lenient servers could make of the bytes that reached one.
//!
//! Servers differ in which of two lengths counts, which line ends they take, which of two headers
//! they keep and how they read numbers. Each combination is a reading; a request that appears
//! under any of them is one that some server would have acted on.

/// How lenient a server reads.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// LF, CR and NUL end a line as CRLF does.
    pub bare: bool,
    /// Transfer-Encoding counts where both are there; else Content-Length does.
    pub te_wins: bool,
    /// The last of two headers counts; else the first does.
    pub last_wins: bool,
    /// White space before colons, low lines for hyphens, `0x` and `+` in numbers, `xchunked`,
    /// folded lines, blank lines in front, and HTTP/0.9.
    pub loose: bool,
}

/// All of them.
pub fn every_reading() -> impl Iterator<Item = Reading> {
    (0..16u8).map(|bits| Reading {
        bare: bits & 1 != 0,
        te_wins: bits & 2 != 0,
        last_wins: bits & 4 != 0,
        loose: bits & 8 != 0,
    })
}

/// The requests in one connection's bytes, as `METHOD host:port/path`. What is no request, and no
/// beginning of one, shows as `? bytes`.
pub fn requests(bytes: &[u8], reading: Reading, default_port: u16) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((seen, after)) = request(rest, reading, default_port) {
        found.push(seen);
        rest = after;
    }
    found
}

fn request(bytes: &[u8], reading: Reading, default_port: u16) -> Option<(String, &[u8])> {
    let mut rest = bytes;
    let mut line;
    loop {
        if rest.is_empty() {
            return None;
        }
        let Some((found, after)) = take_line(rest, reading) else {
            // Half a line: a body that was cut, or a head that never came to its end.
            return None;
        };
        (line, rest) = (found, after);
        if !(reading.loose && line.iter().all(u8::is_ascii_whitespace)) {
            break;
        }
    }
    let text = String::from_utf8_lossy(line).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let (method, target) = match words[..] {
        [method, target, version] if version.starts_with("HTTP/") => (method, target),
        [method, target] if reading.loose && target.starts_with('/') => {
            return Some((format!("{method} HTTP/0.9 {target}"), rest));
        }
        _ => return Some((format!("? {}", line.escape_ascii()), b"")),
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let (line, after) = take_line(rest, reading)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(line).into_owned();
        if text.starts_with([' ', '\t']) && reading.loose {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(&text);
            }
            continue;
        }
        let (name, value) = text.split_once(':').unwrap_or((&text, ""));
        let name = if reading.loose { name.trim() } else { name };
        let mut name = name.to_ascii_lowercase();
        if reading.loose {
            name = name.replace('_', "-");
        }
        headers.push((name, value.trim().to_owned()));
    }
    let get = |wanted: &str| {
        let mut all = headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        if reading.last_wins { all.next_back() } else { all.next() }
    };
    let chunked = get("transfer-encoding").is_some_and(|value| match reading.loose {
        true => value.to_ascii_lowercase().contains("chunked"),
        false => value.eq_ignore_ascii_case("chunked"),
    });
    let length = get("content-length").and_then(|value| number(value, 10, reading));
    let after = match (chunked, length) {
        (true, None) => chunks(rest, reading),
        (true, Some(_)) if reading.te_wins => chunks(rest, reading),
        (_, Some(length)) => rest.get(length..).unwrap_or_default(),
        (false, None) => rest,
    };
    let (host, path) = match target.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
        Some((host, path)) => (host.to_owned(), format!("/{path}")),
        None => (get("host").cloned().unwrap_or_default(), target.to_owned()),
    };
    let host = match host.rsplit_once(':') {
        Some(_) => host,
        None => format!("{host}:{default_port}"),
    };
    let path = path.split('?').next().unwrap_or_default();
    Some((format!("{method} {host}{path}"), after))
}

fn take_line(bytes: &[u8], reading: Reading) -> Option<(&[u8], &[u8])> {
    if !reading.bare {
        let at = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        return Some((&bytes[..at], &bytes[at + 2..]));
    }
    let at = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0))?;
    let crlf = bytes[at..].starts_with(b"\r\n");
    Some((&bytes[..at], &bytes[at + if crlf { 2 } else { 1 }..]))
}

fn chunks(mut rest: &[u8], reading: Reading) -> &[u8] {
    loop {
        let Some((line, after)) = take_line(rest, reading) else { return b"" };
        rest = after;
        let text = String::from_utf8_lossy(line).into_owned();
        let Some(size) = number(text.split(';').next().unwrap_or_default(), 16, reading) else {
            return b"";
        };
        if size == 0 {
            while let Some((line, after)) = take_line(rest, reading) {
                rest = after;
                if line.is_empty() {
                    return rest;
                }
            }
            return b"";
        }
        rest = rest.get(size..).unwrap_or_default();
        let Some((_, after)) = take_line(rest, reading) else { return b"" };
        rest = after;
    }
}

fn number(text: &str, radix: u32, reading: Reading) -> Option<usize> {
    let mut text = text;
    if reading.loose {
        text = text.trim().trim_start_matches("0x").trim_start_matches('+');
        let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
        text = &text[..end];
    }
    usize::from_str_radix(text, radix).ok()
}
