//! What the planner makes of single reports, told it one by one.

#[path = "reports/disputes.rs"]
mod disputes;
#[path = "reports/growth.rs"]
mod growth;
#[path = "reports/reserve.rs"]
mod reserve;

use ftp_proto::{
    Event, Facts, Features, Finish, Instant, PeerFault, Reply, ReplyParser, Report, Request, RequestId,
    SessionError, SessionId, TimeVal, Timer, Until,
};
use pftp::exit::{Failure, Kind};
use pftp::plan::{Directive, MirrorId, Planner, SeamId, Settings};
use pftp_tests::sim::settings;
use std::convert::Infallible;
use std::net::SocketAddr;
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
    planner.handle(&Report::<Infallible>::Written(SessionId(id), RequestId(0), range), Instant::ZERO);
}

/// A download that goes on in time.
struct Download {
    planner: Planner,
    /// Milliseconds.
    now: u64,
    /// How far its first session has come.
    written: u64,
}

impl Download {
    /// With `sessions` that are logged in with servers 40 ms away, and know that the file is large; and what was wanted by then.
    fn begin(planner: Planner, sessions: u64) -> (Self, Vec<Directive>) {
        let mut download = Self { planner, now: 40, written: 0 };
        let mut wanted = Vec::new();
        for id in 1..=sessions {
            wanted.extend(download.hear(SessionId(id), Event::Connected));
        }
        download.now = 120;
        for id in 1..=sessions {
            wanted.extend(download.hear(SessionId(id), Event::Ready(Features::default())));
            wanted.extend(download.hear(SessionId(id), facts(SIZE * 32)));
        }
        (download, wanted)
    }

    fn at(&self) -> Instant {
        Instant(Duration::from_millis(self.now))
    }

    fn hear(&mut self, id: SessionId, event: Event) -> Vec<Directive> {
        self.planner.handle(&Report::<Infallible>::Event(id, event), self.at());
        wanted(&mut self.planner)
    }

    /// So many bytes come through the first session within 50 milliseconds. What is wanted then.
    fn go_on(&mut self, bytes: u64) -> Vec<Directive> {
        self.now += 50;
        let range = self.written..self.written + bytes;
        self.written = range.end;
        self.planner.handle(&Report::<Infallible>::Written(SessionId(1), RequestId(0), range), self.at());
        wanted(&mut self.planner)
    }
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
    hear(&mut planner, id.0, Event::Closed(SessionError::Peer(PeerFault::Overrun { size: SIZE })));
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
        let lead = Report::<Infallible>::Overlap(SessionId(2), RequestId(0), offset, vec![7; len].into());
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
    Event::Finished(RequestId(2), Finish::Short { at, reply: reply("226 Transfer complete.") })
}

fn reply(line: &str) -> Reply {
    let mut parser = ReplyParser::new(100);
    parser.push(format!("{line}\r\n").as_bytes());
    parser.next().expect("a reply").expect("all of it")
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

/// A transfer that began without a mark did not count as one: the file had been replaced before it, and nobody asked.
#[test]
fn a_transfer_without_a_mark_is_one_too() {
    let mut planner = two_fetch(SIZE);
    hear(&mut planner, 1, Event::Started(RequestId(2)));
    write(&mut planner, 1, 0..SIZE / 2);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Cut));
    write(&mut planner, 2, SIZE / 2..SIZE);
    wanted(&mut planner);
    hear(&mut planner, 2, Event::Finished(RequestId(2), Finish::Whole { at: SIZE }));
    let all = wanted(&mut planner);
    assert!(all.iter().any(|it| matches!(it, Directive::Request(_, _, Request::Facts(_)))), "{all:?}");
    assert!(!all.iter().any(|it| matches!(it, Directive::Finish(_))), "{all:?}");
}

/// All sessions were lost when the last byte had come, and nobody asked whether the file was still the same: a mixed one.
#[test]
fn a_mirror_whose_sessions_are_all_lost_at_the_end_is_called_once_more() {
    let mut planner = two_fetch(SIZE);
    for id in 1..=2 {
        hear(&mut planner, id, Event::Started(RequestId(2)));
    }
    write(&mut planner, 1, 0..SIZE / 2);
    hear(&mut planner, 1, Event::Finished(RequestId(2), Finish::Cut));
    write(&mut planner, 2, SIZE / 2..SIZE);
    hear(&mut planner, 2, Event::Finished(RequestId(2), Finish::Whole { at: SIZE }));
    wanted(&mut planner);
    for id in 1..=2 {
        assert!(opened(&wanted(&mut planner)).is_empty(), "one is left");
        hear(&mut planner, id, Event::Closed(SessionError::Timeout(Timer::Completion)));
    }
    let all = wanted(&mut planner);
    assert_eq!(opened(&all), [SessionId(3)], "{all:?}");
    assert!(!all.iter().any(|it| matches!(it, Directive::Finish(_))), "{all:?}");
    // It is not called again, and nobody waits for ever.
    hear(&mut planner, 3, Event::Closed(SessionError::Timeout(Timer::Connect)));
    let all = wanted(&mut planner);
    assert!(all.iter().any(|it| matches!(it, Directive::Finish(Ok(SIZE)))), "{all:?}");
}
