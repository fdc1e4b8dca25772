extern crate std;

use super::*;
use crate::arg::Arg;
use crate::event::{Event, Finish};
use crate::link::Layer;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::sync::Mutex;

const NOW: Instant = Instant(Duration::from_secs(1));
const SESSION: SessionId = SessionId(1);
const ID: RequestId = RequestId(1);

/// A sink that keeps everything.
#[derive(Default)]
struct Memory(Mutex<Vec<(u64, Vec<u8>)>>);

impl Sink for Memory {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.lock().unwrap().push((offset, bytes.to_vec()));
        Ok(())
    }
}

/// The server's end of a socket.
#[derive(Debug, Default)]
struct Peer {
    /// Bytes that the socket has to read.
    to_read: Vec<u8>,
    /// Bytes that the socket has written.
    written: Vec<u8>,
    /// How many bytes more the socket takes.
    room: usize,
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Peer>>);

impl Pipe {
    fn say(&self, bytes: &[u8]) {
        self.0.lock().unwrap().to_read.extend_from_slice(bytes);
    }

    /// Takes the bytes that the socket has written, and makes room for as many more.
    fn take(&self, room: usize) -> Vec<u8> {
        let mut peer = self.0.lock().unwrap();
        peer.room = room;
        core::mem::take(&mut peer.written)
    }
}

impl Socket for Pipe {
    fn finish_connect(&mut self) -> Result<bool, Cause> {
        Ok(true)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        let mut peer = self.0.lock().unwrap();
        let len = peer.to_read.len().min(buffer.len());
        if len == 0 {
            return Read::NotNow;
        }
        for (to, from) in buffer.iter_mut().zip(peer.to_read.drain(..len)) {
            *to = from;
        }
        Read::Bytes(len)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        let mut peer = self.0.lock().unwrap();
        let taken = bytes.get(..peer.room).unwrap_or(bytes);
        peer.room = peer.room.saturating_sub(taken.len());
        peer.written.extend_from_slice(taken);
        Ok(taken.len())
    }
}

/// A conduit with its sockets, and the server's ends of them.
struct Harness {
    conduit: Conduit<Memory, Pipe>,
    control: Pipe,
    data: Pipe,
    open: Vec<Channel>,
    sink: Arc<Memory>,
}

struct Sockets<'a>(&'a Pipe, &'a Pipe, &'a mut Vec<Channel>);

impl Driver for Sockets<'_> {
    type Socket = Pipe;

    fn connect(&mut self, channel: Channel, _: SocketAddr) -> Result<Pipe, Cause> {
        self.2.push(channel);
        Ok(if channel == Channel::Control { self.0.clone() } else { self.1.clone() })
    }

    fn discard(&mut self, channel: Channel, _: Pipe) {
        self.2.retain(|open| *open != channel);
    }
}

impl Harness {
    fn new(layers: fn(Channel) -> Layer) -> Self {
        let route = Route::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 21)));
        let link = Link::with_layers(Arc::new(Config::default()), route, layers, NOW);
        let (control, data) = (Pipe::default(), Pipe::default());
        control.take(usize::MAX);
        data.take(usize::MAX);
        let conduit = Conduit::with_link(SESSION, link);
        let mut harness = Self { conduit, control, data, open: Vec::new(), sink: Arc::default() };
        let mut sockets = Sockets(&harness.control, &harness.data, &mut harness.open);
        harness.conduit.connect(&mut sockets, NOW);
        harness
    }

    /// Reads everything that a channel has, and returns the reports.
    fn ready(&mut self, channel: Channel) -> Vec<Report<Infallible>> {
        self.conduit.handle_ready(channel, &mut [0; 100], 16, NOW);
        self.reports()
    }

    fn reports(&mut self) -> Vec<Report<Infallible>> {
        let mut sockets = Sockets(&self.control, &self.data, &mut self.open);
        core::iter::from_fn(|| self.conduit.poll_output(&mut sockets, NOW)).collect()
    }

    /// Answers the commands up to EPSV.
    fn log_in(&mut self) {
        for replies in [&b""[..], b"220 hi\r\n", b"331 password\r\n230 in\r\n200 image\r\n229 (|||5000|)\r\n"]
        {
            self.control.say(replies);
            self.ready(Channel::Control);
        }
    }

    /// Fetches the bytes of a file from 0 to 5, up to the data connection.
    fn fetch(&mut self) {
        let part = Retrieve::new(Arg::new("f").unwrap(), 0, Until::Offset(5));
        self.conduit.retrieve(ID, part, self.sink.clone(), NOW);
        self.log_in();
        assert_eq!(self.open, [Channel::Control, Channel::Data]);
    }

    fn written(&self) -> Vec<(u64, Vec<u8>)> {
        self.sink.0.lock().unwrap().clone()
    }
}

const CUT: Report<Infallible> = Report::Event(SESSION, Event::Finished(ID, Finish::Cut));
const READ: Option<Interest> = Some(Interest { read: true, write: false });

fn plain(_: Channel) -> Layer {
    Layer::Plain
}

fn greeting_on_data(channel: Channel) -> Layer {
    match channel {
        Channel::Control => Layer::Plain,
        Channel::Data => Layer::Greeting { hello: b"hello", answer: b"welcome", goodbye: b"bye" },
    }
}

