//! Whether the value of a secret's name is a secret: written out, not a word, not an example, not
//! an expression of a program.

use super::{
    named::{Style, Value},
    names::Name,
    placeholder::{is_example, is_template, is_word, is_words, words},
};
use crate::{
    context::Role,
    text::{byte, part},
};

/// The cost in bits, times 1.2, that one letter after another has in words of programs; rows and
/// columns are a–z and the word's edge. Counted over the identifiers of Python's standard library.
const BIGRAMS: &str = include_str!("bigrams.txt");

/// Words cost about 4 bits a letter, random letters more.
const RANDOM_BITS: f32 = 5.0;

/// How sure, in percent, that the value is a secret; nothing when it is none.
pub(crate) fn judge(text: &[u8], name: &Name, value: &Value) -> Option<u8> {
    let content = part(text, value.range.clone());
    if content.len() < 3 || is_template(content) || is_expression(text, value, content) {
        return None;
    }
    if value.style == Style::Listed && !content.iter().any(u8::is_ascii_digit) {
        return None;
    }
    match name.role {
        Role::Password => password(content, value.style),
        Role::Pin => pin(content),
        Role::Secret => secret(content, value.style, name.compound),
        Role::KeyName => key(content, value.style),
        _ => None,
    }
}

fn password(value: &[u8], style: Style) -> Option<u8> {
    if value.len() > 128 || is_hashed(value) || is_place(value) {
        return None;
    }
    let traits = Traits::of(value);
    if traits.blanks > 0 {
        // A passphrase has several words and no sentence around it.
        let phrase = style == Style::Quoted
            && (traits.digits > 0 || traits.marks > 0)
            && traits.blanks <= 5
            && traits.others == 0
            && !ends_sentence(value)
            && value.len() <= 48
            && traits.mixed();
        return (phrase && !is_example(value)).then_some(60);
    }
    if masked(value) || is_example(value) && value.len() > 5 {
        return None;
    }
    let letters = traits.lower + traits.upper;
    let known = is_words(value);
    if letters == 0 {
        let digits = traits.digits >= 6 && traits.marks == 0;
        let sequence = is_example(value)
            || matches!(value, b"123456" | b"12345678" | b"123456789" | b"000000" | b"111111");
        return (digits && !sequence && style != Style::Code && traits.digits <= 12).then_some(55);
    }
    // `Tr0ub4dor&3`, `y0hj5c!`: letters, digits and marks.
    let strong = traits.kinds() >= 3 && value.len() >= 6;
    let plain = value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if strong && !(plain && known && traits.digits <= 1) {
        if known && poor(value) {
            return None;
        }
        return Some(if known { 65 } else { 85 });
    }
    let random = cost(value) >= RANDOM_BITS;
    match style {
        Style::Quoted | Style::Config | Style::Argument | Style::Listed => {
            if known {
                // `correct-horse-battery-staple`.
                let phrase = words(value).filter(|word| word.len() > 2).count() >= 4
                    && traits.upper == 0
                    && traits.hyphens >= 3;
                let dated = traits.digits >= 2 && !poor(value) && letters >= 4;
                return (phrase || dated).then_some(60);
            }
            let named = style == Style::Config && code_like(value);
            (value.len() >= 4 && !named).then_some(if random || traits.digits > 0 {
                80
            } else {
                60
            })
        }
        Style::Code => {
            let odd = traits.digits > 0
                && traits.upper > 0
                && traits.lower > 0
                && value.len() >= 8
                && !known;
            ((random && value.len() >= 6 && !known && !plain_identifier(value))
                || odd && cost(value) > 4.6)
                .then_some(60)
        }
        Style::Prose => (!known && traits.digits > 0 && value.len() >= 6
            || random && value.len() >= 7)
            .then_some(70),
    }
}

fn pin(value: &[u8]) -> Option<u8> {
    let digits = value.iter().all(u8::is_ascii_digit);
    ((4..=8).contains(&value.len()) && digits && !matches!(value, b"0000" | b"1234" | b"123456"))
        .then_some(60)
}

