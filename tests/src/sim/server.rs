//! The server's end of simulated connections.

use super::pipes::{PORTION, Pipes};
use super::tcp::HEADERS;
use super::transport::Path;
use crate::model::{Host, ServerSession};
use ftp_proto::SessionId;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Counts of an address, beside its sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Control connections that were dialled.
    pub dialled: u32,
    /// Control connections that were refused.
    pub refused: u32,
    /// Whether its files were replaced.
    pub replaced: bool,
}

/// A server with the path to it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) host: Host,
    pub(super) path: Path,
    pub(super) pipes: Pipes,
    /// Counts of this address.
    pub(super) seen: Seen,
    /// When the path is free for the next payload.
    free_at: Duration,
    /// Sessions that have payload to send, in the order of their turns.
    pub(super) queue: VecDeque<SessionId>,
    /// Whether the next turn is planned.
    turn_planned: bool,
    /// Connections that are dialled and will be accepted.
    pub(super) dialling: usize,
    /// The ports that listen, and their sessions.
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

    /// Returns when `len` bytes arrive that are sent at `now`.
    pub(super) fn arrival(&mut self, len: usize, now: Duration) -> Duration {
        self.free_at = self.free_at.max(now) + self.takes(len);
        self.free_at + self.path.latency
    }

    /// Returns how long the path is busy with so many bytes.
    fn takes(&self, len: usize) -> Duration {
        self.path
            .bytes_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_nanos(len as u64 * 1_000_000_000 / rate.max(1)))
    }

    /// Returns when a reply arrives that is sent at `now`: it waits behind the payload in the queue.
    pub(super) fn reply_arrival(&mut self, now: Duration) -> Duration {
        if self.pipes.congestion.is_some() { self.arrival(0, now) } else { now + self.path.latency }
    }

    /// Returns when a packet with so many payload bytes arrives, if it is not lost.
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

    /// Returns when the next session in the queue sends, if that is not planned yet. Enough is in flight to
    /// fill the path and, on average, a buffer of one bandwidth-delay product that fills and drains in turn.
    pub(super) fn plan_turn(&mut self, now: Duration) -> Option<Duration> {
        if self.queue.is_empty() || std::mem::replace(&mut self.turn_planned, true) {
            return None;
        }
        Some(self.free_at.saturating_sub(self.path.latency.max(LEAST_BUFFER)).max(now))
    }

    /// Returns the session whose turn has come.
    pub(super) fn take_turn(&mut self) -> Option<SessionId> {
        self.turn_planned = false;
        self.queue.pop_front()
    }

    /// Returns the length of a portion, in bytes: short enough that the turns of other sessions come soon.
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
    /// Returns the session's next deadline. A session whose window is full waits for the client, although its
    /// own deadline says that it could send.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let full = self.data.as_ref().is_some_and(|data| data.in_flight >= data.window);
        if full { None } else { self.session.poll_timeout() }
    }

    /// Frees the window of a data connection for so many bytes.
    pub(super) fn was_read(&mut self, serial: u64, len: usize) {
        if let Some(data) = self.data.as_mut().filter(|data| data.serial == serial) {
            data.in_flight = data.in_flight.saturating_sub(len);
        }
    }

    /// Returns how many payload bytes the session has and the client would take.
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
    /// Bytes that were sent and are not known to be read.
    pub(super) in_flight: usize,
    /// Whether the server has closed its sending side.
    pub(super) finished: bool,
}

/// The least length of a portion, in bytes, if the session has so many.
const LEAST_PORTION: usize = 1024;

/// Turns per second on a path where portions are neither too short nor too long.
const TURNS_PER_SECOND: u64 = 1000;

/// The least buffer of a path.
const LEAST_BUFFER: Duration = Duration::from_millis(10);
