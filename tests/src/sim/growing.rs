//! Worlds in which the client chooses the number of connections.
//!
//! They are the worlds from seed 0 on, with the same faults. Connections are added only if the download takes
//! many round trips and more connections bring more bytes. So most files are larger, round trips are a tenth
//! as long, and more servers throttle each session. Some paths have TCP's congestion control, where a queue
//! shows that a path is saturated and losses slow each connection down. A random stream of its own draws
//! these differences.

use super::random::Random;
use super::tcp::Congestion;
use super::world::{Mirror, World};
use std::time::Duration;

/// The first seed of the worlds in which connections are added while they pay. World `GROWING + n` resembles
/// world `n`.
pub const GROWING: u64 = 1 << 33;

/// Draws the differences of such a world.
#[derive(Debug)]
pub(super) struct Growing(Random);

impl Growing {
    /// Returns the differences of this seed's world, if connections are added in it.
    pub(super) const fn of_seed(seed: u64) -> Option<Self> {
        if seed < GROWING {
            return None;
        }
        Some(Self(Random::new(seed ^ 0x0067_726f_7769_6e67)))
    }

    /// Returns the size of the file, and the bytes below which no range is split.
    pub(super) fn sizes(&mut self, size: u64, min_segment: u64) -> (u64, u64) {
        let enlarged = self.0.percent(70);
        let larger = size.max(self.0.within(60_000, 300_000));
        let smaller = self.0.pick(&[1 << 10, 4 << 10, 16 << 10]);
        if enlarged { (larger, min_segment.min(smaller)) } else { (size, min_segment) }
    }

    /// Changes the path to a mirror, and the rate of each session.
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
    /// Returns how many connections are opened at once.
    pub(super) fn begin_with(&self) -> usize {
        if self.growing { self.mirrors.len().clamp(1, self.connections) } else { self.connections }
    }
}

impl Mirror {
    /// Returns the congestion control of the path's data connections, if it has any. The queue has room for
    /// some packets even if the path is slow.
    pub(super) fn congestion(&self, seed: u64) -> Option<Congestion> {
        let packets = Duration::from_millis(LEAST_QUEUE * 1000 / self.path_rate.max(1));
        let queue = packets.max(Duration::from_millis(self.round_trip.max(20)));
        let of = |losses| Congestion { queue: Some(queue), ..Congestion::of_losses(losses, seed) };
        self.losses.map(of)
    }
}

/// The least length of a queue, in bytes.
const LEAST_QUEUE: u64 = 45_000;
