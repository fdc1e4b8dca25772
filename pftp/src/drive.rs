//! The loop that moves the engine and a transport.

use crate::engine::{Directive, EngineError, Fetcher, FileId, Notice, ServerId};
use crate::lookup::Found;
use ftp_proto::{Event, Instant, Report, SessionId, Sink, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An event that comes neither from a session nor from the clock.
#[derive(Clone, Debug)]
pub enum Input<E> {
    /// The answer to [`Surroundings::resolve`].
    Resolved(ServerId, Result<Vec<SocketAddr>, String>),
    /// The job is to end.
    Stop(E),
}

/// The surroundings of a job: everything but its sessions. `S` is the sink of a file.
pub trait Surroundings<S: Sink + ?Sized> {
    /// The reason for which the surroundings end a job.
    type Error;

    /// Starts to resolve the name of a server. The answer comes through [`input`](Self::input).
    fn resolve(&mut self, id: ServerId);

    /// Returns the next input, if there is one. A new one wakes the transport.
    fn input(&mut self) -> Option<Input<Self::Error>>;

    /// Returns the sink of a file.
    fn sink(&mut self, file: FileId) -> Arc<S>;

    /// Takes note of a session that is being opened, over this connection of the job, counted from 1.
    fn opened(&mut self, id: SessionId, connection: usize);

    /// Sees a report before the engine does. A failure ends the job.
    ///
    /// # Errors
    /// The error of the sink, or one of the surroundings.
    fn report(&mut self, report: &Report<S::Error>) -> Result<(), Self::Error>;

    /// Returns whether the sink of the file has these bytes from this offset on; it has taken them before.
    ///
    /// # Errors
    /// If the sink cannot be read.
    fn same(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, Self::Error>;

    /// Takes the result of the checksum lookup. If the finished file `is_here_already`, returns whether it has the checksum;
    /// otherwise the result means nothing.
    fn found(&mut self, _file: FileId, _found: Option<Found>, _is_here_already: bool) -> bool {
        true
    }

    /// Fewer bytes of the file are settled than before. No request that was made after that has been sent.
    fn retract(&mut self, _file: FileId, _engine: &Fetcher) {}

    /// Tells the user.
    fn notice(&mut self, notice: Notice);

    /// Sees the engine after every step. Returns when it wants to see the engine again at the latest.
    fn progress(&mut self, engine: &Fetcher, now: Instant) -> Option<Instant>;

    /// Takes note of a file that is done: its size in bytes, or why there is none.
    fn done(&mut self, _file: FileId, _result: &Result<u64, EngineError>, _engine: &Fetcher) {}
}

/// The results of the files of a job.
#[derive(Clone, Debug, Default)]
pub struct Results(BTreeMap<FileId, Result<u64, EngineError>>);

impl Results {
    /// Takes the result of a file: its size in bytes, or why there is none.
    ///
    /// # Errors
    /// Why the file was not fetched.
    ///
    /// # Panics
    /// If the file is not one of the job, or its result was taken before.
    #[expect(clippy::expect_used, reason = "a job that is done has a result for each of its files")]
    pub fn take(&mut self, file: FileId) -> Result<u64, EngineError> {
        self.0.remove(&file).expect("the result of the file")
    }
}

/// Runs a job until each of its files is done. All sessions have ended then.
///
/// # Errors
/// If the surroundings end the job.
pub fn drive<T: Transport, S: Surroundings<T::Sink>>(
    engine: &mut Fetcher,
    transport: &mut T,
    surroundings: &mut S,
) -> Result<Results, S::Error> {
    let mut open = BTreeSet::new();
    let results = steer(engine, transport, surroundings, &mut open);
    for id in &open {
        transport.close(*id);
    }
    let patience = transport.now() + GOODBYE;
    while !open.is_empty() && transport.now() < patience {
        if let Some(report) = transport.wait(Some(patience)) {
            note_end(&report, &mut open);
            // For the log: a failure now fails no file.
            let _ = surroundings.report(&report);
            engine.handle(&report, transport.now());
        }
    }
    results
}

/// How long the end of all sessions is awaited. It asks nothing of a server, so it comes at once, unless a write to a sink takes
/// that long.
const GOODBYE: Duration = Duration::from_secs(1);

fn note_end<E>(report: &Report<E>, open: &mut BTreeSet<SessionId>) {
    if let Report::Event(id, Event::Closed(_)) = report {
        open.remove(id);
    }
}

fn steer<T: Transport, S: Surroundings<T::Sink>>(
    engine: &mut Fetcher,
    transport: &mut T,
    surroundings: &mut S,
    open: &mut BTreeSet<SessionId>,
) -> Result<Results, S::Error> {
    let mut results = Results::default();
    loop {
        while let Some(directive) = engine.poll() {
            carry_out(directive, engine, transport, surroundings, (&mut *open, &mut results))?;
        }
        if engine.is_over() {
            return Ok(results);
        }
        let look = surroundings.progress(engine, transport.now());
        let until = [engine.poll_timeout(), look].into_iter().flatten().min();
        let report = transport.wait(until);
        let now = transport.now();
        let mut stopped = None;
        while let Some(input) = surroundings.input() {
            match input {
                Input::Resolved(id, found) => engine.resolved(id, found, now),
                Input::Stop(error) => stopped = stopped.or(Some(error)),
            }
        }
        // A report that came with the stop counts: it may be the end of a session, or bytes that are on disk.
        match report {
            Some(report) => {
                note_end(&report, open);
                match surroundings.report(&report) {
                    Ok(()) => engine.handle(&report, now),
                    Err(error) => stopped = stopped.or(Some(error)),
                }
            }
            None => engine.handle_timeout(now),
        }
        if let Some(error) = stopped {
            return stop(engine, surroundings, error);
        }
    }
}

fn carry_out<T: Transport, S: Surroundings<T::Sink>>(
    directive: Directive,
    engine: &mut Fetcher,
    transport: &mut T,
    surroundings: &mut S,
    (open, results): (&mut BTreeSet<SessionId>, &mut Results),
) -> Result<(), S::Error> {
    match directive {
        Directive::Resolve(id) => surroundings.resolve(id),
        Directive::Open { id, connection, address, config } => {
            surroundings.opened(id, connection);
            transport.open(id, address.into(), config);
            open.insert(id);
        }
        Directive::Request(id, request_id, request) => transport.request(id, request_id, request),
        Directive::Retrieve(id, request_id, file, part) => {
            transport.retrieve(id, request_id, part, surroundings.sink(file));
        }
        Directive::SetEnd(id, request_id, until) => transport.set_end(id, request_id, until),
        Directive::Close(id) => transport.close(id),
        Directive::Compare(file, comparison, offset, bytes) => {
            match surroundings.same(file, offset, &bytes) {
                Ok(same) => engine.compared(file, comparison, same, transport.now()),
                Err(error) => return stop(engine, surroundings, error),
            }
        }
        Directive::Found(file, found) => {
            let is_here_already = engine.status(file).is_here_already();
            let same = surroundings.found(file, found, is_here_already);
            engine.compared_finished(file, same, transport.now());
        }
        Directive::Retract(file) => surroundings.retract(file, engine),
        Directive::Notice(notice) => surroundings.notice(notice),
        Directive::Done(file, result) => {
            surroundings.done(file, &result, engine);
            results.0.insert(file, result);
        }
    }
    Ok(())
}

/// Ends the job for an error of the surroundings.
fn stop<R, K: Sink + ?Sized, S: Surroundings<K>>(
    engine: &mut Fetcher,
    surroundings: &mut S,
    error: S::Error,
) -> Result<R, S::Error> {
    engine.stop();
    while let Some(directive) = engine.poll() {
        if let Directive::Notice(notice) = directive {
            surroundings.notice(notice);
        }
    }
    Err(error)
}
