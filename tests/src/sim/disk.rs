//! What outlives a run: the bytes that are on disk, and the journal.

use super::MemorySink;
use super::outage::Ending;
use super::random::Random;
use ftp_proto::{Facts, Instant};
use pftp::plan::{Before, Planner};
use pftp::ranges::RangeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// What comes to the disk as a whole or not at all.
const PAGE: usize = 4096;

/// What a next run finds.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    bytes: Vec<u8>,
    journal: Option<(Facts, RangeSet)>,
}

impl Disk {
    fn new(planner: &Planner, sink: &MemorySink) -> Self {
        Self { bytes: sink.contents(), journal: Some((planner.identity().clone(), planner.settled())) }
    }

    /// The bytes of the file, whatever they are worth.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What of them the journal names.
    pub fn noted(&self) -> RangeSet {
        self.journal.as_ref().map(|(_, done)| done.clone()).unwrap_or_default()
    }

    /// What a planner is told of it.
    pub fn before(&self) -> Before {
        let Some((facts, done)) = self.journal.clone().filter(|(_, done)| !done.is_empty()) else {
            return Before::default();
        };
        let at = |offset: u64| usize::try_from(offset).expect("it fits into memory");
        let read = |range: Range<u64>| {
            let bytes = self.bytes.get(at(range.start)..at(range.end)).expect("what is noted is on disk");
            Ok::<_, Infallible>(bytes.to_vec().into())
        };
        let Ok(before) = Before::new(facts, done, read);
        before
    }

    /// Any page of what was written since may have come to the disk by itself.
    fn lose(&mut self, written: &[u8], random: &mut Random) {
        self.bytes.resize(self.bytes.len().max(written.len()), 0);
        for (old, new) in self.bytes.chunks_mut(PAGE).zip(written.chunks(PAGE)) {
            if random.percent(33) {
                old[..new.len()].copy_from_slice(new);
            }
        }
    }
}

/// Keeps the journal of a run as the command does, until the run is ended from outside.
#[derive(Debug)]
pub struct Keeper {
    disk: Disk,
    /// What is being put on disk, and until when.
    pending: Option<(Instant, Disk)>,
    next: Instant,
    end: Option<(Instant, Ending)>,
    /// How it was ended, and what that has left, unless it is for the end of the run to say.
    ended: Option<(Ending, Option<Disk>)>,
    random: Random,
}

impl Keeper {
    /// How often it writes the journal.
    pub const EVERY: Duration = Duration::from_millis(100);

    /// How long the disk takes for that.
    pub const TAKES: Duration = Duration::from_millis(30);

    /// Goes on with what is on the disk. At `end` the run ends, if it is not done by then; `random` decides what a power
    /// cut spares.
    pub fn new(disk: Disk, end: Option<(Instant, Ending)>, random: Random) -> Self {
        let next = Instant::ZERO + Self::EVERY;
        Self { disk, pending: None, next, end, ended: None, random }
    }

    /// What was there before this run.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether the run was ended from outside.
    pub fn was_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What the run has left.
    pub fn left(self, planner: &Planner, sink: &MemorySink) -> Disk {
        match self.ended {
            Some((_, Some(disk))) => disk,
            _ => Disk::new(planner, sink),
        }
    }

    /// Less is settled than was: this is on disk before anything else happens.
    pub(super) fn retract(&mut self, planner: &Planner, sink: &MemorySink) {
        self.pending = None;
        self.disk = Disk::new(planner, sink);
    }

    /// Sees a step of the run. Whether that is to end now.
    pub(super) fn look(&mut self, planner: &Planner, sink: &MemorySink, now: Instant) -> bool {
        if let Some((_, disk)) = self.pending.take_if(|(due, _)| *due <= now) {
            self.disk = disk;
        }
        if now >= self.next && self.pending.is_none() {
            self.next = now + Self::EVERY;
            self.pending = Some((now + Self::TAKES, Disk::new(planner, sink)));
        }
        let Some((_, ending)) = self.end.take_if(|(at, _)| *at <= now) else { return false };
        let left = match ending {
            Ending::Stopped => None,
            Ending::Killed => Some(Disk { bytes: sink.contents(), ..self.disk.clone() }),
            Ending::Dark => {
                let mut disk = self.disk.clone();
                disk.lose(&sink.contents(), &mut self.random);
                Some(disk)
            }
        };
        self.ended = Some((ending, left));
        true
    }

    /// When it wants to look next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let due = self.pending.as_ref().map(|(due, _)| *due);
        let end = self.end.map(|(at, _)| at);
        [Some(self.next), due, end].into_iter().flatten().min()
    }
}
