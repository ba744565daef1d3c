//! Any bytes as the beginning of a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::opening(bytes));
