//! Any bytes as a model's answer, cut anywhere: events, JSON, frames.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::restore(bytes));
