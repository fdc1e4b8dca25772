//! Standby sessions, which take over when a running transfer ends.

use super::growth::{Fetching, LOADED_REPLY, UNLOADED_RTT};
use super::harness::{Directives, FIRST_RANGE, Harness, SIZE, two_sessions_fetch};

/// The standby session.
const STANDBY: u64 = 2;

/// A download from two mirrors, of which the first has two of three sessions: one fetches, and one stands by with a data
/// connection open ahead.
fn with_a_standby() -> Fetching {
    let (mut fetching, wanted) = Fetching::begin(Harness::new(2, 3), 3);
    let probe =
        wanted.iter().find_map(|directives| directives.noop_of(STANDBY)).expect("a probe of the idle path");
    reply_to_probe(&mut fetching, probe, UNLOADED_RTT);
    let of_standby = |directives: &Directives| {
        let prepares = directives.prepares();
        prepares.into_iter().find(|(session, _)| *session == STANDBY).map(|(_, request)| request)
    };
    let prepared = wanted.iter().find_map(of_standby).expect("a data connection ahead");
    fetching.harness.advance(UNLOADED_RTT);
    fetching.harness.session(STANDBY).prepares(prepared);
    fetching.harness.session(1).starts(FIRST_RANGE);
    fetching.harness.directives();
    fetching
}

fn reply_to_probe(fetching: &mut Fetching, probe: ftp_proto::RequestId, after_millis: u64) {
    fetching.harness.advance(after_millis);
    fetching.harness.session(STANDBY).replies(probe, "200 Here.");
    fetching.harness.directives();
}

/// Fetches at a constant rate until the standby session probes whether the path is saturated, and replies that it is.
fn show_that_the_path_is_saturated(fetching: &mut Fetching) {
    for _ in 0..100 {
        if let Some(probe) = fetching.fetch(100_000).noop_of(STANDBY) {
            return reply_to_probe(fetching, probe, LOADED_REPLY);
        }
    }
    panic!("the standby session sends no probe");
}

/// Regression: bytes in flight when a transfer was cut still filled the queue, and the first packets of the next were lost.
#[test]
fn standby_session_takes_over_only_after_the_queue_has_drained() {
    let mut fetching = with_a_standby();
    show_that_the_path_is_saturated(&mut fetching);
    let harness = &mut fetching.harness;
    harness.session(1).finishes_cut(FIRST_RANGE);
    assert_eq!(harness.directives().fetch_of(STANDBY), None);
    // The server has heard of the cut after half a round trip.
    harness.advance_and_wake(UNLOADED_RTT / 2 - 1);
    assert_eq!(harness.directives().fetch_of(STANDBY), None);
    assert_eq!(harness.wakes_after(), Some(1));
    harness.advance_and_wake(1);
    let directives = harness.directives();
    assert!(directives.fetch_of(STANDBY).is_some(), "{directives:?}");
}

#[test]
fn idle_session_opens_one_data_connection_ahead() {
    let mut harness = two_sessions_fetch(SIZE);
    harness.session(1).writes(0..SIZE / 2);
    harness.session(2).writes(SIZE / 2..SIZE - 1000);
    assert_eq!(harness.directives().prepares().len(), 0);
    harness.session(1).finishes_cut(FIRST_RANGE);
    assert_eq!(harness.directives().prepares().len(), 1);
    harness.advance_and_wake(200);
    assert_eq!(harness.directives().prepares().len(), 0);
}

/// Regression: a transfer that had most of the path ended, and its session had yet to fetch the range that it took from the
/// other. The other counted as collapsed and was refreshed, so that for a while no session fetched.
#[test]
fn transfer_is_not_refreshed_while_another_is_about_to_begin() {
    const LARGE: u64 = 64 << 20;
    const STEP: u64 = 50;
    let mut harness = two_sessions_fetch(LARGE);
    let mut positions = [0, LARGE / 2];
    let mut fetch = |harness: &mut Harness, session: u64, bytes| {
        let position = &mut positions[session as usize - 1];
        let range = *position..*position + bytes;
        *position = range.end;
        harness.session(session).writes(range.clone());
        range.end
    };
    harness.advance(100);
    for number in 1..=2 {
        harness.session(number).starts(FIRST_RANGE);
    }
    while harness.now() < 1700 {
        harness.advance(STEP);
        fetch(&mut harness, 1, 100_000);
        fetch(&mut harness, 2, 1 << 20);
    }
    // The second session is given the tail of the first one's range.
    harness.session(2).finishes_whole(FIRST_RANGE, LARGE);
    harness.directives();
    let mut is_refreshed_by = |millis| {
        let mut is_refreshed = false;
        while harness.now() < millis && !is_refreshed {
            harness.advance(STEP);
            let position = fetch(&mut harness, 1, 1000);
            is_refreshed = harness.directives().set_end_of(1, position);
        }
        is_refreshed
    };
    assert!(!is_refreshed_by(2150), "the first transfer is refreshed while the second session begins");
    assert!(is_refreshed_by(4000), "the session that never begins is waited for");
}
