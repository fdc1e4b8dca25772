//! See `pftp_tests::fuzzing::planner`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pftp_tests::fuzzing::planner::check(input));
