//! Any bytes as a request head.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::request_head(bytes));
