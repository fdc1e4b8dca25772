//! See `pftp_tests::fuzzing::link`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::link::check(input));
