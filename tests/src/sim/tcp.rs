//! TCP as the sender of a data connection does it: what a packet's loss, and a queue that is full, make of a download.
//!
//! Every packet is sent, queued, lost or delivered, and acknowledged for itself. There is one queue for all connections from
//! a server, which drops what does not fit (tail drop), and packets may get lost at random besides. A lost one is known to
//! be lost when three sent after it have been acknowledged (RFC 6675); until it has come again nothing that was sent after
//! it reaches the reader. What the sender makes of that is the window's matter, see [`Cubic`].
//!
//! Left out: the way from the client to the server, on which nothing queues and nothing is lost; the loss of SYNs and of
//! what goes over control connections, which do wait in the queue; delayed acknowledgements, pacing, and the growth of the
//! receiver's window, which is as large as [`Pipes::window`](super::Pipes::window) from the start; false alarms, as after
//! packets that have overtaken others; and that a round-trip time is not measured exactly.

mod cubic;
#[cfg(test)]
mod tests;

use super::random::Random;
use cubic::Cubic;
use ftp_proto::SessionId;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What a path is like whose data connections have TCP's congestion control.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// How long the full queue takes to drain; `None` for as long as a round trip, but at least 20 ms.
    pub queue: Option<Duration>,
    /// Packets that get lost at random, of a million.
    pub losses: u64,
    /// Which of them.
    pub random: Random,
}

impl Congestion {
    /// That of a path which loses so many packets of a million, with a queue of the usual length.
    pub const fn of_losses(losses: u64, seed: u64) -> Self {
        Self { queue: None, losses, random: Random::new(seed) }
    }

    /// How long the full queue of a path with that round-trip time takes to drain.
    pub(super) fn queue(&self, round_trip: Duration) -> Duration {
        self.queue.unwrap_or_else(|| round_trip.max(LEAST_QUEUE))
    }

    /// How long it takes until the sender has woken up for an acknowledgement. Without that all connections would keep step.
    pub(super) const fn wakes_up(&mut self) -> Duration {
        Duration::from_micros(self.random.within(0, LONGEST_SLEEP))
    }

    /// Whether the next packet gets lost, by no fault of the queue's.
    pub(super) const fn loses(&mut self) -> bool {
        self.random.within(0, 999_999) < self.losses
    }
}

/// Payload bytes of a packet.
pub(super) const SEGMENT: usize = 1448;

/// What a packet has beside its payload: the headers of IP and TCP, with timestamps.
pub(super) const HEADERS: usize = 52;

const LEAST_QUEUE: Duration = Duration::from_millis(20);

/// Microseconds.
const LONGEST_SLEEP: u64 = 1000;

/// Packets sent later that have to be acknowledged before one counts as lost.
const REORDERING: u64 = 3;

/// What a retransmission timeout is more than a round trip.
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// One data connection, with both its ends.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: SessionId,
    cubic: Cubic,
    /// The payload, from the first segment on that has not been acknowledged, whose number that is.
    segments: VecDeque<Segment>,
    first: u64,
    /// The number of the next segment for the reader.
    next_read: u64,
    /// The segments that have to be sent again.
    lost: BTreeSet<u64>,
    /// Packets sent so far, those on their way, and those that will not arrive, which nobody knows: each with its segment.
    sent: u64,
    under_way: usize,
    dropped: VecDeque<(u64, u64)>,
    recovery: Option<Recovery>,
    /// Timeouts since something was acknowledged.
    timeouts: u32,
    /// Whether the server has sent all that it will send.
    finished: bool,
}

#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    sent_at: Duration,
    arrived: bool,
    acknowledged: bool,
}

/// From the first loss on until everything that had been sent by then has been acknowledged.
#[derive(Debug)]
struct Recovery {
    /// The number of the first segment that had not been sent.
    until: u64,
    /// Whether a timeout began it: the window grows from one segment on.
    is_slow_start: bool,
    /// What is under way comes down in proportion to what arrives (RFC 6937): the window before, what has arrived and what
    /// has been sent since.
    before: f64,
    delivered: f64,
    sent: f64,
}

/// A packet, and the segment that is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) serial: u64,
    pub(super) segment: u64,
}

impl Stream {
    /// One that has just been accepted.
    pub(super) const fn new(session: SessionId) -> Self {
        Self {
            session,
            cubic: Cubic::new(),
            segments: VecDeque::new(),
            first: 0,
            next_read: 0,
            lost: BTreeSet::new(),
            sent: 0,
            under_way: 0,
            dropped: VecDeque::new(),
            recovery: None,
            timeouts: 0,
            finished: false,
        }
    }

