//! A download: the engine, a transport and the files of this machine joined.

mod attempt;
mod engine;
mod one_by_one;
mod surroundings;

use crate::cancel::CancelHandle;
use crate::checksum::Expected;
use crate::destination::{Destination, DestinationSink};
use crate::error::DownloadError;
use crate::notice::DownloadNotice;
use crate::observer::Observer;
use crate::resume::{self, EarlierRun, ResumePolicy};
use crate::settings::Settings;
use crate::source::Source;
use attempt::{Ending, Job, Start};
use ftp_proto::RepresentationType;
use std::sync::Arc;
use std::time::Duration;

/// A download of one file, from one server or from several mirrors.
#[derive(Debug)]
pub struct Download {
    sources: Vec<Source>,
    settings: Settings,
    sink: Arc<DestinationSink>,
    earlier: EarlierRun,
    cancel: CancelHandle,
}

/// The result of a download whose file is at its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The file was fetched; if [`Settings::checksum`] asked for it, it was verified as far as possible.
    Fetched {
        /// Size of the file in bytes, as transferred.
        size: u64,
        /// Bytes of the file that an earlier run had fetched.
        earlier: u64,
        /// Time from the first connection to the last byte.
        elapsed: Duration,
    },
    /// The file was at the destination before, with the size and time, and the checksum if there is one, that it has on the
    /// server.
    AlreadyHere {
        /// Size of the file in bytes.
        size: u64,
    },
}

impl Download {
    /// Prepares a download of the file that all `sources` have: checks and opens the destination, locks it against other
    /// downloads, and reads what an earlier run has left there. No server is asked yet.
    ///
    /// # Errors
    /// - [`DownloadError::NoSource`] if `sources` is empty.
    /// - [`DownloadError::ChecksumInAscii`] for a checksum together with the ASCII type.
    /// - [`DownloadError::Local`] if the destination cannot be used.
    pub fn new(
        sources: Vec<Source>,
        destination: Destination,
        settings: Settings,
    ) -> Result<Self, DownloadError> {
        if sources.is_empty() {
            return Err(DownloadError::NoSource);
        }
        if settings.checksum.is_some() && settings.representation == RepresentationType::Ascii {
            return Err(DownloadError::ChecksumInAscii);
        }
        let algorithms = settings.checksum.as_ref().map(Expected::algorithms).unwrap_or_default();
        let sink = DestinationSink::open(destination, settings.representation, &algorithms)?;
        let policy = ResumePolicy {
            fresh: !settings.resume,
            overwrite: settings.overwrite,
            checksum: settings.checksum.as_ref().and_then(Expected::given),
            representation: settings.representation,
        };
        let earlier = match sink.resumable() {
            Some(file) => resume::load(file, policy)?,
            None => EarlierRun::default(),
        };
        Ok(Self { sources, settings, sink: Arc::new(sink), earlier, cancel: CancelHandle::default() })
    }

    /// Returns a handle that cancels the download.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Fetches the file. Blocks until the download has ended and all its sessions are closed.
    ///
    /// # Errors
    /// A [`DownloadError`] if there is no whole file. The bytes that can be resumed with stay beside the destination.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Outcome, DownloadError> {
        let Self { sources, settings, sink, earlier, cancel } = self;
        if let Some(discarded) = earlier.discarded {
            observer.notice(&DownloadNotice::EarlierRunDiscarded(discarded));
        }
        if let Some(record) = &earlier.record {
            observer.notice(&DownloadNotice::Resumed { bytes: record.ranges().len() });
        }
        let earlier = engine::earlier(earlier.record.as_ref(), earlier.finished, &sink)?;
        let job = Job { sources: &sources, settings: &settings, sink: &sink, cancel: &cancel };
        match job.attempt(Start { earlier, replaces_journal: false }, observer)? {
            Ending::Done(outcome) => Ok(outcome),
            Ending::Mismatched(mismatched) => one_by_one::fetch(&job, *mismatched, observer),
        }
    }
}
