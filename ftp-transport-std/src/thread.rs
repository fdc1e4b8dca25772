//! The thread of a session.

use crate::socket::TcpSocket;
use crate::{Clock, Message};
use ftp_proto::conduit::{Conduit, Driver};
use ftp_proto::{Cause, Channel, Event, Instant, Report, Request, RequestId, Retrieve, Sink, Until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{PipeReader, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// An order of the transport to a session.
pub(crate) enum Order<S: Sink + ?Sized> {
    Request(RequestId, Request),
    Retrieve(RequestId, Retrieve, Arc<S>),
    SetEnd(RequestId, Until),
    Quit,
    /// The caller waits: every request that the session begins with has been made.
    Begin,
}

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Reads from a connection before the other connection and the orders have their turn.
const READS: usize = 16;

pub(crate) struct Worker<S: Sink + ?Sized> {
    conduit: Conduit<S, TcpSocket>,
    reports: Sender<Message<S::Error>>,
    clock: Clock,
    wake: PipeReader,
    orders: Receiver<Order<S>>,
    buffer: Vec<u8>,
}

/// Makes the sockets of a session.
struct Sockets;

impl Driver for Sockets {
    type Socket = TcpSocket;

    fn connect(&mut self, channel: Channel, address: SocketAddr) -> Result<TcpSocket, Cause> {
        TcpSocket::connect(channel, address)
    }

    fn discard(&mut self, _channel: Channel, socket: TcpSocket) {
        drop(socket);
    }
}

/// Pause after a wait that the system refused.
const PAUSE: Duration = Duration::from_millis(20);

/// The results of `poll(2)`.
#[derive(Default)]
struct Ready {
    wake: bool,
    control: bool,
    data: bool,
}

impl<S: Sink + ?Sized> Worker<S> {
    pub(crate) fn new(
        conduit: Conduit<S, TcpSocket>,
        clock: Clock,
        (wake, orders): (PipeReader, Receiver<Order<S>>),
        reports: Sender<Message<S::Error>>,
    ) -> Self {
        Self { conduit, reports, clock, wake, orders, buffer: vec![0; BUFFER] }
    }

    /// Runs the session to its end.
    pub(crate) fn run(mut self) {
        self.conduit.connect(&mut Sockets, self.clock.now());
        // Requests made before the first wait leave in one write, however slow the caller's thread is in making them.
        while let Ok(order) = self.orders.recv() {
            let last = matches!(order, Order::Begin | Order::Quit);
            self.follow(order);
            if last {
                break;
            }
        }
        while self.report() {
            let ready = self.wait();
            if ready.wake {
                self.take_orders();
            }
            for (channel, ready) in [(Channel::Control, ready.control), (Channel::Data, ready.data)] {
                if ready {
                    self.conduit.handle_ready(channel, &mut self.buffer, READS, self.clock.now());
                }
            }
            let now = self.clock.now();
            if self.conduit.poll_timeout().is_some_and(|due| due <= now) {
                self.conduit.handle_timeout(now);
            }
        }
    }

    /// Sends the session's reports to the caller. False when the session has ended.
    fn report(&mut self) -> bool {
        while let Some(report) = self.conduit.poll_output(&mut Sockets, self.clock.now()) {
            let last = matches!(report, Report::Event(_, Event::Closed(_)));
            // Fails when the transport is being dropped; the order to quit follows then.
            let _ = self.reports.send(Message::Report(report));
            if last {
                return false;
            }
        }
        true
    }

    /// Waits until something is ready, an order comes or a deadline is reached.
    fn wait(&mut self) -> Ready {
        let timeout = self.conduit.poll_timeout().map(|due| timespec(due, self.clock.now()));
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        // A connection without an interest is left out: poll would report its hang-up for ever.
        let watched = [Channel::Control, Channel::Data].map(|channel| {
            let (socket, wants) = (self.conduit.socket(channel)?, self.conduit.interest(channel)?);
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, wants.read);
            events.set(PollFlags::OUT, wants.write);
            if events.is_empty() {
                return None;
            }
            fds.push(PollFd::from_borrowed_fd(socket.as_fd(), events));
            Some(fds.len().saturating_sub(1))
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            // The wait found nothing; the loop waits again.
            Err(Errno::INTR) => return Ready::default(),
            // The system lacks a resource, perhaps for long. Orders and deadlines are served all the same.
            Err(_) => {
                std::thread::sleep(PAUSE);
                self.follow_orders();
                return Ready::default();
            }
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let [control, data] = watched.map(|at| at.is_some_and(ready));
        Ready { wake: ready(0), control, data }
    }

    fn take_orders(&mut self) {
        // Bytes left in the pipe wake the thread once more, which is harmless.
        let _ = self.wake.read(&mut [0; 64]);
        self.follow_orders();
    }

    fn follow_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.follow(order);
        }
    }

    fn follow(&mut self, order: Order<S>) {
        let now = self.clock.now();
        match order {
            Order::Request(id, request) => self.conduit.request(id, request, now),
            Order::Retrieve(id, part, sink) => self.conduit.retrieve(id, part, sink, now),
            Order::SetEnd(id, until) => self.conduit.set_end(id, until, now),
            Order::Quit => self.conduit.quit(now),
            Order::Begin => {}
        }
    }
}

/// Converts the time from `now` to `due` for `poll(2)`.
fn timespec(due: Instant, now: Instant) -> Timespec {
    let wait = due.since(now);
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(wait.subsec_nanos()) }
}
