//! The same one level up: payload goes to a sink that records it. Only what was asked for is written, where it
//! belongs, and what is reported was written.

use super::machine::Machine;
use super::op::Case;
use super::session::{PEER, Watched};
use ftp_proto::{
    Change, Channel, Event, Instant, Link, LinkOutput, Misuse, Output, Payload, Request, RequestId, Session,
    Sink, Until,
};
use pftp::ranges::RangeSet;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// See [`link`](self).
///
/// # Panics
/// If something does not hold.
pub fn check(input: &[u8]) {
    run(&Case::decode(input));
}

/// See [`link`](self).
///
/// # Panics
/// If something does not hold.
pub fn run(case: &Case) {
    // A fuzzer leaves 0 where it has nothing to say.
    let room = if case.setup.room == 0 { u64::MAX } else { case.setup.room };
    let config = Arc::new(case.setup.config());
    let recorded = Recorded {
        link: Link::new(config, PEER.into(), Instant::ZERO),
        room,
        writes: Arc::default(),
        parts: BTreeMap::new(),
        taken: 0,
        unreported: RangeSet::new(),
        since: Instant::ZERO,
        handed_over: VecDeque::new(),
        failed: false,
        now: Instant::ZERO,
    };
    let recorded = Watched::new(recorded, &case.setup).run(&case.ops);
    assert!(recorded.unreported.is_empty(), "a write that nobody hears of");
}

/// The sink of one transfer. All sinks together take `room` bytes.
#[derive(Debug)]
struct Recorder {
    id: RequestId,
    room: u64,
    writes: Arc<Mutex<Vec<Write>>>,
}

/// A transfer, an offset, and the bytes written there.
type Write = (RequestId, u64, Vec<u8>);

fn locked(writes: &Mutex<Vec<Write>>) -> MutexGuard<'_, Vec<Write>> {
    writes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sink is full.
#[derive(Debug, Eq, PartialEq)]
struct Full;

impl Sink for Recorder {
    type Error = Full;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Full> {
        let mut writes = locked(&self.writes);
        let held: usize = writes.iter().map(|(_, _, bytes)| bytes.len()).sum();
        if (held + bytes.len()) as u64 > self.room {
            return Err(Full);
        }
        writes.push((self.id, offset, bytes.to_vec()));
        Ok(())
    }
}

/// A link, and the writes to its sinks.
#[derive(Debug)]
struct Recorded {
    link: Link<Recorder>,
    room: u64,
    writes: Arc<Mutex<Vec<Write>>>,
    /// The offset and the end of each part of a file.
    parts: BTreeMap<RequestId, (u64, Until)>,
    /// Writes that have been looked at.
    taken: usize,
    unreported: RangeSet,
    /// The oldest of them.
    since: Instant,
    /// Read for the caller and not told yet.
    handed_over: VecDeque<(RequestId, Vec<u8>)>,
    /// The sink's failure has been told.
    failed: bool,
    now: Instant,
}

/// The longest read of the data connection.
const READ: u64 = 10_000;
/// How long a write may stay unreported.
const WITHIN: Duration = Duration::from_millis(50);

/// Returns the byte that the server has at `offset`.
fn content(offset: u64) -> u8 {
    offset.wrapping_mul(167).to_le_bytes()[0] ^ offset.to_le_bytes()[1]
}

fn bytes_of(range: Range<u64>) -> Vec<u8> {
    range.map(content).collect()
}

impl Recorded {
    /// Looks at what was written: all of `wanted`, or nothing if the sink refused it.
    fn check_writes(&mut self, id: Option<RequestId>, wanted: &Range<u64>) {
        let writes = locked(&self.writes);
        let new: Vec<_> = writes[self.taken..].to_vec();
        self.taken = writes.len();
        drop(writes);
        let Some((writer, offset, bytes)) = new.first() else {
            let full = self.link.session().is_closed();
            assert!(wanted.is_empty() || full, "{wanted:?} was not written");
            return;
        };
        assert_eq!(new.len(), 1, "one read is one write");
        assert_eq!(Some(*writer), id, "the sink of another transfer");
        assert_eq!(*offset..*offset + bytes.len() as u64, *wanted);
        assert_eq!(*bytes, bytes_of(wanted.clone()));
        if self.unreported.is_empty() {
            self.since = self.now;
        }
        self.unreported.insert(wanted.clone());
    }

