//! The checks of the fuzz targets on what is in their corpora, and on what proptest makes up. Those of `session` and
//! `link` on the latter are in `session_properties`.

use pftp_tests::fuzzing::{TARGETS, corpus, meaning, planner, reply};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[test]
fn every_corpus_is_replayed() {
    for (target, check) in TARGETS {
        let corpus = corpus(target).expect("a corpus");
        assert!(corpus.len() > 10, "{target} has {} files", corpus.len());
        for (path, input) in corpus {
            println!("{}", path.display());
            check(&input);
        }
    }
}

proptest! {
    // The same cases in every run: to look for others is what the fuzz targets are for.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn replies_do_not_depend_on_how_they_are_divided(
        limit in prop_oneof![Just(0_u16), 1..200_u16],
        portions in prop::collection::vec(any::<u8>(), 0..16),
        lines in prop::collection::vec("([1-6][0-9]{2}[ -]?)?[a-z \u{ff}]{0,9}\r?\n?", 0..12),
        bytes: Vec<u8>,
    ) {
        let count = [portions.len() as u8];
        reply::check(&[&limit.to_le_bytes()[..], &count, &portions, lines.concat().as_bytes(), &bytes].concat());
    }

    #[test]
    fn what_is_read_prints_and_is_read_again(
        text in "[(|)0-9,.; =\"a-z\n]{0,60}",
        line in "(Type=file;|Size=[0-9]{1,20};|Modify=20[0-9]{12};|Unique=[a-z]{0,3};){0,4} [^\n]{0,9}",
        bytes: Vec<u8>,
    ) {
        meaning::check(text.as_bytes());
        meaning::check(line.as_bytes());
        meaning::check(&bytes);
    }

    #[test]
    fn a_planner_keeps_its_books(input in prop::collection::vec(any::<u8>(), 0..600)) {
        planner::check(&input);
    }
}
