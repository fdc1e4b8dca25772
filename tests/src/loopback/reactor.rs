//! The one thread: readiness, timers, and who is served next.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use super::connection::{Connection, Progress, Socket};
use super::{Order, lock};
use crate::model::{Ending, Host};

const LISTENER: Token = Token(usize::MAX - 1);
const WAKER: Token = Token(usize::MAX - 2);

/// How often timers are looked at while data are held back.
const PAUSE: Duration = Duration::from_millis(20);

/// The means of a visit to a connection.
pub(super) struct Context<'a> {
    pub(super) registry: &'a Registry,
    pub(super) host: &'a Mutex<Host>,
    /// No data are sent for now.
    pub(super) held: bool,
    pub(super) buffer: &'a mut [u8],
    pub(super) now: Duration,
}

pub(super) struct Reactor {
    poll: Poll,
    listener: Option<TcpListener>,
    /// Connections may be waiting that a lack of descriptors kept out; they are not announced again.
    accept_again: bool,
    address: SocketAddr,
    /// Bound to the port and never listening: keeps it while no listener does.
    _port: OwnedFd,
    host: Arc<Mutex<Host>>,
    held: Arc<AtomicBool>,
    orders: Receiver<Order>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    timers: BTreeSet<(Duration, usize)>,
    /// Connections that have more to do than one visit's share.
    unfinished: Vec<usize>,
    buffer: Vec<u8>,
    epoch: Instant,
}

impl Reactor {
    pub(super) fn new(
        address: SocketAddr,
        host: Arc<Mutex<Host>>,
        held: Arc<AtomicBool>,
        orders: Receiver<Order>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (port, address) = hold_port(address)?;
        let mut reactor = Self {
            poll,
            listener: None,
            accept_again: false,
            address,
            _port: port,
            host,
            held,
            orders,
            connections: Vec::new(),
            free: Vec::new(),
            timers: BTreeSet::new(),
            unfinished: Vec::new(),
            buffer: vec![0; 256 * 1024],
            epoch: Instant::now(),
        };
        reactor.listen()?;
        Ok((reactor, waker))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.time_to_sleep()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(),
                    Token(token) => self.visit(token / Socket::COUNT, Visit::Ready(Socket::from(token))),
                }
            }
            for slot in self.due() {
                self.visit(slot, Visit::Timeout);
            }
            for slot in mem::take(&mut self.unfinished) {
                self.visit(slot, Visit::Continue);
            }
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Stop => return,
                    Order::LetGo => {
                        (0..self.connections.len()).for_each(|slot| self.visit(slot, Visit::Continue));
                    }
                    Order::CloseSessions(ending) => {
                        (0..self.connections.len()).for_each(|slot| self.visit(slot, Visit::Close(ending)));
                    }
                }
            }
            self.adjust_listener();
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        self.timers.first().map(|(at, _)| at.saturating_sub(self.now()))
    }

    fn due(&mut self) -> Vec<usize> {
        let later = self.timers.split_off(&(self.now(), usize::MAX));
        mem::replace(&mut self.timers, later).into_iter().map(|(_, slot)| slot).collect()
    }

    /// Listens or stops listening as the host wants it.
    fn adjust_listener(&mut self) {
        let refuses = lock(&self.host).refuses();
        if refuses {
            self.listener = None;
        } else if self.listener.is_none() {
            // Without a descriptor to spare it is tried again when something happened.
            let _ = self.listen();
        } else if self.accept_again {
            self.accept();
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        let mut listener = TcpListener::bind(self.address)?;
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        self.listener = Some(listener);
        Ok(())
    }

    fn accept(&mut self) {
        self.accept_again = false;
        loop {
            if lock(&self.host).refuses() {
                self.listener = None;
            }
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.accept_again = error.kind() != io::ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: mio::net::TcpStream) {
        let (index, session) = lock(&self.host).accept(self.now());
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        match Connection::new(index, slot, session, stream, self.poll.registry()) {
            Ok(connection) => {
                self.connections[slot] = Some(connection);
                self.visit(slot, Visit::Admitted);
            }
            Err(_) => {
                lock(&self.host).closed(index);
                self.free.push(slot);
            }
        }
    }

    fn visit(&mut self, slot: usize, visit: Visit) {
        let now = self.now();
        let Some(mut connection) = self.connections.get_mut(slot).and_then(Option::take) else { return };
        let held = self.held.load(Ordering::SeqCst);
        let mut context =
            Context { registry: self.poll.registry(), host: &self.host, held, buffer: &mut self.buffer, now };
        match visit {
            Visit::Ready(socket) => connection.ready(socket, &mut context),
            Visit::Timeout => connection.timeout(now),
            Visit::Close(ending) => connection.close(ending, now),
            Visit::Continue => connection.queued = false,
            Visit::Admitted => {}
        }
        let progress = connection.pump(&mut context);
        if let Some(at) = connection.armed.take() {
            self.timers.remove(&(at, slot));
        }
        match progress {
            Progress::Gone => {
                lock(&self.host).closed(connection.index());
                self.free.push(slot);
                return;
            }
            Progress::Unfinished if !connection.queued => {
                connection.queued = true;
                self.unfinished.push(slot);
            }
            Progress::Unfinished => {}
            Progress::Waiting => {}
        }
        // A transfer that is held back would have its turn at once, over and over.
        let soonest = if held { now + PAUSE } else { Duration::ZERO };
        connection.armed = connection.deadline().map(|at| at.max(soonest));
        if let Some(at) = connection.armed {
            self.timers.insert((at, slot));
        }
        self.connections[slot] = Some(connection);
    }
}

/// Why a connection is visited.
#[derive(Clone, Copy)]
enum Visit {
    Ready(Socket),
    Timeout,
    Close(Ending),
    Continue,
    Admitted,
}

/// Binds a socket to the address, with a free port in place of 0, so that nobody else gets the port.
fn hold_port(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    bind(&fd, &address)?;
    let bound = SocketAddr::try_from(getsockname(&fd)?)?;
    Ok((fd, bound))
}
