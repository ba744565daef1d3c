//! What a scan finds.

use std::{fmt, ops::Range};

use remit_core::{DataClass, Finding};

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where, in bytes of the original: for a value behind an encoding, what encodes it.
    pub range: Range<usize>,
    /// What it is.
    pub class: DataClass,
    /// How sure.
    pub confidence: Confidence,
    /// What was undone to see it, outermost first; empty for plain text.
    pub via: Vec<Decoder>,
    /// Which recogniser found it: a vendor, a country, a method.
    pub kind: &'static str,
}

impl From<Found> for Finding {
    fn from(found: Found) -> Self {
        Self { range: found.range, class: found.class }
    }
}

/// How sure a recogniser is, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u8);

impl Confidence {
    /// At most 100.
    #[must_use]
    pub const fn percent(value: u8) -> Self {
        Self(if value > 100 { 100 } else { value })
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// What stood between the original and the text that was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decoder {
    /// RFC 4648, also URL-safe, also in wrapped lines.
    Base64,
    /// RFC 4648.
    Base32,
    /// Two digits a byte, also with blanks or colons between.
    Hex,
    /// RFC 3986 percent encoding.
    Percent,
    /// `\u0041`, `\x41`, `\101` and their kin in JSON and programming languages.
    Escape,
    /// `&#65;`, `&lt;`.
    HtmlEntity,
    /// RFC 2045.
    QuotedPrintable,
    /// RFC 1952.
    Gzip,
    /// RFC 1950 and 1951.
    Deflate,
    /// bzip2.
    Bzip2,
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// A member of a zip archive.
    Zip,
    /// A member of a tar archive.
    Tar,
    /// Text of an office document (OOXML, ODF).
    Office,
    /// Text of a PDF.
    Pdf,
    /// UTF-16, with or without a mark.
    Utf16,
    /// Full-width forms, mathematical letters.
    FullWidth,
    /// Invisible characters inside.
    ZeroWidth,
    /// Letters of other scripts that look like Latin ones.
    Homoglyph,
    /// A blank between all characters.
    SpacedOut,
    /// Literals that a program joins.
    Joined,
    /// Back to front.
    Reversed,
    /// Letters shifted by 13.
    Rot13,
    /// Parts sent one after another.
    Split,
}

impl Decoder {
    /// The spelling in `via`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Percent => "percent",
            Self::Escape => "escape",
            Self::HtmlEntity => "html-entity",
            Self::QuotedPrintable => "quoted-printable",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Brotli => "brotli",
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::Office => "office",
            Self::Pdf => "pdf",
            Self::Utf16 => "utf-16",
            Self::FullWidth => "full-width",
            Self::ZeroWidth => "zero-width",
            Self::Homoglyph => "homoglyph",
            Self::SpacedOut => "spaced-out",
            Self::Joined => "joined",
            Self::Reversed => "reversed",
            Self::Rot13 => "rot13",
            Self::Split => "split",
        }
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The classes that the recognisers of this crate know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    ApiKey,
    Password,
    PrivateKey,
    Jwt,
    ConnectionString,
    Bearer,
    SeedPhrase,
    Email,
    Phone,
    CreditCard,
    Iban,
    BankAccount,
    NationalId,
    DateOfBirth,
    IpAddress,
    Medical,
    Salary,
    CryptoWallet,
    /// What a detector of known values found: its place in the list of their classes.
    Known(usize),
}

impl Class {
    /// The contract's spelling.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::Password => "PASSWORD",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::Jwt => "JWT",
            Self::ConnectionString => "CONNECTION_STRING",
            Self::Bearer => "BEARER",
            Self::SeedPhrase => "SEED_PHRASE",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::CreditCard => "CREDIT_CARD",
            Self::Iban => "IBAN",
            Self::BankAccount => "BANK_ACCOUNT",
            Self::NationalId => "NATIONAL_ID",
            Self::DateOfBirth => "DATE_OF_BIRTH",
            Self::IpAddress => "IP_ADDRESS",
            Self::Medical => "MEDICAL",
            Self::Salary => "SALARY",
            Self::CryptoWallet => "CRYPTO_WALLET",
            Self::Known(_) => "CANARY",
        }
    }

    /// Where two findings overlap, the class that stays: secrets before persons, and what says more
    /// about the value before what says less.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Known(_) => 10,
            Self::PrivateKey | Self::SeedPhrase => 9,
            Self::ApiKey | Self::Jwt => 8,
            Self::ConnectionString => 7,
            Self::Bearer | Self::Password => 6,
            Self::CreditCard | Self::Iban | Self::CryptoWallet => 5,
            Self::Email | Self::NationalId => 4,
            Self::BankAccount | Self::DateOfBirth => 3,
            Self::IpAddress | Self::Salary => 2,
            Self::Phone | Self::Medical => 1,
        }
    }
}

/// What a recogniser says: a finding in the text that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) class: Class,
    pub(crate) percent: u8,
    pub(crate) kind: &'static str,
    pub(crate) via: Vec<Decoder>,
}

impl Hit {
    pub(crate) const fn new(
        range: Range<usize>,
        class: Class,
        percent: u8,
        kind: &'static str,
    ) -> Self {
        Self { start: range.start, end: range.end, class, percent, kind, via: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}
