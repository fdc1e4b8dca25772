//! The same one level up: payload goes to a sink that records it. Only what was asked for is written, where it
//! belongs, and what is reported was written.

use super::op::Case;
use super::session::{Machine, PEER, Watched};
use ftp_proto::{
    Change, Channel, Event, Instant, Link, LinkOutput, Misuse, Output, Request, RequestId, Session, Sink,
    Until,
};
use pftp::ranges::RangeSet;
use std::collections::VecDeque;
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
    let recorder = Arc::new(Recorder { room, writes: Mutex::default() });
    let config = Arc::new(case.setup.config());
    let recorded = Recorded {
        link: Link::new(config, PEER, Arc::clone(&recorder), Instant::ZERO),
        recorder,
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

/// A sink that takes `room` bytes.
#[derive(Debug)]
struct Recorder {
    room: u64,
    writes: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Recorder {
    fn writes(&self) -> MutexGuard<'_, Vec<(u64, Vec<u8>)>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sink is full.
#[derive(Debug, Eq, PartialEq)]
struct Full;

impl Sink for Recorder {
    type Error = Full;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Full> {
        let mut writes = self.writes();
        let held: usize = writes.iter().map(|(_, bytes)| bytes.len()).sum();
        if (held + bytes.len()) as u64 > self.room {
            return Err(Full);
        }
        writes.push((offset, bytes.to_vec()));
        Ok(())
    }
}

/// A link, and what its sink has.
#[derive(Debug)]
struct Recorded {
    link: Link<Recorder>,
    recorder: Arc<Recorder>,
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

/// What the server has at `offset`.
fn content(offset: u64) -> u8 {
    offset.wrapping_mul(167).to_le_bytes()[0] ^ offset.to_le_bytes()[1]
}

fn bytes_of(range: Range<u64>) -> Vec<u8> {
    range.map(content).collect()
}

impl Recorded {
    /// Looks at what was written: all of `wanted`, or nothing if the sink refused it.
    fn check_writes(&mut self, wanted: &Range<u64>) {
        let writes = self.recorder.writes();
        let new: Vec<_> = writes[self.taken..].to_vec();
        self.taken = writes.len();
        drop(writes);
        let Some((offset, bytes)) = new.first() else {
            let full = self.link.session().is_closed();
            assert!(wanted.is_empty() || full, "{wanted:?} was not written");
            return;
        };
        assert_eq!(new.len(), 1, "one read is one write");
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
        self.link.request(id, request, now)
    }

    fn shrink(&mut self, id: RequestId, until: Until, now: Instant) {
        self.link.shrink(id, until, now);
    }

    fn quit(&mut self, now: Instant) {
        self.link.quit(now);
    }

    fn control(&mut self, bytes: &[u8], now: Instant) {
        self.link.read(Channel::Control, bytes, now);
    }

    fn change(&mut self, channel: Channel, change: Change, now: Instant) {
        self.link.change(channel, change, now);
    }

    fn received(&mut self, len: u64, now: Instant) -> u64 {
        self.now = now;
        let len = len.min(READ);
        let window = self.link.session().window();
        let watched = window.is_some() || self.link.session().is_prepared();
        assert_eq!(self.link.wants(Channel::Data).read, watched);
        let start = window.as_ref().map_or(0, |window| window.start);
        let came = start..start.saturating_add(len);
        let lead_end = self.link.session().lead_end().max(start);
        let content = self.link.session().content();
        let wanted = window.map_or(0..0, |window| lead_end.min(came.end)..came.end.min(window.end));
        if let Some(id) = content {
            self.handed_over.extend((wanted.start < wanted.end).then(|| (id, bytes_of(wanted.clone()))));
        }
        let wanted = if content.is_some() { 0..0 } else { wanted };
        self.link.read(Channel::Data, &bytes_of(came.clone()), now);
        self.check_writes(&if wanted.start < wanted.end { wanted } else { 0..0 });
        came.end - came.start
    }

    fn timeout(&mut self, now: Instant) {
        self.now = now;
        self.link.handle_timeout(now);
    }

    fn transmitted(&mut self, len: usize, now: Instant) {
        self.link.wrote(Channel::Control, len, now);
    }

    fn output(&mut self) -> Option<Output> {
        loop {
            match self.link.poll()? {
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
                LinkOutput::Written(range) => self.check_written(range),
                LinkOutput::Lead(offset, bytes) => {
                    let end = offset + bytes.len() as u64;
                    assert_eq!(bytes, bytes_of(offset..end), "a lead of something else");
                }
                LinkOutput::Content(id, bytes) => {
                    assert_eq!(self.handed_over.pop_front(), Some((id, bytes.to_vec())));
                }
                LinkOutput::Sink(Full) => assert!(!std::mem::replace(&mut self.failed, true)),
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
