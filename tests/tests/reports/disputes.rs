//! Mirrors that have different files, or different bytes for the same part of one.

use super::harness::{FIRST_RANGE, Harness, NEW, OLD, OVERLAP, SIZE, server};
use ftp_proto::SessionError;

const FIRST: &str = "192.0.2.1:21";
const SECOND: &str = "192.0.2.2:21";
const THIRD: &str = "192.0.2.3:21";

/// So many mirrors, each with a session that is logged in. The first session fetches, as the size is not known.
fn logged_in(mirrors: u8) -> Harness {
    let mut harness = Harness::new(mirrors, mirrors.into());
    for number in 1..=mirrors.into() {
        harness.session(number).connects();
        harness.session(number).logs_in();
    }
    harness
}

/// Three mirrors. The second has told that its file is an old one, and has sent other bytes than the first, which fetches and
/// has told nothing. The third reports before the bytes are compared.
fn two_of_three_disagree(third_reports: impl FnOnce(&mut Harness)) -> Harness {
    let mut harness = logged_in(3);
    harness.session(2).tells_facts(SIZE, OLD);
    third_reports(&mut harness);
    harness.session(1).writes(0..SIZE / 2);
    harness.directives();
    let overlap = SIZE / 2 - OVERLAP..SIZE / 2;
    harness.session(2).sends_overlap(overlap.clone(), 7);
    // The second comparison shows whether the second mirror ignored REST and sent the head of the file.
    for at in [overlap.start, 0] {
        let directives = harness.directives();
        assert_eq!(directives.end(), None);
        let comparison = directives.comparison();
        assert_eq!(comparison.at, at);
        harness.compared(&comparison, false);
    }
    harness
}

/// Regression: the dispute was left undecided although the first mirror had yet to tell which of two files it has.
#[test]
fn different_bytes_decide_nothing_while_a_mirror_may_tell_which_file_it_has() {
    let mut harness = two_of_three_disagree(|harness| harness.session(3).tells_facts(SIZE + 1000, NEW));
    assert_eq!(harness.directives().end(), None);
    harness.session(1).tells_facts(None, NEW);
    let directives = harness.directives();
    assert_eq!((directives.end(), directives.rejected()), (None, vec![SECOND]), "{directives:?}");
    assert_eq!(harness.size(), Some(SIZE + 1000));
}

/// Regression: the same, while only one file was known of.
#[test]
fn different_bytes_decide_nothing_while_a_mirror_may_tell_that_it_has_another_file() {
    let mut harness = two_of_three_disagree(|harness| {
        harness.session(3).tells_facts(SIZE, OLD);
        harness.session(3).refuses_rest(FIRST_RANGE);
    });
    assert_eq!(harness.directives().end(), None);
    harness.session(1).tells_facts(None, NEW);
    let directives = harness.directives();
    assert_eq!((directives.end(), directives.rejected()), (None, vec![FIRST]), "{directives:?}");
    assert_eq!(harness.size(), Some(SIZE));
}

/// Regression: two of three mirrors had the same wrong bytes where they met. After the first was rejected, the bytes of the
/// second were not compared with those that took their place: a mixed file.
#[test]
fn mirror_that_agreed_with_a_rejected_one_is_compared_again() {
    let mut harness = logged_in(3);
    for number in 2..=3 {
        harness.session(number).tells_facts(SIZE, OLD);
    }
    let met = harness.directives().fetch_of(2).expect("the second session has a range").offset;
    harness.session(1).writes(0..met);
    harness.session(2).sends_overlap(met - OVERLAP..met, 7);
    harness.session(2).writes(met..met + OVERLAP);
    let comparison = harness.directives().comparison();
    harness.compared(&comparison, true);
    harness.session(1).tells_facts(SIZE, NEW);
    let directives = harness.directives();
    assert_eq!(directives.rejected(), [FIRST]);
    assert_eq!(directives.compared_offsets(), [0; 0], "{directives:?}");
    // The third mirror fetches the discarded range.
    harness.session(3).writes(0..met);
    assert_eq!(harness.directives().compared_offsets(), [met - OVERLAP]);
}

