extern crate std;

use super::*;
use crate::arg::{Arg, Secret};
use crate::channel::End;
use crate::error::{SessionError, Timer};
use crate::event::Finish;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

/// Keeps the bytes of each write, and fails once it holds `room` bytes.
struct Memory {
    room: usize,
    writes: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Memory {
    fn with_room(room: usize) -> Arc<Self> {
        Arc::new(Self { room, writes: Mutex::default() })
    }

    fn writes(&self) -> Vec<(u64, Vec<u8>)> {
        self.writes.lock().unwrap().clone()
    }
}

#[derive(Debug, Eq, PartialEq)]
struct Full;

impl Sink for Memory {
    type Error = Full;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Full> {
        let mut writes = self.writes.lock().unwrap();
        let held: usize = writes.iter().map(|(_, bytes)| bytes.len()).sum();
        if held.saturating_add(bytes.len()) > self.room {
            return Err(Full);
        }
        writes.push((offset, bytes.to_vec()));
        Ok(())
    }
}

const START: Instant = Instant(Duration::from_secs(1));
const ID: RequestId = RequestId(1);

fn after(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn path(name: &'static str) -> Arg {
    Arg::new(name).unwrap()
}

fn say(link: &mut Link<Memory>, lines: &[&str]) {
    for line in lines {
        link.handle_bytes(Channel::Control, format!("{line}\r\n").as_bytes(), START);
    }
}

fn outputs(link: &mut Link<Memory>) -> Vec<LinkOutput<Full>> {
    core::iter::from_fn(|| link.poll_output()).collect()
}

/// A link that has sent all commands for a part of a file in one write, with replies up to EPSV and an open data
/// connection.
fn waiting_for_rest(sink: &Arc<Memory>, offset: u64, until: Until) -> Link<Memory> {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let mut link = Link::new(Arc::new(Config::default()), peer.into(), START);
    link.retrieve(ID, Retrieve::new(path("/f"), offset, until), sink.clone(), START).unwrap();
    link.handle_channel(Channel::Control, Change::Connected, START);
    say(&mut link, &["220 hi"]);
    assert!(link.poll_transmit(Channel::Control).ends_with(b"RETR /f\r\n"));
    assert!(link.interest(Channel::Control).write);
    let len = link.poll_transmit(Channel::Control).len();
    link.handle_transmitted(Channel::Control, len, START);
    assert_eq!(link.interest(Channel::Control), Interest { read: true, write: false });
    say(&mut link, &["331 password", "230 in", "200 image", "229 (|||5000|)"]);
    link.handle_channel(Channel::Data, Change::Connected, START);
    link
}

/// The same link after the mark. All outputs so far are taken.
fn running(sink: &Arc<Memory>, offset: u64, until: Until) -> Link<Memory> {
    let mut link = waiting_for_rest(sink, offset, until);
    if offset > 0 {
        say(&mut link, &["350 there"]);
    }
    say(&mut link, &["150 it comes"]);
    let before = outputs(&mut link);
    assert_eq!(before.last(), Some(&LinkOutput::Event(Event::Started(ID))));
    link
}

#[test]
fn nothing_is_read_while_rest_is_unanswered() {
    let sink = Memory::with_room(100);
    let mut link = waiting_for_rest(&sink, 10, Until::Eof);
    assert_eq!(link.interest(Channel::Data), Interest::default());
    say(&mut link, &["350 there"]);
    assert_eq!(link.interest(Channel::Data), Interest { read: true, write: false });
    link.handle_bytes(Channel::Data, b"abc", START);
    assert_eq!(sink.writes(), [(10, b"abc".to_vec())]);
    assert_eq!(link.poll_transmit(Channel::Data), b"");
}

#[test]
fn payload_is_clipped_to_its_range() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 10, Until::Offset(15));
    link.handle_bytes(Channel::Data, b"abc", START);
    link.handle_bytes(Channel::Data, b"defgh", START);
    assert_eq!(sink.writes(), [(10, b"abc".to_vec()), (13, b"de".to_vec())]);
    let cut = Event::Finished(ID, Finish::Cut);
    let want = [
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Written(ID, 10..15),
        LinkOutput::Event(cut),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.interest(Channel::Data), Interest::default());
    link.handle_bytes(Channel::Data, b"late", START);
    assert_eq!((sink.writes().len(), outputs(&mut link)), (2, vec![]));
}

