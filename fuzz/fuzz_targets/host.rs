//! Any text as a host, everywhere one is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| remit_egress::fuzzing::host(bytes));
