//! Mirrors that have different files, or different bytes for the same part of one.

use super::{NAME, SIZE, closed, comparisons, hear, opened, reply, resolved, server, wanted, write};
use ftp_proto::{
    Event, Facts, Features, Finish, Instant, Report, Request, RequestId, SessionError, SessionId, TimeVal,
    Verb,
};
use pftp::plan::{Directive, Planner};
use pftp_tests::sim::settings;
use std::convert::Infallible;

/// So many mirrors, each with a session that is logged in. The first is at work, as nobody has said yet how long the file is.
fn logged_in(mirrors: u8) -> Planner {
    let servers: Vec<_> = (1..=mirrors).map(server).collect();
    let mut planner = resolved(settings(&servers, NAME, servers.len()), &servers);
    for id in 1..=u64::from(mirrors) {
        hear(&mut planner, id, Event::Connected);
        hear(&mut planner, id, Event::Ready(Features::default()));
    }
    planner
}

/// The second of three mirrors has sent other bytes than the first, who is at work and has yet to say which file it has. The
/// second has said that its file is an old one; then comes what the third says.
fn two_disagree(third: &[Event]) -> Planner {
    let mut planner = logged_in(3);
    hear(&mut planner, 2, of(SIZE, OLD));
    for event in third {
        hear(&mut planner, 3, event.clone());
    }
    write(&mut planner, 1, 0..SIZE / 2);
    wanted(&mut planner);
    let lead =
        Report::<Infallible>::Overlap(SessionId(2), RequestId(0), SIZE / 2 - 4096, vec![7; 4096].into());
    planner.handle(&lead, Instant::ZERO);
    // Where they meet, and whether the second has sent the head of the file, deaf to where it was to begin.
    for at in [SIZE / 2 - 4096, 0] {
        let all = wanted(&mut planner);
        assert_eq!(ends(&all), 0);
        let [(id, offset)] = comparisons(&all)[..] else { panic!("one comparison at {at}") };
        assert_eq!(offset, at);
        planner.compared(id, false, Instant::ZERO);
    }
    planner
}

const OLD: &[u8] = b"20240229123456";
const NEW: &[u8] = b"20240503000000";

/// A mirror's file has that size and time.
fn of(size: impl Into<Option<u64>>, modify: &[u8]) -> Event {
    let facts = Facts { size: size.into(), modify: TimeVal::parse(modify), ..Facts::default() };
    Event::Facts(RequestId(1), facts)
}

/// How often the download is ended.
fn ends(wanted: &[Directive]) -> usize {
    wanted.iter().filter(|directive| matches!(directive, Directive::Finish(_))).count()
}

/// The mirrors that it goes on without.
fn given_up(wanted: &[Directive]) -> Vec<&str> {
    let warned = wanted.iter().filter_map(|directive| match directive {
        Directive::Warn(text) => text.split(": its file differs").next(),
        _ => None,
    });
    warned.collect()
}

/// It was left undecided whose bytes were right, although the one that was at work had yet to say which of two files it has.
#[test]
fn other_bytes_decide_nothing_while_a_mirror_may_say_which_file_it_has() {
    let mut planner = two_disagree(&[of(SIZE + 1000, NEW)]);
    assert_eq!(ends(&wanted(&mut planner)), 0);
    hear(&mut planner, 1, of(None, NEW));
    let all = wanted(&mut planner);
    assert_eq!((ends(&all), given_up(&all)), (0, vec!["192.0.2.2:21"]), "{all:?}");
    assert_eq!(planner.size(), Some(SIZE + 1000));
}

/// The same where nobody had said yet that there is another file.
#[test]
fn other_bytes_decide_nothing_while_a_mirror_may_say_that_it_has_another_file() {
    let mut planner = two_disagree(&[
        of(SIZE, OLD),
        Event::Refused(RequestId(2), Verb::Rest, reply("502 Not implemented.")),
    ]);
    assert_eq!(ends(&wanted(&mut planner)), 0);
    hear(&mut planner, 1, of(None, NEW));
    let all = wanted(&mut planner);
    assert_eq!((ends(&all), given_up(&all)), (0, vec!["192.0.2.1:21"]), "{all:?}");
    assert_eq!(planner.size(), Some(SIZE));
}

/// Of three mirrors the first two had the same wrong bytes where they met. When others had taken the place of the first's, nobody
/// compared the second's with those: a mixed file.
#[test]
fn who_agreed_with_what_was_wrong_is_compared_again() {
    let mut planner = logged_in(3);
    for id in 2..=3 {
        hear(&mut planner, id, of(SIZE, OLD));
    }
    let begins = wanted(&mut planner).into_iter().find_map(|directive| match directive {
        Directive::Request(SessionId(2), _, Request::Retrieve(part)) => Some(part.offset),
        _ => None,
    });
    let met = begins.expect("a part for the second");
    write(&mut planner, 1, 0..met);
    let lead = Report::<Infallible>::Overlap(SessionId(2), RequestId(0), met - 4096, vec![7; 4096].into());
    planner.handle(&lead, Instant::ZERO);
    write(&mut planner, 2, met..met + 4096);
    let [(seam, _)] = comparisons(&wanted(&mut planner))[..] else { panic!("one comparison") };
    planner.compared(seam, true, Instant::ZERO);
    hear(&mut planner, 1, of(SIZE, NEW));
    let all = wanted(&mut planner);
    assert_eq!((given_up(&all), comparisons(&all)), (vec!["192.0.2.1:21"], vec![]), "{all:?}");
    // The third fetches what is missing now.
    write(&mut planner, 3, 0..met);
    let asked = comparisons(&wanted(&mut planner));
    assert_eq!(asked.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [met - 4096]);
}

