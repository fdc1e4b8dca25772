//! Whatever happens to one session, the others fetch their files. Their bytes show it, not a clock.

use std::convert::Infallible;
use std::hint::black_box;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::support::*;

/// The session that something is the matter with.
const ODD: SessionId = SessionId(0);

const OTHERS: u64 = 4;

/// Lets others log in and fetch a file each. The events of the odd one meanwhile.
fn others_fetch<T: Subject>(transport: &mut T) -> Vec<Event> {
    let server = serve(Behaviour::default());
    let sinks: Vec<Arc<Memory>> = (0..OTHERS).map(|_| Arc::default()).collect();
    for (number, sink) in (1..).zip(&sinks) {
        transport.open(SessionId(number), server.addr().into(), patient());
        transport.retrieve(SessionId(number), RequestId(1), part(0, SIZE), sink.clone());
    }
    let (mut whole, mut odd) = (0, Vec::new());
    while whole < OTHERS {
        match transport.event() {
            (ODD, event) => odd.push(event),
            (_, Event::Finished(_, finish)) => {
                assert_eq!(finish, Finish::Whole { at: SIZE });
                whole += 1;
            }
            (id, Event::Closed(error)) => panic!("{id:?}: {error}"),
            _ => {}
        }
    }
    for sink in sinks {
        sink.expect(&file().read(0..SIZE));
    }
    odd
}

/// The odd one has not come to an end.
#[track_caller]
fn assert_goes_on(odd: &[Event]) {
    assert!(odd.iter().all(|event| matches!(event, Event::Ready(_) | Event::Started(_))), "{odd:?}");
}

/// Lets the odd one begin to fetch the file of this server.
fn begin<T: Subject>(transport: &mut T, server: &Server) {
    transport.open(ODD, server.addr().into(), patient());
    transport.retrieve(ODD, RequestId(1), part(0, SIZE), nowhere());
}

pub(crate) fn one_stalls<T: Subject>() {
    let stalls = Cut::silent(100_000, Interruption::Stall);
    let server = serve(Behaviour::default().cutting_every(stalls));
    let mut transport = T::start();
    begin(&mut transport, &server);
    while !matches!(transport.wait(None), Some(Report::Written(ODD, _, range)) if range.end == 100_000) {}
    assert_goes_on(&others_fetch(&mut transport));
}

pub(crate) fn one_hangs_in_a_dialogue<T: Subject>() {
    let server = serve(Behaviour::default().when(Trigger::every("RETR"), Reaction::Hang));
    let mut transport = T::start();
    begin(&mut transport, &server);
    transport.events_until(|event| matches!(event, Event::Ready(_)));
    assert_goes_on(&others_fetch(&mut transport));
}

pub(crate) fn one_is_reset<T: Subject>() {
    // At this rate the server is still sending then, however slow the machine is.
    let server = serve(Behaviour { bytes_per_second: Some(5000), ..Behaviour::default() });
    let mut transport = T::start();
    begin(&mut transport, &server);
    transport.events_until(|event| matches!(event, Event::Started(_)));
    server.close_sessions(Ending::Reset);
    let mut odd = others_fetch(&mut transport);
    if odd.is_empty() {
        odd.push(Event::Closed(transport.end_of(ODD)));
    }
    assert!(matches!(odd[..], [Event::Closed(SessionError::Connection(..))]), "{odd:?}");
}

/// A server that greets with these bytes, over and over, as fast as they are taken.
fn flood(bytes: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let flooding = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let bytes = bytes.repeat(64 * 1024 / bytes.len());
        while stream.write_all(&bytes).is_ok() {}
    });
    (address, flooding)
}

/// Telnet negotiation is no part of any reply, so this session never ends of itself.
pub(crate) fn one_floods_with_negotiation<T: Subject>() {
    let (address, flooding) = flood(b"\xff\xfb\x01");
    let mut transport = T::start();
    transport.open(ODD, address.into(), patient());
    assert_eq!(transport.event(), (ODD, Event::Connected));
    assert_goes_on(&others_fetch(&mut transport));
    drop(transport);
    flooding.join().expect("it has ended");
}

pub(crate) fn one_floods_with_replies<T: Subject>() {
    let (address, flooding) = flood(b"120 Wait.\r\n");
    let mut transport = T::start();
    transport.open(ODD, address.into(), patient());
    assert_eq!(transport.event(), (ODD, Event::Connected));
    let mut odd = others_fetch(&mut transport);
    if odd.is_empty() {
        odd.push(Event::Closed(transport.end_of(ODD)));
    }
    assert!(matches!(odd[..], [Event::Closed(SessionError::Peer(_))]), "{odd:?}");
    flooding.join().expect("it has ended");
}

/// A sink that has more to do with bytes than a server has that sends them.
struct Busy;

impl Sink for Busy {
    type Error = Infallible;

    fn write_at(&self, _: u64, bytes: &[u8]) -> Result<(), Infallible> {
        // Some nanoseconds a byte, however it is compiled.
        black_box(bytes.iter().fold(0_u64, |sum, byte| black_box(sum.rotate_left(5) ^ u64::from(*byte))));
        Ok(())
    }
}

/// This connection always has more to read. It would end before the others if it were read until nothing is left.
pub(crate) fn one_is_quicker_than_its_sink<T: Subject>() {
    let size = 1 << 30;
    let model = Model::new(Tree::new().with("file", File::generated(1, size)));
    let server = Server::start(model).expect("a port is free");
    let mut transport = T::start();
    transport.open(ODD, server.addr().into(), patient());
    let path = Arg::new("file").expect("an argument");
    let whole = Retrieve::new(path, 0, Until::Size(size));
    transport.retrieve(ODD, RequestId(1), whole, Arc::new(Busy));
    while !matches!(transport.wait(None), Some(Report::Written(..))) {}
    assert_goes_on(&others_fetch(&mut transport));
    while !matches!(transport.wait(None), Some(Report::Written(ODD, ..))) {}
}
