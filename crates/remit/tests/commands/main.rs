//! The command line as people meet it: what each command prints, and with which status it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod approval;
mod audit;
mod bench;
mod dlp;
mod doctor;
mod help;
mod manifest;
mod proxy;
mod run;
mod top;
mod why;
