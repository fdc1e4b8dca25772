//! The surroundings of a download on this machine: names, log, journal, verification and progress.

use super::Waker;
use crate::destination::Destination;
use crate::drive::{Input, Surroundings};
use crate::exit::{Failure, Message, message};
use crate::file::FileSink;
use crate::log::Log;
use crate::lookup::Found;
use crate::plan::{MirrorId, Notice, Planner};
use crate::progress::Progress;
use crate::recorder::{RecordError, Recorder, Snapshot};
use crate::verification::{Verification, compare_file};
use crate::{sources, wording};
use ftp_proto::{Event, Instant, Report, SessionId};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

/// The surroundings of a download on this machine.
pub(super) struct Here<'a> {
    pub(super) sources: &'a [sources::Source],
    pub(super) destination: &'a Destination,
    pub(super) waker: Waker,
    pub(super) sender: Sender<Input<Failure>>,
    pub(super) inputs: Receiver<Input<Failure>>,
    /// The number of each session's connection in the log.
    pub(super) threads: BTreeMap<SessionId, usize>,
    pub(super) log: Option<Log>,
    /// The journal, if what is fetched can be of use to a later run.
    pub(super) recorder: Option<Recorder>,
    /// The checksum, if one is asked for.
    pub(super) verification: Option<Verification>,
    pub(super) next_look: Instant,
    /// The size of the file that there was last found to be room for, or not.
    pub(super) fitting: Option<u64>,
    pub(super) progress: &'a mut Progress,
}

impl Here<'_> {
    fn log(&mut self, write: impl FnOnce(&mut Log) -> Result<(), Failure>) {
        if let Some(Err(failure)) = self.log.as_mut().map(write) {
            self.progress.warn(&failure.to_string());
        }
    }

    /// Ends the download if its file does not fit the disk, as soon as that can be known. Of several mirrors, one with
    /// an absurd size may be outvoted: then the disk has the last word.
    fn check_room(&mut self, planner: &Planner) {
        let size = planner.size().filter(|_| self.sources.len() == 1);
        if size == self.fitting {
            return;
        }
        self.fitting = size;
        if let Some(Err(failure)) = size.map(|size| self.destination.check_room(size)) {
            self.stop(failure.into());
        }
    }

    /// Has the file compared with this from now on.
    fn take_found(&mut self, found: Option<Found>) {
        let taken = self
            .verification
            .as_mut()
            .map(|verification| verification.set_found(found, self.destination.resumable()));
        if let Some(Err(failure)) = taken {
            self.stop(failure.into());
        }
    }

    pub(super) fn flush_log(&mut self) {
        self.log(Log::flush);
    }

    /// Ends the download.
    fn stop(&self, failure: Failure) {
        // Fails when it is over.
        let _ = self.sender.send(Input::Stop(failure));
        (self.waker)();
    }

    /// Has the journal written, if it is time to. When it is the next time.
    fn note(&mut self, planner: &Planner, now: Instant) -> Option<Instant> {
        let recorder = self.recorder.as_mut()?;
        match recorder.record_if_due(now, || snapshot(planner)) {
            Ok(()) => {}
            Err(RecordError::Journal(path, error)) => {
                self.progress.warn(&wording::record_error(&path, &error));
            }
            Err(RecordError::File(error)) => self.stop(error.into()),
        }
        self.recorder.as_ref().map(Recorder::next_record)
    }
}

impl Surroundings<io::Error> for Here<'_> {
    type Error = Failure;

    fn resolve(&mut self, id: MirrorId) {
        let Some(source) = self.sources.get(id.0) else { return };
        let (host, port) = (source.host.clone(), source.port);
        let (inputs, waker) = (self.sender.clone(), Arc::clone(&self.waker));
        let look_up = move || {
            let found = addresses(&host, port);
            // Fails when the download is over.
            let _ = inputs.send(Input::Resolved(id, found));
            waker();
        };
        if let Err(error) = std::thread::Builder::new().name("resolver".to_owned()).spawn(look_up) {
            let _ = self.sender.send(Input::Resolved(id, Err(error.to_string())));
            (self.waker)();
        }
    }

    fn input(&mut self) -> Option<Input<Failure>> {
        self.inputs.try_recv().ok()
    }

    fn opened(&mut self, id: SessionId, thread: usize) {
        self.threads.insert(id, thread);
    }

    fn report(&mut self, report: &Report<io::Error>) -> Result<(), Failure> {
        match report {
            Report::Event(id, Event::Wire(line)) => {
                let thread = self.threads.get(id).copied().unwrap_or_default();
                self.log(|log| log.line(thread, line));
                Ok(())
            }
            Report::SinkFailed(_, _, error) => {
                Err(Failure::write(wording::place(&self.destination.place()), error))
            }
            Report::Written(_, _, range) => {
                if let Some(verification) = &mut self.verification {
                    verification.handle_write(range);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn same(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        Ok(self.destination.holds(offset, bytes)?)
    }

    fn notice(&mut self, notice: &Notice) {
        match message(notice) {
            Message::Warning(text) => self.progress.warn(&text),
            Message::Note(text) => self.progress.note(&text),
        }
    }

    fn found(&mut self, found: Option<Found>, is_here_already: bool) -> bool {
        let Some(found) = found else {
            self.progress.warn("there is nothing to verify the file with: no server that could be asked has a checksum of it");
            self.take_found(None);
            return true;
        };
        let target = self.destination.resumable().map(FileSink::target).filter(|_| is_here_already);
        let same = target.is_none_or(|target| match compare_file(target, &found) {
            Ok(()) => {
                self.progress.note(&format!("verified: {}", wording::found(&found)));
                true
            }
            Err(error) => {
                let why = wording::finished_mismatch(&found, &error);
                let name = target.display();
                self.progress.warn(&format!("{name} is here already, but {why}; fetching it again"));
                false
            }
        });
        self.take_found(Some(found));
        same
    }

    fn retract(&mut self, planner: &Planner) {
        if let Some(verification) = &mut self.verification {
            verification.start_over();
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.retract(snapshot(planner));
        }
    }

    fn progress(&mut self, planner: &Planner, now: Instant) -> Option<Instant> {
        self.check_room(planner);
        if let Some(verification) = &mut self.verification {
            verification.advance(planner.done(), now);
        }
        let noted = self.note(planner, now);
        let Some(interval) = self.progress.interval() else { return noted };
        if now >= self.next_look {
            if let Some(size) = planner.size() {
                self.progress.total(size);
            }
            self.progress.done(planner.done().len());
            self.progress.connections(planner.active());
            self.progress.tick(now.0);
            self.flush_log();
            self.next_look = now + interval;
        }
        [Some(self.next_look), noted].into_iter().flatten().min()
    }
}

/// Returns the state of the file for its journal.
pub(super) fn snapshot(planner: &Planner) -> Snapshot<'_> {
    Snapshot { facts: planner.identity(), done: planner.settled() }
}

/// The addresses of a host, in the order in which to try them. An address is its own.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => {
            let text = error.to_string();
            Err(text.rsplit(": ").next().unwrap_or(&text).to_owned())
        }
    }
}
