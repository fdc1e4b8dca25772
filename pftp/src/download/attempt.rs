//! An attempt to fetch the file from a set of sources.

use super::Outcome;
use super::engine::file_job;
use super::surroundings::{LocalSurroundings, snapshot};
use crate::cancel::CancelHandle;
use crate::checksum::Checksum;
use crate::destination::DestinationSink;
use crate::drive::drive;
use crate::engine::{Earlier, FileStatus};
use crate::error::{ChecksumMismatch, DownloadError};
use crate::notice::DownloadNotice;
use crate::observer::Observer;
use crate::ranges::RangeSet;
use crate::recorder::Recorder;
use crate::settings::{Settings, TransportKind};
use crate::source::Source;
use crate::verification::{Reference, Verdict, Verification, VerifyError};
use ftp_proto::{Facts, Transport};
use ftp_transport_mio::MioTransport;
use ftp_transport_std::StdTransport;
use std::sync::Arc;

/// The inputs of an attempt that later attempts share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) sources: &'a [Source],
    pub(super) settings: &'a Settings,
    pub(super) sink: &'a Arc<DestinationSink>,
    pub(super) cancel: &'a CancelHandle,
}

/// The start of an attempt.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) earlier: Earlier,
    /// Whether the journal may name other bytes than `earlier`, which the attempt writes over.
    pub(super) replaces_journal: bool,
}

/// How an attempt ended with all bytes of the file.
#[derive(Debug)]
pub(super) enum Ending {
    /// The file is at its destination.
    Done(Outcome),
    /// The file does not have its checksum.
    Mismatched(Box<Mismatched>),
}

/// A whole file that does not have its checksum.
#[derive(Debug)]
pub(super) struct Mismatched {
    pub(super) mismatch: Box<ChecksumMismatch>,
    pub(super) identity: Facts,
    /// The ranges that each source delivered, without those that another source may have written as well.
    pub(super) delivered: Vec<RangeSet>,
}

/// The records and the verification of an attempt.
#[derive(Debug)]
pub(super) struct Keeping {
    /// The journal, if a later run can resume.
    pub(super) recorder: Option<Recorder>,
    /// The verification, if the settings ask for one.
    pub(super) verification: Option<Verification>,
}

impl Keeping {
    fn start(job: &Job<'_>, status: &FileStatus<'_>) -> Result<Self, DownloadError> {
        let source = |source: &Source| {
            format!("{} {}", source.server(), String::from_utf8_lossy(source.path.as_bytes()))
        };
        let file = job.sink.resumable();
        let recorder = file
            .map(|file| Recorder::start(file, job.sources.iter().map(source).collect(), status.settled()));
        let expected = job.settings.checksum.as_ref();
        let verification = expected.map(|expected| Verification::start(expected, file));
        Ok(Self { recorder: recorder.transpose()?, verification: verification.transpose()? })
    }
}

impl Job<'_> {
    /// Fetches the file from the sources of the job.
    pub(super) fn attempt(&self, start: Start, observer: &mut dyn Observer) -> Result<Ending, DownloadError> {
        match self.settings.transport {
            TransportKind::Std => self.run(StdTransport::new(), start, observer),
            TransportKind::Mio => {
                let transport = MioTransport::new().map_err(DownloadError::EventLoop)?;
                self.run(transport, start, observer)
            }
        }
    }

    fn run<T>(
        &self,
        mut transport: T,
        start: Start,
        observer: &mut dyn Observer,
    ) -> Result<Ending, DownloadError>
    where
        T: Transport<Sink = DestinationSink>,
    {
        let job = file_job(self.sources, self.settings, self.sink, start.earlier, observer);
        let (mut engine, file) = job.start(transport.now());
        let keeping = Keeping::start(self, &engine.status(file))?;
        let mut surroundings = LocalSurroundings::new(self, file, keeping, transport.waker(), observer);
        if start.replaces_journal {
            surroundings.retract_records(&engine.status(file));
        }
        let results = drive(&mut engine, &mut transport, &mut surroundings);
        let result = results.and_then(|mut results| Ok(results.take(file)?));
        let keeping = surroundings.close();
        let elapsed = transport.now().0;
        let status = engine.status(file);
        let size = match result {
            Ok(size) => size,
            Err(error) => {
                // The reader of a pipe may be gone, so a session may wait in a write for ever.
                transport.abandon();
                return Err(self.failed(error, keeping.recorder, &status));
            }
        };
        // Only when no session writes any more, the file is completed.
        drop(transport);
        if status.is_here_already() {
            if let Some(recorder) = keeping.recorder {
                recorder.finish();
            }
            // The temporary file was to replace the finished file.
            if let Some(file) = self.sink.resumable() {
                file.remove();
            }
            return Ok(Ending::Done(Outcome::AlreadyHere { size }));
        }
        let earlier = status.from_earlier_run();
        let done = Outcome::Fetched { size, earlier, elapsed };
        let mismatched = complete(self.sink, &status, size, keeping, observer)?;
        Ok(mismatched.map_or(Ending::Done(done), |mismatched| Ending::Mismatched(Box::new(mismatched))))
    }

    /// Keeps what a later run can resume with, and returns the error of the attempt.
    fn failed(
        &self,
        error: DownloadError,
        recorder: Option<Recorder>,
        status: &FileStatus<'_>,
    ) -> DownloadError {
        if let Some(recorder) = recorder {
            recorder.close(&snapshot(status));
        }
        // The drop of the sink may come late: threads of sessions hold the sink, too.
        self.sink.discard();
        match error {
            DownloadError::Cancelled { .. } => {
                let journal = self.sink.resumable().map(|file| file.journal().path());
                DownloadError::Cancelled { can_resume: journal.is_some_and(|path| path.exists()) }
            }
            error => error,
        }
    }
}

