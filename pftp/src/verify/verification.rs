//! The verification of one download.

use super::{Ahead, Checksum};
use crate::destination::Destination;
use crate::exit::{Failure, Kind};
use crate::options::Options;
use crate::plan::Planner;
use ftp_proto::Instant;
use std::ops::Range;
use std::time::Duration;

/// How often it is looked how far the file has come.
const EVERY: Duration = Duration::from_millis(250);

/// The checksum that a file has to have, and the one that it gets.
#[derive(Debug)]
pub(crate) struct Verification {
    asked: Checksum,
    /// `None` for a stream, which hashes by itself.
    ahead: Option<Ahead>,
    /// Up to there the file may have been hashed.
    until: u64,
    /// `None` if nothing is hashed ahead any more.
    next_look: Option<Instant>,
}

impl Verification {
    /// Begins, if a checksum is asked for.
    ///
    /// # Errors
    /// A [`Failure`] if that is not possible.
    pub(crate) fn start(options: &Options, destination: &Destination) -> Result<Option<Self>, Failure> {
        let Some(asked) = options.checksum.clone() else { return Ok(None) };
        let ahead = match destination.resumable() {
            Some(sink) => {
                let started = Ahead::start(sink.file()?, asked.algorithm());
                Some(started.map_err(|error| Failure::local("cannot hash", sink.part(), &error))?)
            }
            None => None,
        };
        Ok(Some(Self { asked, ahead, until: 0, next_look: Some(Instant::ZERO) }))
    }

    /// Hashes what has come from the start of the file on.
    pub(crate) fn look(&mut self, planner: &Planner, now: Instant) {
        if self.next_look.is_none_or(|due| now < due) {
            return;
        }
        self.next_look = Some(now + EVERY);
        let first = planner.done().iter().next().filter(|range| range.start == 0);
        let until = first.map_or(0, |range| range.end);
        if let Some(ahead) = self.ahead.as_ref().filter(|_| until > self.until) {
            ahead.advance(until);
            self.until = until;
        }
    }

    /// Something has been written. Where the file was hashed it has changed, maybe, and may again.
    pub(crate) fn written(&mut self, range: &Range<u64>) {
        if range.start < self.until {
            self.start_over();
            self.next_look = None;
        }
    }

    /// What is there is not what was there.
    pub(crate) fn start_over(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.start_over(0);
        }
        self.until = 0;
    }

    /// The file is whole, of `size` bytes: it has the checksum.
    ///
    /// # Errors
    /// A [`Failure`] of kind integrity if it has not; of kind local if it cannot be read.
    pub(crate) fn conclude(self, destination: &Destination, size: u64) -> Result<(), Failure> {
        let name = destination.name();
        let found = match self.ahead {
            Some(ahead) => ahead
                .finish(size)
                .map_err(|error| Failure::new(Kind::Local, format!("cannot read {name}: {error}")))
                .map(Some)?,
            None => destination.streamed_checksum(),
        };
        let Some(found) = found.filter(|found| *found != self.asked) else { return Ok(()) };
        let message = format!("{name} has {found} and not {}", self.asked);
        Err(Failure::new(Kind::Integrity, message))
    }
}
