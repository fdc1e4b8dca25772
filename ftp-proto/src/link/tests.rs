extern crate std;

use super::*;
use crate::arg::{Arg, Secret};
use crate::error::{Error, Timer};
use crate::event::{End, Finish, Retrieve};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::Ipv4Addr;
use std::sync::Mutex;

/// Keeps what it takes, and fails once it holds `room` bytes.
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

fn say(link: &mut Link<Memory>, lines: &[&str]) {
    for line in lines {
        link.read(Channel::Control, format!("{line}\r\n").as_bytes(), START);
    }
}

fn outputs(link: &mut Link<Memory>) -> Vec<LinkOutput<Full>> {
    core::iter::from_fn(|| link.poll()).collect()
}

/// A link that has sent the whole burst for a part of a file, and has been answered up to EPSV; the data
/// connection is there.
fn waiting_for_rest(sink: &Arc<Memory>, offset: u64, until: Until) -> Link<Memory> {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let mut link = Link::new(Arc::new(Config::default()), peer, sink.clone(), START);
    let path = Arg::new(&b"/f"[..]).unwrap();
    link.request(ID, Request::Retrieve(Retrieve { path, offset, until }), START).unwrap();
    link.change(Channel::Control, Change::Connected, START);
    say(&mut link, &["220 hi"]);
    assert!(link.write_buf(Channel::Control).ends_with(b"RETR /f\r\n"));
    assert!(link.wants(Channel::Control).write);
    let len = link.write_buf(Channel::Control).len();
    link.wrote(Channel::Control, len, START);
    assert_eq!(link.wants(Channel::Control), Interest { read: true, write: false });
    say(&mut link, &["331 password", "230 in", "200 image", "229 (|||5000|)"]);
    link.change(Channel::Data, Change::Connected, START);
    link
}

/// The same, and RETR is under way. What came out so far is taken.
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
    assert_eq!(link.wants(Channel::Data), Interest::default());
    say(&mut link, &["350 there"]);
    assert_eq!(link.wants(Channel::Data), Interest { read: true, write: false });
    link.read(Channel::Data, b"abc", START);
    assert_eq!(sink.writes(), [(10, b"abc".to_vec())]);
    assert_eq!(link.write_buf(Channel::Data), b"");
}

#[test]
fn payload_is_clipped_to_the_window() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 10, Until::Offset(15));
    link.read(Channel::Data, b"abc", START);
    link.read(Channel::Data, b"defgh", START);
    assert_eq!(sink.writes(), [(10, b"abc".to_vec()), (13, b"de".to_vec())]);
    let cut = Event::Finished(ID, Finish::Cut);
    let want = [
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Written(10..15),
        LinkOutput::Event(cut),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.wants(Channel::Data), Interest::default());
    link.read(Channel::Data, b"late", START);
    assert_eq!((sink.writes().len(), outputs(&mut link)), (2, vec![]));
}

#[test]
fn content_goes_to_the_caller_and_not_to_the_sink() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(4));
    link.read(Channel::Data, b"file", START);
    let path = Arg::new(&b"/f.md5"[..]).unwrap();
    let id = RequestId(2);
    link.request(id, Request::Content { path, most: 8 }, START).unwrap();
    say(&mut link, &["426 cut", "229 (|||5001|)", "150 it comes"]);
    link.change(Channel::Data, Change::Connected, START);
    outputs(&mut link);
    link.read(Channel::Data, b"abcde", START);
    link.read(Channel::Data, b"fghijk", START);
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
fn a_shrunk_range_clips_the_next_bytes() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(50));
    link.read(Channel::Data, b"abc", START);
    link.shrink(ID, Until::Offset(4), START);
    link.read(Channel::Data, b"defgh", START);
    assert_eq!(sink.writes(), [(0, b"abc".to_vec()), (3, b"d".to_vec())]);
}

#[test]
fn writes_are_reported_together_and_before_events() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Size(6));
    link.read(Channel::Data, b"abc", START);
    link.read(Channel::Data, b"def", after(1));
    assert_eq!(outputs(&mut link), []);
    link.change(Channel::Data, Change::Ended(End::Fin), after(2));
    assert_eq!(outputs(&mut link), [LinkOutput::Action(Action::Close(Channel::Data))]);
    say(&mut link, &["226 done"]);
    let whole = Event::Finished(ID, Finish::Whole { at: 6 });
    assert_eq!(outputs(&mut link), [LinkOutput::Written(0..6), LinkOutput::Event(whole)]);
}