    /// Whether a packet may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight() + 1.0 <= self.cubic.window()
    }

    /// Packets that have been sent, and are not known to have arrived or to be lost.
    fn in_flight(&self) -> f64 {
        (self.under_way + self.dropped.len()) as f64
    }

    /// Bytes to send that were never sent before; the number of their segment.
    pub(super) fn push(&mut self, bytes: Vec<u8>) -> u64 {
        self.segments.push_back(Segment {
            bytes,
            sent_at: Duration::ZERO,
            arrived: false,
            acknowledged: false,
        });
        self.end() - 1
    }

    /// The segment that is to be sent again first.
    pub(super) fn next_lost(&self) -> Option<u64> {
        self.lost.first().copied()
    }

    /// Bytes of a segment that has not arrived.
    pub(super) fn len(&mut self, segment: u64) -> usize {
        self.segment(segment).map_or(0, |segment| segment.bytes.len())
    }

    /// The segment is sent now, and may get through.
    pub(super) fn send(&mut self, segment: u64, gets_through: bool, now: Duration) -> Packet {
        self.sent += 1;
        self.lost.remove(&segment);
        if let Some(segment) = self.segment(segment) {
            segment.sent_at = now;
        }
        if gets_through {
            self.under_way += 1;
        } else {
            self.dropped.push_back((self.sent, segment));
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.sent += 1.0;
        }
        Packet { serial: self.sent, segment }
    }

    /// The segment is at the client; the bytes that the reader gets now.
    pub(super) fn arrive(&mut self, segment: u64) -> Vec<u8> {
        if let Some(segment) = self.segment(segment) {
            segment.arrived = true;
        }
        let mut bytes = Vec::new();
        while let Some(segment) = self.segment(self.next_read).filter(|segment| segment.arrived) {
            bytes.append(&mut segment.bytes);
            self.next_read += 1;
        }
        bytes
    }

    /// The server has sent all that it will send.
    pub(super) const fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the end has reached the reader.
    pub(super) fn has_ended(&self) -> bool {
        self.finished && self.next_read == self.end()
    }

    /// The server hears that a packet has arrived.
    pub(super) fn acknowledge(&mut self, packet: Packet, now: Duration) {
        let (first, in_flight) = (self.first, self.in_flight());
        self.under_way -= 1;
        self.timeouts = 0;
        if let Some(segment) = self.segment(packet.segment) {
            segment.acknowledged = true;
            let round_trip = now.saturating_sub(segment.sent_at);
            self.cubic.measured(round_trip);
        }
        while self.segments.front().is_some_and(|segment| segment.acknowledged) {
            self.segments.pop_front();
            self.first += 1;
        }
        let advanced = self.first > first;
        let fresh_loss = self.find_losses(packet.serial);
        if fresh_loss && self.recovery.is_none() {
            self.enter_recovery(false);
        }
        self.leave_recovery();
        let (unacknowledged, still) = (self.first..self.end(), self.in_flight());
        match &mut self.recovery {
            Some(recovery) if !recovery.is_slow_start => {
                recovery.delivered += 1.0;
                let window = recovery.window(still, self.cubic.threshold(), advanced && !fresh_loss);
                self.cubic.set_window(window);
            }
            _ => self.cubic.acknowledged(unacknowledged, in_flight, now),
        }
    }

    /// Finds what was sent so long before this packet that it is lost; whether there was any.
    fn find_losses(&mut self, acknowledged: u64) -> bool {
        let before = self.lost.len();
        let of_before = self.dropped.partition_point(|(serial, _)| *serial + REORDERING <= acknowledged);
        self.lost.extend(self.dropped.drain(..of_before).map(|(_, segment)| segment));
        self.lost.len() > before
    }

    fn enter_recovery(&mut self, is_slow_start: bool) {
        let before = self.cubic.window();
        self.cubic.reduce();
        let until = self.end();
        self.recovery = Some(Recovery { until, is_slow_start, before, delivered: 0.0, sent: 0.0 });
    }

    fn leave_recovery(&mut self) {
        let over = |recovery: &mut Recovery| self.first >= recovery.until;
        if let Some(recovery) = self.recovery.take_if(over)
            && !recovery.is_slow_start
        {
            self.cubic.set_window(self.cubic.threshold());
        }
    }

    /// If nothing will come of what has been sent: how long it takes the sender to do something about it, and up to which
    /// packet that is so. First it sends the last segment once more (RFC 8985), then everything.
    pub(super) fn silence(&self) -> Option<(Duration, u64)> {
        if self.under_way > 0 || self.dropped.is_empty() {
            return None;
        }
        let round_trip = self.cubic.round_trip();
        let timeout = if self.probes() {
            round_trip * 2
        } else {
            (round_trip + LEAST_TIMEOUT) * 2_u32.pow(self.timeouts.saturating_sub(1).min(8))
        };
        Some((timeout, self.sent))
    }

    fn probes(&self) -> bool {
        self.timeouts == 0 && self.recovery.is_none()
    }

    /// That time has passed since packet `sent`; the segment that is sent as a probe, if there is one.
    pub(super) fn time_out(&mut self, sent: u64) -> Option<u64> {
        if self.silence().is_none_or(|(_, last)| last != sent) {
            return None;
        }
        let probes = self.probes();
        self.timeouts += 1;
        if probes {
            // What was sent before it is lost as soon as it is acknowledged.
            self.sent += REORDERING;
            return self.dropped.pop_back().map(|(_, segment)| segment);
        }
        self.lost.extend(self.dropped.drain(..).map(|(_, segment)| segment));
        self.enter_recovery(true);
        self.cubic.collapse();
        None
    }

    /// The number of the segment after the last.
    fn end(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    fn segment(&mut self, number: u64) -> Option<&mut Segment> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.segments.get_mut(at)
    }
}

impl Recovery {
    /// The window after a packet was delivered, with so many still in flight. `goes_well` if a gap has been filled.
    fn window(&self, in_flight: f64, threshold: f64, goes_well: bool) -> f64 {
        let room = threshold - in_flight;
        let wanted = if room < 0.0 {
            (threshold * self.delivered / self.before).ceil() - self.sent
        } else {
            ((self.delivered - self.sent).max(1.0) + f64::from(u8::from(goes_well))).min(room)
        };
        // Whatever happens, the first loss is repaired at once.
        let least = if self.sent > 0.0 { 0.0 } else { 1.0 };
        in_flight + wanted.max(least)
    }
}