/// The mirrors of two sessions have different files, and the connection of the second is lent to a third mirror, to hear that:
/// its session is logged in.
fn third_is_to_be_heard(size: u64) -> Planner {
    let servers = [server(1), server(2), server(3)];
    let mut planner = resolved(settings(&servers, NAME, 2), &servers);
    for (id, modify) in [(1, OLD), (2, NEW)] {
        hear(&mut planner, id, Event::Connected);
        hear(&mut planner, id, Event::Ready(Features::default()));
        hear(&mut planner, id, of(size, modify));
    }
    assert_eq!(closed(&wanted(&mut planner)), [SessionId(2)]);
    hear(&mut planner, 2, Event::Closed(SessionError::Quit));
    assert_eq!(opened(&wanted(&mut planner)), [SessionId(3)]);
    hear(&mut planner, 3, Event::Connected);
    hear(&mut planner, 3, Event::Ready(Features::default()));
    planner
}

/// It was given back at once to the mirror that may not fetch, and lent again, for ever.
#[test]
fn a_mirror_without_rest_keeps_its_connection_until_it_is_heard() {
    let mut planner = third_is_to_be_heard(SIZE);
    let asked = wanted(&mut planner).into_iter().find_map(|directive| match directive {
        Directive::Request(SessionId(3), id, Request::Retrieve(_)) => Some(id),
        _ => None,
    });
    let asked = asked.expect("a part for the third");
    hear(&mut planner, 3, Event::Refused(asked, Verb::Rest, reply("502 Not implemented.")));
    assert_eq!(closed(&wanted(&mut planner)), []);
    hear(&mut planner, 3, of(SIZE, OLD));
    assert_eq!(given_up(&wanted(&mut planner)), ["192.0.2.2:21"]);
}

/// It was dialled again at once, for ever: a session that is to say which file its mirror has was taken for idle.
#[test]
fn a_session_that_ends_before_its_mirror_is_heard_has_failed() {
    // The first fetches all of it.
    let mut planner = third_is_to_be_heard(1000);
    wanted(&mut planner);
    let reply = reply("421 Timeout.");
    hear(&mut planner, 3, Event::Closed(SessionError::Refused { verb: None, reply }));
    let all = wanted(&mut planner);
    let again =
        |directive: &Directive| matches!(directive, Directive::Open { peer, .. } if *peer == server(3));
    assert!(!all.iter().any(again), "{all:?}");
}

/// The end of the other file was taken for that of this one, which nobody had seen: an empty file.
#[test]
fn where_another_file_ends_shows_nothing() {
    let mut planner = logged_in(3);
    hear(&mut planner, 2, of(0, OLD));
    hear(&mut planner, 1, of(9, OLD));
    hear(&mut planner, 1, Event::Started(RequestId(2)));
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Whole { at: 0 }));
    hear(&mut planner, 3, of(0, OLD));
    let all = wanted(&mut planner);
    assert_eq!((ends(&all), given_up(&all)), (0, vec!["192.0.2.1:21"]), "{all:?}");
}

/// The size that its transfer had shown was taken for all that it has to say, and nobody was left to decide.
#[test]
fn a_mirror_that_has_shown_where_its_file_ends_is_yet_to_be_heard() {
    let mut planner = logged_in(3);
    hear(&mut planner, 2, of(SIZE, OLD));
    hear(&mut planner, 3, of(SIZE, NEW));
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Whole { at: SIZE }));
    assert_eq!(ends(&wanted(&mut planner)), 0);
    hear(&mut planner, 1, of(None, OLD));
    let all = wanted(&mut planner);
    assert_eq!((ends(&all), given_up(&all)), (0, vec!["192.0.2.3:21"]), "{all:?}");
}

/// One that had been asked twice voted twice: two against two was three against two.
#[test]
fn each_mirror_has_one_vote() {
    let mut planner = logged_in(4);
    for id in 1..=4 {
        hear(&mut planner, id, of(SIZE, OLD));
    }
    write(&mut planner, 1, 0..SIZE / 4);
    wanted(&mut planner);
    let lead = |id, byte| {
        Report::<Infallible>::Overlap(SessionId(id), RequestId(0), SIZE / 4 - 4096, vec![byte; 4096].into())
    };
    planner.handle(&lead(2, 7), Instant::ZERO);
    for same in [false, false] {
        let [(id, _)] = comparisons(&wanted(&mut planner))[..] else { panic!("one comparison") };
        planner.compared(id, same, Instant::ZERO);
    }
    hear(&mut planner, 3, Event::Finished(RequestId(2), Finish::Cut));
    wanted(&mut planner);
    // It has what the first has.
    planner.handle(&lead(3, 8), Instant::ZERO);
    let [(id, _)] = comparisons(&wanted(&mut planner))[..] else { panic!("one comparison") };
    planner.compared(id, true, Instant::ZERO);
    planner.handle(&lead(3, 8), Instant::ZERO);
    assert_eq!(comparisons(&wanted(&mut planner)), []);
}
