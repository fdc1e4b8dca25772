//! Drives [`ftp_proto`] sessions over sockets, one thread a session.
//!
//! Each thread blocks in one place only: `poll(2)` over its control connection, its data connection and a
//! pipe that orders come with, bounded by the session's next deadline. So none of them can hold up another.
//!
//! ```no_run
//! use ftp_proto::{Arg, Config, Report, Request, RequestId, Retrieve, SessionId, Sink, Transport, Until};
//! use ftp_transport_std::StdTransport;
//! use std::{io, sync::{Arc, Mutex}};
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
//! let mut transport = StdTransport::new(memory.clone());
//! let session = SessionId(1);
//! transport.open(session, "192.0.2.1:21".parse()?, Arc::new(Config::default()));
//! let path = Arg::new(&b"pub/file"[..])?;
//! let whole = Retrieve { path, offset: 0, until: Until::Eof };
//! transport.request(session, RequestId(1), Request::Retrieve(whole));
//! while let Some(report) = transport.wait(None) {
//!     println!("{report:?}");
//!     if matches!(report, Report::Event(_, ftp_proto::Event::Finished(..) | ftp_proto::Event::Closed(_))) {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod socket;
mod thread;

use ftp_proto::{
    Cause, Channel, Config, Error, Event, Instant, Link, Report, Request, RequestId, SessionId, Sink,
    Transport, Until,
};
use std::collections::BTreeMap;
use std::io::{PipeWriter, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use thread::{Order, Worker};

/// The clock that a transport and its threads go by.
#[derive(Clone, Copy, Debug)]
struct Clock(std::time::Instant);

impl Clock {
    fn now(self) -> Instant {
        Instant(self.0.elapsed())
    }
}

/// What comes to the caller's thread.
enum Message<E> {
    Report(Report<E>),
    Wake,
}

/// A session's thread, as its owner sees it.
struct Handle {
    orders: Sender<Order>,
    wake: PipeWriter,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Hands over an order. A thread that has ended takes none: its session's end is on its way.
    fn order(&mut self, order: Order) {
        if self.orders.send(order).is_ok() {
            let _ = self.wake.write_all(&[0]);
        }
    }
}

/// A [`Transport`] with a thread for each session.
///
/// Dropping it ends the sessions and waits for their threads, which takes no longer than a write to the sink.
pub struct StdTransport<S: Sink + ?Sized>
where
    S::Error: Send,
{
    clock: Clock,
    sink: Arc<S>,
    sessions: BTreeMap<SessionId, Handle>,
    /// Those that have been opened since the last wait.
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
    /// A transport without sessions, whose clock starts at zero now. What its sessions fetch goes to `sink`, but for
    /// those that [`open_to`](Self::open_to) gives another.
    #[must_use]
    pub fn new(sink: Arc<S>) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            clock: Clock(std::time::Instant::now()),
            sink,
            sessions: BTreeMap::new(),
            fresh: Vec::new(),
            sender,
            receiver,
        }
    }

    /// Starts a session like [`open`](Transport::open), with a sink of its own. Where it fetches several files one
    /// after the other, the sink may turn to the next one once a transfer is reported as over: no byte of that comes
    /// any more.
    pub fn open_to(&mut self, id: SessionId, peer: SocketAddr, config: Arc<Config>, sink: Arc<S>) {
        match self.start(id, peer, Link::new(config, peer, sink, self.clock.now())) {
            Ok(handle) => {
                self.sessions.insert(id, handle);
                self.fresh.push(id);
            }
            Err(error) => {
                let cause = Cause::Other(error.raw_os_error().unwrap_or_default());
                let event = Event::Closed(Error::Connection(Channel::Control, cause));
                // The receiver is ours.
                let _ = self.sender.send(Message::Report(Report::Event(id, event)));
            }
        }
    }

    fn start(&self, id: SessionId, peer: SocketAddr, link: Link<S>) -> std::io::Result<Handle> {
        let (orders, receiver) = mpsc::channel();
        let (reader, wake) = std::io::pipe()?;
        let worker = Worker::new(id, link, self.clock, (reader, receiver), self.sender.clone());
        let builder = std::thread::Builder::new().name(format!("ftp-{}", id.0)).stack_size(STACK);
        Ok(Handle { orders, wake, thread: builder.spawn(move || worker.run(peer))? })
    }
}

/// Bytes; a session's thread keeps nothing large on its stack.
const STACK: usize = 256 * 1024;

impl<S: Sink + ?Sized + 'static> Transport for StdTransport<S>
where
    S::Error: Send,
{
    type SinkError = S::Error;

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open(&mut self, id: SessionId, peer: SocketAddr, config: Arc<Config>) {
        self.open_to(id, peer, config, Arc::clone(&self.sink));
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::Request(request_id, request));
        }
    }

    fn shrink(&mut self, id: SessionId, request_id: RequestId, until: Until) {
        if let Some(handle) = self.sessions.get_mut(&id) {
            handle.order(Order::Shrink(request_id, until));
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
            // Fails when the transport is gone, and with it whoever waits.
            let _ = sender.send(Message::Wake);
        })
    }

    /// Like a drop, but does not wait for the threads.
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
            // This transport holds a sender, so the channel is never closed.
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