/// Verifies a file of `size` bytes all of which are here, and gives it its name.
fn complete(
    sink: &DestinationSink,
    status: &FileStatus<'_>,
    size: u64,
    Keeping { recorder, verification }: Keeping,
    observer: &mut dyn Observer,
) -> Result<Option<Mismatched>, DownloadError> {
    let streamed = |algorithm| sink.streamed_checksum(algorithm);
    let verdict = verification.and_then(|verification| verification.conclude(size, streamed));
    match verdict {
        Some(Verdict { reference, result: Err(error) }) => {
            return mismatched(sink, status, recorder, reference, error).map(Some);
        }
        Some(Verdict { reference: Reference::Found(found), result: Ok(()) }) => {
            observer.notice(&DownloadNotice::Verified(found));
        }
        Some(Verdict { reference: Reference::Given(_), result: Ok(()) }) | None => {}
    }
    let recorder = recorder.inspect(Recorder::flush);
    let settled = sink.settle(size, status.identity().modify);
    let is_settled = settled.is_ok();
    let named = settled.and_then(|()| sink.publish());
    match recorder {
        // The whole file is on disk and has no name: the next run has nothing to fetch.
        Some(recorder) if is_settled && named.is_err() => recorder.close(&snapshot(status)),
        Some(recorder) => recorder.finish(),
        None => {}
    }
    if let Err(error) = named {
        sink.discard();
        return Err(error.into());
    }
    Ok(None)
}

/// Handles a file that is not verified: it has another checksum, or could not be read.
fn mismatched(
    sink: &DestinationSink,
    status: &FileStatus<'_>,
    recorder: Option<Recorder>,
    wanted: Reference,
    error: VerifyError,
) -> Result<Mismatched, DownloadError> {
    let place = sink.place();
    match error {
        VerifyError::Read(error) => {
            // The file may have its checksum, so its bytes are kept.
            if let Some(recorder) = recorder {
                recorder.close(&snapshot(status));
            }
            Err(DownloadError::Unverified { place, error })
        }
        VerifyError::Mismatch { computed, size } => {
            let mismatch = Box::new(ChecksumMismatch { place, wanted, computed, size });
            let Some(recorder) = recorder else { return Err(DownloadError::Checksum(mismatch)) };
            let wanted: &Checksum = mismatch.wanted.checksum();
            recorder.close_mismatched(&snapshot(status), wanted);
            let (identity, delivered) = (status.identity().clone(), status.written_alone());
            Ok(Mismatched { mismatch, identity, delivered })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Destination;
    use crate::error::ErrorKind;
    use ftp_proto::{Instant, RepresentationType};
    use std::os::unix::fs::FileExt;

    #[test]
    fn file_that_cannot_be_read_is_kept_and_not_recorded_as_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::File(dir.path().join("f"));
        let sink = DestinationSink::open(destination, RepresentationType::Image, &[]).unwrap();
        let sink = Arc::new(sink);
        let checksum = Some(format!("sha256={}", "0".repeat(64)).parse().unwrap());
        let settings = Settings { checksum, ..Settings::default() };
        let sources = [Source::parse("ftp://host/f").unwrap()];
        let job =
            Job { sources: &sources, settings: &settings, sink: &sink, cancel: &CancelHandle::default() };
        let engine = file_job(&sources, &settings, &sink, Earlier::default(), &mut ());
        let (engine, file_id) = engine.start(Instant::ZERO);
        let status = engine.status(file_id);
        let complete_with = |content: &[u8]| {
            let file = sink.resumable().unwrap();
            file.file().unwrap().write_all_at(content, 0).unwrap();
            let keeping = Keeping::start(&job, &status).unwrap();
            let result = complete(&sink, &status, 1000, keeping, &mut ());
            let record = file.journal().load().unwrap();
            let is_wrong = record.is_some_and(|record| record.missed_checksum.is_some());
            (result.err().map(|error| error.kind()), is_wrong)
        };
        assert_eq!(complete_with(&[1; 999]), (Some(ErrorKind::Local), false));
        assert_eq!(complete_with(&[1; 1000]), (None, true));
    }
}
