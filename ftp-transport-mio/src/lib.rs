//! Drives any number of [`ftp_proto`] sessions from one thread and one mio event loop.
//!
//! The loop runs inside [`wait`](Transport::wait), on the thread that calls it; there is no other thread. Each call
//! returns the next report: a session is logged in, bytes of a file are written, a file is whole. An idle loop sleeps in
//! one system call until an event comes.
//!
//! ```no_run
//! use ftp_proto::{
//!     Arg, Config, Event, Finish, Report, RequestId, Retrieve, SessionId, Sink, Transport, Until,
//! };
//! use ftp_transport_mio::MioTransport;
//! use std::{fs::File, io, net::SocketAddr, os::unix::fs::FileExt, sync::Arc};
//!
//! struct Local(File);
//!
//! impl Sink for Local {
//!     type Error = io::Error;
//!
//!     fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
//!         self.0.write_all_at(bytes, offset)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two halves of one file, from two servers at once.
//! let file = Arc::new(Local(File::create("file")?));
//! let mut transport = MioTransport::new()?;
//! let parts = [("192.0.2.1:21", 0, Until::Offset(5000)), ("192.0.2.2:21", 5000, Until::Eof)];
//! for ((server, offset, until), id) in parts.into_iter().zip(1..) {
//!     let address: SocketAddr = server.parse()?;
//!     transport.open(SessionId(id), address.into(), Arc::new(Config::default()));
//!     let part = Retrieve::new(Arg::new("pub/file")?, offset, until);
//!     transport.retrieve(SessionId(id), RequestId(1), part, file.clone());
//! }
//! let mut left = 2;
//! while left > 0 {
//!     match transport.wait(None) {
//!         Some(Report::Written(id, _, range)) => println!("{id:?} has fetched {range:?}"),
//!         Some(Report::Event(_, Event::Finished(_, Finish::Cut | Finish::Whole { .. }))) => left -= 1,
//!         Some(Report::Event(_, Event::Finished(_, short))) => return Err(format!("{short:?}").into()),
//!         Some(Report::Event(_, Event::Refused(_, _, reply))) => return Err(reply.to_string().into()),
//!         Some(Report::Event(_, Event::Closed(error))) => return Err(error.into()),
//!         Some(Report::SinkFailed(_, _, error)) => return Err(error.into()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each transfer has a [`Sink`] of its own. The program `examples/many.rs` fetches many files from many servers.
//! Each transfer has a [`Sink`] of its own. The program `examples/many.rs` fetches many files from many servers.
//!
//! ## Costs and limits
//!
//! - The loop's thread calls the sink: all sessions wait while it writes.
//! - The loop takes addresses and not names, because a lookup takes long. Look names up before, or on another thread
//!   that [wakes](Transport::waker) the loop.
//! - No session keeps the others waiting: a socket that is ready is read up to 1 MiB, and then has to wait for its
//!   next turn.
//! - An idle session takes about 3 KiB of memory beside the system's share for its socket, and the loop 256 KiB. A
//!   session has one descriptor, and one more for an open data connection.
//! - A server's queue of connections that it has not accepted is short, often 128. A connection beyond it may be lost,
//!   and only [`Timeouts::reply`](ftp_proto::Timeouts::reply) notices that. If you open thousands of sessions with one
//!   server, open each after an earlier one is [`Connected`](ftp_proto::Event::Connected).
//! - The caller opens failed sessions again; [`Redial`](ftp_proto::Redial) advises how.

mod registry;
mod socket;

use ftp_proto::conduit::Conduit;
use ftp_proto::{
    Config, Event, Instant, Report, Request, RequestId, Retrieve, Route, SessionId, Sink, Transport, Until,
};
use mio::{Events, Poll, Waker};
use registry::{Place, Sessions, Sockets, WAKER};
use socket::TcpSocket;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at once, into a buffer that serves all sessions.
const BUFFER: usize = 256 * 1024;

/// Reads from one connection before the others have their turn.
const READS: usize = 4;

/// Events taken from the system at once.
const EVENTS: usize = 1024;

/// How long nothing is tried again if the system cannot wait.
const PAUSE: Duration = Duration::from_millis(20);

/// A [`Transport`] without threads.
///
/// Dropping it ends the sessions: QUIT is sent as far as the sockets take it without waiting, and reports that the
/// caller has not taken are lost.
pub struct MioTransport<S: Sink + ?Sized> {
    started: std::time::Instant,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    sessions: Sessions<S>,
    reports: VecDeque<Report<S::Error>>,
    /// The waker was used, and `wait` has not returned for it yet.
    woken: bool,
    /// The end of the last wait for events. Replies that had come by then are in time.
    listened: Instant,
    buffer: Vec<u8>,
}

