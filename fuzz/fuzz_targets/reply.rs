//! See `pftp_tests::fuzzing::reply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::reply::check(input));
