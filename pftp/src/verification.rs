//! The verification of one file: the run that hashes it and compares checksums.
//!
//! Each file of a download has its own [`Verification`]. A file on disk is hashed by a thread while it is downloaded, from
//! its start to the end of the first gap; a stream hashes its bytes when they are written.

mod background;

use crate::checksum::{Algorithm, Checksum, Expected};
use crate::file::FileSink;
use crate::local::{Action, LocalError};
use crate::lookup::Found;
use crate::ranges::RangeSet;
use background::BackgroundHash;
use ftp_proto::Instant;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Time between two looks at the progress of the download.
const INTERVAL: Duration = Duration::from_millis(250);

/// The verification of one file.
#[derive(Debug)]
pub(crate) struct Verification {
    /// `None` until a checksum is known.
    check: Option<Check>,
    /// The bytes before this offset may have been hashed.
    hashed_to: u64,
    /// When to look at the progress of the download again; `None` if nothing is hashed before the download ends.
    next_advance: Option<Instant>,
}

/// A comparison that is under way.
#[derive(Debug)]
struct Check {
    reference: Reference,
    /// `None` for a stream, which hashes its bytes itself.
    hash: Option<BackgroundHash>,
}

/// The checksum that the file should have.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reference {
    /// The user's.
    Given(Checksum),
    /// A server's.
    Found(Found),
}

impl Reference {
    /// Returns the checksum.
    #[must_use]
    pub const fn checksum(&self) -> &Checksum {
        match self {
            Self::Given(checksum) | Self::Found(Found { checksum, .. }) => checksum,
        }
    }

    /// Compares the file of `size` bytes with the checksum `computed`.
    fn compare(&self, computed: Checksum, size: u64) -> Result<(), VerifyError> {
        let is_same = match self {
            Self::Given(checksum) => *checksum == computed,
            Self::Found(found) => found.matches(&computed, size),
        };
        if is_same { Ok(()) } else { Err(VerifyError::Mismatch { computed, size }) }
    }
}

/// Why a file is not verified.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// The file has another checksum or size.
    Mismatch {
        /// The checksum that the file has.
        computed: Checksum,
        /// The size of the file in bytes.
        size: u64,
    },
    /// The file could not be read.
    Read(io::Error),
}

/// The outcome of a verification.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) reference: Reference,
    pub(crate) result: Result<(), VerifyError>,
}

impl Verification {
    /// Begins to verify a file; `file` is `None` for a stream.
    ///
    /// # Errors
    /// A [`LocalError`] if the file cannot be hashed.
    pub(crate) fn start(expected: &Expected, file: Option<&FileSink>) -> Result<Self, LocalError> {
        let mut verification = Self { check: None, hashed_to: 0, next_advance: Some(Instant::ZERO) };
        verification.compare_with(expected.given().cloned().map(Reference::Given), file)?;
        Ok(verification)
    }

    /// Replaces the checksum to compare with by one that a lookup found, or by none.
    ///
    /// # Errors
    /// A [`LocalError`] if the file cannot be hashed.
    pub(crate) fn set_found(
        &mut self,
        found: Option<Found>,
        file: Option<&FileSink>,
    ) -> Result<(), LocalError> {
        self.compare_with(found.map(Reference::Found), file)
    }

    fn compare_with(
        &mut self,
        reference: Option<Reference>,
        file: Option<&FileSink>,
    ) -> Result<(), LocalError> {
        (self.check, self.hashed_to) = (None, 0);
        if let Some(reference) = reference {
            let hash = file.map(|file| hash_in_background(file, reference.checksum().algorithm()));
            self.check = Some(Check { reference, hash: hash.transpose()? });
        }
        Ok(())
    }

    /// Hashes what has been downloaded from the start of the file on, if it is time to look at that. `done` has the ranges
    /// that are in the file.
    pub(crate) fn advance(&mut self, done: &RangeSet, now: Instant) {
        if self.next_advance.is_none_or(|due| now < due) {
            return;
        }
        self.next_advance = Some(now + INTERVAL);
        let first = done.iter().next().filter(|range| range.start == 0);
        let end = first.map_or(0, |range| range.end);
        let hash = self.check.as_ref().and_then(|check| check.hash.as_ref());
        if let Some(hash) = hash.filter(|_| end > self.hashed_to) {
            hash.advance(end);
            self.hashed_to = end;
        }
    }

    /// Handles that `range` of the file was written. If it may have been hashed before, the file is hashed anew, and only when
    /// the download has ended: the same may happen again.
    pub(crate) fn handle_write(&mut self, range: &Range<u64>) {
        if range.start < self.hashed_to {
            self.start_over();
            self.next_advance = None;
        }
    }

    /// Discards what was hashed, because bytes in the file are replaced.
    pub(crate) fn start_over(&mut self) {
        if let Some(hash) = self.check.as_ref().and_then(|check| check.hash.as_ref()) {
            hash.start_over(0);
        }
        self.hashed_to = 0;
    }

    /// Compares the whole file of `size` bytes; `streamed` returns the checksum of a stream. Returns `None` if there is no
    /// checksum to compare with.
    pub(crate) fn conclude(
        self,
        size: u64,
        streamed: impl FnOnce(Algorithm) -> Option<Checksum>,
    ) -> Option<Verdict> {
        let Check { reference, hash } = self.check?;
        let computed = match hash {
            Some(hash) => hash.finish(size),
            None => streamed(reference.checksum().algorithm())
                .ok_or_else(|| io::Error::other("it was not hashed")),
        };
        let result =
            computed.map_err(VerifyError::Read).and_then(|computed| reference.compare(computed, size));
        Some(Verdict { reference, result })
    }
}

fn hash_in_background(file: &FileSink, algorithm: Algorithm) -> Result<BackgroundHash, LocalError> {
    BackgroundHash::start(file.file()?, algorithm).map_err(LocalError::failed(Action::Hash, file.part()))
}

/// Compares the file at `path` with a checksum that a lookup found.
///
/// # Errors
/// A [`VerifyError`] if the file differs or cannot be read.
pub(crate) fn compare_file(path: &Path, found: &Found) -> Result<(), VerifyError> {
    let file = File::open(path).map_err(VerifyError::Read)?;
    let size = file.metadata().map_err(VerifyError::Read)?.len();
    let computed = Checksum::of(found.checksum.algorithm(), file).map_err(VerifyError::Read)?;
    if found.matches(&computed, size) { Ok(()) } else { Err(VerifyError::Mismatch { computed, size }) }
}