impl<S: Sink + ?Sized> MioTransport<S> {
    /// A transport without sessions, whose clock starts at zero now.
    ///
    /// # Errors
    /// The system's, if it has no descriptor left for an event queue and its waker.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            started: std::time::Instant::now(),
            poll,
            events: Events::with_capacity(EVENTS),
            waker,
            sessions: Sessions::new(),
            reports: VecDeque::new(),
            woken: false,
            listened: Instant::ZERO,
            buffer: vec![0; BUFFER],
        })
    }

    /// Does something with a session, and then carries out its outputs.
    fn with(&mut self, id: SessionId, act: impl FnOnce(&mut Conduit<S, TcpSocket>, Instant)) {
        let now = self.now();
        if let Some(place) = self.sessions.place(id)
            && let Some(entry) = self.sessions.get(place)
        {
            act(&mut entry.conduit, now);
            self.settle(place);
        }
    }

    fn settle(&mut self, place: Place) {
        let now = self.now();
        let Some(entry) = self.sessions.get(place) else { return };
        let mut sockets = Sockets { registry: self.poll.registry(), place };
        while let Some(report) = entry.conduit.poll_output(&mut sockets, now) {
            let last = matches!(report, Report::Event(_, Event::Closed(_)));
            self.reports.push_back(report);
            if last {
                return self.sessions.remove(place);
            }
        }
        self.sessions.enlist(place);
    }

    /// Waits for events, and notes which sockets are ready. True if the waker was used.
    fn listen(&mut self, until: Option<Instant>) -> bool {
        let due = [until, self.sessions.next_deadline()].into_iter().flatten().min();
        let patience = if self.sessions.turns() > 0 { Some(Instant::ZERO) } else { due };
        let mut timeout = patience.map(|due| due.since(self.now()));
        let mut woken = false;
        // A reply that has come, but was not noted, would count as late. Therefore all events are noted, in at most as many
        // rounds as it takes to note each socket once.
        let rounds = self.sessions.len().saturating_mul(2).div_ceil(EVENTS).saturating_add(1);
        for _ in 0..rounds {
            if let Err(error) = self.poll.poll(&mut self.events, timeout) {
                // An interrupted wait has found nothing; the loop waits again. Any other error may last.
                if error.kind() != io::ErrorKind::Interrupted {
                    std::thread::sleep(PAUSE);
                }
                return woken;
            }
            self.listened = self.now();
            woken |= self.note_events();
            if self.events.iter().nth(EVENTS.saturating_sub(1)).is_none() {
                break;
            }
            timeout = Some(Duration::ZERO);
        }
        woken
    }

    /// Notes the sockets that have events. True if the waker has one.
    fn note_events(&mut self) -> bool {
        let mut woken = false;
        let mut touched = Vec::new();
        for event in &self.events {
            match Place::of(event.token()) {
                Some((place, channel)) => {
                    let unsure = event.is_read_closed() || event.is_error() || event.is_priority();
                    self.sessions.mark(place, channel, unsure);
                    touched.push(place);
                }
                None => woken = true,
            }
        }
        for place in touched {
            self.settle(place);
        }
        woken
    }

    /// Gives every queued socket a turn, and tells the sessions whose deadline has come.
    fn work(&mut self) {
        for _ in 0..self.sessions.turns() {
            let Some((place, channel)) = self.sessions.next_turn() else { break };
            let now = self.now();
            let Some(entry) = self.sessions.get(place) else { continue };
            let turn = entry.conduit.handle_ready(channel, &mut self.buffer, READS, now);
            self.sessions.turned(place, channel, turn);
            self.settle(place);
        }
        // Not the time now: a reply may have come while other sockets had their turn.
        let now = self.listened;
        while let Some(place) = self.sessions.next_due(now) {
            if let Some(entry) = self.sessions.get(place) {
                entry.conduit.handle_timeout(now);
            }
            self.settle(place);
        }
    }
}

impl<S: Sink + ?Sized> fmt::Debug for MioTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions: Vec<SessionId> = self.sessions.ids().collect();
        f.debug_struct("MioTransport").field("sessions", &sessions).finish_non_exhaustive()
    }
}

impl<S: Sink + ?Sized> Transport for MioTransport<S> {
    type Sink = S;

    fn now(&self) -> Instant {
        Instant(self.started.elapsed())
    }

    fn open(&mut self, id: SessionId, route: Route, config: Arc<Config>) {
        let now = self.now();
        let place = self.sessions.insert(id, Conduit::new(id, route, config, now));
        if let Some(entry) = self.sessions.get(place) {
            entry.conduit.connect(&mut Sockets { registry: self.poll.registry(), place }, now);
        }
        self.settle(place);
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        self.with(id, |conduit, now| conduit.request(request_id, request, now));
    }

    fn retrieve(&mut self, id: SessionId, request_id: RequestId, part: Retrieve, sink: Arc<S>) {
        self.with(id, |conduit, now| conduit.retrieve(request_id, part, sink, now));
    }

    fn set_end(&mut self, id: SessionId, request_id: RequestId, until: Until) {
        self.with(id, |conduit, now| conduit.set_end(request_id, until, now));
    }

    fn close(&mut self, id: SessionId) {
        self.with(id, Conduit::quit);
    }

    fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let waker = Arc::clone(&self.waker);
        Arc::new(move || {
            // Fails only if the system is out of memory; a deadline then ends the wait.
            let _ = waker.wake();
        })
    }

    fn wait(&mut self, until: Option<Instant>) -> Option<Report<S::Error>> {
        loop {
            // First, so that endless reports cannot delay it.
            if mem::take(&mut self.woken) {
                return None;
            }
            if let Some(report) = self.reports.pop_front() {
                return Some(report);
            }
            self.woken |= self.listen(until);
            self.work();
            let over = until.is_some_and(|until| until <= self.now());
            if self.reports.is_empty() && over {
                return None;
            }
        }
    }
}

impl<S: Sink + ?Sized> Drop for MioTransport<S> {
    /// Ends all sessions.
    fn drop(&mut self) {
        let ids: Vec<SessionId> = self.sessions.ids().collect();
        for id in ids {
            self.close(id);
        }
    }
}
