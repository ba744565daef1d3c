//! What surrounds a value: words, field names, columns.

mod columns;
mod label;
mod memory;
mod words;

pub(crate) use self::{
    columns::Columns,
    label::label,
    memory::Memory,
    words::{Word, Words},
};

/// What a word says about the values beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    Password,
    Pin,
    Secret,
    /// A key, a signature, a cookie: needs a value that looks random.
    KeyName,
    Bearer,
    Basic,
    Curl,
    Seed,
    Card,
    Iban,
    Account,
    Routing,
    National,
    Phone,
    Email,
    Birth,
    Ip,
    Salary,
    Medical,
    Wallet,
    /// A number of another kind.
    Other,
}

impl Role {
    /// Every role, in the order of [`Self::index`].
    pub(crate) const ALL: [(Self, &'static str); 21] = [
        (Self::Password, "Password"),
        (Self::Pin, "Pin"),
        (Self::Secret, "Secret"),
        (Self::KeyName, "KeyName"),
        (Self::Bearer, "Bearer"),
        (Self::Basic, "Basic"),
        (Self::Curl, "Curl"),
        (Self::Seed, "Seed"),
        (Self::Card, "Card"),
        (Self::Iban, "Iban"),
        (Self::Account, "Account"),
        (Self::Routing, "Routing"),
        (Self::National, "National"),
        (Self::Phone, "Phone"),
        (Self::Email, "Email"),
        (Self::Birth, "Birth"),
        (Self::Ip, "Ip"),
        (Self::Salary, "Salary"),
        (Self::Medical, "Medical"),
        (Self::Wallet, "Wallet"),
        (Self::Other, "Other"),
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
