//! The thread of one session.

use crate::socket::TcpSocket;
use crate::{Clock, Message};
use ftp_proto::{
    Cause, Channel, Conduit, Driver, Instant, Link, Report, Request, RequestId, SessionId, Sink, Until,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{PipeReader, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// What the transport's owner tells a session.
pub(crate) enum Order {
    Request(RequestId, Request),
    Shrink(RequestId, Until),
    Quit,
    /// The owner waits: what the session is to begin with has been said.
    Begin,
}

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Reads from one connection before the other and the orders are looked at again.
const READS: usize = 16;

pub(crate) struct Worker<S: Sink + ?Sized> {
    conduit: Conduit<S, TcpSocket>,
    outlet: Outlet<S::Error>,
    clock: Clock,
    wake: PipeReader,
    orders: Receiver<Order>,
    buffer: Vec<u8>,
}

/// Where a session's reports go, and its sockets come from.
struct Outlet<E>(Sender<Message<E>>);

impl<E> Driver<E> for Outlet<E> {
    type Socket = TcpSocket;

    fn dial(&mut self, channel: Channel, peer: SocketAddr) -> Result<TcpSocket, Cause> {
        TcpSocket::connect(channel, peer)
    }

    fn discard(&mut self, _channel: Channel, socket: TcpSocket) {
        drop(socket);
    }

    fn report(&mut self, report: Report<E>) {
        // Fails when the transport is being dropped; the order to quit follows then.
        let _ = self.0.send(Message::Report(report));
    }
}

/// How long nothing is tried again if the system cannot wait.
const PAUSE: Duration = Duration::from_millis(20);

/// What `poll(2)` found.
#[derive(Default)]
struct Ready {
    wake: bool,
    control: bool,
    data: bool,
}

impl<S: Sink + ?Sized> Worker<S> {
    pub(crate) fn new(
        id: SessionId,
        link: Link<S>,
        clock: Clock,
        (wake, orders): (PipeReader, Receiver<Order>),
        reports: Sender<Message<S::Error>>,
    ) -> Self {
        let (conduit, outlet) = (Conduit::new(id, link), Outlet(reports));
        Self { conduit, outlet, clock, wake, orders, buffer: vec![0; BUFFER] }
    }

    /// Runs the session to its end.
    pub(crate) fn run(mut self, peer: SocketAddr) {
        self.conduit.dial(Channel::Control, peer, &mut self.outlet, self.clock.now());
        // What is asked of a session at once leaves in one write, however slow the owner's thread is in asking.
        while let Ok(order) = self.orders.recv() {
            let last = matches!(order, Order::Begin | Order::Quit);
            self.follow(order);
            if last {
                break;
            }
        }
        while self.conduit.settle(&mut self.outlet, self.clock.now()) {
            let ready = self.wait();
            if ready.wake {
                self.take_orders();
            }
            for (channel, ready) in [(Channel::Control, ready.control), (Channel::Data, ready.data)] {
                if ready {
                    self.conduit.turn(channel, &mut self.buffer, READS, self.clock.now());
                }
            }
            let now = self.clock.now();
            if self.conduit.link().poll_timeout().is_some_and(|due| due <= now) {
                self.conduit.link().handle_timeout(now);
            }
        }
    }

    /// Waits until something is ready, an order comes or a deadline is reached.
    fn wait(&mut self) -> Ready {
        let timeout = self.conduit.link().poll_timeout().map(|due| timespec(due, self.clock.now()));
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        // A connection nobody wants anything of is left out: poll would report its hang-up for ever.
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
            // It has found nothing, and the loop comes round again.
            Err(Errno::INTR) => return Ready::default(),
            // The system is short of something, and may be so for long. Orders and deadlines come all the same.
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
        // What is left in the pipe wakes the thread once more, which is harmless.
        let _ = self.wake.read(&mut [0; 64]);
        self.follow_orders();
    }

    fn follow_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.follow(order);
        }
    }

    fn follow(&mut self, order: Order) {
        let now = self.clock.now();
        let link = self.conduit.link();
        match order {
            Order::Request(id, request) => {
                // A misuse, or the session has just ended, which its owner is being told.
                let _ = link.request(id, request, now);
            }
            Order::Shrink(id, until) => link.shrink(id, until, now),
            Order::Quit => link.quit(now),
            Order::Begin => {}
        }
    }
}

/// The time from `now` to `due`, as `poll(2)` wants it.
fn timespec(due: Instant, now: Instant) -> Timespec {
    let wait = due.since(now);
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(wait.subsec_nanos()) }
}
