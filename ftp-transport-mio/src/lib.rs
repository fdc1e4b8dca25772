//! Drives any number of [`ftp_proto`] sessions from one thread and one mio event loop.
//!
//! The loop runs inside [`wait`](Transport::wait), on the thread that calls it; there is no other. Each call gives
//! the next thing that a session tells: that it is logged in, that bytes of its file are written, that the file is
//! whole. An idle loop sleeps in one system call until something happens.
//!
//! ```no_run
//! use ftp_proto::{
//!     Arg, Config, Event, Finish, Report, Request, RequestId, Retrieve, SessionId, Sink, Transport, Until,
//! };
//! use ftp_transport_mio::MioTransport;
//! use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};
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
//! let mut transport = MioTransport::new(Arc::new(Local(File::create("file")?)))?;
//! let parts = [("192.0.2.1:21", 0, Until::Offset(5000)), ("192.0.2.2:21", 5000, Until::Eof)];
//! for ((server, offset, until), id) in parts.into_iter().zip(1..) {
//!     transport.open(SessionId(id), server.parse()?, Arc::new(Config::default()));
//!     let part = Retrieve { path: Arg::new("pub/file")?, offset, until };
//!     transport.request(SessionId(id), RequestId(1), Request::Retrieve(part));
//! }
//! let mut left = 2;
//! while left > 0 {
//!     match transport.wait(None) {
//!         Some(Report::Written(id, range)) => println!("{id:?} has brought {range:?}"),
//!         Some(Report::Event(_, Event::Finished(_, Finish::Cut | Finish::Whole { .. }))) => left -= 1,
//!         Some(Report::Event(_, Event::Finished(_, short))) => return Err(format!("{short:?}").into()),
//!         Some(Report::Event(_, Event::Refused(_, _, reply))) => return Err(reply.to_string().into()),
//!         Some(Report::Event(_, Event::Closed(error))) => return Err(error.into()),
//!         Some(Report::Sink(_, error)) => return Err(error.into()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Where sessions fetch different files, [`open_to`](MioTransport::open_to) gives each a [`Sink`] of its own. The
//! program `examples/many.rs` fetches many files from many servers in this way.
//!
//! ## What to know
//!
//! - The sink is called on the loop's thread: all sessions wait while it writes.
//! - Addresses are given, not names, which take long to look up: do that before, or on another thread, and
//!   [wake](Transport::waker) the loop when there is an answer.
//! - No session keeps the others waiting. Each socket that is ready has its turn, in which it is read up to 1 MiB.
//! - An idle session takes about 3 KiB of memory beside what the system keeps for its socket, and the loop 256 KiB. A
//!   session has one descriptor, and one more during a transfer or for one that is prepared.
//! - A server's queue of connections that it has not accepted is short, 128 with many. What comes beyond that may be
//!   lost and is noticed only by [`Timeouts::reply`](ftp_proto::Timeouts::reply). Thousands of sessions with one
//!   server are better opened as earlier ones have become [`Connected`](ftp_proto::Event::Connected).
//! - Failed sessions are the caller's to open again, in lock step where they ended in
//!   [`OutOfStep`](ftp_proto::Error::OutOfStep). The planner of the `pftp` crate does all that.

mod registry;
mod socket;

use ftp_proto::{
    Channel, Conduit, Config, Instant, Link, Report, Request, RequestId, SessionId, Sink, Transport, Until,
};
use mio::{Events, Poll, Waker};
use registry::{Outlet, Place, Sessions, WAKER};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at once. One buffer serves all sessions.
const BUFFER: usize = 256 * 1024;

/// Reads from one connection before the others have their turn.
const READS: usize = 4;

/// Events taken from the system at once.
const EVENTS: usize = 1024;

/// How long nothing is tried again if the system cannot wait.
const PAUSE: Duration = Duration::from_millis(20);

/// A [`Transport`] without threads.
///
/// Dropping it ends the sessions: QUIT is sent as far as that goes without waiting, and what they have not reported
/// is lost.
pub struct MioTransport<S: Sink + ?Sized> {
    started: std::time::Instant,
    sink: Arc<S>,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    sessions: Sessions<S>,
    reports: VecDeque<Report<S::Error>>,
    /// The waker has been used, and nobody told yet.
    woken: bool,
    /// When the last wait for events ended: what had come by then is in time.
    listened: Instant,
    buffer: Vec<u8>,
}

