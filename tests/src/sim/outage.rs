//! Ends of runs from outside, and the changes before the next run.
//!
//! A random stream of its own draws them, so a seed's world is the same with and without outages.

use super::fault::Fault;
use super::random::Random;
use super::world::World;
use crate::model::File;
use std::time::Duration;

/// How a run is ended from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// By a signal. The journal records all that was fetched.
    Stopped,
    /// By SIGKILL. The bytes are on disk, and the journal stays as it was.
    Killed,
    /// By a power cut. Any page that was not flushed may be lost.
    PowerCut,
}

/// The end of a run, and the changes before the next.
#[derive(Clone, Debug)]
pub struct Outage {
    /// How the run ends.
    pub ending: Ending,
    /// When the run ends, if it is not done by then.
    pub after: Duration,
    /// The connections of the next run, if their number changes.
    pub connections: Option<usize>,
    /// The mirrors of the next run by index, if they change.
    pub mirrors: Option<Vec<usize>>,
    /// The version that takes the place of the right file.
    pub change: Option<File>,
}

impl Outage {
    /// Returns the outages of a world, in order. Most worlds have none.
    pub(super) fn of_world(world: &World, wanted: Duration) -> Vec<Self> {
        let mut random = Random::new(world.seed ^ 0x006f_7574_6167_6573);
        let count = if random.percent(50) { random.within(1, 4) } else { 0 };
        (0..count).map(|number| Self::new(&mut random, world, number, wanted)).collect()
    }

    fn new(random: &mut Random, world: &World, number: u64, wanted: Duration) -> Self {
        let ending = random.pick(&[
            Ending::Stopped,
            Ending::Killed,
            Ending::Killed,
            Ending::PowerCut,
            Ending::PowerCut,
        ]);
        let after = wanted.mul_f64(random.within(5, 150) as f64 / 100.0);
        let connections = random.percent(40).then(|| random.pick(&[1, 2, 3, 4, 6, 10]));
        let mirrors = random.percent(40).then(|| shuffled(random, world.mirrors.len()));
        let change = random.percent(15).then(|| {
            let size = world.size();
            let size = random.pick(&[size, size, size + 1000, size / 3]);
            let file = File::generated(world.seed + 3 + number, size);
            if random.percent(50) { file } else { file.with_modified(format!("2024050{}000000", number + 1)) }
        });
        Self { ending, after, connections, mirrors, change }
    }

    /// Returns the faults of this outage.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let ending = match self.ending {
            Ending::Stopped => Fault::Stopped,
            Ending::Killed => Fault::Killed,
            Ending::PowerCut => Fault::PowerCut,
        };
        let others = [
            self.connections.map(|_| Fault::OtherConnections),
            self.mirrors.as_ref().map(|_| Fault::OtherMirrors),
            self.change.as_ref().map(|_| Fault::ChangedBetween),
        ];
        [ending].into_iter().chain(others.into_iter().flatten())
    }
}

/// Returns at least one of the indexes below `count`, in random order.
fn shuffled(random: &mut Random, count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..count).collect();
    let wanted = random.within(1, count as u64) as usize;
    (0..wanted).map(|_| left.swap_remove(random.within(0, left.len() as u64 - 1) as usize)).collect()
}

impl World {
    /// Returns the world as it is after this outage and so much time.
    pub(super) fn later(mut self, passed: Duration, outage: &Outage) -> Self {
        for mirror in &mut self.mirrors {
            let Some(at) = mirror.troubles.iter().position(|trouble| trouble.fault == Fault::Replaced) else {
                continue;
            };
            if mirror.troubles[at].delay <= passed {
                mirror.version = mirror.troubles.remove(at).version;
            } else {
                mirror.troubles[at].delay -= passed;
            }
        }
        if let Some(file) = &outage.change {
            let old = std::mem::replace(&mut self.versions[0], file.clone());
            self.versions.push(old);
        }
        self
    }

    /// Returns the world as the next run sees it.
    pub(super) fn seen_after(&self, outage: &Outage) -> Self {
        let mut seen = self.clone();
        if let Some(places) = &outage.mirrors {
            seen.mirrors = places.iter().map(|at| self.mirrors[*at].clone()).collect();
        }
        if let Some(connections) = outage.connections {
            (seen.connections, seen.growing) = (connections, false);
        }
        seen
    }
}
