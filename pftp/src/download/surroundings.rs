//! The surroundings of a download on this machine: host names, journal, verification and observer.

use super::attempt::{Job, Keeping};
use crate::cancel::{CancelHandle, Wake};
use crate::destination::DestinationSink;
use crate::drive::{Input, Surroundings};
use crate::engine::{Fetcher, FileId, FileStatus, Notice, ServerId};
use crate::error::DownloadError;
use crate::file::FileSink;
use crate::local::LocalError;
use crate::lookup::Found;
use crate::notice::DownloadNotice;
use crate::observer::{Observer, Progress};
use crate::recorder::{RecordError, Recorder, Snapshot};
use crate::source::Source;
use crate::verification::compare_file;
use ftp_proto::{Event, Instant, Report, SessionId};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// The surroundings of a download on this machine.
pub(super) struct LocalSurroundings<'a> {
    sources: &'a [Source],
    sink: &'a Arc<DestinationSink>,
    file: FileId,
    cancel: &'a CancelHandle,
    /// Whether the driver knows that the download is cancelled.
    is_cancel_reported: bool,
    wake: Wake,
    sender: Sender<Input<DownloadError>>,
    inputs: Receiver<Input<DownloadError>>,
    /// The number of each session's connection.
    connections: BTreeMap<SessionId, usize>,
    keeping: Keeping,
    progress_interval: Option<Duration>,
    next_progress: Instant,
    /// The size of the file for which the free space was checked.
    checked_size: Option<u64>,
    observer: &'a mut dyn Observer,
}

impl<'a> LocalSurroundings<'a> {
    pub(super) fn new(
        job: &Job<'a>,
        file: FileId,
        keeping: Keeping,
        wake: Wake,
        observer: &'a mut dyn Observer,
    ) -> Self {
        job.cancel.set_wake(Some(Arc::clone(&wake)));
        let (sender, inputs) = channel();
        Self {
            sources: job.sources,
            sink: job.sink,
            file,
            cancel: job.cancel,
            is_cancel_reported: false,
            wake,
            sender,
            inputs,
            connections: BTreeMap::new(),
            keeping,
            progress_interval: job.settings.progress_interval,
            next_progress: Instant::ZERO,
            checked_size: None,
            observer,
        }
    }

    /// Ends the surroundings of a download that has ended.
    pub(super) fn close(self) -> Keeping {
        self.cancel.set_wake(None);
        self.keeping
    }

    /// Writes a record with the settled ranges alone, and waits until it is on disk.
    pub(super) fn retract_records(&mut self, file: &FileStatus<'_>) {
        if let Some(verification) = &mut self.keeping.verification {
            verification.start_over();
        }
        if let Some(recorder) = &mut self.keeping.recorder {
            recorder.retract(snapshot(file));
        }
    }

    /// Ends the download if its file does not fit the disk, as soon as its size is known. If there are several mirrors, one
    /// with an absurd size may be outvoted, so the size is not checked.
    fn check_room(&mut self, file: &FileStatus<'_>) {
        let size = file.size().filter(|_| self.sources.len() == 1);
        if size == self.checked_size {
            return;
        }
        self.checked_size = size;
        if let Some(Err(error)) = size.map(|size| self.sink.check_room(size)) {
            self.stop(error.into());
        }
    }

    /// Verifies the file with the checksum that a lookup found.
    fn verify_with(&mut self, found: Option<Found>) {
        let file = self.sink.resumable();
        let result = self.keeping.verification.as_mut().map(|it| it.set_found(found, file));
        if let Some(Err(error)) = result {
            self.stop(error.into());
        }
    }

    /// Ends the download.
    fn stop(&self, error: DownloadError) {
        // Fails if the download is over.
        let _ = self.sender.send(Input::Stop(error));
        (self.wake)();
    }

    /// Writes a record to the journal if it is due. Returns when the next record is due.
    fn record(&mut self, file: &FileStatus<'_>, now: Instant) -> Option<Instant> {
        let recorder = self.keeping.recorder.as_mut()?;
        match recorder.record_if_due(now, || snapshot(file)) {
            Ok(()) => {}
            Err(RecordError::Journal(journal, error)) => {
                self.observer.notice(&DownloadNotice::JournalNotWritten { journal, error });
            }
            Err(RecordError::File(error)) => self.stop(error.into()),
        }
        self.keeping.recorder.as_ref().map(Recorder::next_record)
    }

