//! What the planner makes of single reports, told it one by one.

use ftp_proto::{
    Command, Error, Event, Facts, Features, Finish, Instant, PeerFault, ReplyParser, Report, Request,
    RequestId, SessionId, TimeVal, Until,
};
use pftp::exit::{Failure, Kind};
use pftp::plan::{Directive, MirrorId, Planner, SeamId, Settings};
use pftp_tests::sim::settings;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

const SIZE: u64 = 8 << 20;
const NAME: &str = "pub/file";

/// A planner that has dialled `connections` sessions with a server.
fn dialled(connections: usize) -> Planner {
    resolved(settings(&[server(1)], NAME, connections), &[server(1)])
}

/// Two sessions of one mirror, logged in, with a part of the file each. Their requests have the number 2.
fn two_fetch(size: u64) -> Planner {
    let mut planner = dialled(2);
    for id in 1..=2 {
        hear(&mut planner, id, Event::Connected);
        hear(&mut planner, id, Event::Ready(Features::default()));
    }
    hear(&mut planner, 1, facts(size));
    planner
}

fn server(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 21))
}

/// A planner that knows where its mirrors are. The sessions of the first come first.
fn resolved(settings: Settings, servers: &[SocketAddr]) -> Planner {
    let mut planner = Planner::new(settings, Instant::ZERO);
    for (at, server) in servers.iter().enumerate() {
        planner.resolved(MirrorId(at), Ok(vec![*server]), Instant::ZERO);
    }
    planner
}

fn wanted(planner: &mut Planner) -> Vec<Directive> {
    std::iter::from_fn(|| planner.poll()).collect()
}

/// The planner hears this of the session with this number.
fn hear(planner: &mut Planner, id: u64, event: Event) {
    planner.handle(&Report::<Infallible>::Event(SessionId(id), event), Instant::ZERO);
}

fn facts(size: u64) -> Event {
    Event::Facts(RequestId(1), Facts { size: Some(size), ..Facts::default() })
}

/// These bytes have come through the session with this number.
fn write(planner: &mut Planner, id: u64, range: Range<u64>) {
    planner.handle(&Report::<Infallible>::Written(SessionId(id), range), Instant::ZERO);
}

/// A transfer that was to end earlier had brought the whole file by then, and nobody looked at whether more would come.
#[test]
fn the_end_is_asked_for_where_the_first_transfer_outran_its_new_end() {
    let mut planner = two_fetch(SIZE);
    write(&mut planner, 1, 0..SIZE);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Cut));
    let all = wanted(&mut planner);
    let for_end = all.iter().find_map(|directive| match directive {
        Directive::Request(id, _, Request::Retrieve(part)) if part.offset == SIZE => Some((*id, part.until)),
        _ => None,
    });
    let Some((id, until)) = for_end else { panic!("nobody is asked for the end: {all:?}") };
    assert_eq!(until, Until::Size(SIZE));
    assert!(!all.iter().any(|directive| matches!(directive, Directive::Finish(_))), "{all:?}");
    hear(&mut planner, id.0, Event::Closed(Error::Peer(PeerFault::Overrun { size: SIZE })));
    let last = wanted(&mut planner).pop();
    assert!(
        matches!(&last, Some(Directive::Finish(Err(failure))) if failure.kind() == Kind::Integrity),
        "{last:?}"
    );
}

#[test]
fn what_is_written_after_the_end_is_there_for_the_next_run_and_asks_for_nothing() {
    let mut planner = dialled(1);
    hear(&mut planner, 1, facts(3000));
    write(&mut planner, 1, 0..1000);
    planner.stop(Failure::new(Kind::Other, "enough"));
    let last = wanted(&mut planner).pop();
    assert!(matches!(last, Some(Directive::Finish(Err(_)))), "{last:?}");
    write(&mut planner, 1, 1000..3000);
    let settled = planner.settled();
    assert!(settled.contains(&(0..3000)) && settled.len() == 3000, "{settled:?}");
    // More than the file has: nothing of its mirror counts, and that would be told if it were not too late.
    write(&mut planner, 1, 3000..4000);
    assert!(planner.settled().is_empty(), "{:?}", planner.settled());
    let more = planner.poll();
    assert!(more.is_none(), "{more:?}");
}

