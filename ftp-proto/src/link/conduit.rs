//! A link with its sockets, whatever they are: what every driver of non-blocking sockets does alike.

use super::{Interest, Link, LinkOutput};
use crate::error::Cause;
use crate::event::{Action, Change, Channel, End, Event};
use crate::sink::Sink;
use crate::time::Instant;
use crate::transport::{Report, SessionId};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// A TCP socket that never waits.
pub trait Socket {
    /// Concludes a connect once the socket has become writable. False if it is still under way.
    ///
    /// # Errors
    /// Why there is no connection.
    fn finish_connect(&mut self) -> Result<bool, Cause>;

    /// Reads into `buffer`, which is not empty.
    fn read(&mut self, buffer: &mut [u8]) -> Read;

    /// Writes what the socket takes of `bytes`, and says how many bytes that are: 0 if it takes none now.
    ///
    /// # Errors
    /// How the connection has ended.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, End>;
}

/// After how much silence a control connection is to be probed, and how often: more often than the few
/// minutes after which address translators forget a connection that a long transfer leaves idle.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes read at once from a control connection: replies are short, and one that floods is to cost the others
/// little.
const REPLIES: usize = 16 * 1024;

/// What a read came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// The peer has ended the connection.
    Ended(End),
    /// There is nothing now.
    NotNow,
}

/// What a [`Conduit`] wants of the driver that holds it.
pub trait Driver<E> {
    /// The driver's sockets.
    type Socket: Socket;

    /// Starts to connect a channel.
    ///
    /// # Errors
    /// Why that failed at once.
    fn dial(&mut self, channel: Channel, peer: SocketAddr) -> Result<Self::Socket, Cause>;

    /// A socket is not needed any more; dropping it closes the connection.
    fn discard(&mut self, channel: Channel, socket: Self::Socket);

    /// Takes what the session tells.
    fn report(&mut self, report: Report<E>);
}

/// A [`Link`] and its sockets.
///
/// The driver waits for what [`interest`](Self::interest) says, calls [`turn`](Self::turn) when it comes about, and
/// [`settle`](Self::settle) after every call that may have changed something.
pub struct Conduit<S: Sink + ?Sized, K> {
    id: SessionId,
    link: Link<S>,
    control: Option<Side<K>>,
    data: Option<Side<K>>,
}

struct Side<K> {
    socket: K,
    connected: bool,
}

/// What a [`turn`](Conduit::turn) left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Nothing: the socket has to become ready again.
    Drained,
    /// The last read did not fill the buffer: where the system tells of every change of a socket, there is
    /// nothing more to read, unless the peer has ended the connection.
    Short,
    /// There may be more to read.
    More,
}

impl<S: Sink + ?Sized, K: Socket> Conduit<S, K> {
    /// A conduit of the session `id`, not connected yet: see [`dial`](Self::dial).
    #[must_use]
    pub const fn new(id: SessionId, link: Link<S>) -> Self {
        Self { id, link, control: None, data: None }
    }

    /// The link, for requests and deadlines.
    pub const fn link(&mut self) -> &mut Link<S> {
        &mut self.link
    }

    /// Starts to connect a channel: the control connection, by whoever has the conduit, and once.
    pub fn dial(
        &mut self,
        channel: Channel,
        peer: SocketAddr,
        driver: &mut impl Driver<S::Error, Socket = K>,
        now: Instant,
    ) {
        match driver.dial(channel, peer) {
            Ok(socket) => *self.side(channel) = Some(Side { socket, connected: false }),
            Err(cause) => self.link.change(channel, Change::Failed(cause), now),
        }
    }

    /// Does what the session wants done, until it wants nothing more. False when it has ended.
    pub fn settle(&mut self, driver: &mut impl Driver<S::Error, Socket = K>, now: Instant) -> bool {
        loop {
            while let Some(output) = self.link.poll() {
                let report = match output {
                    LinkOutput::Action(Action::Connect(peer)) => {
                        self.dial(Channel::Data, peer, driver, now);
                        continue;
                    }
                    LinkOutput::Action(Action::Close(channel)) => {
                        self.close(channel, driver, now);
                        continue;
                    }
                    LinkOutput::Event(event) => Report::Event(self.id, event),
                    LinkOutput::Written(range) => Report::Written(self.id, range),
                    LinkOutput::Lead(offset, bytes) => Report::Lead(self.id, offset, bytes),
                    LinkOutput::Content(id, bytes) => Report::Content(self.id, id, bytes),
                    LinkOutput::Sink(error) => Report::Sink(self.id, error),
                };
                let last = matches!(report, Report::Event(_, Event::Closed(_)));
                driver.report(report);
                if last {
                    return false;
                }
            }
            if !self.send(now) {
                return true;
            }
        }
    }

    /// Sends what the control connection takes now. True if something may have come of it.
    fn send(&mut self, now: Instant) -> bool {
        let Some(side) = self.control.as_mut().filter(|side| side.connected) else { return false };
        let bytes = self.link.write_buf(Channel::Control);
        if bytes.is_empty() {
            return false;
        }
        match side.socket.write(bytes) {
            Ok(0) => false,
            Ok(len) => {
                self.link.wrote(Channel::Control, len, now);
                true
            }
            Err(end) => {
                self.link.change(Channel::Control, Change::Ended(end), now);
                true
            }
        }
    }

    fn close(&mut self, channel: Channel, driver: &mut impl Driver<S::Error, Socket = K>, now: Instant) {
        if channel == Channel::Control {
            self.send(now);
        }
        if let Some(side) = self.side(channel).take() {
            driver.discard(channel, side.socket);
        }
    }

    /// What to wait for on a channel; `None` if it has no socket.
    #[must_use]
    pub fn interest(&self, channel: Channel) -> Option<Interest> {
        let side = match channel {
            Channel::Control => self.control.as_ref()?,
            Channel::Data => self.data.as_ref()?,
        };
        Some(if side.connected { self.link.wants(channel) } else { Interest { read: false, write: true } })
    }

    /// Takes what a channel that is ready has: its connection, or up to `reads` times as many bytes as fit `buffer`.
    ///
    /// Of several channels that are ready the control connection goes first: a reply may say what the data
    /// connection's bytes are.
    pub fn turn(&mut self, channel: Channel, buffer: &mut [u8], reads: usize, now: Instant) -> Turn {
        let Some(side) = self.side(channel) else { return Turn::Drained };
        if !side.connected {
            match side.socket.finish_connect() {
                Ok(false) => return Turn::Drained,
                Ok(true) => {
                    side.connected = true;
                    self.link.change(channel, Change::Connected, now);
                }
                Err(cause) => {
                    self.link.change(channel, Change::Failed(cause), now);
                    return Turn::Drained;
                }
            }
        }
        let most = if channel == Channel::Control { REPLIES } else { usize::MAX };
        let (buffer, _) = buffer.split_at_mut(buffer.len().min(most));
        for _ in 0..reads {
            let wanted = self.link.wants(channel).read;
            let Some(side) = self.side(channel).as_mut().filter(|_| wanted) else { return Turn::More };
            match side.socket.read(buffer) {
                Read::Bytes(len) => {
                    self.link.read(channel, buffer.get(..len).unwrap_or_default(), now);
                    // Most likely that was all: a driver that waits for readiness need not try again.
                    if len < buffer.len() {
                        return Turn::Short;
                    }
                }
                Read::Ended(end) => {
                    self.link.change(channel, Change::Ended(end), now);
                    return Turn::Drained;
                }
                Read::NotNow => return Turn::Drained,
            }
        }
        Turn::More
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
