//! The start of one file that an earlier run has begun or finished.

use crate::checksum::Checksum;
use crate::file::FileSink;
use crate::journal::{JournalError, Record};
use crate::local::LocalError;
use ftp_proto::RepresentationType;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The use that a download may make of an earlier run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResumePolicy<'a> {
    /// Whether the bytes of an earlier run are discarded.
    pub(crate) fresh: bool,
    /// Whether a finished file is fetched again.
    pub(crate) overwrite: bool,
    /// The checksum that the file should have, if it is known.
    pub(crate) checksum: Option<&'a Checksum>,
    /// The type of the transfer.
    pub(crate) representation: RepresentationType,
}

/// One file as an earlier run has left it.
#[derive(Debug, Default)]
pub(crate) struct EarlierRun {
    /// The record of the temporary file, if it has bytes of use.
    pub(crate) record: Option<Record>,
    /// The finished file, if it may be the wanted one.
    pub(crate) finished: Option<FinishedFile>,
    /// Why the bytes of the earlier run are of no use.
    pub(crate) discarded: Option<Discarded>,
}

/// A file at the final name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedFile {
    /// Size in bytes.
    pub(crate) size: u64,
    /// Modification time in seconds since 1970-01-01T00:00:00 UTC.
    pub(crate) modified: i64,
}

/// Why the bytes of an earlier run are of no use.
#[derive(Debug)]
pub(crate) enum Discarded {
    /// The whole file did not have its checksum.
    ChecksumDiffered,
    /// The journal cannot be used.
    JournalUnusable {
        /// The name of the journal.
        journal: PathBuf,
        /// The name that the journal has now.
        moved_to: PathBuf,
        /// The reason.
        error: JournalError,
    },
}

/// Looks for the bytes of an earlier run, and empties the temporary file if it has none of use.
///
/// # Errors
/// A [`LocalError`].
pub(crate) fn load(sink: &FileSink, policy: ResumePolicy<'_>) -> Result<EarlierRun, LocalError> {
    let mut run = EarlierRun::default();
    // The journal is read even if its record is not used: a file that pftp did not write must not be replaced.
    match load_record(sink)? {
        Ok(Some(record)) if !policy.fresh && missed_checksum(&record, policy.checksum) => {
            run.discarded = Some(Discarded::ChecksumDiffered);
        }
        Ok(record) => run.record = record.filter(|record| !record.done.is_empty() && !policy.fresh),
        Err(discarded) => run.discarded = Some(discarded),
    }
    if run.record.is_some() {
        sink.keep()
    } else {
        sink.clear()?
    }
    run.finished = if policy.overwrite { None } else { finished(sink, policy) };
    Ok(run)
}

/// Reads the record of the temporary file. An unusable journal gets another name.
fn load_record(sink: &FileSink) -> Result<Result<Option<Record>, Discarded>, LocalError> {
    let length = sink.length()?;
    let error = match sink.journal().load() {
        Ok(Some(record)) if record.ranges().iter().any(|range| range.end > length) => {
            if length == 0 {
                // The run before was killed between the removal of the file and that of its journal.
                return Ok(Ok(None));
            }
            JournalError::MissingBytes(sink.part().to_owned())
        }
        Ok(record) => return Ok(Ok(record)),
        Err(error) => error,
    };
    let moved_to = sink.journal().set_aside()?;
    Ok(Err(Discarded::JournalUnusable { journal: sink.journal().path().to_owned(), moved_to, error }))
}

/// Returns whether the bytes are known to be wrong. If another checksum is given now, they may be right.
fn missed_checksum(record: &Record, checksum: Option<&Checksum>) -> bool {
    let given = checksum.map(ToString::to_string);
    record.missed_checksum.is_some() && (given.is_none() || record.missed_checksum == given)
}

/// Looks at the file at the final name. A file without the given checksum is not the wanted one.
fn finished(sink: &FileSink, policy: ResumePolicy<'_>) -> Option<FinishedFile> {
    let facts = fs::symlink_metadata(sink.target()).ok().filter(fs::Metadata::is_file)?;
    if let Some(wanted) = policy.checksum {
        let computed = fs::File::open(sink.target()).and_then(|file| Checksum::of(wanted.algorithm(), file));
        computed.ok().filter(|computed| computed == wanted)?;
    }
    // The size of a file with converted line ends is not the size on the server.
    let is_comparable = policy.representation == RepresentationType::Image;
    is_comparable.then(|| FinishedFile { size: facts.len(), modified: facts.mtime() })
}
