//! What the walk looks bytes up in.

/// The lower bits of a byte's kind: a code for runs of three.
pub(super) const MASK: u32 = 0x1f;
/// What a byte may mean, in bits from 8 on; the same bits, 8 higher, are what it rules out for the
/// byte after it.
pub(super) const WORD: u32 = 1 << 8;
/// A number starts.
pub(super) const DIGITS: u32 = 1 << 9;
/// A part of a compound name starts.
pub(super) const PART: u32 = 1 << 10;
/// … with a capital.
pub(super) const HUMP: u32 = 1 << 11;
/// A digit after a capital.
pub(super) const TURN: u32 = 1 << 12;
/// A byte worth a look by itself.
pub(super) const MARK: u32 = 1 << 13;
/// All of them.
pub(super) const EVENTS: u32 = 0xff00;

/// Made once from the recognisers' rows.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(super) kind: Box<[u32; 256]>,
    /// Runs of three that matter where a word starts.
    pub(super) grams: Box<[u64; 512]>,
    /// Runs of three that matter everywhere.
    pub(super) inner: Box<[u64; 512]>,
    /// Hashes of the first three bytes of tokens.
    pub(super) firsts: Box<[u64; 512]>,
}

impl Tables {
    /// Stops at the first three bytes of words (which count inside of others too when marked so),
    /// and where a token starts with one of `firsts`.
    pub(crate) fn new(
        words: impl IntoIterator<Item = (u16, bool)>,
        firsts: impl IntoIterator<Item = [u8; 3]>,
    ) -> Self {
        let empty = || Box::new([0; 512]);
        let (mut grams, mut inner, mut starts) = (empty(), empty(), empty());
        let mut kind = Box::new([0; 256]);
        for (byte, slot) in (0..=u8::MAX).zip(kind.iter_mut()) {
            *slot = kind_of(byte);
        }
        for (gram, inside) in words {
            add(if inside { &mut inner } else { &mut grams }, gram);
        }
        firsts.into_iter().for_each(|first| add(&mut starts, hash(first)));
        Self { kind, grams, inner, firsts: starts }
    }
}

/// Whether a number is in a set.
#[expect(clippy::indexing_slicing, reason = "nine bits index 512 words")]
pub(super) fn has(set: &[u64; 512], number: u16) -> bool {
    set[usize::from(number >> 6) & 511] >> (number & 63) & 1 != 0
}

fn add(set: &mut [u64; 512], number: u16) {
    if let Some(word) = set.get_mut(usize::from(number >> 6) & 511) {
        *word |= 1 << (number & 63);
    }
}

/// The code of the first three bytes of `word`; nothing for shorter ones.
pub(crate) fn gram(word: &[u8]) -> Option<u16> {
    let first = word.get(..3)?;
    let code = first.iter().fold(0, |gram, byte| (gram << 5 | (kind_of(*byte) & MASK)) & 0x7fff);
    u16::try_from(code).ok()
}

/// Where three bytes have their bit.
pub(super) const fn hash([first, second, third]: [u8; 3]) -> u16 {
    (((first as u16) << 8) ^ ((second as u16) << 4) ^ third as u16) & 0x7fff
}

fn kind_of(byte: u8) -> u32 {
    let code = match byte {
        b'a'..=b'z' => u32::from(byte - b'a') + 1,
        b'A'..=b'Z' => u32::from(byte - b'A') + 1,
        0x80.. => 27 + u32::from(byte % 5),
        _ => 0,
    };
    let means = match byte {
        b'0'..=b'9' => WORD | DIGITS | TURN,
        b'a'..=b'z' => WORD | PART,
        b'A'..=b'Z' => WORD | HUMP,
        // Scripts without blanks between words give no boundary to look for.
        0x80.. => PART,
        b'@' | b':' | b'-' | b'\\' => MARK,
        _ => 0,
    };
    let rules_out = match byte {
        b'0'..=b'9' => WORD | DIGITS | TURN,
        b'a'..=b'z' => WORD | DIGITS | PART | TURN,
        b'A'..=b'Z' => WORD | DIGITS | PART | HUMP,
        _ => TURN,
    };
    code | means | rules_out << 8
}