/// The sessions that were opened.
fn opened(wanted: &[Directive]) -> Vec<SessionId> {
    let opened = wanted.iter().filter_map(|directive| match directive {
        Directive::Open { id, .. } => Some(*id),
        _ => None,
    });
    opened.collect()
}

/// The sessions that were closed.
fn closed(wanted: &[Directive]) -> Vec<SessionId> {
    let closed = wanted.iter().filter_map(|directive| match directive {
        Directive::Close(id) => Some(*id),
        _ => None,
    });
    closed.collect()
}

/// A download that began with one connection, and is given more where they pay.
struct Growing {
    planner: Planner,
    /// Milliseconds.
    now: u64,
    /// How far its first session has come.
    written: u64,
}

impl Growing {
    fn begin() -> Self {
        let begin_with = NonZeroUsize::MIN;
        let planner = resolved(Settings { begin_with, ..settings(&[server(1)], NAME, 16) }, &[server(1)]);
        let mut growing = Self { planner, now: 40, written: 0 };
        growing.hear(SessionId(1), Event::Connected);
        growing.now = 120;
        growing.hear(SessionId(1), Event::Ready(Features::default()));
        growing.hear(SessionId(1), facts(SIZE * 32));
        wanted(&mut growing.planner);
        growing
    }

    fn at(&self) -> Instant {
        Instant(Duration::from_millis(self.now))
    }

    fn hear(&mut self, id: SessionId, event: Event) -> Vec<Directive> {
        self.planner.handle(&Report::<Infallible>::Event(id, event), self.at());
        wanted(&mut self.planner)
    }

    /// So many bytes come through the first session within 50 milliseconds.
    fn go_on(&mut self, bytes: u64) -> Vec<Directive> {
        self.now += 50;
        let range = self.written..self.written + bytes;
        self.written += bytes;
        self.planner.handle(&Report::<Infallible>::Written(SessionId(1), range), self.at());
        wanted(&mut self.planner)
    }

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
    let mut growing = Growing::begin();
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
    let mut growing = Growing::begin();
    let (first, _) = growing.look(100_000);
    let again = (0..200).find_map(|_| {
        let wanted = growing.go_on(100_000);
        let ended = closed(&wanted);
        assert!(opened(&wanted).is_empty() || ended.is_empty(), "{wanted:?}");
        (!ended.is_empty()).then_some(ended)
    });
    assert_eq!(again, Some(vec![first]));
    growing.hear(first, Event::Closed(Error::Quit));
    // It is looked again, by one.
    let (second, _) = growing.look(100_000);
    assert_ne!(second, first);
}

