//! How far a file has come, for those who watch.

use super::file::{File, Flight};
use crate::ranges::RangeSet;
use ftp_proto::Facts;

/// A look at a file of the job.
#[derive(Debug)]
pub struct FileStatus<'a> {
    file: &'a File,
    flights: Vec<Flight>,
}

impl<'a> FileStatus<'a> {
    pub(super) const fn new(file: &'a File, flights: Vec<Flight>) -> Self {
        Self { file, flights }
    }

    /// The bytes that are here. Some may have yet to be compared: see [`settled`](Self::settled).
    #[must_use]
    pub const fn done(&self) -> &'a RangeSet {
        self.file.ledger.done()
    }

    /// The size of the file in bytes, once it is known.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        self.file.ledger.size()
    }

    /// The bytes that are here for certain, for a later run as well: they have been compared wherever they had to be.
    #[must_use]
    pub fn settled(&self) -> RangeSet {
        self.file.settled(&self.flights)
    }

    /// The facts on which the mirrors agree.
    #[must_use]
    pub const fn identity(&self) -> &'a Facts {
        &self.file.identity
    }

    /// The bytes that came from each mirror in this run, in the order of [`Wanted::mirrors`](super::Wanted::mirrors), less those
    /// that another mirror may have written.
    #[must_use]
    pub fn written_alone(&self) -> Vec<RangeSet> {
        let alone = |mirror| self.file.ledger.written_alone_by(mirror);
        self.file.replicas.ids().map(alone).collect()
    }

    /// The number of bytes that are of an earlier run.
    #[must_use]
    pub fn from_earlier_run(&self) -> u64 {
        self.file.ledger.earlier().len()
    }

    /// Whether the finished file that was here before is the one to be fetched.
    #[must_use]
    pub const fn is_here_already(&self) -> bool {
        self.file.is_here_already()
    }
}
