//! Persons and their money: numbers with check digits, addresses, dates, amounts.

pub(crate) mod amount;
pub(crate) mod bank;
pub(crate) mod birth;
pub(crate) mod card;
mod checks;
pub(crate) mod cue;
pub(crate) mod email;
pub(crate) mod iban;
pub(crate) mod ip;
pub(crate) mod medical;
pub(crate) mod national;
pub(crate) mod number;
pub(crate) mod phone;
pub(crate) mod wallet;