/// Regression: the second answer found only one mirror that had written there, which was said to differ from itself.
#[test]
fn comparison_of_discarded_bytes_rejects_no_mirror() {
    let mut harness = Harness::new(3, 3);
    // The first transfer outruns its new end, where session 2 has begun.
    harness.session(1).connects();
    harness.session(1).tells_size(SIZE);
    for number in [2, 3] {
        harness.session(number).connects();
        harness.session(number).logs_in();
    }
    let met = harness.directives().fetch_of(2).expect("the second session has a range").offset;
    harness.session(1).writes(0..met + 2 * OVERLAP);
    harness.session(2).writes(met..met + 2 * OVERLAP);
    harness.session(3).sends_overlap(met..met + OVERLAP, 7);
    harness.session(3).sends_overlap(met + 1000..met + 3000, 7);
    let directives = harness.directives();
    assert_eq!(directives.compared_offsets(), [met, met + 1000]);
    for comparison in directives.comparisons() {
        harness.compared(&comparison, false);
    }
    let directives = harness.directives();
    assert!(directives.are_silent(), "{directives:?}");
    assert_eq!(directives.compared_offsets(), [0; 0]);
    assert!(!harness.has(met..met + OVERLAP));
    // Both overlaps are compared with the bytes that take the place of the discarded ones.
    harness.session(3).writes(met..met + 2 * OVERLAP);
    assert_eq!(harness.directives().comparisons().len(), 2);
}

/// The mirrors of two sessions have different files, and the connection of the second is reassigned to a third mirror, which
/// decides: its session is logged in.
fn third_decides(size: u64) -> Harness {
    let mut harness = Harness::new(3, 2);
    for (number, modified) in [(1, OLD), (2, NEW)] {
        harness.session(number).connects();
        harness.session(number).logs_in();
        harness.session(number).tells_facts(size, modified);
    }
    assert_eq!(harness.directives().closed(), [2]);
    harness.session(2).ends(SessionError::Quit);
    assert_eq!(harness.directives().opened(), [3]);
    harness.session(3).connects();
    harness.session(3).logs_in();
    harness
}

/// Regression: the connection went back at once to the mirror that may not fetch, and was reassigned again, for ever.
#[test]
fn deciding_mirror_without_rest_keeps_its_connection_until_it_has_told_its_facts() {
    let mut harness = third_decides(SIZE);
    let fetch = harness.directives().fetch_of(3).expect("the third session has a range");
    harness.session(3).refuses_rest(fetch.request);
    assert_eq!(harness.directives().closed(), [0; 0]);
    harness.session(3).tells_facts(SIZE, OLD);
    assert_eq!(harness.directives().rejected(), [SECOND]);
}

/// Regression: a session that was to tell its facts counted as idle when it ended, and was redialled at once, for ever.
#[test]
fn session_that_ends_before_it_has_told_its_facts_counts_as_failed() {
    // The first session fetches the whole file.
    let mut harness = third_decides(1000);
    harness.directives();
    harness.session(3).ends_with_421();
    let directives = harness.directives();
    assert!(!directives.opens_session_to(server(3)), "{directives:?}");
}

/// Regression: the end of another file counted as the end of this one: an empty file.
#[test]
fn end_of_another_file_does_not_show_the_size_of_this_one() {
    let mut harness = logged_in(3);
    harness.session(2).tells_facts(0, OLD);
    harness.session(1).tells_facts(9, OLD);
    harness.session(1).starts(FIRST_RANGE);
    harness.session(1).finishes_whole(FIRST_RANGE, 0);
    harness.session(3).tells_facts(0, OLD);
    let directives = harness.directives();
    assert_eq!((directives.end(), directives.rejected()), (None, vec![FIRST]), "{directives:?}");
}

/// Regression: a mirror whose transfer had shown the size of its file counted as one that has told all, so no mirror was left
/// to decide.
#[test]
fn mirror_that_has_shown_its_size_may_still_tell_its_time() {
    let mut harness = logged_in(3);
    harness.session(2).tells_facts(SIZE, OLD);
    harness.session(3).tells_facts(SIZE, NEW);
    harness.session(1).finishes_whole(FIRST_RANGE, SIZE);
    assert_eq!(harness.directives().end(), None);
    harness.session(1).tells_facts(None, OLD);
    let directives = harness.directives();
    assert_eq!((directives.end(), directives.rejected()), (None, vec![THIRD]), "{directives:?}");
}

/// Regression: a mirror that was asked twice voted twice, so two against two counted as three against two.
#[test]
fn each_mirror_has_one_vote() {
    let mut harness = logged_in(4);
    for number in 1..=4 {
        harness.session(number).tells_facts(SIZE, OLD);
    }
    let overlap = SIZE / 4 - OVERLAP..SIZE / 4;
    harness.session(1).writes(0..overlap.end);
    harness.directives();
    harness.session(2).sends_overlap(overlap.clone(), 7);
    for _ in 0..2 {
        let comparison = harness.directives().comparison();
        harness.compared(&comparison, false);
    }
    harness.session(3).finishes_cut(FIRST_RANGE);
    harness.directives();
    // The third mirror has the bytes of the first.
    harness.session(3).sends_overlap(overlap.clone(), 8);
    let comparison = harness.directives().comparison();
    harness.compared(&comparison, true);
    harness.session(3).sends_overlap(overlap, 8);
    assert_eq!(harness.directives().compared_offsets(), [0; 0]);
}
