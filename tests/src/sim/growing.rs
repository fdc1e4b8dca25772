//! Worlds in which nobody says how many connections there are to be: as many as pay.
//!
//! They are those from 0 on once more, with the same things going wrong. But for connections to be added there has to be
//! work for many round trips, and something that they bring. So the file is larger in most of them, the round trips are a
//! tenth of what they were, and more servers hold back each session for itself. Some paths have TCP's congestion control: on
//! those a queue shows that they are full, and losses hold back each connection. What is different is drawn from a stream of
//! its own.

use super::random::Random;
use super::tcp::Congestion;
use super::world::{Mirror, World};
use std::time::Duration;

/// From this seed on, worlds are those from 0 on once more, but connections are added where that pays.
pub const GROWING: u64 = 1 << 33;

/// What is different in such a world.
#[derive(Debug)]
pub(super) struct Growing(Random);

impl Growing {
    /// That of the world of this seed, if it is one.
    pub(super) const fn of_seed(seed: u64) -> Option<Self> {
        if seed < GROWING {
            return None;
        }
        Some(Self(Random::new(seed ^ 0x0067_726f_7769_6e67)))
    }

    /// The size of the file, and below how many bytes nothing is split.
    pub(super) fn sizes(&mut self, size: u64, min_segment: u64) -> (u64, u64) {
        let enlarged = self.0.percent(70);
        let larger = size.max(self.0.within(60_000, 300_000));
        let smaller = self.0.pick(&[1 << 10, 4 << 10, 16 << 10]);
        if enlarged { (larger, min_segment.min(smaller)) } else { (size, min_segment) }
    }

    /// Changes the path to a mirror, and what it gives each session.
    pub(super) fn path(&mut self, mirror: &mut Mirror) {
        mirror.round_trip = (mirror.round_trip / 10).max(1);
        let held_back = mirror.path_rate * self.0.within(4, 50) / 100;
        if self.0.percent(60) {
            mirror.session_rate = Some(held_back);
        }
        let losses = self.0.pick(&[0, 0, 100, 1000, 10_000]);
        mirror.losses = self.0.percent(35).then_some(losses);
    }
}

impl World {
    /// Connections to begin with.
    pub(super) fn begin_with(&self) -> usize {
        if self.growing { self.mirrors.len().clamp(1, self.connections) } else { self.connections }
    }
}

impl Mirror {
    /// What its path makes of data connections, if that is TCP's congestion control. The queue has room for some packets
    /// even if the path is slow.
    pub(super) fn congestion(&self, seed: u64) -> Option<Congestion> {
        let packets = Duration::from_millis(LEAST_QUEUE * 1000 / self.path_rate.max(1));
        let queue = packets.max(Duration::from_millis(self.round_trip.max(20)));
        let of = |losses| Congestion { queue: Some(queue), ..Congestion::of_losses(losses, seed) };
        self.losses.map(of)
    }
}

/// Bytes that a queue holds at least.
const LEAST_QUEUE: u64 = 45_000;