#[test]
fn a_write_is_reported_within_its_time() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Eof);
    link.read(Channel::Data, b"abc", START);
    link.read(Channel::Data, b"def", after(30));
    assert_eq!(link.poll_timeout(), Some(after(50)));
    link.handle_timeout(after(49));
    assert_eq!(outputs(&mut link), []);
    link.handle_timeout(after(50));
    assert_eq!(outputs(&mut link), [LinkOutput::Written(0..6)]);
    // Without bytes, the session's own deadline is what remains.
    assert_eq!(link.poll_timeout(), Some(after(30_030)));
    link.read(Channel::Data, b"g", after(60));
    assert_eq!(link.poll_timeout(), Some(after(110)));
    link.handle_timeout(after(110));
    assert_eq!(outputs(&mut link), [LinkOutput::Written(6..7)]);
}

#[test]
fn a_session_that_stalls_reports_its_writes_first() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Eof);
    link.read(Channel::Data, b"abc", START);
    link.handle_timeout(after(30_000));
    let want = [
        LinkOutput::Written(0..3),
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Action(Action::Close(Channel::Control)),
        LinkOutput::Event(Event::Closed(Error::Timeout(Timer::Stall))),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.poll_timeout(), None);
    assert_eq!(link.wants(Channel::Control), Interest::default());
}

#[test]
fn a_sink_that_fails_ends_the_session() {
    let sink = Memory::with_room(4);
    let mut link = running(&sink, 0, Until::Eof);
    link.read(Channel::Data, b"abc", START);
    link.read(Channel::Data, b"def", START);
    let want = [
        LinkOutput::Written(0..3),
        LinkOutput::Sink(Full),
        LinkOutput::Action(Action::Close(Channel::Data)),
        LinkOutput::Action(Action::Close(Channel::Control)),
        LinkOutput::Event(Event::Closed(Error::Quit)),
    ];
    assert_eq!(outputs(&mut link), want);
    assert_eq!(link.write_buf(Channel::Control), b"QUIT\r\n");
    // What the sink did not take counts nowhere.
    link.read(Channel::Data, b"g", START);
    assert_eq!((sink.writes(), outputs(&mut link)), (vec![(0, b"abc".to_vec())], vec![]));
    assert_eq!(link.wants(Channel::Data), Interest::default());
}

#[test]
fn bytes_that_nobody_wants_reach_no_sink() {
    let sink = Memory::with_room(0);
    let mut link = waiting_for_rest(&sink, 10, Until::Offset(10));
    say(&mut link, &["350 there"]);
    outputs(&mut link);
    link.read(Channel::Data, b"abc", START);
    let cut = Event::Finished(ID, Finish::Cut);
    let want = [LinkOutput::Action(Action::Close(Channel::Data)), LinkOutput::Event(cut)];
    assert_eq!(outputs(&mut link), want);
}

#[test]
fn ranges_that_do_not_touch_are_reported_apart() {
    let sink = Memory::with_room(100);
    let mut link = running(&sink, 0, Until::Offset(3));
    let path = Arg::new(&b"/f"[..]).unwrap();
    let next = Retrieve { path, offset: 20, until: Until::Eof };
    link.request(RequestId(2), Request::Retrieve(next), START).unwrap();
    link.read(Channel::Data, b"abc", START);
    say(&mut link, &["426 broken off", "229 (|||5001|)", "350 there", "150 it comes"]);
    link.change(Channel::Data, Change::Connected, START);
    link.read(Channel::Data, b"xyz", START);
    link.handle_timeout(after(50));
    let written = outputs(&mut link).into_iter().filter(|output| matches!(output, LinkOutput::Written(_)));
    assert_eq!(written.collect::<Vec<_>>(), [LinkOutput::Written(0..3), LinkOutput::Written(20..23)]);
}

#[test]
fn nothing_secret_is_in_debug() {
    let secret = |text| Secret::new(text).unwrap();
    let config = Config { password: secret("hunter2"), account: Some(secret("lagoon")), ..Config::default() };
    let config = Arc::new(config);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));
    let mut link = Link::new(config.clone(), peer, Memory::with_room(0), Instant::ZERO);
    link.change(Channel::Control, Change::Connected, Instant::ZERO);
    link.read(Channel::Control, b"220 hi\r\n", Instant::ZERO);
    assert!(link.write_buf(Channel::Control).windows(7).any(|part| part == b"hunter2"));
    link.read(Channel::Control, b"331 not hunter2\r\n", Instant::ZERO);
    let shown = format!("{link:?} {:?} {config:?}", link.session());
    let as_numbers = format!("{:?}", b"hunter2");
    for secret in ["hunter2", "lagoon", as_numbers.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
