//! What the walk looks bytes up in.

/// The lower bits of a byte's kind: a code for runs of three.
pub(super) const MASK: u16 = 0x1f;
/// A letter or a digit of ASCII.
pub(super) const WORD: u16 = 1 << 5;
/// A digit.
pub(super) const DIGIT: u16 = 1 << 6;
/// A capital letter.
pub(super) const UPPER: u16 = 1 << 7;
/// A byte worth a look by itself.
pub(super) const MARK: u16 = 1 << 8;

/// Made once from the recognisers' rows.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(super) kind: [u16; 256],
    pub(super) grams: Bits,
    pub(super) pairs: Bits,
}

impl Tables {
    /// Stops at words that start with one of `words`' first three bytes, and where a word starts
    /// with one of `pairs`.
    pub(crate) fn new(
        words: impl IntoIterator<Item = u16>,
        pairs: impl IntoIterator<Item = [u8; 2]>,
    ) -> Self {
        let mut kind = [0; 256];
        for (byte, slot) in (0..=u8::MAX).zip(kind.iter_mut()) {
            *slot = kind_of(byte);
        }
        let mut tables = Self { kind, grams: Bits::new(1 << 15), pairs: Bits::new(1 << 16) };
        words.into_iter().for_each(|gram| tables.grams.add(gram));
        pairs.into_iter().for_each(|pair| tables.pairs.add(u16::from_be_bytes(pair)));
        tables
    }
}

/// The code of the first three bytes of `word`; nothing for shorter ones.
pub(crate) fn gram(word: &[u8]) -> Option<u16> {
    let first = word.get(..3)?;
    Some(first.iter().fold(0, |gram, byte| (gram << 5 | (kind_of(*byte) & MASK)) & 0x7fff))
}

fn kind_of(byte: u8) -> u16 {
    let mut kind = match byte {
        b'a'..=b'z' => u16::from(byte - b'a') + 1,
        b'A'..=b'Z' => u16::from(byte - b'A') + 1,
        0x80.. => 27 + u16::from(byte % 5),
        _ => 0,
    };
    if byte.is_ascii_alphanumeric() {
        kind |= WORD;
    }
    if byte.is_ascii_digit() {
        kind |= DIGIT;
    }
    if byte.is_ascii_uppercase() {
        kind |= UPPER;
    }
    if matches!(byte, b'@' | b':' | b'-' | b'\\') {
        kind |= MARK;
    }
    kind
}

/// A set of numbers.
#[derive(Debug)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)].into_boxed_slice())
    }

    fn add(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number >> 6)) {
            *word |= 1 << (number & 63);
        }
    }

    pub(super) fn has(&self, number: u16) -> bool {
        self.0.get(usize::from(number >> 6)).is_some_and(|word| word >> (number & 63) & 1 != 0)
    }
}