/// What came in a pause was taken for what the path carries: whatever came after it, the connections had paid.
#[test]
fn a_pause_before_connections_are_added_does_not_make_them_pay() {
    let mut growing = Growing::begin();
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
    growing.planner.handle(&Report::<Infallible>::Written(first, part..part + 1000), growing.at());
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
        planner.handle(&Report::<Infallible>::Written(SessionId(2), at..at + 1000), now);
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
    planner.handle(&closed(SessionId(1), Error::Peer(PeerFault::Overrun { size: 1 << 30 })), now);
    assert_eq!(planner.size(), None);
    for id in followers.into_iter().chain([added, SessionId(2)]) {
        planner.handle(&closed(id, Error::Quit), now);
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

/// The comparisons that are wanted: their names and where they begin.
fn comparisons(wanted: &[Directive]) -> Vec<(SeamId, u64)> {
    let of = |directive: &Directive| match directive {
        Directive::Compare(id, at, _) => Some((*id, *at)),
        _ => None,
    };
    wanted.iter().filter_map(of).collect()
}

/// The second answer found nobody but one to have written there, and that one was said to differ from itself.
#[test]
fn an_answer_about_bytes_that_were_taken_back_since_accuses_nobody() {
    let servers = [server(1), server(2)];
    let mut planner = resolved(settings(&servers, NAME, 4), &servers);
    // The first two are with one mirror. Its first transfer outruns its new end, where the other has begun.
    hear(&mut planner, 1, Event::Connected);
    hear(&mut planner, 1, facts(SIZE));
    for id in [3, 2] {
        hear(&mut planner, id, Event::Connected);
        hear(&mut planner, id, Event::Ready(Features::default()));
    }
    let met = SIZE / 4;
    write(&mut planner, 1, 0..met + 8192);
    write(&mut planner, 3, met..met + 8192);
    for (offset, len) in [(met, 4096), (met + 1000, 2000)] {
        let lead = Report::<Infallible>::Lead(SessionId(2), offset, vec![7; len].into());
        planner.handle(&lead, Instant::ZERO);
    }
    let asked = comparisons(&wanted(&mut planner));
    assert_eq!(asked.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [met, met + 1000]);
    for (id, _) in asked {
        planner.compared(id, false, Instant::ZERO);
    }
    let all = wanted(&mut planner);
    assert!(!all.iter().any(|it| matches!(it, Directive::Warn(_) | Directive::Finish(_))), "{all:?}");
    assert_eq!(comparisons(&all), []);
    assert!(!planner.done().contains(&(met..met + 4096)), "{:?}", planner.done());
    // Both are compared with what takes their place.
    write(&mut planner, 3, met..met + 8192);
    assert_eq!(comparisons(&wanted(&mut planner)).len(), 2);
}

/// The first transfer of a session was ended there, and called complete.
fn called_complete(at: u64) -> Event {
    let mut parser = ReplyParser::new(100);
    parser.push(b"226 Transfer complete.\r\n");
    let reply = parser.next().expect("a reply").expect("all of it");
    Event::Finished(RequestId(2), Finish::Short { at, reply })
}

/// The size that another session had told was forgotten, and the transfer that broke off told another.
#[test]
fn what_one_session_cannot_say_another_has_said() {
    let mut planner = dialled(2);
    let modify = TimeVal::parse(b"20240229123456");
    let say = |size| Event::Facts(RequestId(1), Facts { size, modify, ..Facts::default() });
    hear(&mut planner, 2, say(Some(SIZE)));
    hear(&mut planner, 1, say(None));
    write(&mut planner, 1, 0..1000);
    hear(&mut planner, 1, called_complete(1000));
    assert_eq!(planner.size(), Some(SIZE));
    assert!(planner.done().contains(&(0..1000)), "{:?}", planner.done());
}

/// Where a transfer was to begin was taken for the end of a file that ends long before: of the size that another mirror told
/// it was said to be a change.
#[test]
fn a_transfer_that_brings_nothing_does_not_show_where_the_file_ends() {
    let servers = [server(1), server(2)];
    let mut planner = resolved(settings(&servers, NAME, 2), &servers);
    hear(&mut planner, 1, Event::Connected);
    hear(&mut planner, 1, facts(SIZE));
    let modify = TimeVal::parse(b"20240229123456");
    hear(&mut planner, 2, Event::Facts(RequestId(1), Facts { modify, ..Facts::default() }));
    hear(&mut planner, 2, Event::Connected);
    hear(&mut planner, 2, Event::Ready(Features::default()));
    hear(&mut planner, 2, called_complete(SIZE / 2 - 4096));
    let all = wanted(&mut planner);
    assert!(!all.iter().any(|it| matches!(it, Directive::Warn(_) | Directive::Finish(_))), "{all:?}");
    assert_eq!(planner.size(), Some(SIZE));
}

/// The mirror whose name was found first began, however far it was, and the nearest waited until the size was known.
#[test]
fn the_mirror_that_is_reached_first_begins() {
    let servers = [server(1), server(2)];
    let mut planner = resolved(settings(&servers, NAME, 2), &servers);
    hear(&mut planner, 2, Event::Connected);
    hear(&mut planner, 1, Event::Connected);
    let begins = wanted(&mut planner).into_iter().filter_map(|directive| match directive {
        Directive::Request(id, _, Request::Retrieve(part)) => Some((id.0, part.offset, part.until)),
        _ => None,
    });
    assert_eq!(begins.collect::<Vec<_>>(), [(2, 0, Until::Eof)]);
}

/// That was taken for a change of the file, though another mirror could have delivered it.
#[test]
fn a_mirror_that_tells_another_size_than_it_has_shown_is_given_up() {
    let servers = [server(1), server(2)];
    let mut planner = resolved(settings(&servers, NAME, 2), &servers);
    hear(&mut planner, 1, Event::Connected);
    hear(&mut planner, 1, Event::Ready(Features::default()));
    let modify = TimeVal::parse(b"20240229123456");
    hear(&mut planner, 1, Event::Facts(RequestId(1), Facts { modify, ..Facts::default() }));
    hear(&mut planner, 2, facts(1000));
    // As there was more than one transfer it is asked once more at the end.
    for id in [1, 2] {
        hear(&mut planner, id, Event::Started(RequestId(2)));
    }
    write(&mut planner, 1, 0..1000);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Whole { at: 1000 }));
    let all = wanted(&mut planner);
    assert!(!all.iter().any(|it| matches!(it, Directive::Finish(_))), "{all:?}");
    hear(&mut planner, 1, Event::Facts(RequestId(1), Facts { modify, size: Some(1002), ..Facts::default() }));
    let all = wanted(&mut planner);
    assert!(
        all.iter().any(|it| matches!(it, Directive::Warn(text) if text.contains("ends at byte 1000"))),
        "{all:?}"
    );
    assert!(!all.iter().any(|it| matches!(it, Directive::Finish(_))), "{all:?}");
    assert!(planner.done().is_empty(), "{:?}", planner.done());
}

