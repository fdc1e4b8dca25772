//! A link with its sockets: what every driver of non-blocking sockets does alike.
//!
//! A driver implements [`Socket`] and [`Driver`], waits for what [`Conduit::interest`] says, calls
//! [`Conduit::handle_ready`] and [`Conduit::handle_timeout`], and takes reports with [`Conduit::poll_output`] after every
//! call. The crates `ftp-transport-std` and `ftp-transport-mio` are such drivers.

use crate::channel::{Cause, Change, Channel, End};
use crate::config::Config;
use crate::error::Misuse;
use crate::event::Action;
use crate::link::{Interest, Link, LinkOutput};
use crate::request::{Request, RequestId, Retrieve, Until};
use crate::route::Route;
use crate::sink::Sink;
use crate::time::Instant;
use crate::transport::{Report, SessionId};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// A TCP socket that never waits.
pub trait Socket {
    /// Concludes a connect once the socket has become writable. False if it is still under way.
    ///
    /// # Errors
    /// The cause if the connection could not be made.
    fn finish_connect(&mut self) -> Result<bool, Cause>;

    /// Reads into `buffer`, which is not empty.
    fn read(&mut self, buffer: &mut [u8]) -> Read;

    /// Writes as many of `bytes` as the socket takes now, and returns their number, which may be 0.
    ///
    /// # Errors
    /// The end of the connection.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, End>;
}

/// Idle time after which a control connection is to be probed, and between probes. Address translators forget a
/// connection that is idle for a few minutes, as a control connection is during a long transfer.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes read at once from a control connection. Replies are short, and a server that floods must not hold up other
/// sessions.
const REPLIES: usize = 16 * 1024;

/// The result of a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read {
    /// Bytes were read: this many, at least one.
    Bytes(usize),
    /// The peer has ended the connection.
    Ended(End),
    /// No byte has come yet.
    NotNow,
}

/// The calls that a [`Conduit`] makes to the driver that holds it.
pub trait Driver {
    /// The driver's sockets.
    type Socket: Socket;

    /// Starts to connect a channel.
    ///
    /// # Errors
    /// The cause if that failed at once.
    fn connect(&mut self, channel: Channel, address: SocketAddr) -> Result<Self::Socket, Cause>;

    /// Takes back a socket that is not needed any more; dropping it closes the connection.
    fn discard(&mut self, channel: Channel, socket: Self::Socket);
}

/// A [`Link`] and its sockets.
pub struct Conduit<S: Sink + ?Sized, K> {
    id: SessionId,
    link: Link<S>,
    control: Option<Side<K>>,
    data: Option<Side<K>>,
    misuses: VecDeque<(RequestId, Misuse)>,
}

struct Side<K> {
    socket: K,
    connected: bool,
}

/// The state in which [`handle_ready`](Conduit::handle_ready) left a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Nothing: the socket has to become ready again.
    Drained,
    /// The last read did not fill the buffer. If the system reports every change of a socket, there is nothing more to read,
    /// unless the peer has ended the connection.
    Short,
    /// More may be there to read.
    More,
}

impl<S: Sink + ?Sized, K: Socket> Conduit<S, K> {
    /// The conduit of the session `id`; [`connect`](Self::connect) comes next.
    #[must_use]
    pub fn new(id: SessionId, route: Route, config: Arc<Config>, now: Instant) -> Self {
        Self::with_link(id, Link::new(config, route, now))
    }

    const fn with_link(id: SessionId, link: Link<S>) -> Self {
        Self { id, link, control: None, data: None, misuses: VecDeque::new() }
    }

    /// Starts to connect the control connection.
    pub fn connect(&mut self, driver: &mut impl Driver<Socket = K>, now: Instant) {
        self.connect_channel(Channel::Control, self.link.route().address, driver, now);
    }

    fn connect_channel(
        &mut self,
        channel: Channel,
        address: SocketAddr,
        driver: &mut impl Driver<Socket = K>,
        now: Instant,
    ) {
        match driver.connect(channel, address) {
            Ok(socket) => *self.side(channel) = Some(Side { socket, connected: false }),
            Err(cause) => self.link.handle_channel(channel, Change::Failed(cause), now),
        }
    }

    /// Queues work; see [`Transport::request`](crate::Transport::request). A [`Misuse`] becomes a report.
    pub fn request(&mut self, id: RequestId, request: Request, now: Instant) {
        let result = self.link.request(id, request, now);
        self.note_misuse(id, result);
    }

    /// Queues a part of a file; see [`Transport::retrieve`](crate::Transport::retrieve). A [`Misuse`] becomes a report.
    pub fn retrieve(&mut self, id: RequestId, part: Retrieve, sink: Arc<S>, now: Instant) {
        let result = self.link.retrieve(id, part, sink, now);
        self.note_misuse(id, result);
    }

    /// A session that has ended reports its end, which the caller may not have seen yet: [`Misuse::Closed`] is no fault.
    fn note_misuse(&mut self, id: RequestId, result: Result<(), Misuse>) {
        if let Err(misuse) = result
            && misuse != Misuse::Closed
        {
            self.misuses.push_back((id, misuse));
        }
    }

    /// Moves the end of a transfer; see [`Session::set_end`](crate::Session::set_end).
    pub fn set_end(&mut self, id: RequestId, until: Until, now: Instant) {
        self.link.set_end(id, until, now);
    }