fn secret(value: &[u8], style: Style, compound: bool) -> Option<u8> {
    let traits = Traits::of(value);
    if traits.blanks > 0
        || traits.others > 0
        || value.len() > 512
        || is_hashed(value)
        || is_place(value)
    {
        return None;
    }
    if masked(value) || is_example(value) || is_words(value) && traits.digits < 6 {
        return None;
    }
    let uuid = is_uuid(value);
    if uuid {
        return (compound && style != Style::Code).then_some(55);
    }
    if value.len() < 8 {
        return None;
    }
    let dense =
        traits.digits * 12 >= value.len() && traits.lower + traits.upper > 0 || traits.kinds() >= 3;
    let random = cost(value) >= RANDOM_BITS;
    let limit = match style {
        Style::Quoted | Style::Config | Style::Argument | Style::Listed => 8,
        Style::Prose => 12,
        Style::Code => 16,
    };
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if hex {
        return (value.len() >= 16 && traits.digits > 1 && traits.lower + traits.upper > 0
            || value.len() >= 32)
            .then_some(75);
    }
    if value.len() < limit || code_like(value) && !random {
        return None;
    }
    match (dense, random) {
        (true, true) if traits.digits > 0 => Some(85),
        (true, _) => (value.len() >= 10 && traits.digits > 1 && !wordy(value)).then_some(70),
        (false, true) => (value.len() >= 8 && !wordy(value)).then_some(65),
        (false, false) => None,
    }
}

fn key(value: &[u8], style: Style) -> Option<u8> {
    let traits = Traits::of(value);
    let word = traits.blanks == 0 && traits.others == 0 && !is_place(value) && !is_uuid(value);
    let hash = value.iter().all(u8::is_ascii_hexdigit);
    let random =
        traits.digits * 16 >= value.len() && traits.upper >= 2 && cost(value) >= RANDOM_BITS;
    let dotted = value.iter().filter(|byte| matches!(**byte, b'.' | b':')).count() > 2;
    (word
        && !hash
        && !dotted
        && style != Style::Prose
        && random
        && value.len() >= 24
        && value.len() <= 256
        && !is_example(value)
        && !wordy(value))
    .then_some(60)
}

/// How many bytes of which kind.
#[derive(Clone, Copy, Debug, Default)]
struct Traits {
    lower: usize,
    upper: usize,
    digits: usize,
    marks: usize,
    hyphens: usize,
    blanks: usize,
    others: usize,
}

impl Traits {
    fn of(value: &[u8]) -> Self {
        let mut traits = Self::default();
        for &byte in value {
            match byte {
                b'a'..=b'z' => traits.lower += 1,
                b'A'..=b'Z' => traits.upper += 1,
                b'0'..=b'9' => traits.digits += 1,
                b'-' | b'_' => traits.hyphens += 1,
                b' ' | b'\t' => traits.blanks += 1,
                0x21..=0x7e => traits.marks += 1,
                _ => traits.others += 1,
            }
        }
        traits
    }

    const fn kinds(&self) -> usize {
        (self.lower > 0) as usize
            + (self.upper > 0) as usize
            + (self.digits > 0) as usize
            + (self.marks > 0) as usize
    }

    const fn mixed(&self) -> bool {
        self.digits > 0 && self.marks > 0
    }
}

/// Bits a letter, over the runs of letters; digits between letters count as unlikely.
pub(crate) fn cost(value: &[u8]) -> f32 {
    let rows: &[u8] = BIGRAMS.as_bytes();
    let index = |byte: u8| {
        if byte.is_ascii_alphabetic() { usize::from(byte.to_ascii_lowercase() - b'a') } else { 26 }
    };
    let (mut total, mut letters, mut last, mut before) = (0_f32, 0_f32, 26, 0_u8);
    for &here in value {
        let next = index(here);
        if next != 26 {
            let digit = (byte(rows, last * 28 + next) as char).to_digit(16).unwrap_or(15);
            // A capital inside a word, or a digit before it, is no word's way.
            let odd =
                here.is_ascii_uppercase() && before.is_ascii_lowercase() || before.is_ascii_digit();
            #[expect(clippy::cast_precision_loss, reason = "below 16")]
            let bits = digit as f32 / 1.2 + if odd { 2.5 } else { 0.0 };
            total += bits;
            letters += 1.0;
        }
        (last, before) = (next, here);
    }
    if letters == 0.0 { 0.0 } else { total / letters }
}

/// Whether a program computes the value instead of saying it.
fn is_expression(text: &[u8], value: &Value, content: &[u8]) -> bool {
    if matches!(value.style, Style::Quoted | Style::Listed) {
        return content.starts_with(b"os.environ") || content.starts_with(b"process.env");
    }
    let next = byte(text, value.range.end);
    let letters = content.iter().all(u8::is_ascii_alphabetic);
    // `password: Dict[str, str]`, `(password: CFURLRef)`: a type.
    let camel = letters
        && content.first().is_some_and(u8::is_ascii_uppercase)
        && content.iter().any(u8::is_ascii_lowercase)
        && cost(content) < 5.8;
    let generic = content.contains(&b'[') && !content.iter().any(u8::is_ascii_digit);
    // `password: the one for …`: a sentence.
    let sentence = value.style == Style::Config
        && letters
        && next == b' '
        && byte(text, value.range.end + 1).is_ascii_alphabetic();
    if camel && matches!(value.style, Style::Config | Style::Code) || generic || sentence {
        return true;
    }
    let calls = next == b'('
        || content.contains(&b'(')
        || content.contains(&b'[') && content.ends_with(b"]");
    let path = content
        .windows(2)
        .any(|pair| matches!(pair, [left, b'.'] if left.is_ascii_alphabetic() || *left == b'_'))
        && content.split(|byte| *byte == b'.').all(|part| {
            part.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
                && part.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        });
    let path = path && content.len() < 80 && cost(content) < 6.0;
    let word = matches!(
        content,
        b"None"
            | b"null"
            | b"nil"
            | b"true"
            | b"false"
            | b"undefined"
            | b"True"
            | b"False"
            | b"NULL"
            | b"NaN"
    );
    let arrow = content.windows(2).any(|pair| matches!(pair, b"->" | b"::" | b"=>" | b"//"));
    calls
        || path
        || word
        || arrow
        || content.starts_with(b"&")
        || content.starts_with(b"*")
        || content.starts_with(b"self.")
}

