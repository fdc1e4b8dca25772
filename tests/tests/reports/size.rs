//! The size of the file.

use super::harness::{FIRST_RANGE, Harness, OLD, SIZE};

/// Regression: the size that another session had told was forgotten, and the transfer that broke off set another.
#[test]
fn size_told_on_one_session_holds_for_a_session_that_cannot_tell_it() {
    let mut harness = Harness::new(1, 2);
    harness.session(2).tells_facts(SIZE, OLD);
    harness.session(1).tells_facts(None, OLD);
    harness.session(1).writes(0..1000);
    harness.session(1).finishes_short(FIRST_RANGE, 1000);
    assert_eq!(harness.size(), Some(SIZE));
    assert!(harness.has(0..1000));
}

/// Regression: the offset at which a transfer was to begin counted as the end of the file, which differed from the told size,
/// so the file seemed to have changed.
#[test]
fn transfer_without_a_byte_does_not_show_where_the_file_ends() {
    let mut harness = Harness::new(2, 2);
    harness.session(1).connects();
    harness.session(1).tells_size(SIZE);
    harness.session(2).tells_facts(None, OLD);
    harness.session(2).connects();
    harness.session(2).logs_in();
    harness.session(2).finishes_short(FIRST_RANGE, SIZE / 2 - 4096);
    let directives = harness.directives();
    assert!(directives.are_silent(), "{directives:?}");
    assert_eq!(harness.size(), Some(SIZE));
}

/// Regression: the file seemed to have changed, and the download failed, although another mirror could deliver the file.
#[test]
fn mirror_that_tells_another_size_than_it_has_shown_is_rejected() {
    const SHOWN: u64 = 1000;
    const TOLD: u64 = 1002;
    let mut harness = Harness::new(2, 2);
    harness.session(1).connects();
    harness.session(1).logs_in();
    harness.session(1).tells_facts(None, OLD);
    harness.session(2).tells_size(SHOWN);
    // After more than one transfer the mirror is asked about its file again.
    harness.session(1).starts(FIRST_RANGE);
    harness.directives();
    harness.session(1).finishes_cut(FIRST_RANGE);
    let again = harness.directives().fetch_of(1).expect("the range is fetched again").request;
    harness.session(1).starts(again);
    harness.session(1).writes(0..SHOWN);
    harness.session(1).finishes_whole(again, SHOWN);
    assert_eq!(harness.directives().end(), None);
    harness.session(1).tells_facts(TOLD, OLD);
    let directives = harness.directives();
    let warnings = directives.warnings();
    assert!(warnings.iter().any(|warning| warning.contains("ends at byte 1000")), "{directives:?}");
    assert_eq!(directives.end(), None);
    assert_eq!(harness.fetched(), 0);
}