    /// Ends the session; see [`Session::quit`](crate::Session::quit).
    pub fn quit(&mut self, now: Instant) {
        self.link.quit(now);
    }

    /// Does what the session wants done with its connections, and returns the next report, in order. `None` if there is
    /// nothing to report now; after [`Event::Closed`](crate::Event::Closed) nothing ever is.
    pub fn poll_output(
        &mut self,
        driver: &mut impl Driver<Socket = K>,
        now: Instant,
    ) -> Option<Report<S::Error>> {
        loop {
            if let Some((request, misuse)) = self.misuses.pop_front() {
                return Some(Report::Misuse(self.id, request, misuse));
            }
            match self.link.poll_output() {
                Some(LinkOutput::Action(Action::Connect(address))) => {
                    self.connect_channel(Channel::Data, address, driver, now);
                }
                Some(LinkOutput::Action(Action::Close(channel))) => self.close(channel, driver, now),
                Some(LinkOutput::Event(event)) => return Some(Report::Event(self.id, event)),
                Some(LinkOutput::Written(request, range)) => {
                    return Some(Report::Written(self.id, request, range));
                }
                Some(LinkOutput::Overlap(request, offset, bytes)) => {
                    return Some(Report::Overlap(self.id, request, offset, bytes));
                }
                Some(LinkOutput::Content(request, bytes)) => {
                    return Some(Report::Content(self.id, request, bytes));
                }
                Some(LinkOutput::SinkFailed(request, error)) => {
                    return Some(Report::SinkFailed(self.id, request, error));
                }
                None if self.send(Channel::Control, now) || self.send(Channel::Data, now) => {}
                None => return None,
            }
        }
    }

    /// Sends what a channel takes now. True if there may be new outputs for it.
    fn send(&mut self, channel: Channel, now: Instant) -> bool {
        let bytes = self.link.poll_transmit(channel);
        let side = match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        };
        let Some(side) = side.as_mut().filter(|side| side.connected && !bytes.is_empty()) else {
            return false;
        };
        match side.socket.write(bytes) {
            Ok(0) => false,
            Ok(len) => {
                self.link.handle_transmitted(channel, len, now);
                true
            }
            Err(end) => {
                self.link.handle_channel(channel, Change::Ended(end), now);
                true
            }
        }
    }

    /// Closes a channel. The last bytes, as QUIT, are sent as far as the socket takes them now.
    fn close(&mut self, channel: Channel, driver: &mut impl Driver<Socket = K>, now: Instant) {
        let Some(mut side) = self.side(channel).take() else { return };
        let bytes = self.link.poll_transmit(channel);
        if side.connected
            && !bytes.is_empty()
            // The session has given up this connection: an error concerns it no more.
            && let Ok(len) = side.socket.write(bytes)
        {
            self.link.handle_transmitted(channel, len, now);
        }
        driver.discard(channel, side.socket);
    }

    /// The readiness to wait for on a channel; `None` if it has no socket.
    #[must_use]
    pub fn interest(&self, channel: Channel) -> Option<Interest> {
        let side = match channel {
            Channel::Control => self.control.as_ref()?,
            Channel::Data => self.data.as_ref()?,
        };
        Some(if side.connected { self.link.interest(channel) } else { Interest { read: false, write: true } })
    }

    /// Takes the news that a channel is ready: its connection, or up to `reads` times as many bytes as fit `buffer`.
    ///
    /// If both channels are ready, the control connection goes first: a reply may decide what the bytes of the data
    /// connection are.
    pub fn handle_ready(&mut self, channel: Channel, buffer: &mut [u8], reads: usize, now: Instant) -> Turn {
        let Some(side) = self.side(channel) else { return Turn::Drained };
        if !side.connected {
            match side.socket.finish_connect() {
                Ok(false) => return Turn::Drained,
                Ok(true) => {
                    side.connected = true;
                    self.link.handle_channel(channel, Change::Connected, now);
                }
                Err(cause) => {
                    self.link.handle_channel(channel, Change::Failed(cause), now);
                    return Turn::Drained;
                }
            }
        }
        let most = if channel == Channel::Control { REPLIES } else { usize::MAX };
        let (buffer, _) = buffer.split_at_mut(buffer.len().min(most));
        for _ in 0..reads {
            let wanted = self.link.interest(channel).read;
            let Some(side) = self.side(channel).as_mut().filter(|_| wanted) else { return Turn::More };
            match side.socket.read(buffer) {
                Read::Bytes(len) => {
                    self.link.handle_bytes(channel, buffer.get(..len).unwrap_or_default(), now);
                    // Most likely that was all: a driver that waits for readiness need not try again.
                    if len < buffer.len() {
                        return Turn::Short;
                    }
                }
                Read::Ended(end) => {
                    self.link.handle_channel(channel, Change::Ended(end), now);
                    return Turn::Drained;
                }
                Read::NotNow => return Turn::Drained,
            }
        }
        Turn::More
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
    }

    const fn side(&mut self, channel: Channel) -> &mut Option<Side<K>> {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        }
    }

    /// The socket of a channel, to register or wait for.
    pub fn socket(&self, channel: Channel) -> Option<&K> {
        match channel {
            Channel::Control => self.control.as_ref(),
            Channel::Data => self.data.as_ref(),
        }
        .map(|side| &side.socket)
    }
}

impl<S: Sink + ?Sized, K> fmt::Debug for Conduit<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conduit").field("link", &self.link).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
