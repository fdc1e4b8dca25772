//! The records of one file while it is downloaded: when a record is written, and with which bytes.

use crate::checksum::Checksum;
use crate::file::FileSink;
use crate::journal::{JournalWriter, LastRecord, Record, WriteError};
use crate::local::{Action, LocalError, Place};
use crate::ranges::RangeSet;
use ftp_proto::{Facts, Instant};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Time between two records. If the process is killed, the bytes since the last record are fetched again; with the time that
/// the disk takes for the record, this is to be a second of traffic at most.
const INTERVAL: Duration = Duration::from_millis(500);

/// Time to the next attempt while the record before is not yet on disk.
const INTERVAL_WHILE_BUSY: Duration = Duration::from_millis(50);

/// The state of a file, of which a record is made.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    /// Size and modification time, as servers tell them.
    pub(crate) facts: &'a Facts,
    /// The ranges that are written and not in doubt.
    pub(crate) done: RangeSet,
}

/// Writes the records of one file.
#[derive(Debug)]
pub(crate) struct Recorder {
    writer: JournalWriter,
    sources: Vec<String>,
    /// When the next record is due.
    next_record: Instant,
    /// The ranges of the last record.
    recorded: RangeSet,
    /// Whether the caller was told that the journal cannot be written.
    is_reported: bool,
    part: PathBuf,
    journal: PathBuf,
}

/// A failure to write a record.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// Bytes of the file may be lost, so the download cannot go on.
    File(LocalError),
    /// The journal of this name cannot be written. The download can go on, but cannot be resumed.
    Journal(PathBuf, io::Error),
}

impl Recorder {
    /// Begins the records of the file in `sink`, whose journal names the ranges `recorded`. `sources` are its servers and
    /// paths.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn start(
        sink: &FileSink,
        sources: Vec<String>,
        recorded: RangeSet,
    ) -> Result<Self, LocalError> {
        let journal = sink.journal();
        let writer = JournalWriter::start(sink.file()?, journal.clone())
            .map_err(LocalError::failed(Action::KeepJournal, journal.path()))?;
        Ok(Self {
            writer,
            sources,
            next_record: Instant::ZERO,
            recorded,
            is_reported: false,
            part: sink.part().to_owned(),
            journal: journal.path().to_owned(),
        })
    }

    /// Returns when the next record is due.
    pub(crate) const fn next_record(&self) -> Instant {
        self.next_record
    }

    /// Writes a record if it is due and its ranges are not those of the last one. `snapshot` is called only then.
    ///
    /// # Errors
    /// A [`RecordError`] for a failure since the last call.
    pub(crate) fn record_if_due<'a>(
        &mut self,
        now: Instant,
        snapshot: impl FnOnce() -> Snapshot<'a>,
    ) -> Result<(), RecordError> {
        if now < self.next_record {
            return Ok(());
        }
        self.next_record = now + INTERVAL;
        match self.writer.take_error() {
            Some(WriteError::File(error)) => {
                let to = Place::File(self.part.clone());
                return Err(RecordError::File(LocalError::Write { to, error }));
            }
            Some(WriteError::Journal(error)) if !self.is_reported => {
                self.is_reported = true;
                return Err(RecordError::Journal(self.journal.clone(), error));
            }
            Some(WriteError::Journal(_)) | None => {}
        }
        let snapshot = snapshot();
        if snapshot.done != self.recorded {
            if self.writer.is_busy() {
                self.next_record = now + INTERVAL_WHILE_BUSY;
            } else {
                self.writer.store(self.record(&snapshot));
                self.recorded = snapshot.done;
            }
        }
        Ok(())
    }

    /// Writes a record with fewer ranges than the last one, and waits until it is on disk: only then may other bytes be
    /// written over these.
    pub(crate) fn retract(&mut self, snapshot: Snapshot<'_>) {
        self.writer.retract(self.record(&snapshot));
        self.recorded = snapshot.done;
    }

    /// Waits until all records are on disk. The journal is removed when the file gets its final name, and must not come back.
    pub(crate) fn flush(&self) {
        self.writer.flush();
    }

    /// Writes the last record of a failed download.
    pub(crate) fn close(self, snapshot: &Snapshot<'_>) {
        let record = self.record(snapshot);
        let is_new = snapshot.done != self.recorded;
        self.writer.close(if is_new { LastRecord::New(record) } else { LastRecord::Repeated(record) });
    }

    /// Writes the last record of a whole file that does not have this checksum.
    pub(crate) fn close_mismatched(self, snapshot: &Snapshot<'_>, checksum: &Checksum) {
        let record = Record { missed_checksum: Some(checksum.to_string()), ..self.record(snapshot) };
        self.writer.close(LastRecord::New(record));
    }

    /// Ends the records: the file is whole.
    pub(crate) fn finish(self) {
        self.writer.finish();
    }

    fn record(&self, snapshot: &Snapshot<'_>) -> Record {
        Record::new(snapshot.facts, &snapshot.done, self.sources.clone())
    }
}