/// What two sessions of the first of two mirrors are asked, the first of which gets no faster: when both are logged in and when
/// the second has answered, which takes that many milliseconds. The other mirror has the other part.
fn asked_of_reserve(answer_takes: u64) -> (Vec<Request>, Vec<Request>) {
    let servers = [server(1), server(2)];
    let mut planner = resolved(settings(&servers, NAME, 3), &servers);
    let at = |millis| Instant(Duration::from_millis(millis));
    let tell = |planner: &mut Planner, id, event, millis| {
        planner.handle(&Report::<Infallible>::Event(SessionId(id), event), at(millis));
    };
    // The first two are with the first mirror, the third with the second.
    for (id, millis) in [(1, 40), (2, 40), (3, 40)] {
        tell(&mut planner, id, Event::Connected, millis);
    }
    for id in [1, 2, 3] {
        tell(&mut planner, id, Event::Ready(Features::default()), 120);
        tell(&mut planner, id, facts(SIZE * 32), 120);
    }
    let of_second = |all: &[Directive]| -> Vec<(RequestId, Request)> {
        let of = |directive: &Directive| match directive {
            Directive::Request(SessionId(2), id, request) => Some((*id, request.clone())),
            _ => None,
        };
        all.iter().filter_map(of).collect()
    };
    let noop = |asked: &[(RequestId, Request)]| {
        let is_noop =
            |(_, request): &&(RequestId, Request)| matches!(request, Request::Command(Command::Noop));
        asked.iter().find(is_noop).map(|(id, _)| *id)
    };
    let reply = || {
        let mut parser = ReplyParser::new(100);
        parser.push(b"200 Here.\r\n");
        parser.next().expect("a reply").expect("all of it")
    };
    let first = of_second(&wanted(&mut planner));
    // While nothing comes, that is how long the server takes to answer.
    let at_rest = noop(&first).expect("it is asked once at rest");
    tell(&mut planner, 2, Event::Reply(at_rest, reply()), 160);
    let prepare = first.iter().find(|(_, request)| matches!(request, Request::Prepare)).map(|(id, _)| *id);
    tell(&mut planner, 2, Event::Prepared(prepare.expect("a data connection ahead")), 200);
    tell(&mut planner, 1, Event::Started(RequestId(2)), 200);
    let (mut millis, mut written) = (200, 0);
    loop {
        millis += 50;
        assert!(millis < 5_000, "nobody looks whether the path is full");
        planner.handle(&Report::<Infallible>::Written(SessionId(1), written..written + 100_000), at(millis));
        written += 100_000;
        let asked = of_second(&wanted(&mut planner));
        if let Some(id) = noop(&asked) {
            tell(&mut planner, 2, Event::Reply(id, reply()), millis + answer_takes);
            let then = of_second(&wanted(&mut planner));
            let requests = |asked: Vec<(RequestId, Request)>| asked.into_iter().map(|(_, it)| it).collect();
            return (requests(first), requests(then));
        }
    }
}

