//! The verification of one download.

use super::{Ahead, Asked, Checksum, Found};
use crate::destination::Destination;
use crate::exit::{Failure, Kind};
use crate::options::Options;
use crate::plan::Planner;
use ftp_proto::Instant;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// How often it is looked how far the file has come.
const EVERY: Duration = Duration::from_millis(250);

/// The checksum that a file has to have, and the one that it gets.
#[derive(Debug)]
pub(crate) struct Verification {
    /// `None` as long as nobody has said what to compare with.
    wanted: Option<Wanted>,
    /// `None` for a stream, which hashes by itself, and while it is not known how to hash.
    ahead: Option<Ahead>,
    /// Up to there the file may have been hashed.
    until: u64,
    /// `None` if nothing is hashed ahead any more.
    next_look: Option<Instant>,
}

/// What to compare with.
#[derive(Clone, Debug)]
enum Wanted {
    /// The user says.
    Given(Checksum),
    /// A server says.
    Found(Found),
}

impl Wanted {
    const fn checksum(&self) -> &Checksum {
        match self {
            Self::Given(checksum) | Self::Found(Found { checksum, .. }) => checksum,
        }
    }
}

/// How a verification has ended.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Of kind integrity if the file has not the checksum; of kind local if it cannot be read.
    pub(crate) result: Result<(), Failure>,
    /// The checksum that the file has to have.
    pub(crate) wanted: Checksum,
    /// What the user may want to know.
    pub(crate) note: Option<String>,
}

impl Verification {
    /// Begins, if a checksum is asked for.
    ///
    /// # Errors
    /// A [`Failure`] if that is not possible.
    pub(crate) fn start(options: &Options, destination: &Destination) -> Result<Option<Self>, Failure> {
        let Some(asked) = &options.checksum else { return Ok(None) };
        let mut verification = Self { wanted: None, ahead: None, until: 0, next_look: Some(Instant::ZERO) };
        match asked {
            Asked::Auto => {}
            Asked::Given(checksum) => {
                verification.want(Some(Wanted::Given(checksum.clone())), destination)?;
            }
        }
        Ok(Some(verification))
    }

    /// This is what servers have to compare with; it takes the place of what was found before.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if the file cannot be hashed.
    pub(crate) fn found(&mut self, found: Option<Found>, destination: &Destination) -> Result<(), Failure> {
        self.want(found.map(Wanted::Found), destination)
    }

    fn want(&mut self, wanted: Option<Wanted>, destination: &Destination) -> Result<(), Failure> {
        (self.ahead, self.until, self.wanted) = (None, 0, wanted);
        if let (Some(wanted), Some(sink)) = (&self.wanted, destination.resumable()) {
            let started = Ahead::start(sink.file()?, wanted.checksum().algorithm());
            self.ahead = Some(started.map_err(|error| Failure::local("cannot hash", sink.part(), &error))?);
        }
        Ok(())
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

    /// The file is whole, of `size` bytes: how it compares. `None` if there is nothing to compare with.
    pub(crate) fn conclude(self, destination: &Destination, size: u64) -> Option<Verdict> {
        let wanted = self.wanted?;
        let name = destination.name();
        let computed = match self.ahead {
            Some(ahead) => ahead.finish(size),
            None => {
                let streamed = destination.streamed_checksum(wanted.checksum().algorithm());
                streamed.ok_or_else(|| io::Error::other("it was not hashed"))
            }
        };
        let cannot = |error| Failure::new(Kind::Local, format!("cannot read {name}: {error}"));
        let result = computed.map_err(cannot).and_then(|computed| compare(&name, &wanted, &computed, size));
        let note = match &wanted {
            Wanted::Found(found) if result.is_ok() => Some(format!("verified: {found}")),
            Wanted::Given(_) | Wanted::Found(_) => None,
        };
        Some(Verdict { result, wanted: wanted.checksum().clone(), note })
    }
}

fn compare(name: &str, wanted: &Wanted, computed: &Checksum, size: u64) -> Result<(), Failure> {
    let message = match wanted {
        Wanted::Given(checksum) if checksum == computed => return Ok(()),
        Wanted::Found(found) if found.is_of(computed, size) => return Ok(()),
        Wanted::Given(checksum) => format!("{name} has {computed} and not {checksum}"),
        Wanted::Found(found) if found.blocks.is_some() => {
            format!("{name} has {computed} and {size} bytes, and not {found}")
        }
        Wanted::Found(found) => format!("{name} has {computed} and not {found}"),
    };
    Err(Failure::new(Kind::Integrity, message))
}

/// Whether the file at `path` is the one that a server means.
///
/// # Errors
/// What it has, or why that cannot be told.
pub(crate) fn compare_finished(path: &Path, found: &Found) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let computed = Checksum::of(found.checksum.algorithm(), file).map_err(cannot)?;
    if found.is_of(&computed, size) { Ok(()) } else { Err(format!("has {computed} and not {found}")) }
}