/// An identifier of a program: words in camel or snake case, perhaps with a number.
fn code_like(value: &[u8]) -> bool {
    let plain =
        value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let mut all = words(value);
    plain
        && all.all(|word| is_word(&word) || word.len() > 3 && cost(&word) < 4.2)
        && cost(value) < RANDOM_BITS
        && words(value).any(|word| is_word(&word) && word.len() > 2)
}

/// Letters only, one case: what variables are called.
fn plain_identifier(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_') && value.len() < 7
}

/// Whether most of the letters are in ordinary words.
fn wordy(value: &[u8]) -> bool {
    let (mut known, mut all) = (0, 0);
    for word in words(value) {
        all += word.len();
        known += if word.len() > 2 && is_word(&word) { word.len() } else { 0 };
    }
    known * 2 > all
}

/// Only words that people put where a password belongs: `password1`, `test123`, `Admin1`.
fn poor(value: &[u8]) -> bool {
    const POOR: [&[u8]; 34] = [
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"test",
        b"testing",
        b"tester",
        b"user",
        b"username",
        b"admin",
        b"root",
        b"foo",
        b"bar",
        b"baz",
        b"secret",
        b"token",
        b"key",
        b"abc",
        b"qwerty",
        b"demo",
        b"guest",
        b"my",
        b"new",
        b"old",
        b"default",
        b"the",
        b"login",
        b"example",
        b"db",
        b"api",
        b"some",
        b"your",
        b"wrong",
        b"correct",
    ];
    words(value).all(|word| word.len() < 2 || POOR.contains(&word.as_slice()))
}

fn ends_sentence(value: &[u8]) -> bool {
    matches!(value.last(), Some(b'.' | b'?' | b':' | b','))
}

fn masked(value: &[u8]) -> bool {
    let stars = value
        .iter()
        .filter(|byte| matches!(**byte, b'*' | b'.' | b'x' | b'X' | b'#' | b'-'))
        .count();
    stars * 2 > value.len()
}

/// What `crypt` and its kin make of a password (PHC strings, crypt(5)).
fn is_hashed(value: &[u8]) -> bool {
    const STARTS: [&[u8]; 12] = [
        b"$2a$",
        b"$2b$",
        b"$2y$",
        b"$5$",
        b"$6$",
        b"$1$",
        b"$argon2",
        b"$scrypt$",
        b"$pbkdf2",
        b"pbkdf2",
        b"{SHA}",
        b"{SSHA}",
    ];
    value.len() > 20 && STARTS.iter().any(|start| value.starts_with(start))
}

/// Paths and addresses.
fn is_place(value: &[u8]) -> bool {
    let starts: [&[u8]; 8] = [b"/", b"./", b"../", b"~/", b"http:", b"https:", b"file:", b"C:\\"];
    let slashes = value.iter().filter(|byte| **byte == b'/').count();
    let marked = starts.iter().any(|start| value.starts_with(start));
    let endings: [&[u8]; 9] =
        [b".pem", b".key", b".json", b".txt", b".yaml", b".yml", b".creds", b".crt", b".env"];
    (marked && (slashes > 1 || value.len() < 20 || words(value).all(|word| is_word(&word))))
        || endings.iter().any(|ending| value.ends_with(ending))
        || memchr::memmem::find(value, b"://").is_some()
}

/// RFC 9562.
pub(crate) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| {
            if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_letters_cost_more_than_words() {
        for random in ["svkdbf", "djqnnwu", "tglkssgd", "lbcfuxxe"] {
            assert!(cost(random.as_bytes()) > RANDOM_BITS, "{random}");
        }
        for word in ["localhost", "administrator", "hunter", "configuration"] {
            assert!(cost(word.as_bytes()) < RANDOM_BITS, "{word}");
        }
    }
}