/// Both connections to a mirror began at once, and on a full path made each other lose.
#[test]
fn a_second_connection_to_one_of_several_mirrors_waits_until_the_path_has_shown_room() {
    let fetches = |asked: &[Request]| asked.iter().any(|request| matches!(request, Request::Retrieve(_)));
    let (first, then) = asked_of_reserve(41);
    assert!(!fetches(&first), "{first:?}");
    assert!(fetches(&then), "{then:?}");
    let (_, then) = asked_of_reserve(90);
    assert!(!fetches(&then), "{then:?}");
}

#[test]
fn a_session_that_has_nothing_to_do_makes_a_data_connection_ahead_and_no_second_one() {
    let mut planner = two_fetch(SIZE);
    write(&mut planner, 1, 0..SIZE / 2);
    write(&mut planner, 2, SIZE / 2..SIZE - 1000);
    let asked = |planner: &mut Planner| {
        let all = wanted(planner);
        all.iter().filter(|it| matches!(it, Directive::Request(_, _, Request::Prepare))).count()
    };
    assert_eq!(asked(&mut planner), 0);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Cut));
    assert_eq!(asked(&mut planner), 1);
    planner.handle_timeout(Instant(Duration::from_millis(200)));
    assert_eq!(asked(&mut planner), 0);
}

/// A transfer that had most of the path was at its end, and the other had yet to get what it had left: that was taken for
/// collapsed, and made to begin anew, so that for a while nobody had anything.
#[test]
fn a_transfer_gets_no_fresh_data_connection_while_another_is_about_to_begin() {
    let mut planner = two_fetch(64 << 20);
    let at = |millis| Instant(Duration::from_millis(millis));
    let tell = |planner: &mut Planner, id, event, millis| {
        planner.handle(&Report::<Infallible>::Event(SessionId(id), event), at(millis));
    };
    let mut positions = [0, 0, 32 << 20];
    let mut bring = |planner: &mut Planner, id: usize, bytes: u64, millis| {
        let (start, end) = (positions[id], positions[id] + bytes);
        positions[id] = end;
        let id = SessionId(u64::try_from(id).unwrap());
        planner.handle(&Report::<Infallible>::Written(id, start..end), at(millis));
        end
    };
    let cut = |planner: &mut Planner, position| {
        wanted(planner).iter().any(|directive| {
            matches!(directive, Directive::Shrink(SessionId(1), _, Until::Offset(end)) if *end == position)
        })
    };
    for id in 1..=2 {
        tell(&mut planner, id, Event::Started(RequestId(2)), 100);
    }
    for millis in (100..1700).step_by(50) {
        bring(&mut planner, 1, 100_000, millis + 50);
        bring(&mut planner, 2, 1 << 20, millis + 50);
    }
    // The second is done with its part, and is given a tail of what the first has.
    tell(&mut planner, 2, Event::Finished(RequestId(2), Finish::Whole { at: 64 << 20 }), 1700);
    wanted(&mut planner);
    for millis in (1750..=2150).step_by(50) {
        let position = bring(&mut planner, 1, 1000, millis);
        assert!(!cut(&mut planner, position), "at {millis} ms");
    }
    // It had its time, and more.
    let late = (2200..=4000).step_by(50).any(|millis| {
        let position = bring(&mut planner, 1, 1000, millis);
        cut(&mut planner, position)
    });
    assert!(late, "one that never begins is not waited for");
}