#[test]
fn plain_connection_is_the_sessions_at_once() {
    let mut harness = Harness::new(plain);
    harness.fetch();
    harness.control.say(b"150 it comes\r\n");
    harness.ready(Channel::Control);
    harness.data.say(b"abcde");
    let reports = harness.ready(Channel::Data);
    assert_eq!(reports, [Report::Written(SESSION, ID, 0..5), CUT]);
    assert_eq!(harness.written(), [(0, b"abcde".to_vec())]);
    assert_eq!((harness.data.take(0), harness.open), (Vec::new(), [Channel::Control].to_vec()));
}

#[test]
fn layer_has_the_data_connection_before_the_session() {
    let mut harness = Harness::new(greeting_on_data);
    harness.fetch();
    harness.data.take(2);
    harness.ready(Channel::Data);
    // The socket takes two bytes; the others wait for it to become writable.
    assert_eq!(harness.conduit.interest(Channel::Data), Some(Interest { read: true, write: true }));
    assert_eq!(harness.data.take(usize::MAX), b"he");
    harness.ready(Channel::Data);
    assert_eq!(harness.data.take(usize::MAX), b"llo");
    assert_eq!(harness.conduit.interest(Channel::Data), READ);
    harness.control.say(b"150 it comes\r\n");
    harness.ready(Channel::Control);
    harness.data.say(b"wel");
    harness.ready(Channel::Data);
    assert_eq!(harness.conduit.poll_timeout(), Some(NOW + Config::default().timeouts.data_connect));
    harness.data.say(b"comeabc");
    harness.ready(Channel::Data);
    assert_eq!(harness.written(), [(0, b"abc".to_vec())]);
}

#[test]
fn bytes_behind_the_layer_wait_for_their_place() {
    let mut harness = Harness::new(greeting_on_data);
    let part = Retrieve::new(Arg::new("f").unwrap(), 7, Until::Eof);
    harness.conduit.retrieve(ID, part, harness.sink.clone(), NOW);
    harness.log_in();
    harness.data.say(b"welcomeabc");
    harness.ready(Channel::Data);
    // The reply to REST is not known: nothing is written, and nothing more is read.
    assert_eq!(harness.written(), []);
    assert_eq!(harness.conduit.interest(Channel::Data), Some(Interest::default()));
    harness.control.say(b"350 at 7\r\n");
    harness.ready(Channel::Control);
    assert_eq!(harness.written(), [(7, b"abc".to_vec())]);
    assert_eq!(harness.conduit.interest(Channel::Data), READ);
}

#[test]
fn close_sends_the_last_bytes_of_the_layer() {
    let mut harness = Harness::new(greeting_on_data);
    harness.fetch();
    harness.control.say(b"150 it comes\r\n");
    harness.ready(Channel::Control);
    harness.data.say(b"welcomeabcde");
    let reports = harness.ready(Channel::Data);
    assert_eq!(reports, [Report::Written(SESSION, ID, 0..5), CUT]);
    assert_eq!(harness.data.take(0), b"hellobye");
    assert_eq!(harness.open, [Channel::Control]);
}

#[test]
fn layer_that_fails_is_a_data_connection_that_failed() {
    let mut harness = Harness::new(greeting_on_data);
    harness.fetch();
    harness.data.say(b"go away");
    harness.ready(Channel::Data);
    assert_eq!(harness.open, [Channel::Control]);
    harness.control.say(b"425 no connection\r\n");
    let reports = harness.ready(Channel::Control);
    assert!(matches!(reports[..], [Report::Event(SESSION, Event::Refused(ID, ..))]), "{reports:?}");
}

#[test]
fn layer_has_the_control_connection_before_the_session() {
    let mut harness = Harness::new(|channel| match channel {
        Channel::Control => Layer::Greeting { hello: b"hello", answer: b"welcome", goodbye: b"bye" },
        Channel::Data => Layer::Plain,
    });
    assert_eq!(harness.ready(Channel::Control), []);
    assert_eq!(harness.control.take(usize::MAX), b"hello");
    harness.control.say(b"welcome220 hi\r\n");
    assert_eq!(harness.ready(Channel::Control), [Report::Event(SESSION, Event::Connected)]);
    assert!(harness.control.take(usize::MAX).starts_with(b"USER "));
    harness.conduit.quit(NOW);
    harness.reports();
    assert_eq!(harness.control.take(0), b"QUIT\r\n");
    assert_eq!(harness.open, []);
}

#[test]
fn misuse_becomes_a_report() {
    let mut harness = Harness::new(plain);
    let part = Retrieve::new(Arg::new("f").unwrap(), 5, Until::Offset(4));
    harness.conduit.retrieve(ID, part.clone(), harness.sink.clone(), NOW);
    harness.conduit.request(RequestId(2), Request::Retrieve(part), NOW);
    let expected = [
        Report::Misuse(SESSION, ID, Misuse::EndBeforeStart),
        Report::Misuse(SESSION, RequestId(2), Misuse::NoSink),
    ];
    assert_eq!(harness.reports(), expected);
}
