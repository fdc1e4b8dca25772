//! See `pftp_tests::fuzzing::session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::session::check(input));
