//! The end of the file and of the download.

use super::harness::{FIRST_RANGE, Harness, SIZE, two_sessions_fetch};
use ftp_proto::{PeerFault, SessionError, Timer, Until};
use pftp_tests::sim::ErrorKind;

/// Regression: a transfer whose end was moved had fetched the whole file by then, and no session looked for more bytes.
#[test]
fn end_of_the_file_is_fetched_if_the_first_transfer_outran_its_new_end() {
    let mut harness = two_sessions_fetch(SIZE);
    harness.session(1).writes(0..SIZE);
    harness.session(1).finishes_cut(FIRST_RANGE);
    let directives = harness.directives();
    let fetches = directives.fetches();
    let for_end = fetches.iter().find(|fetch| fetch.offset == SIZE);
    let for_end = for_end.unwrap_or_else(|| panic!("no session fetches the end: {directives:?}"));
    assert_eq!(for_end.until, Until::Size(SIZE));
    assert_eq!(directives.end(), None);
    harness.session(for_end.session).ends(SessionError::Peer(PeerFault::Overrun { size: SIZE }));
    assert_eq!(harness.directives().end(), Some(Err(ErrorKind::Integrity)));
}

#[test]
fn bytes_written_after_the_download_was_stopped_are_kept_for_the_next_run() {
    let mut harness = Harness::new(1, 1);
    harness.session(1).tells_size(3000);
    harness.session(1).writes(0..1000);
    harness.stop();
    assert_eq!(harness.directives().end(), None);
    harness.session(1).writes(1000..3000);
    assert_eq!(harness.settled(), vec![0..3000]);
    // More bytes than the told size: no byte of the mirror counts. The user would be told, but the download is over.
    harness.session(1).writes(3000..4000);
    assert_eq!(harness.settled(), []);
    let directives = harness.directives();
    assert!(directives.are_empty(), "{directives:?}");
}

/// Regression: a transfer whose server sends no mark did not count as a transfer, so the file was not asked about again after
/// it had been replaced.
#[test]
fn file_is_asked_about_again_after_a_transfer_without_a_mark() {
    let mut harness = two_sessions_fetch(SIZE);
    harness.session(1).starts(FIRST_RANGE);
    harness.session(1).writes(0..SIZE / 2);
    harness.session(1).finishes_cut(FIRST_RANGE);
    harness.session(2).writes(SIZE / 2..SIZE);
    harness.directives();
    harness.session(2).finishes_whole(FIRST_RANGE, SIZE);
    let directives = harness.directives();
    assert!(directives.ask_for_facts(), "{directives:?}");
    assert_eq!(directives.end(), None);
}

/// Regression: all sessions were lost after the last byte, and no session asked whether the file was still the same.
#[test]
fn mirror_that_lost_all_sessions_at_the_end_is_dialled_once_more() {
    let mut harness = two_sessions_fetch(SIZE);
    for number in 1..=2 {
        harness.session(number).starts(FIRST_RANGE);
    }
    harness.session(1).writes(0..SIZE / 2);
    harness.session(1).finishes_cut(FIRST_RANGE);
    harness.session(2).writes(SIZE / 2..SIZE);
    harness.session(2).finishes_whole(FIRST_RANGE, SIZE);
    harness.directives();
    for number in 1..=2 {
        assert_eq!(harness.directives().opened(), [0; 0], "a session is left");
        harness.session(number).ends(SessionError::Timeout(Timer::Completion));
    }
    let directives = harness.directives();
    assert_eq!((directives.opened(), directives.end()), (vec![3], None), "{directives:?}");
    // No third attempt follows.
    harness.session(3).ends(SessionError::Timeout(Timer::Connect));
    assert_eq!(harness.directives().end(), Some(Ok(SIZE)));
}
