//! A session as the planner sees it.

use super::SeamId;
use super::mirror::PathForm;
use super::rate::Rate;
use super::reserve::Echo;
use super::segment::Running;
use crate::ranges::RangeSet;
use ftp_proto::{Instant, RequestId, Until};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// How far a session has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    /// Its control connection is being made.
    Dialling,
    /// The control connection is there.
    Connected,
    /// Logged in.
    Ready,
}

/// The part of the file that a session is fetching.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) request: RequestId,
    pub(super) start: u64,
    /// Offset behind the last byte that is known to have come.
    pub(super) at: u64,
    pub(super) until: Until,
    /// When it was asked for.
    pub(super) asked: Instant,
    /// Whether it has begun: the server has said so, or has sent something.
    pub(super) started: bool,
    /// Bytes per second since it was asked for, when that was highest.
    pub(super) peak: u64,
    /// It is to end where it is; what it was to fetch beyond that, others will.
    pub(super) letting_go: bool,
    /// Where what it has written may have been written over, before that was reported.
    pub(super) spoiled: RangeSet,
    /// How often in a row the whole part was taken from a transfer that had brought nothing of it.
    pub(super) taken: u32,
    /// It fetches nothing but its lead, to decide about that seam.
    pub(super) vote: Option<SeamId>,
    /// How much sooner its first byte is to come than usual, as its data connection was there when it was asked for. `None`
    /// if that was on its way.
    pub(super) spared: Option<Duration>,
}

impl Segment {
    /// The part from `start` on, asked for at `asked`.
    pub(super) fn new(request: RequestId, start: u64, until: Until, asked: Instant) -> Self {
        Self {
            request,
            start,
            at: start,
            until,
            asked,
            started: false,
            peak: 0,
            letting_go: false,
            spoiled: RangeSet::new(),
            taken: 0,
            vote: None,
            spared: Some(Duration::ZERO),
        }
    }

    /// These bytes have come. What of the segment lies before them, has not, and will not come any more.
    pub(super) fn advance(&mut self, range: &Range<u64>, now: Instant) -> Range<u64> {
        if range.end <= self.at || range.start > self.until.end() {
            return self.at..self.at;
        }
        let skipped = self.at..range.start.max(self.at);
        self.at = range.end;
        let bytes = u128::from(self.at.saturating_sub(self.start));
        let rate = bytes.saturating_mul(1000) / now.since(self.asked).as_millis().max(1);
        self.peak = self.peak.max(u64::try_from(rate).unwrap_or(u64::MAX));
        skipped
    }
}

/// Whether a session has a data connection ahead of its next transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ahead {
    /// It has not been asked for one.
    None,
    /// It has been asked for one then.
    Asked(RequestId, Instant),
    /// It had one then.
    Ready(Instant),
}

/// How long a transfer may take to its first byte before others may take it over: that many times as long as is usual, and
/// some time that a busy server may need. All that doubles each time it happens to a part, or two slow sessions would take
/// it from each other for ever.
const PATIENCE: (u32, Duration) = (4, Duration::from_millis(500));

/// From how much longer than usual on it is late; that, too, doubles.
const LATE: Duration = Duration::from_millis(50);

/// A session.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) slot: usize,
    pub(super) mirror: usize,
    pub(super) address: SocketAddr,
    pub(super) opened: Instant,
    /// When a transfer was last asked of it.
    pub(super) asked: Option<Instant>,
    /// How long its control connection took to be made.
    pub(super) dialled_in: Option<Duration>,
    /// Whether it began with EPSV.
    pub(super) epsv: bool,
    pub(super) stage: Stage,
    /// The form in which this session asks for the path, once it can.
    pub(super) form: PathForm,
    /// CWD that is under way, if the form needs it.
    pub(super) changing: Option<RequestId>,
    /// Whether the file may be asked for: the directory is the right one.
    pub(super) placed: bool,
    pub(super) segment: Option<Segment>,
    /// Where its transfer without an end has ended, while the mirror has not said how long its file is.
    pub(super) ended_at: Option<u64>,
    /// It has fallen silent: no work until it answers this.
    pub(super) checking: Option<RequestId>,
    /// No work before then: a transfer has failed.
    pub(super) rest_until: Option<Instant>,
    /// A data connection has been asked for ahead of the next transfer, and whether it is there.
    pub(super) ahead: Ahead,
    /// What it was asked last to see whether packets wait on the way.
    pub(super) echo: Option<Echo>,
    /// The planner has closed it.
    pub(super) closing: bool,
    pub(super) rate: Rate,
    /// Bytes per second of the transfer that the next, or the one that runs, takes the place of.
    pub(super) replaced_rate: Option<u64>,
    last_request: u64,
}

