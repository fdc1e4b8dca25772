//! The sender's side of TCP on a data connection: what lost packets and a full queue cost a download.
//!
//! Every packet is sent, queued, lost or delivered, and acknowledged by itself. All connections from a server
//! share one queue, which drops packets that do not fit (tail drop); packets may get lost at random besides.
//! A packet counts as lost when three later packets are acknowledged (RFC 6675). Until it is sent again, the
//! reader gets nothing that was sent after it. [`Cubic`] decides how the window changes.
//!
//! Left out: the way from the client to the server, which has no queue and loses nothing; losses of SYNs and
//! on control connections, which do wait in the queue; delayed acknowledgements and pacing; growth of the
//! receiver's window, which is [`Pipes::window`](super::Pipes::window) from the start; false alarms, such as
//! after reordered packets; and errors in the measured round-trip time.
//! packets that have overtaken others; and that a round-trip time is not measured exactly.

mod cubic;
#[cfg(test)]
mod tests;

use super::random::Random;
use cubic::Cubic;
use ftp_proto::SessionId;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The path of data connections with TCP's congestion control.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// How long the full queue takes to drain; `None` for one round trip, but at least 20 ms.
    pub queue: Option<Duration>,
    /// Packets lost at random, of a million.
    pub losses: u64,
    /// Draws the packets that are lost.
    pub random: Random,
}

impl Congestion {
    /// A path that loses so many packets of a million, with a queue of the usual length.
    pub const fn of_losses(losses: u64, seed: u64) -> Self {
        Self { queue: None, losses, random: Random::new(seed) }
    }

    /// Returns how long the full queue takes to drain.
    pub(super) fn queue(&self, round_trip: Duration) -> Duration {
        self.queue.unwrap_or_else(|| round_trip.max(LEAST_QUEUE))
    }

    /// Returns how long the sender takes to handle an acknowledgement. The delay varies, so connections do
    /// not keep step.
    pub(super) const fn wakes_up(&mut self) -> Duration {
        Duration::from_micros(self.random.within(0, LONGEST_SLEEP))
    }

    /// Whether the next packet is lost at random.
    pub(super) const fn loses(&mut self) -> bool {
        self.random.within(0, 999_999) < self.losses
    }
}

/// Payload bytes of a packet.
pub(super) const SEGMENT: usize = 1448;

/// Bytes of a packet beside its payload: headers of IP and TCP, with timestamps.
pub(super) const HEADERS: usize = 52;

const LEAST_QUEUE: Duration = Duration::from_millis(20);

/// The longest delay of an acknowledgement, in microseconds.
const LONGEST_SLEEP: u64 = 1000;

/// A packet counts as lost when so many later packets are acknowledged.
const REORDERING: u64 = 3;

/// The least difference of a retransmission timeout and a round trip.
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// A data connection, both ends.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: SessionId,
    cubic: Cubic,
    /// The segments from the first unacknowledged one on, and the number of that one.
    segments: VecDeque<Segment>,
    first: u64,
    /// The number of the next segment for the reader.
    next_read: u64,
    /// Segments to be sent again.
    lost: BTreeSet<u64>,
    /// The number of packets sent so far; the packets in flight; and the packets that were dropped, which the
    /// sender does not know. Each with its segment.
    sent: u64,
    under_way: usize,
    dropped: VecDeque<(u64, u64)>,
    recovery: Option<Recovery>,
    /// Timeouts since the last acknowledgement.
    timeouts: u32,
    /// Whether the server has sent its last byte.
    finished: bool,
}

#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    sent_at: Duration,
    arrived: bool,
    acknowledged: bool,
}

/// The time from a loss until all packets that were sent before it are acknowledged.
#[derive(Debug)]
struct Recovery {
    /// The number of the first segment that was not sent yet.
    until: u64,
    /// Whether a timeout began the recovery: the window grows from one segment.
    is_slow_start: bool,
    /// Proportional rate reduction (RFC 6937): the window before, and how much was delivered and sent since.
    before: f64,
    delivered: f64,
    sent: f64,
}

/// A packet, and the number of its segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) serial: u64,
    pub(super) segment: u64,
}

impl Stream {
    /// A data connection that was just accepted.
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

    /// Returns how many packets were sent and are neither acknowledged nor known to be lost.
    fn in_flight(&self) -> f64 {
        (self.under_way + self.dropped.len()) as f64
    }

    /// Queues bytes for the first time. Returns the number of their segment.
    pub(super) fn push(&mut self, bytes: Vec<u8>) -> u64 {
        self.segments.push_back(Segment {
            bytes,
            sent_at: Duration::ZERO,
            arrived: false,
            acknowledged: false,
        });
        self.end() - 1
    }

    /// Returns the first segment that is to be sent again.
    pub(super) fn next_lost(&self) -> Option<u64> {
        self.lost.first().copied()
    }

    /// Returns the length of an unacknowledged segment, in bytes.
    pub(super) fn len(&mut self, segment: u64) -> usize {
        self.segment(segment).map_or(0, |segment| segment.bytes.len())
    }

    /// Sends a segment, which is dropped unless `gets_through` is set.
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

    /// Delivers a segment to the client. Returns the bytes that the reader gets now.
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

    /// Marks the last byte as sent.
    pub(super) const fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether the reader has seen the end.
    pub(super) fn has_ended(&self) -> bool {
        self.finished && self.next_read == self.end()
    }

    /// Handles the acknowledgement of a packet.
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

    /// Marks packets as lost that were sent long before this one. Returns whether there were any.
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

    /// Returns when the sender acts if no further acknowledgement comes, and up to which packet that holds.
    /// It first sends the last segment once more (RFC 8985), and then everything.
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

    /// Handles the timeout of packet `sent`. Returns the segment to send as a probe, if there is one.
    pub(super) fn time_out(&mut self, sent: u64) -> Option<u64> {
        if self.silence().is_none_or(|(_, last)| last != sent) {
            return None;
        }
        let probes = self.probes();
        self.timeouts += 1;
        if probes {
            // Packets that were sent before the probe are lost as soon as the probe is acknowledged.
            self.sent += REORDERING;
            return self.dropped.pop_back().map(|(_, segment)| segment);
        }
        self.lost.extend(self.dropped.drain(..).map(|(_, segment)| segment));
        self.enter_recovery(true);
        self.cubic.collapse();
        None
    }

    /// Returns the number behind the last segment.
    fn end(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    fn segment(&mut self, number: u64) -> Option<&mut Segment> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.segments.get_mut(at)
    }
}

impl Recovery {
    /// Returns the window after a delivery, with so many packets in flight. `goes_well` is set if a gap was
    /// filled.
    fn window(&self, in_flight: f64, threshold: f64, goes_well: bool) -> f64 {
        let room = threshold - in_flight;
        let wanted = if room < 0.0 {
            (threshold * self.delivered / self.before).ceil() - self.sent
        } else {
            ((self.delivered - self.sent).max(1.0) + f64::from(u8::from(goes_well))).min(room)
        };
        // The first loss is always repaired at once.
        let least = if self.sent > 0.0 { 0.0 } else { 1.0 };
        in_flight + wanted.max(least)
    }
}
