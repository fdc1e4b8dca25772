//! The client's end of a simulated session.

use super::MemorySink;
use ftp_proto::{Change, Channel, End, Instant, Link};
use std::collections::VecDeque;

/// A link with its ends of the two connections.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link<MemorySink>,
    pub(super) server: usize,
    /// Whether the control connection is up.
    pub(super) connected: bool,
    pub(super) data: Option<ClientData>,
    /// The serial number of the last data connection that came up.
    pub(super) last_up: u64,
}

/// The client's end of a data connection.
#[derive(Debug)]
pub(super) struct ClientData {
    /// The serial number among the session's data connections.
    pub(super) serial: u64,
    pub(super) connected: bool,
    /// Bytes that arrived and were not read yet.
    unread: VecDeque<Vec<u8>>,
    ended: Option<End>,
}

impl ClientData {
    pub(super) const fn dialling(serial: u64) -> Self {
        Self { serial, connected: false, unread: VecDeque::new(), ended: None }
    }
}

impl Client {
    /// Returns the data connection `serial`, if it is still the current one.
    pub(super) fn data(&mut self, serial: u64) -> Option<&mut ClientData> {
        self.data.as_mut().filter(|data| data.serial == serial)
    }

    pub(super) fn arrived(&mut self, serial: u64, bytes: Vec<u8>) {
        if let Some(data) = self.data(serial) {
            data.unread.push_back(bytes);
        }
    }

    pub(super) fn ended(&mut self, serial: u64, end: End) {
        if let Some(data) = self.data(serial) {
            data.ended = Some(end);
        }
    }

    /// Reads one portion if the link wants to read. Returns its length in bytes; the end of the connection
    /// counts as an empty portion after the last.
    pub(super) fn read(&mut self, now: Instant) -> Option<usize> {
        let data = self.data.as_mut().filter(|data| data.connected)?;
        if !self.link.interest(Channel::Data).read {
            return None;
        }
        if let Some(bytes) = data.unread.pop_front() {
            self.link.handle_bytes(Channel::Data, &bytes, now);
            return Some(bytes.len());
        }
        let end = data.ended?;
        self.data = None;
        self.link.handle_channel(Channel::Data, Change::Ended(end), now);
        Some(0)
    }
}
