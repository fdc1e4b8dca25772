//! Connections that are added while they pay.

use super::harness::{Directives, Harness, SIZE};
use ftp_proto::{PeerFault, SessionError, Until};

/// The round trip of a path without a queue, in milliseconds.
pub(super) const UNLOADED_RTT: u64 = 40;

/// A round trip that shows that no packets queue on the path, and one that shows a queue.
pub(super) const UNLOADED_REPLY: u64 = UNLOADED_RTT + 1;
pub(super) const LOADED_REPLY: u64 = UNLOADED_RTT * 2 + 10;

/// Bytes of a file that takes far longer than any trial.
const LARGE: u64 = SIZE * 32;

/// Milliseconds between two reports of bytes.
const STEP: u64 = 50;

/// A harness whose first session fetches a large file from its start.
pub(super) struct Fetching {
    pub(super) harness: Harness,
    /// How many bytes the first session has fetched.
    fetched: u64,
}

impl Fetching {
    /// Logs `sessions` sessions in, with servers [`UNLOADED_RTT`] away. Returns what was wanted meanwhile.
    pub(super) fn begin(mut harness: Harness, sessions: u64) -> (Self, Vec<Directives>) {
        harness.advance(UNLOADED_RTT);
        let mut wanted = Vec::new();
        for number in 1..=sessions {
            harness.session(number).connects();
            wanted.push(harness.directives());
        }
        harness.advance(2 * UNLOADED_RTT);
        for number in 1..=sessions {
            harness.session(number).logs_in();
            wanted.push(harness.directives());
            harness.session(number).tells_size(LARGE);
            wanted.push(harness.directives());
        }
        (Self { harness, fetched: 0 }, wanted)
    }

    /// Lets the first session fetch so many bytes in 50 ms. Returns what is wanted then.
    pub(super) fn fetch(&mut self, bytes: u64) -> Directives {
        self.harness.advance(STEP);
        let range = self.fetched..self.fetched + bytes;
        self.fetched = range.end;
        self.harness.session(1).writes(range);
        self.harness.directives()
    }

    /// Fetches at a constant rate until a session is opened to see whether the path is saturated. Returns that session.
    fn fetch_until_a_trial(&mut self) -> u64 {
        for _ in 0..40 {
            if let [session] = self.fetch(100_000).opened()[..] {
                return session;
            }
        }
        panic!("no session is opened as a trial");
    }
}

/// A download that begins with one connection.
fn growing() -> Fetching {
    Fetching::begin(Harness::growing(1, 1, 16), 1).0
}

#[test]
fn trial_whose_syn_is_lost_is_ended_and_repeated() {
    let mut fetching = growing();
    let first = fetching.fetch_until_a_trial();
    let closed = (0..200).find_map(|_| {
        let directives = fetching.fetch(100_000);
        let closed = directives.closed();
        assert!(directives.opened().is_empty() || closed.is_empty(), "{directives:?}");
        (!closed.is_empty()).then_some(closed)
    });
    assert_eq!(closed, Some(vec![first]));
    fetching.harness.session(first).ends(SessionError::Quit);
    let second = fetching.fetch_until_a_trial();
    assert_ne!(second, first);
}

/// Regression: the rate during a pause counted as the rate of the path, so the added connections seemed to pay whatever they
/// fetched.
#[test]
fn pause_before_connections_are_added_does_not_make_them_pay() {
    let mut fetching = growing();
    let mut bytes = 20_000;
    for _ in 0..8 {
        bytes = bytes * 3 / 2;
        assert_eq!(fetching.fetch(bytes).opened(), [0; 0], "the first session still gets faster");
    }
    fetching.harness.advance_and_wake(2 * UNLOADED_RTT);
    let [first] = fetching.harness.directives().opened()[..] else { panic!("no trial") };
    fetching.harness.advance(UNLOADED_REPLY);
    fetching.harness.session(first).connects();
    let directives = fetching.harness.directives();
    let followers = directives.opened();
    assert!(followers.len() > 4, "{followers:?}");
    for session in &followers {
        fetching.harness.session(*session).connects();
    }
    fetching.harness.session(first).logs_in();
    fetching.harness.session(first).tells_size(LARGE);
    // The added sessions fetch a little.
    let offset = directives.fetch_of(first).expect("the trial has a range").offset;
    fetching.harness.session(first).writes(offset..offset + 1000);
    let closed = (0..60).find_map(|_| {
        let closed = fetching.fetch(bytes / 3 * 2).closed();
        (!closed.is_empty()).then_some(closed)
    });
    assert!(closed.is_some_and(|closed| closed.len() >= followers.len()), "they stay open");
}

/// Regression: an added connection took the tail of a transfer without an end, from the middle of 2^64 bytes on.
#[test]
fn added_connection_takes_no_tail_once_the_size_is_unknown_again() {
    const TOLD: u64 = 1 << 30;
    let mut harness = Harness::growing(2, 2, 8);
    for number in 1..=2 {
        harness.session(number).connects();
    }
    // Only the first mirror tells the size; only the second delivers.
    harness.session(1).tells_size(TOLD);
    harness.session(2).tells_size(None);
    harness.session(2).logs_in();
    let mut at = harness.directives().fetch_of(2).expect("the second session has a range").offset;
    let trial = (0..500).find_map(|_| {
        harness.advance(10);
        harness.session(2).writes(at..at + 1000);
        at += 1000;
        harness.directives().opened().first().copied()
    });
    let trial = trial.expect("a connection is added within 5 s");
    harness.session(trial).connects();
    let followers = harness.directives().opened();
    assert!(!followers.is_empty(), "the path is not saturated");
    harness.session(1).ends(SessionError::Peer(PeerFault::Overrun { size: TOLD }));
    assert_eq!(harness.size(), None);
    for session in followers.into_iter().chain([trial, 2]) {
        harness.session(session).ends(SessionError::Quit);
    }
    let redialled = harness.directives();
    for session in redialled.opened() {
        harness.session(session).connects();
    }
    let fetches = [redialled.fetches(), harness.directives().fetches()].concat();
    let ranges: Vec<_> = fetches.iter().map(|fetch| (fetch.offset, fetch.until)).collect();
    assert_eq!(ranges, [(0, Until::Eof)]);
}
