//! The loop that moves planner and transport.

use crate::lookup::Found;
use crate::plan::{Directive, EngineError, MirrorId, Notice, Planner};
use ftp_proto::{Event, Instant, Report, Request, SessionId, Sink, Transport};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Something that comes neither from a session nor from the clock.
#[derive(Clone, Debug)]
pub enum Input<E> {
    /// The answer to [`Surroundings::resolve`].
    Resolved(MirrorId, Result<Vec<SocketAddr>, String>),
    /// The download is to end.
    Stop(E),
}

/// The reason why [`drive`] ended without a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DriveError<E> {
    /// The planner found no way to fetch the file.
    Engine(EngineError),
    /// The surroundings ended the download.
    Surroundings(E),
}

/// What a download needs and knows beside its sessions. `E` is the error of the sink.
pub trait Surroundings<E> {
    /// The reason for which the surroundings end a download.
    type Error;

    /// Starts to look up the addresses of a mirror's server. The answer comes through [`input`](Self::input).
    fn resolve(&mut self, id: MirrorId);

    /// The next input, if there is one. Whoever has a new one wakes the transport.
    fn input(&mut self) -> Option<Input<Self::Error>>;

    /// A session is being opened, as connection number `thread`.
    fn opened(&mut self, id: SessionId, thread: usize);

    /// Sees a report before the planner does. A failure ends the download.
    ///
    /// # Errors
    /// That of the sink, or the surroundings' own.
    fn report(&mut self, report: &Report<E>) -> Result<(), Self::Error>;

    /// Whether the sink has these bytes from this offset on; the sink has taken that part before.
    ///
    /// # Errors
    /// If it cannot be read.
    fn same(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Self::Error>;

    /// This is what servers have to verify the file with. If the finished file `is_here_already`, whether it is the one that
    /// they mean; nobody asks otherwise.
    fn found(&mut self, _found: Option<Found>, _is_here_already: bool) -> bool {
        true
    }

    /// Less of the file is settled than was. Nothing that was requested after that has been sent.
    fn retract(&mut self, _planner: &Planner) {}

    /// Tells the user.
    fn notice(&mut self, notice: Notice);

    /// Sees the planner after every step; says when it wants to see it again at the latest.
    fn progress(&mut self, planner: &Planner, now: Instant) -> Option<Instant>;
}

/// Runs a download to its end, and returns the size of the file in bytes. All sessions have ended then.
///
/// # Errors
/// Why there is no whole file.
pub fn drive<T: Transport, S: Surroundings<<T::Sink as Sink>::Error>>(
    planner: &mut Planner,
    transport: &mut T,
    sink: &Arc<T::Sink>,
    surroundings: &mut S,
) -> Result<u64, DriveError<S::Error>> {
    let mut open = BTreeSet::new();
    let result = steer(planner, transport, sink, surroundings, &mut open);
    for id in &open {
        transport.close(*id);
    }
    let patience = transport.now() + GOODBYE;
    while !open.is_empty() && transport.now() < patience {
        if let Some(report) = transport.wait(Some(patience)) {
            note_end(&report, &mut open);
            // For the log; what fails now fails nobody.
            let _ = surroundings.report(&report);
            planner.handle(&report, transport.now());
        }
    }
    result
}

/// How long the end of all sessions is waited for. It asks nothing of a server, so it comes at once, unless
/// a write to the sink takes that long.
const GOODBYE: Duration = Duration::from_secs(1);

fn note_end<E>(report: &Report<E>, open: &mut BTreeSet<SessionId>) {
    if let Report::Event(id, Event::Closed(_)) = report {
        open.remove(id);
    }
}

fn steer<T: Transport, S: Surroundings<<T::Sink as Sink>::Error>>(
    planner: &mut Planner,
    transport: &mut T,
    sink: &Arc<T::Sink>,
    surroundings: &mut S,
    open: &mut BTreeSet<SessionId>,
) -> Result<u64, DriveError<S::Error>> {
    let mut stopped = None;
    loop {
        while let Some(directive) = planner.poll() {
            match directive {
                Directive::Resolve(id) => surroundings.resolve(id),
                Directive::Open { id, thread, peer, config } => {
                    surroundings.opened(id, thread);
                    transport.open(id, peer.into(), config);
                    open.insert(id);
                }
                Directive::Request(id, request_id, Request::Retrieve(part)) => {
                    transport.retrieve(id, request_id, part, Arc::clone(sink));
                }
                Directive::Request(id, request_id, request) => transport.request(id, request_id, request),
                Directive::Shrink(id, request_id, until) => transport.set_end(id, request_id, until),
                Directive::Close(id) => transport.close(id),
                Directive::Compare(id, offset, bytes) => match surroundings.same(offset, &bytes) {
                    Ok(same) => planner.compared(id, same, transport.now()),
                    Err(error) => stop(planner, &mut stopped, error),
                },
                Directive::Found(found) => {
                    let same = surroundings.found(found, planner.is_here_already());
                    planner.compared_finished(same, transport.now());
                }
                Directive::Retract => surroundings.retract(planner),
                Directive::Notice(notice) => surroundings.notice(notice),
                Directive::Finish(result) => return result.map_err(DriveError::Engine),
            }
        }
        if let Some(error) = stopped {
            return Err(DriveError::Surroundings(error));
        }
        let look = surroundings.progress(planner, transport.now());
        let until = [planner.poll_timeout(), look].into_iter().flatten().min();
        let report = transport.wait(until);
        let now = transport.now();
        while let Some(input) = surroundings.input() {
            match input {
                Input::Resolved(id, found) => planner.resolved(id, found, now),
                Input::Stop(error) => stop(planner, &mut stopped, error),
            }
        }
        match report {
            Some(report) => {
                note_end(&report, open);
                match surroundings.report(&report) {
                    Ok(()) => planner.handle(&report, now),
                    Err(error) => stop(planner, &mut stopped, error),
                }
            }
            None => planner.handle_timeout(now),
        }
    }
}

/// Ends the download for the first error that the surroundings have.
fn stop<E>(planner: &mut Planner, stopped: &mut Option<E>, error: E) {
    planner.stop();
    stopped.get_or_insert(error);
}