impl Connection {
    pub(super) fn new(slot: usize, mirror: usize, form: PathForm, address: SocketAddr, now: Instant) -> Self {
        Self {
            slot,
            mirror,
            address,
            opened: now,
            asked: None,
            dialled_in: None,
            epsv: true,
            stage: Stage::Dialling,
            form,
            changing: None,
            placed: form == PathForm::Whole,
            segment: None,
            ended_at: None,
            checking: None,
            rest_until: None,
            ahead: Ahead::None,
            echo: None,
            closing: false,
            rate: Rate::default(),
            replaced_rate: None,
            last_request: 0,
        }
    }

    pub(super) const fn next_request(&mut self) -> RequestId {
        self.last_request = self.last_request.saturating_add(1);
        RequestId(self.last_request)
    }

    /// Whether its session is logged in and goes on.
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready && !self.closing
    }

    /// Whether it could take work now.
    pub(super) fn is_free(&self) -> bool {
        self.is_ready()
            && self.placed
            && self.segment.is_none()
            && self.checking.is_none()
            && self.rest_until.is_none()
    }

    /// When its last attempt began at something.
    pub(super) fn began(&self) -> Instant {
        self.asked.unwrap_or(self.opened)
    }

    /// Whether bytes of its transfer come.
    pub(super) fn delivers(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.at > segment.start)
    }

    /// Bytes per second that it had when it last had any for long enough, or less, if what runs now has become slower.
    pub(super) fn lately(&self, usual: Duration, now: Instant) -> Option<u64> {
        let established = self.rate.established()?;
        Some(if self.delivers() { self.rate.cautious(established, usual, now) } else { established })
    }

    /// Its transfer, with the rate as of `now`; `guess` bytes per second while nothing is known of it. To the first byte
    /// it takes `usual`, usually.
    pub(super) fn running(&self, guess: u64, usual: Duration, now: Instant) -> Option<Running> {
        let fetches = |segment: &&Segment| !segment.letting_go && segment.vote.is_none();
        let segment = self.segment.as_ref().filter(fetches).filter(|_| !self.closing)?;
        let left = segment.at..segment.until.end().max(segment.at);
        let waited = now.since(segment.asked);
        let first_byte = usual.saturating_sub(segment.spared.unwrap_or_default());
        let (times, more) = PATIENCE;
        let patience = first_byte.saturating_mul(times).saturating_add(more);
        let again = 1_u32.checked_shl(segment.taken).unwrap_or(u32::MAX);
        let patience = patience.saturating_mul(again);
        // How long its mirror takes to close is not for one connection to say.
        let running = |rate, delay| Some(Running { left, rate, delay, closing: Duration::ZERO });
        if segment.at > segment.start {
            return running(self.rate.cautious(guess, usual, now), Duration::ZERO);
        }
        if waited >= patience {
            return running(0, Duration::ZERO);
        }
        // What is measured is still of the transfer before this one.
        let rate = self.rate.established().unwrap_or(guess).max(1);
        // One that is late has lost something on its way, and waits for longer the longer it has waited.
        let late =
            waited.saturating_sub(first_byte.saturating_add(LATE).saturating_mul(again)).saturating_mul(2);
        running(rate, first_byte.saturating_sub(waited).max(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_expected_later_the_longer_it_is_waited_for() {
        let at = |millis| Instant(Duration::from_millis(millis));
        let address = SocketAddr::from(([127, 0, 0, 1], 21));
        let running = |taken, now| {
            let mut connection = Connection::new(0, 0, PathForm::Whole, address, at(0));
            let segment = Segment::new(RequestId(1), 0, Until::Offset(1000), at(0));
            connection.segment = Some(Segment { taken, ..segment });
            connection.running(7, Duration::from_millis(300), at(now)).expect("a transfer runs")
        };
        let delays = [0, 200, 300, 350, 600].map(|now| running(0, now).delay.as_millis());
        assert_eq!(delays, [300, 100, 0, 0, 500]);
        assert_eq!(running(0, 1_700).rate, 0, "it is given up");
        // Two that take it from each other give each other more time.
        assert_eq!(running(1, 700).delay, Duration::ZERO);
    }
}