impl<S: Sink + ?Sized> MioTransport<S> {
    /// A transport without sessions, whose clock starts at zero now. What its sessions fetch goes to `sink`, but for
    /// those that [`open_to`](Self::open_to) gives another.
    ///
    /// # Errors
    /// The system's, if it has no descriptor left for an event queue and its waker.
    pub fn new(sink: Arc<S>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            started: std::time::Instant::now(),
            sink,
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

    /// Starts a session like [`open`](Transport::open), with a sink of its own. Where it fetches several files one
    /// after the other, the sink may turn to the next one once a transfer is reported as over: no byte of that comes
    /// any more.
    pub fn open_to(&mut self, id: SessionId, peer: SocketAddr, config: Arc<Config>, sink: Arc<S>) {
        let now = self.now();
        let place = self.sessions.insert(id, Conduit::new(id, Link::new(config, peer, sink, now)));
        if let Some(entry) = self.sessions.get(place) {
            let mut outlet = Outlet { registry: self.poll.registry(), reports: &mut self.reports, place };
            entry.conduit.dial(Channel::Control, peer, &mut outlet, now);
        }
        self.settle(place);
    }

    /// Does something with a session, and then what comes of it.
    fn with(&mut self, id: SessionId, act: impl FnOnce(&mut Link<S>, Instant)) {
        let now = self.now();
        if let Some(place) = self.sessions.place(id)
            && let Some(entry) = self.sessions.get(place)
        {
            act(entry.conduit.link(), now);
            self.settle(place);
        }
    }

    fn settle(&mut self, place: Place) {
        let now = self.now();
        let Some(entry) = self.sessions.get(place) else { return };
        let mut outlet = Outlet { registry: self.poll.registry(), reports: &mut self.reports, place };
        if entry.conduit.settle(&mut outlet, now) {
            self.sessions.enlist(place);
        } else {
            self.sessions.remove(place);
        }
    }

    /// Waits for something to happen, and notes what is ready. True if the waker woke it.
    fn listen(&mut self, until: Option<Instant>) -> bool {
        let due = [until, self.sessions.next_deadline()].into_iter().flatten().min();
        let patience = if self.sessions.turns() > 0 { Some(Instant::ZERO) } else { due };
        let mut timeout = patience.map(|due| due.since(self.now()));
        let mut woken = false;
        // Whose reply has come but has not been heard of would be taken to be late. So all are heard, but no more often
        // than it takes for each of their sockets to have its say.
        let rounds = self.sessions.len().saturating_mul(2).div_ceil(EVENTS).saturating_add(1);
        for _ in 0..rounds {
            if let Err(error) = self.poll.poll(&mut self.events, timeout) {
                // An interrupted wait has found nothing, and the loop comes round again. Any other error may last.
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

    /// Marks the sockets that have events. True if the waker has one.
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

    /// Gives every socket that is lined up one turn, and tells those whose time has come.
    fn work(&mut self) {
        for _ in 0..self.sessions.turns() {
            let Some((place, channel)) = self.sessions.next_turn() else { break };
            let now = self.now();
            let Some(entry) = self.sessions.get(place) else { continue };
            let turn = entry.conduit.turn(channel, &mut self.buffer, READS, now);
            self.sessions.turned(place, channel, turn);
            self.settle(place);
        }
        // Not by the time now: a reply may have come while others had their turn.
        let now = self.listened;
        while let Some(place) = self.sessions.next_due(now) {
            if let Some(entry) = self.sessions.get(place) {
                entry.conduit.link().handle_timeout(now);
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
    type SinkError = S::Error;

    fn now(&self) -> Instant {
        Instant(self.started.elapsed())
    }

    fn open(&mut self, id: SessionId, peer: SocketAddr, config: Arc<Config>) {
        self.open_to(id, peer, config, Arc::clone(&self.sink));
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        self.with(id, |link, now| {
            // A misuse, or the session has just ended, which its owner is being told.
            let _ = link.request(request_id, request, now);
        });
    }

    fn shrink(&mut self, id: SessionId, request_id: RequestId, until: Until) {
        self.with(id, |link, now| link.shrink(request_id, until, now));
    }

    fn close(&mut self, id: SessionId) {
        self.with(id, Link::quit);
    }

    fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let waker = Arc::clone(&self.waker);
        Arc::new(move || {
            // Fails only if the system is out of memory; a deadline ends the wait then.
            let _ = waker.wake();
        })
    }

    fn wait(&mut self, until: Option<Instant>) -> Option<Report<S::Error>> {
        loop {
            // First, so that reports without end cannot put it off.
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