#[test]
fn content_goes_to_the_caller_and_not_to_the_sink() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(4));
    link.handle_bytes(Channel::Data, b"file", START);
    let id = RequestId(2);
    link.request(id, Request::content(path("/f.md5"), 8), START).unwrap();
    say(&mut link, &["426 cut", "229 (|||5001|)", "150 it comes"]);
    link.handle_channel(Channel::Data, Change::Connected, START);
    outputs(&mut link);
    link.handle_bytes(Channel::Data, b"abcde", START);
    link.handle_bytes(Channel::Data, b"fghijk", START);
    let content = |bytes: &'static [u8]| LinkOutput::Content(id, Bytes::from_static(bytes));
    let want = [
        content(b"abcde"),
        content(b"fgh"),
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Event(Event::Finished(id, Finish::Cut)),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(sink.writes(), [(0, b"file".to_vec())]);
}

#[test]
fn moved_end_clips_the_next_bytes() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(50));
    link.handle_bytes(Channel::Data, b"abc", START);
    link.set_end(ID, Until::Offset(4), START);
    link.handle_bytes(Channel::Data, b"defgh", START);
    assert_eq!(sink.writes(), [(0, b"abc".to_vec()), (3, b"d".to_vec())]);
}

#[test]
fn writes_are_reported_together_and_before_events() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Size(6));
    link.handle_bytes(Channel::Data, b"abc", START);
    link.handle_bytes(Channel::Data, b"def", after(1));
    assert_eq!(outputs(&mut link), []);
    link.handle_channel(Channel::Data, Change::Ended(End::Fin), after(2));
    assert_eq!(outputs(&mut link), [LinkOutput::Action(Action::Close(Channel::Data))]);
    say(&mut link, &["226 done"]);
    let whole = Event::Finished(ID, Finish::Whole { at: 6 });
    assert_eq!(outputs(&mut link), [LinkOutput::Written(ID, 0..6), LinkOutput::Event(whole)]);
}

#[test]
fn write_is_reported_within_50_ms() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Eof);
    link.handle_bytes(Channel::Data, b"abc", START);
    link.handle_bytes(Channel::Data, b"def", after(30));
    assert_eq!(link.poll_timeout(), Some(after(50)));
    link.handle_timeout(after(49));
    assert_eq!(outputs(&mut link), []);
    link.handle_timeout(after(50));
    assert_eq!(outputs(&mut link), [LinkOutput::Written(ID, 0..6)]);
    // If no bytes are unreported, the session's own deadline remains.
    assert_eq!(link.poll_timeout(), Some(after(30_030)));
    link.handle_bytes(Channel::Data, b"g", after(60));
    assert_eq!(link.poll_timeout(), Some(after(110)));
    link.handle_timeout(after(110));
    assert_eq!(outputs(&mut link), [LinkOutput::Written(ID, 6..7)]);
}

#[test]
fn stalled_session_reports_its_writes_first() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Eof);
    link.handle_bytes(Channel::Data, b"abc", START);
    link.handle_timeout(after(30_000));
    let want = [
        LinkOutput::Written(ID, 0..3),
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Action(Action::Close(Channel::Control)),
        LinkOutput::Event(Event::Closed(SessionError::Timeout(Timer::Stall))),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.poll_timeout(), None);
    assert_eq!(link.interest(Channel::Control), Interest::default());
}

#[test]
fn failed_sink_ends_the_session() {
    let sink = Memory::with_room(4);
    let mut link = running(&sink, 0, Until::Eof);
    link.handle_bytes(Channel::Data, b"abc", START);
    link.handle_bytes(Channel::Data, b"def", START);
    let want = [
        LinkOutput::Written(ID, 0..3),
        LinkOutput::SinkFailed(ID, Full),
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Action(Action::Close(Channel::Control)),
        LinkOutput::Event(Event::Closed(SessionError::Quit)),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.poll_transmit(Channel::Control), b"QUIT\r\n");
    // Bytes that the sink did not take count nowhere.
    link.handle_bytes(Channel::Data, b"g", START);
    assert_eq!((sink.writes(), outputs(&mut link)), (vec![(0, b"abc".to_vec())], vec![]));
    assert_eq!(link.interest(Channel::Data), Interest::default());
}

