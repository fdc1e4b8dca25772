//! Runs that do not come to their end, and what is different when the next one begins.
//!
//! They are drawn from a stream of their own, so that a seed's world is the same with them and without.

use super::fault::Fault;
use super::random::Random;
use super::world::World;
use crate::model::File;
use std::time::Duration;

/// How a run is ended from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// By a signal: the journal says all that there is.
    Stopped,
    /// At once. What was written is there, and the journal says what it said.
    Killed,
    /// By a power cut. Of what was not put on disk yet, any page may have come there, or not.
    Dark,
}

/// The end of a run, and what is different in the next.
#[derive(Clone, Debug)]
pub struct Outage {
    /// How it ends.
    pub ending: Ending,
    /// When, if it is not done by then.
    pub after: Duration,
    /// Connections of the next run, if it has another number.
    pub connections: Option<usize>,
    /// The places of its mirrors, if it is told of others.
    pub mirrors: Option<Vec<usize>>,
    /// What is in the place of the right file then.
    pub change: Option<File>,
}

impl Outage {
    /// Those of a world, in order. Most worlds have none.
    pub(super) fn of_world(world: &World, wanted: Duration) -> Vec<Self> {
        let mut random = Random::new(world.seed ^ 0x006f_7574_6167_6573);
        let count = if random.percent(50) { random.within(1, 4) } else { 0 };
        (0..count).map(|number| Self::new(&mut random, world, number, wanted)).collect()
    }

    fn new(random: &mut Random, world: &World, number: u64, wanted: Duration) -> Self {
        let ending =
            random.pick(&[Ending::Stopped, Ending::Killed, Ending::Killed, Ending::Dark, Ending::Dark]);
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

    /// What goes wrong by it.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        let ending = match self.ending {
            Ending::Stopped => Fault::Stopped,
            Ending::Killed => Fault::Killed,
            Ending::Dark => Fault::PowerCut,
        };
        let others = [
            self.connections.map(|_| Fault::OtherConnections),
            self.mirrors.as_ref().map(|_| Fault::OtherMirrors),
            self.change.as_ref().map(|_| Fault::ChangedBetween),
        ];
        [ending].into_iter().chain(others.into_iter().flatten())
    }
}

/// Some of the places below `count`, in any order; at least one.
fn shuffled(random: &mut Random, count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..count).collect();
    let wanted = random.within(1, count as u64) as usize;
    (0..wanted).map(|_| left.swap_remove(random.within(0, left.len() as u64 - 1) as usize)).collect()
}

impl World {
    /// All of the world as it is when so much time has passed, and the outage is over.
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

    /// What of it the next run sees.
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
