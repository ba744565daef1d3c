//! Any bytes as a DNS message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::dns_question(bytes));
