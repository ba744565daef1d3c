//! What opens doors: marked credentials, named values, addresses with a password, keys, phrases.

pub(crate) mod armour;
mod classify;
mod format;
pub(crate) mod header;
pub(crate) mod jwt;
pub(crate) mod named;
mod names;
mod placeholder;
pub(crate) mod seed;
pub(crate) mod table;
pub(crate) mod url;
mod vendors;

pub(crate) use self::vendors::Vendors;
