//! A model server at the other end of simulated pipes.

use super::pipes::{PORTION, Pipes};
use super::tcp::HEADERS;
use super::transport::Path;
use crate::model::{Host, ServerSession};
use ftp_proto::SessionId;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// What happened at an address before a session came of it, or beside all sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Control connections asked for.
    pub dialled: u32,
    /// Those that were refused.
    pub refused: u32,
    /// Files were put in the place of others.
    pub replaced: bool,
}

/// A server with the path to it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) host: Host,
    pub(super) path: Path,
    pub(super) pipes: Pipes,
    /// What a client has tried here.
    pub(super) seen: Seen,
    /// When the path is free for the next payload.
    free_at: Duration,
    /// Sessions that have payload for the path, in the order of their turns.
    pub(super) queue: VecDeque<SessionId>,
    /// Whether the next turn is planned.
    turn_planned: bool,
    /// Connections under way that will be accepted.
    pub(super) dialling: usize,
    /// The ports that are listened on, and for which session.
    pub(super) ports: BTreeMap<u16, usize>,
    next_port: u16,
}

impl Server {
    pub(super) fn new(address: SocketAddr, host: Host, path: Path) -> Self {
        Self {
            address,
            host,
            path,
            pipes: Pipes::default(),
            seen: Seen::default(),
            free_at: Duration::ZERO,
            queue: VecDeque::new(),
            turn_planned: false,
            dialling: 0,
            ports: BTreeMap::new(),
            next_port: 10_000,
        }
    }

    pub(super) fn listen(&mut self, session: usize) -> SocketAddr {
        self.next_port = self.next_port.checked_add(1).unwrap_or(10_000);
        self.ports.retain(|_, owner| *owner != session);
        self.ports.insert(self.next_port, session);
        SocketAddr::new(self.address.ip(), self.next_port)
    }

    /// When `len` bytes that are sent at `now` arrive.
    pub(super) fn arrival(&mut self, len: usize, now: Duration) -> Duration {
        self.free_at = self.free_at.max(now) + self.takes(len);
        self.free_at + self.path.latency
    }

    /// How long the path is busy with so many bytes.
    fn takes(&self, len: usize) -> Duration {
        self.path
            .bytes_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_nanos(len as u64 * 1_000_000_000 / rate.max(1)))
    }

    /// When a reply that is sent at `now` arrives: where payload queues, it waits behind that.
    pub(super) fn reply_arrival(&mut self, now: Duration) -> Duration {
        if self.pipes.congestion.is_some() { self.arrival(0, now) } else { now + self.path.latency }
    }

    /// When a packet with so many bytes of payload arrives, if it is not lost.
    pub(super) fn packet_arrival(&mut self, payload: usize, now: Duration) -> Option<Duration> {
        let len = payload + HEADERS;
        let waits = self.free_at.saturating_sub(now) + self.takes(len);
        let round_trip = self.path.latency * 2;
        let congestion = self.pipes.congestion.as_mut()?;
        if congestion.loses() || waits > congestion.queue(round_trip) {
            return None;
        }
        Some(self.arrival(len, now))
    }

    /// When the next session in the queue is to send, if that has not been planned yet. So much is under way on the
    /// path as fills it and, on average, a buffer of one bandwidth-delay product that is filled and drained in turn.
    pub(super) fn plan_turn(&mut self, now: Duration) -> Option<Duration> {
        if self.queue.is_empty() || std::mem::replace(&mut self.turn_planned, true) {
            return None;
        }
        Some(self.free_at.saturating_sub(self.path.latency.max(LEAST_BUFFER)).max(now))
    }

    /// The session whose turn has come.
    pub(super) fn take_turn(&mut self) -> Option<SessionId> {
        self.turn_planned = false;
        self.queue.pop_front()
    }

    /// Bytes that are sent as one portion: few enough that the others' turns come soon.
    pub(super) fn portion(&self) -> usize {
        let bytes = self.path.bytes_per_second.map_or(u64::MAX, |rate| rate / TURNS_PER_SECOND);
        usize::try_from(bytes).unwrap_or(usize::MAX).clamp(LEAST_PORTION, PORTION)
    }
}

/// A session at the server's end.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) server: usize,
    pub(super) index: usize,
    pub(super) session: ServerSession,
    pub(super) data: Option<ServedData>,
    /// Replies that wait to be sent together.
    pub(super) held: Vec<u8>,
}

impl Served {
    /// When the session wants to be called next. With its window full it waits for the client: the session's own
    /// deadline says then that it could send.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let full = self.data.as_ref().is_some_and(|data| data.in_flight >= data.window);
        if full { None } else { self.session.poll_timeout() }
    }

    /// Bytes of payload that it has and that the client would take.
    pub(super) fn room(&mut self, now: Duration) -> usize {
        let Some(data) = self.data.as_ref().filter(|data| !data.finished) else { return 0 };
        self.session.data_window(now).min(data.window.saturating_sub(data.in_flight))
    }
}

/// The server's end of a data connection.
#[derive(Debug)]
pub(super) struct ServedData {
    pub(super) serial: u64,
    /// Bytes that may be in flight.
    pub(super) window: usize,
    /// Bytes sent and not yet known to be read.
    pub(super) in_flight: usize,
    /// Whether the server has ended its sending side.
    pub(super) finished: bool,
}

/// Bytes sent as one portion at least, if there are so many.
const LEAST_PORTION: usize = 1024;

/// Turns of sessions on a path that is not so slow or so fast that a portion would become too small or too large.
const TURNS_PER_SECOND: u64 = 1000;

/// What a path buffers at least.
const LEAST_BUFFER: Duration = Duration::from_millis(10);
