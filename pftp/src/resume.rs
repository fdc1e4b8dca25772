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

/// A file as an earlier run has left it.
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
#[non_exhaustive]
pub enum Discarded {
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
    let length = sink.length()?;
    // The journal is read even if its record is not used: a journal that pftp did not write must not be replaced.
    match sink.journal().load().and_then(|record| check_length(record, sink, length)) {
        Ok(Some(record)) if !policy.fresh && missed_checksum(&record, policy.checksum) => {
            run.discarded = Some(Discarded::ChecksumDiffered);
        }
        Ok(record) => run.record = record.filter(|record| !record.done.is_empty() && !policy.fresh),
        Err(error) => {
            let (journal, moved_to) = (sink.journal().path().to_owned(), sink.journal().set_aside()?);
            run.discarded = Some(Discarded::JournalUnusable { journal, moved_to, error });
        }
    }
    if run.record.is_some() {
        sink.keep();
    } else {
        sink.clear()?;
    }
    run.finished = if policy.overwrite { None } else { finished(sink, policy) };
    Ok(run)
}

/// Checks that the temporary file, which has `length` bytes, is as long as its record says.
fn check_length(
    record: Option<Record>,
    sink: &FileSink,
    length: u64,
) -> Result<Option<Record>, JournalError> {
    let is_long_enough = |record: &Record| record.ranges().iter().all(|range| range.end <= length);
    match record {
        // An earlier run was killed after it removed the file and before it removed the journal.
        Some(record) if length == 0 && !is_long_enough(&record) => Ok(None),
        Some(record) if !is_long_enough(&record) => Err(JournalError::MissingBytes(sink.part().to_owned())),
        record => Ok(record),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ftp_proto::Sink;
    use tempfile::TempDir;

    const ANY: ResumePolicy<'_> = ResumePolicy {
        fresh: false,
        overwrite: false,
        checksum: None,
        representation: RepresentationType::Image,
    };

    /// Makes a temporary file of 100 bytes whose journal has this record.
    fn left(record: &Record) -> (TempDir, FileSink) {
        let dir = tempfile::tempdir().unwrap();
        let sink = FileSink::create(&dir.path().join("f")).unwrap();
        sink.write_at(0, &[1; 100]).unwrap();
        sink.journal().store(record).unwrap();
        (dir, sink)
    }

    fn record(end: u64) -> Record {
        Record { done: vec![(0, end)], ..Record::default() }
    }

    #[test]
    fn bytes_of_an_earlier_run_are_used_if_their_record_is() {
        let (_dir, sink) = left(&record(60));
        let run = load(&sink, ANY).unwrap();
        assert_eq!((run.record, sink.length().unwrap()), (Some(record(60)), 100));
        let run = load(&sink, ResumePolicy { fresh: true, ..ANY }).unwrap();
        assert_eq!((run.record, sink.length().unwrap()), (None, 0));
    }

    #[test]
    fn journal_with_more_bytes_than_the_file_is_set_aside() {
        let (_dir, sink) = left(&record(101));
        let run = load(&sink, ANY).unwrap();
        let Some(Discarded::JournalUnusable { moved_to, error, .. }) = run.discarded else {
            panic!("{run:?}")
        };
        assert!(matches!(error, JournalError::MissingBytes(part) if part == sink.part()));
        assert!(moved_to.exists() && !sink.journal().path().exists());
    }

    #[test]
    fn journal_of_a_removed_file_is_removed() {
        let (_dir, sink) = left(&record(60));
        sink.file().unwrap().set_len(0).unwrap();
        let run = load(&sink, ANY).unwrap();
        assert!(run.record.is_none() && run.discarded.is_none());
        assert!(!sink.journal().path().exists());
    }

    #[test]
    fn bytes_that_missed_a_checksum_are_used_with_another_checksum_only() {
        let (missed, other) = ("crc32=00000000", "crc32=00000001");
        for (checksum, is_used) in [(None, false), (Some(missed), false), (Some(other), true)] {
            let (_dir, sink) = left(&Record { missed_checksum: Some(missed.to_owned()), ..record(60) });
            let checksum: Option<Checksum> = checksum.map(|text| text.parse().unwrap());
            let run = load(&sink, ResumePolicy { checksum: checksum.as_ref(), ..ANY }).unwrap();
            assert_eq!((run.record.is_some(), run.discarded.is_none()), (is_used, is_used));
        }
    }
}
