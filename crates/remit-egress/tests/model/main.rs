//! Masking of model traffic, checked from both ends: what the vendor gets and what the agent gets.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod agree;
mod answers;
mod apis;
mod captured;
mod conversation;
mod noise;
mod requests;
mod support;