#[test]
fn bytes_that_are_not_wanted_reach_no_sink() {
    let sink = Memory::with_room(0);
    let mut link = waiting_for_rest(&sink, 10, Until::Offset(10));
    say(&mut link, &["350 there"]);
    outputs(&mut link);
    link.handle_bytes(Channel::Data, b"abc", START);
    let cut = Event::Finished(ID, Finish::Cut);
    let want = [LinkOutput::Action(Action::Close(Channel::Data)), LinkOutput::Event(cut)];
    assert_eq!(outputs(&mut link), want);
}

#[test]
fn each_transfer_writes_to_its_own_sink_and_is_reported_apart() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(3));
    let other = Memory::with_room(100);
    let next = Retrieve::new(path("/g"), 3, Until::Eof);
    link.retrieve(RequestId(2), next, other.clone(), START).unwrap();
    link.handle_bytes(Channel::Data, b"abc", START);
    say(&mut link, &["426 broken off", "229 (|||5001|)", "350 there", "150 it comes"]);
    link.handle_channel(Channel::Data, Change::Connected, START);
    link.handle_bytes(Channel::Data, b"xyz", START);
    link.handle_timeout(after(50));
    let written = outputs(&mut link).into_iter().filter(|output| matches!(output, LinkOutput::Written(..)));
    let want = [LinkOutput::Written(ID, 0..3), LinkOutput::Written(RequestId(2), 3..6)];
    assert_eq!(written.collect::<Vec<_>>(), want);
    assert_eq!((sink.writes(), other.writes()), (vec![(0, b"abc".to_vec())], vec![(3, b"xyz".to_vec())]));
}

#[test]
fn debug_shows_no_secret() {
    let secret = |text| Secret::new(text).unwrap();
    let config = Config { password: secret("hunter2"), account: Some(secret("lagoon")), ..Config::default() };
    let config = Arc::new(config);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let mut link = Link::<Memory>::new(config.clone(), peer.into(), Instant::ZERO);
    link.handle_channel(Channel::Control, Change::Connected, Instant::ZERO);
    link.handle_bytes(Channel::Control, b"220 hi\r\n", Instant::ZERO);
    assert!(link.poll_transmit(Channel::Control).windows(7).any(|part| part == b"hunter2"));
    link.handle_bytes(Channel::Control, b"331 not hunter2\r\n", Instant::ZERO);
    let shown = format!("{link:?} {:?} {config:?}", link.session());
    let as_numbers = format!("{:?}", b"hunter2");
    for secret in ["hunter2", "lagoon", as_numbers.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn overlap_is_output_when_complete_and_not_written() {
    let sink = Memory::with_room(100);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let mut link = Link::new(Arc::new(Config::default()), peer.into(), START);
    let mut part = Retrieve::new(path("/f"), 10, Until::Offset(15));
    part.overlap = 4;
    link.retrieve(ID, part, sink.clone(), START).unwrap();
    link.handle_channel(Channel::Control, Change::Connected, START);
    say(&mut link, &["220 hi"]);
    assert!(link.poll_transmit(Channel::Control).ends_with(b"REST 6\r\nRETR /f\r\n"));
    say(&mut link, &["331 password", "230 in", "200 image", "229 (|||5000|)", "350 there", "150 it comes"]);
    link.handle_channel(Channel::Data, Change::Connected, START);
    outputs(&mut link);
    link.handle_bytes(Channel::Data, b"abc", START);
    assert_eq!(outputs(&mut link), []);
    link.handle_bytes(Channel::Data, b"def", START);
    assert_eq!(outputs(&mut link), [LinkOutput::Overlap(ID, 6, Bytes::from_static(b"abcd"))]);
    assert_eq!(sink.writes(), [(10, b"ef".to_vec())]);
}

#[test]
fn retrieve_without_a_sink_is_refused_and_the_session_goes_on() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Eof);
    let part = Retrieve::new(path("/g"), 0, Until::Eof);
    assert_eq!(link.request(RequestId(2), Request::Retrieve(part), START), Err(Misuse::NoSink));
    assert_eq!(outputs(&mut link), []);
    link.handle_bytes(Channel::Data, b"abc", START);
    assert_eq!(sink.writes(), [(0, b"abc".to_vec())]);
}
