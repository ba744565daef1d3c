//! Any bytes as the address of a SOCKS request.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::socks(bytes));
