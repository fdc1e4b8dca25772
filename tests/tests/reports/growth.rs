//! Connections that are added, and go again where they do not pay.

use super::{Download, NAME, SIZE, closed, facts, hear, opened, resolved, server, wanted};
use ftp_proto::{
    Event, Facts, Features, Instant, PeerFault, Report, Request, RequestId, SessionError, SessionId, Until,
};
use pftp::plan::{Directive, Settings};
use pftp_tests::sim::settings;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A download that began with one connection, and is given more where they pay.
fn growing() -> Download {
    let begin_with = NonZeroUsize::MIN;
    let planner = resolved(Settings { begin_with, ..settings(&[server(1)], NAME, 16) }, &[server(1)]);
    Download::begin(planner, 1).0
}

impl Download {
    /// Goes on at this pace until a session is opened: which, and what else is wanted then.
    fn look(&mut self, bytes: u64) -> (SessionId, Vec<Directive>) {
        for _ in 0..40 {
            let opening = self.go_on(bytes);
            if let [id] = opened(&opening)[..] {
                return (id, opening);
            }
        }
        panic!("nobody looks whether the path is full");
    }
}

/// A download that gets no faster: the one that was dialled `took` milliseconds long to see whether the path is full, what was
/// wanted of it when it was opened, and what then.
fn dialled_to_look(took: u64) -> (SessionId, Vec<Directive>, Vec<Directive>) {
    let mut growing = growing();
    let (id, opening) = growing.look(100_000);
    growing.now += took;
    let then = growing.hear(id, Event::Connected);
    (id, opening, then)
}

fn is_given_a_range(wanted: &[Directive], session: SessionId) -> bool {
    let range = |directive: &Directive| matches!(directive, Directive::Request(id, _, Request::Retrieve(_)) if *id == session);
    wanted.iter().any(range)
}

/// It got a range with its first directive, which others had to take up again when the path was full.
#[test]
fn a_connection_gets_a_range_when_it_has_seen_that_the_path_is_not_full() {
    let (id, opening, then) = dialled_to_look(41);
    assert!(!is_given_a_range(&opening, id), "{opening:?}");
    assert!(is_given_a_range(&then, id), "{then:?}");
    assert!(!opened(&then).is_empty(), "{then:?}");
    let (id, opening, then) = dialled_to_look(90);
    assert!(!opening.iter().any(|directive| matches!(directive, Directive::Shrink(..))), "{opening:?}");
    assert!(matches!(then.as_slice(), [Directive::Close(closed)] if *closed == id), "{then:?}");
}

/// The loss of a SYN is no proof that the path is not full; but nobody was to wait for it for ever.
#[test]
fn one_that_is_never_dialled_has_tried_nothing() {
    let mut growing = growing();
    let (first, _) = growing.look(100_000);
    let again = (0..200).find_map(|_| {
        let wanted = growing.go_on(100_000);
        let ended = closed(&wanted);
        assert!(opened(&wanted).is_empty() || ended.is_empty(), "{wanted:?}");
        (!ended.is_empty()).then_some(ended)
    });
    assert_eq!(again, Some(vec![first]));
    growing.hear(first, Event::Closed(SessionError::Quit));
    // It is looked again, by one.
    let (second, _) = growing.look(100_000);
    assert_ne!(second, first);
}

/// What came in a pause was taken for what the path carries: whatever came after it, the connections had paid.
#[test]
fn a_pause_before_connections_are_added_does_not_make_them_pay() {
    let mut growing = growing();
    let mut bytes = 20_000;
    for _ in 0..8 {
        bytes = bytes * 3 / 2;
        assert!(opened(&growing.go_on(bytes)).is_empty(), "it gets faster still");
    }
    growing.now += 80;
    growing.planner.handle_timeout(growing.at());
    let [first] = opened(&wanted(&mut growing.planner))[..] else { panic!("nobody looks") };
    growing.now += 41;
    let then = growing.hear(first, Event::Connected);
    let followers = opened(&then);
    assert!(followers.len() > 4, "{followers:?}");
    for id in &followers {
        growing.hear(*id, Event::Connected);
    }
    growing.hear(first, Event::Ready(Features::default()));
    growing.hear(first, facts(SIZE * 32));
    // They bring a little.
    let part = then.iter().find_map(|directive| match directive {
        Directive::Request(id, _, Request::Retrieve(part)) if *id == first => Some(part.offset),
        _ => None,
    });
    let part = part.expect("a range for the one that was dialled first");
    growing
        .planner
        .handle(&Report::<Infallible>::Written(first, RequestId(0), part..part + 1000), growing.at());
    let ended = (0..60).find_map(|_| {
        let ended = closed(&growing.go_on(bytes / 3 * 2));
        (!ended.is_empty()).then_some(ended)
    });
    assert!(ended.is_some_and(|ended| ended.len() >= followers.len()), "they stay");
}

/// A connection on trial took the tail of a transfer that had no end, from the middle of 2^64 bytes on, or of its own.
#[test]
fn a_connection_that_is_added_takes_no_tail_of_a_file_whose_size_is_not_known_any_more() {
    let servers = [server(1), server(2)];
    let begin_with = NonZeroUsize::new(2).expect("two");
    let settings = Settings { begin_with, ..settings(&servers, NAME, 8) };
    let mut planner = resolved(settings, &servers);
    for id in 1..=2 {
        hear(&mut planner, id, Event::Connected);
    }
    // The first says how long the file is; the second does not, and is the one that brings something.
    hear(&mut planner, 1, facts(1 << 30));
    hear(&mut planner, 2, Event::Facts(RequestId(1), Facts::default()));
    hear(&mut planner, 2, Event::Ready(Features::default()));
    let part = wanted(&mut planner).into_iter().find_map(|directive| match directive {
        Directive::Request(SessionId(2), _, Request::Retrieve(part)) => Some(part.offset),
        _ => None,
    });
    let mut at = part.expect("a part for the second");
    let mut now = Instant::ZERO;
    let added = loop {
        now = now + Duration::from_millis(10);
        assert!(now.0 < Duration::from_secs(5), "no connection is added");
        planner.handle(&Report::<Infallible>::Written(SessionId(2), RequestId(0), at..at + 1000), now);
        at += 1000;
        if let [id] = opened(&wanted(&mut planner))[..] {
            break id;
        }
    };
    // The path is not full: the others follow.
    planner.handle(&Report::<Infallible>::Event(added, Event::Connected), now);
    let followers = opened(&wanted(&mut planner));
    assert!(!followers.is_empty());
    // The first has more than it said: that was the only one who knew the size.
    let closed = |id, error| Report::<Infallible>::Event(id, Event::Closed(error));
    planner.handle(&closed(SessionId(1), SessionError::Peer(PeerFault::Overrun { size: 1 << 30 })), now);
    assert_eq!(planner.size(), None);
    for id in followers.into_iter().chain([added, SessionId(2)]) {
        planner.handle(&closed(id, SessionError::Quit), now);
    }
    let mut all = wanted(&mut planner);
    for id in opened(&all) {
        planner.handle(&Report::<Infallible>::Event(id, Event::Connected), now);
    }
    all.extend(wanted(&mut planner));
    let asked: Vec<_> = all
        .into_iter()
        .filter_map(|directive| match directive {
            Directive::Request(id, _, Request::Retrieve(part)) => Some((id, part.offset, part.until)),
            _ => None,
        })
        .collect();
    assert!(matches!(asked[..], [(_, 0, Until::Eof)]), "{asked:?}");
}
