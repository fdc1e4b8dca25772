//! See `pftp_tests::fuzzing::engine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::engine::check(input));
