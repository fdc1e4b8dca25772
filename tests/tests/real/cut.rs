//! Ranges that end before the file does: the data connection is closed while the server still sends, and the
//! session fetches the next range.

use crate::site::{MIB, Setup, Site, content};
use ftp_proto::{
    Arg, Config, Event, Finish, Line, Report, Request, RequestId, Retrieve, SessionId, Sink, Transport, Until,
};
use ftp_transport_mio::MioTransport;
use ftp_transport_std::StdTransport;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NAME: &str = "file.bin";

/// The server waits between two writes when its transfer is cut, as on a slow path.
pub(crate) fn cut_while_the_server_waits(setup: Setup) {
    let bytes = content(40 * MIB);
    cut_again_and_again(setup, &setup.serve_slowly(2 * MIB, NAME, bytes), 10);
}

/// The server sends as fast as it can when its transfer is cut.
pub(crate) fn cut_while_the_server_writes(setup: Setup) {
    let bytes = content(40 * MIB);
    cut_again_and_again(setup, &setup.serve(NAME, bytes), 40);
}

/// Each range comes over a data connection that was opened before the range was requested.
pub(crate) fn cut_with_data_connections_made_ahead(setup: Setup) {
    let bytes = content(40 * MIB);
    fetch_ranges(setup, &setup.serve(NAME, bytes), 10, true);
}

/// Fetches so many ranges over one session, one after the other, and cuts each of them.
fn cut_again_and_again(setup: Setup, site: &Site, ranges: u64) {
    fetch_ranges(setup, site, ranges, false);
}

fn fetch_ranges(setup: Setup, site: &Site, ranges: u64, ahead: bool) {
    let bytes = content(40 * MIB);
    let memory = Arc::new(Memory(Mutex::new(vec![0; bytes.len()])));
    match setup.transport {
        "std" => fetch(StdTransport::new(), &memory, &site.address(), ranges, ahead),
        _ => fetch(MioTransport::new().expect("an event loop"), &memory, &site.address(), ranges, ahead),
    }
    let memory = memory.0.lock().expect("no writer panicked");
    for range in 0..ranges {
        let (start, end) = bounds(range);
        let (start, end) = (usize::try_from(start).expect("small"), usize::try_from(end).expect("small"));
        assert!(memory[start..end] == bytes[start..end], "range {range} is wrong");
    }
}

/// Returns a range that begins at an odd offset and is a fraction of what the server would send.
fn bounds(range: u64) -> (u64, u64) {
    let start = range * 700_001;
    (start, start + 10_000 + range * 1000)
}

fn fetch<T: Transport<Sink = Memory>>(
    mut transport: T,
    sink: &Arc<Memory>,
    address: &str,
    ranges: u64,
    ahead: bool,
) {
    let (id, path) = (SessionId(1), Arg::new(NAME).expect("an argument"));
    let mut config = Config::default();
    // A timeout, even one, would end the session.
    config.timeouts.cut = Duration::from_secs(60);
    config.trace = ahead;
    let address: SocketAddr = address.parse().expect("an address");
    transport.open(id, address.into(), Arc::new(config));
    let part = |range| {
        let (offset, end) = bounds(range);
        Retrieve::new(path.clone(), offset, Until::Offset(end))
    };
    if ahead {
        let asked: usize =
            (0..ranges).map(|range| fetch_ahead(&mut transport, sink, id, range, part(range))).sum();
        return assert_eq!(asked as u64, ranges, "EPSV, one for each range");
    }
    for range in 0..ranges {
        transport.retrieve(id, RequestId(range), part(range), Arc::clone(sink));
    }
    let mut cut = 0;
    while cut < ranges {
        match transport.wait(None) {
            Some(Report::Event(_, Event::Finished(request, Finish::Cut))) => {
                assert_eq!(request, RequestId(cut), "out of order");
                cut += 1;
            }
            Some(Report::Event(_, event @ (Event::Finished(..) | Event::Refused(..) | Event::Closed(_)))) => {
                panic!("range {cut}: {event:?}")
            }
            _ => {}
        }
    }
}

/// Opens a data connection, and leaves it unused while the server answers something else. Returns how many
/// were requested.
fn fetch_ahead<T: Transport<Sink = Memory>>(
    transport: &mut T,
    sink: &Arc<Memory>,
    id: SessionId,
    range: u64,
    part: Retrieve,
) -> usize {
    type IsAnswer = fn(&Event) -> bool;
    let steps: [(Request, IsAnswer); 3] = [
        (Request::Prepare, |event| matches!(event, Event::Prepared(_))),
        (Request::Facts(Arg::new(NAME).expect("an argument")), |event| matches!(event, Event::Facts(..))),
        (Request::Retrieve(part), |event| matches!(event, Event::Finished(_, Finish::Cut))),
    ];
    let mut asked = 0;
    for (step, (request, is_answer)) in (0..).zip(steps) {
        let request_id = RequestId(range * 3 + step);
        match request.clone() {
            Request::Retrieve(part) => transport.retrieve(id, request_id, part, Arc::clone(sink)),
            request => transport.request(id, request_id, request),
        }
        loop {
            match transport.wait(None) {
                Some(Report::Event(_, event)) if is_answer(&event) => break,
                Some(Report::Event(_, Event::Wire(Line::Sent(line)))) => {
                    asked += usize::from(&line[..] == b"EPSV")
                }
                Some(Report::Event(
                    _,
                    event @ (Event::Finished(..) | Event::Refused(..) | Event::Closed(_)),
                )) => panic!("range {range}, {request:?}: {event:?}"),
                _ => {}
            }
        }
    }
    asked
}

struct Memory(Mutex<Vec<u8>>);

impl Sink for Memory {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let start = usize::try_from(offset).expect("a small file");
        self.0.lock().expect("no writer panicked")[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
