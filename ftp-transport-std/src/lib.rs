//! Drives [`ftp_proto`] sessions over sockets, one thread a session.
//!
//! Each thread blocks in one place only: `poll(2)` over its control connection, its data connection and a
//! pipe that orders come with, bounded by the session's next deadline. No session can hold up another.
//!
//! ```no_run
//! use ftp_proto::{Arg, Config, Event, Report, RequestId, Retrieve, SessionId, Sink, Transport, Until};
//! use ftp_transport_std::StdTransport;
//! use std::{io, net::SocketAddr, sync::{Arc, Mutex}};
//!
//! struct Memory(Mutex<Vec<u8>>);
//! impl Sink for Memory {
//!     type Error = io::Error;
//!     fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
//!         let (mut memory, offset) = (self.0.lock().unwrap(), offset as usize);
//!         let len = memory.len().max(offset + bytes.len());
//!         memory.resize(len, 0);
//!         memory[offset..offset + bytes.len()].copy_from_slice(bytes);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let memory = Arc::new(Memory(Mutex::default()));
//! let mut transport = StdTransport::new();
//! let session = SessionId(1);
//! let address: SocketAddr = "192.0.2.1:21".parse()?;
//! transport.open(session, address.into(), Arc::new(Config::default()));
//! let whole = Retrieve::new(Arg::new("pub/file")?, 0, Until::Eof);
//! transport.retrieve(session, RequestId(1), whole, memory.clone());
//! while let Some(report) = transport.wait(None) {
//!     println!("{report:?}");
//!     if matches!(report, Report::Event(_, Event::Finished(..) | Event::Closed(_))) {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod socket;
mod thread;

use ftp_proto::conduit::Conduit;
use ftp_proto::{
    Cause, Channel, Config, Event, Instant, Report, Request, RequestId, Retrieve, Route, SessionError,
    SessionId, Sink, Transport, Until,
};
use socket::TcpSocket;
use std::collections::BTreeMap;
use std::io::{PipeWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use thread::{Order, Worker};

/// The clock of a transport and its threads.
#[derive(Clone, Copy, Debug)]
struct Clock(std::time::Instant);

impl Clock {
    fn now(self) -> Instant {
        Instant(self.0.elapsed())
    }
}

/// A message to the caller's thread.
enum Message<E> {
    Report(Report<E>),
    Wake,
}

/// The transport's end of a session's thread.
struct Handle<S: Sink + ?Sized> {
    orders: Sender<Order<S>>,
    wake: PipeWriter,
    thread: JoinHandle<()>,
}

impl<S: Sink + ?Sized> Handle<S> {
    /// Hands over an order. A thread that has ended takes none: the end of its session is on its way to the caller.
    fn order(&mut self, order: Order<S>) {
        if self.orders.send(order).is_ok() {
            let _ = self.wake.write_all(&[0]);
        }
    }
}

/// A [`Transport`] with a thread for each session.
///
/// Dropping it ends the sessions and waits for their threads, at most as long as a write to a sink takes.
pub struct StdTransport<S: Sink + ?Sized>
where
    S::Error: Send,
{
    clock: Clock,
    sessions: BTreeMap<SessionId, Handle<S>>,
    /// Sessions that have been opened since the last wait.
    fresh: Vec<SessionId>,
    sender: Sender<Message<S::Error>>,
    receiver: Receiver<Message<S::Error>>,
}

impl<S: Sink + ?Sized> std::fmt::Debug for StdTransport<S>
where
    S::Error: Send,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StdTransport").field("sessions", &self.sessions.keys()).finish_non_exhaustive()
    }
}

impl<S: Sink + ?Sized + 'static> StdTransport<S>
where
    S::Error: Send,
{
    /// A transport without sessions, whose clock starts at zero now.
    #[must_use]
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            clock: Clock(std::time::Instant::now()),
            sessions: BTreeMap::new(),
            fresh: Vec::new(),
            sender,
            receiver,
        }
    }

    fn start(&self, id: SessionId, conduit: Conduit<S, TcpSocket>) -> std::io::Result<Handle<S>> {
        let (orders, receiver) = mpsc::channel();
        let (reader, wake) = std::io::pipe()?;
        let worker = Worker::new(conduit, self.clock, (reader, receiver), self.sender.clone());
        let builder = std::thread::Builder::new().name(format!("ftp-{}", id.0)).stack_size(STACK);
        Ok(Handle { orders, wake, thread: builder.spawn(move || worker.run())? })
    }
}

/// Bytes. The thread of a session keeps nothing large on its stack.
const STACK: usize = 256 * 1024;

impl<S: Sink + ?Sized + 'static> Default for StdTransport<S>
where
    S::Error: Send,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Sink + ?Sized + 'static> Transport for StdTransport<S>
where
    S::Error: Send,
{
    type Sink = S;

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open(&mut self, id: SessionId, route: Route, config: Arc<Config>) {
        match self.start(id, Conduit::new(id, route, config, self.clock.now())) {
            Ok(handle) => {
                self.sessions.insert(id, handle);
                self.fresh.push(id);
            }
            Err(error) => {
                let cause = Cause::Other(error.raw_os_error().unwrap_or_default());
                let event = Event::Closed(SessionError::Connection(Channel::Control, cause));
                // Cannot fail: this transport holds the receiver.
                let _ = self.sender.send(Message::Report(Report::Event(id, event)));
            }
        }
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::Request(request_id, request));
        }
    }

    fn retrieve(&mut self, id: SessionId, request_id: RequestId, part: Retrieve, sink: Arc<S>) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::Retrieve(request_id, part, sink));
        }
    }

    fn set_end(&mut self, id: SessionId, request_id: RequestId, until: Until) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::SetEnd(request_id, until));
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::Quit);
        }
    }

    fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        let sender = self.sender.clone();
        Arc::new(move || {
            // Fails when the transport is gone, and then nobody waits.
            let _ = sender.send(Message::Wake);
        })
    }

    /// Ends the sessions like a drop, but does not wait for the threads.
    fn abandon(mut self) {
        self.quit();
        self.sessions.clear();
    }

    fn wait(&mut self, until: Option<Instant>) -> Option<Report<S::Error>> {
        for id in std::mem::take(&mut self.fresh) {
            if let Some(handle) = self.sessions.get_mut(&id) {
                handle.order(Order::Begin);
            }
        }
        let message = match until {
            // Cannot fail: this transport holds a sender.
            None => self.receiver.recv().ok()?,
            Some(until) => match self.receiver.recv_timeout(until.since(self.now())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            },
        };
        match message {
            Message::Wake => None,
            Message::Report(report) => {
                if let Report::Event(id, Event::Closed(_)) = &report {
                    self.sessions.remove(id);
                }
                Some(report)
            }
        }
    }
}

impl<S: Sink + ?Sized> StdTransport<S>
where
    S::Error: Send,
{
    fn quit(&mut self) {
        for handle in self.sessions.values_mut() {
            handle.order(Order::Quit);
        }
    }
}

impl<S: Sink + ?Sized> Drop for StdTransport<S>
where
    S::Error: Send,
{
    fn drop(&mut self) {
        self.quit();
        while let Some((_, handle)) = self.sessions.pop_first() {
            let _ = handle.thread.join();
        }
    }
}