    fn check_written(&mut self, range: Range<u64>) {
        assert!(
            !range.is_empty() && self.unreported.contains(&range),
            "{range:?} was not written, or told twice"
        );
        self.unreported.remove(range);
    }
}

impl Machine for Recorded {
    fn session(&self) -> &Session {
        self.link.session()
    }

    fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse> {
        let Request::Retrieve(part) = request else { return self.link.request(id, request, now) };
        self.parts.insert(id, (part.offset, part.until));
        let sink = Recorder { id, room: self.room, writes: Arc::clone(&self.writes) };
        self.link.retrieve(id, part, Arc::new(sink), now)
    }

    fn set_end(&mut self, id: RequestId, until: Until, now: Instant) {
        if let Some((_, end)) = self.parts.get_mut(&id) {
            *end = until;
        }
        self.link.set_end(id, until, now);
    }

    fn quit(&mut self, now: Instant) {
        self.link.quit(now);
    }

    fn control(&mut self, bytes: &[u8], now: Instant) {
        self.link.handle_bytes(Channel::Control, bytes, now);
    }

    fn change(&mut self, channel: Channel, change: Change, now: Instant) {
        self.link.handle_channel(channel, change, now);
    }

    fn received(&mut self, len: u64, now: Instant) -> u64 {
        self.now = now;
        let len = len.min(READ);
        let payload = self.link.session().payload();
        assert_eq!(self.link.interest(Channel::Data).read, payload != Payload::Hold);
        let start = match &payload {
            Payload::Overlap(_, range) | Payload::File(_, range) | Payload::Content(_, range) => range.start,
            _ => 0,
        };
        let came = start..start.saturating_add(len);
        let within = |range: &Range<u64>| range.start.min(came.end)..came.end.min(range.end);
        let (id, wanted) = match payload {
            Payload::File(id, range) => (Some(id), within(&range)),
            // The bytes behind the overlap, if it is complete, are the first of the part.
            Payload::Overlap(id, range) => match self.parts.get(&id) {
                Some((offset, until)) if range.end == *offset => (Some(id), within(&(*offset..until.end()))),
                _ => (None, 0..0),
            },
            Payload::Content(id, range) => {
                let wanted = bytes_of(within(&range));
                self.handed_over.extend((!wanted.is_empty()).then_some((id, wanted)));
                (None, 0..0)
            }
            _ => (None, 0..0),
        };
        self.link.handle_bytes(Channel::Data, &bytes_of(came.clone()), now);
        self.check_writes(id, &if wanted.start < wanted.end { wanted } else { 0..0 });
        came.end - came.start
    }

    fn timeout(&mut self, now: Instant) {
        self.now = now;
        self.link.handle_timeout(now);
    }

    fn transmitted(&mut self, len: usize, now: Instant) {
        self.link.handle_transmitted(Channel::Control, len, now);
    }

    fn output(&mut self) -> Option<Output> {
        loop {
            match self.link.poll_output()? {
                LinkOutput::Action(action) => return Some(Output::Action(action)),
                LinkOutput::Event(event) => {
                    assert!(self.handed_over.is_empty(), "{event:?} overtakes what was read");
                    assert!(self.unreported.is_empty(), "{event:?} overtakes what was written");
                    assert!(
                        !self.failed || matches!(event, Event::Wire(_) | Event::Closed(_)),
                        "{event:?} on a full sink"
                    );
                    return Some(Output::Event(event));
                }
                LinkOutput::Written(id, range) => {
                    assert!(self.parts.contains_key(&id), "{id:?} is no part of a file");
                    self.check_written(range);
                }
                LinkOutput::Overlap(id, offset, bytes) => {
                    let end = offset + bytes.len() as u64;
                    assert!(self.parts.get(&id).is_some_and(|(start, _)| *start == end));
                    assert_eq!(bytes, bytes_of(offset..end), "an overlap of other bytes");
                }
                LinkOutput::Content(id, bytes) => {
                    assert_eq!(self.handed_over.pop_front(), Some((id, bytes.to_vec())));
                }
                LinkOutput::SinkFailed(_, Full) => assert!(!std::mem::replace(&mut self.failed, true)),
                other => panic!("an unknown output: {other:?}"),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    fn check(&self) {
        let in_time = |due| due <= self.since + WITHIN;
        assert!(self.unreported.is_empty() || self.deadline().is_some_and(in_time), "a write is told late");
    }
}
