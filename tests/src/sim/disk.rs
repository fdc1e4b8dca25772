//! The disk: bytes of the file and the journal, which outlive a run.

use super::MemorySink;
use super::outage::Ending;
use super::random::Random;
use ftp_proto::{Facts, Instant};
use pftp::engine::{Earlier, FileStatus};
use pftp::ranges::RangeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

/// Bytes that reach the disk together or not at all.
const PAGE: usize = 4096;

/// A disk as the next run finds it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    bytes: Vec<u8>,
    journal: Option<(Facts, RangeSet)>,
}

impl Disk {
    fn new(file: &FileStatus<'_>, sink: &MemorySink) -> Self {
        Self { bytes: sink.contents(), journal: Some((file.identity().clone(), file.settled())) }
    }

    /// Returns the bytes of the file, right or wrong.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the ranges that the journal records.
    pub fn recorded(&self) -> RangeSet {
        self.journal.as_ref().map(|(_, done)| done.clone()).unwrap_or_default()
    }

    /// Returns what the engine is told of the earlier run.
    pub fn earlier(&self) -> Earlier {
        let Some((facts, done)) = self.journal.clone().filter(|(_, done)| !done.is_empty()) else {
            return Earlier::default();
        };
        let at = |offset: u64| usize::try_from(offset).expect("it fits into memory");
        let read = |range: Range<u64>| {
            let bytes = self.bytes.get(at(range.start)..at(range.end)).expect("what is noted is on disk");
            Ok::<_, Infallible>(bytes.to_vec().into())
        };
        let Ok(earlier) = Earlier::new(facts, done, read);
        earlier
    }

    /// Writes a random part of the pages that were not flushed: a power cut may spare any of them.
    fn lose(&mut self, written: &[u8], random: &mut Random) {
        self.bytes.resize(self.bytes.len().max(written.len()), 0);
        for (old, new) in self.bytes.chunks_mut(PAGE).zip(written.chunks(PAGE)) {
            if random.percent(33) {
                old[..new.len()].copy_from_slice(new);
            }
        }
    }
}

/// Writes the journal of a run as the command does, until the run is ended from outside.
#[derive(Debug)]
pub struct Keeper {
    disk: Disk,
    /// The disk after the flush that is running, and when that flush ends.
    pending: Option<(Instant, Disk)>,
    next: Instant,
    end: Option<(Instant, Ending)>,
    /// How the run was ended, and the disk that it left; `None` in place of the disk if the end of the run
    /// decides.
    ended: Option<(Ending, Option<Disk>)>,
    random: Random,
}

impl Keeper {
    /// The time between two journal records.
    pub const EVERY: Duration = Duration::from_millis(100);

    /// The time that a flush takes.
    pub const TAKES: Duration = Duration::from_millis(30);

    /// Resumes with this disk. Ends the run at `end`, if it is not done by then; `random` decides which pages
    /// a power cut spares.
    pub fn new(disk: Disk, end: Option<(Instant, Ending)>, random: Random) -> Self {
        let next = Instant::ZERO + Self::EVERY;
        Self { disk, pending: None, next, end, ended: None, random }
    }

    /// Returns the disk as it was before this run.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether the run was ended from outside.
    pub fn was_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Returns the disk that the run leaves.
    pub fn left(self, file: &FileStatus<'_>, sink: &MemorySink) -> Disk {
        match self.ended {
            Some((_, Some(disk))) => disk,
            _ => Disk::new(file, sink),
        }
    }

    /// Writes the journal at once, because fewer ranges are settled than before.
    pub(super) fn retract(&mut self, file: &FileStatus<'_>, sink: &MemorySink) {
        self.pending = None;
        self.disk = Disk::new(file, sink);
    }

    /// Looks at the run after a step. Returns whether the run ends now.
    pub(super) fn look(&mut self, file: &FileStatus<'_>, sink: &MemorySink, now: Instant) -> bool {
        if let Some((_, disk)) = self.pending.take_if(|(due, _)| *due <= now) {
            self.disk = disk;
        }
        if now >= self.next && self.pending.is_none() {
            self.next = now + Self::EVERY;
            self.pending = Some((now + Self::TAKES, Disk::new(file, sink)));
        }
        let Some((_, ending)) = self.end.take_if(|(at, _)| *at <= now) else { return false };
        let left = match ending {
            Ending::Stopped => None,
            Ending::Killed => Some(Disk { bytes: sink.contents(), ..self.disk.clone() }),
            Ending::PowerCut => {
                let mut disk = self.disk.clone();
                disk.lose(&sink.contents(), &mut self.random);
                Some(disk)
            }
        };
        self.ended = Some((ending, left));
        true
    }

    /// Returns when to look next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let due = self.pending.as_ref().map(|(due, _)| *due);
        let end = self.end.map(|(at, _)| at);
        [Some(self.next), due, end].into_iter().flatten().min()
    }
}
