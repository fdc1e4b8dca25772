//! See `pftp_tests::fuzzing::meaning`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::meaning::check(input));