    /// Shows progress to the observer if it is due. Returns when it is due next.
    fn show_progress(&mut self, file: &FileStatus<'_>, connections: usize, now: Instant) -> Option<Instant> {
        let interval = self.progress_interval?;
        if now >= self.next_progress {
            self.observer.progress(&Progress {
                size: file.size(),
                done: file.done().len(),
                connections,
                elapsed: now.0,
            });
            self.next_progress = now + interval;
        }
        Some(self.next_progress)
    }
}

impl Surroundings<DestinationSink> for LocalSurroundings<'_> {
    type Error = DownloadError;

    fn resolve(&mut self, id: ServerId) {
        let Some(source) = self.sources.get(id.0) else { return };
        let (host, port) = (source.host.clone(), source.port);
        let (inputs, wake) = (self.sender.clone(), Arc::clone(&self.wake));
        let look_up = move || {
            let found = addresses(&host, port);
            // Fails if the download is over.
            let _ = inputs.send(Input::Resolved(id, found));
            wake();
        };
        if let Err(error) = std::thread::Builder::new().name("resolver".to_owned()).spawn(look_up) {
            let _ = self.sender.send(Input::Resolved(id, Err(error.to_string())));
            (self.wake)();
        }
    }

    fn input(&mut self) -> Option<Input<DownloadError>> {
        if self.cancel.is_cancelled() && !std::mem::replace(&mut self.is_cancel_reported, true) {
            return Some(Input::Stop(DownloadError::Cancelled { can_resume: false }));
        }
        self.inputs.try_recv().ok()
    }

    fn sink(&mut self, _file: FileId) -> Arc<DestinationSink> {
        Arc::clone(self.sink)
    }

    fn opened(&mut self, id: SessionId, connection: usize) {
        self.connections.insert(id, connection);
    }

    fn report(&mut self, report: &Report<io::Error>) -> Result<(), DownloadError> {
        match report {
            Report::Event(id, Event::Wire(line)) => {
                let connection = self.connections.get(id).copied().unwrap_or_default();
                self.observer.wire_line(connection, line);
                Ok(())
            }
            Report::SinkFailed(_, _, error) => {
                // The error cannot be cloned.
                let error = error.raw_os_error().map_or_else(
                    || io::Error::new(error.kind(), error.to_string()),
                    io::Error::from_raw_os_error,
                );
                Err(LocalError::Write { to: self.sink.place(), error }.into())
            }
            Report::Written(_, _, range) => {
                if let Some(verification) = &mut self.keeping.verification {
                    verification.handle_write(range);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn same(&mut self, _file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, DownloadError> {
        Ok(self.sink.holds(offset, bytes)?)
    }

    fn notice(&mut self, notice: Notice) {
        self.observer.notice(&DownloadNotice::Engine(notice));
    }

    fn found(&mut self, _file: FileId, found: Option<Found>, is_here_already: bool) -> bool {
        let Some(found) = found else {
            self.observer.notice(&DownloadNotice::NoChecksum);
            self.verify_with(None);
            return true;
        };
        let target = self.sink.resumable().map(FileSink::target).filter(|_| is_here_already);
        let is_same = target.is_none_or(|target| {
            let result = compare_file(target, &found);
            let is_same = result.is_ok();
            let found = found.clone();
            self.observer.notice(&match result {
                Ok(()) => DownloadNotice::Verified(found),
                Err(error) => DownloadNotice::FinishedFileDiffers { path: target.to_owned(), found, error },
            });
            is_same
        });
        self.verify_with(Some(found));
        is_same
    }

    fn retract(&mut self, file: FileId, engine: &Fetcher) {
        self.retract_records(&engine.status(file));
    }

    fn progress(&mut self, engine: &Fetcher, now: Instant) -> Option<Instant> {
        let file = &engine.status(self.file);
        self.check_room(file);
        if let Some(verification) = &mut self.keeping.verification {
            verification.advance(file.done(), now);
        }
        let next_record = self.record(file, now);
        let next_progress = self.show_progress(file, engine.fetching(), now);
        [next_record, next_progress].into_iter().flatten().min()
    }
}

/// Returns the state of the file for its journal.
pub(super) fn snapshot<'a>(file: &FileStatus<'a>) -> Snapshot<'a> {
    Snapshot { facts: file.identity(), done: file.settled() }
}

/// Returns the addresses of a host, in the order in which to try them.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => {
            let text = error.to_string();
            Err(text.rsplit(": ").next().unwrap_or(&text).to_owned())
        }
    }
}
