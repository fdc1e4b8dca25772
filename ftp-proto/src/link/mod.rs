//! A session with what lies between its sockets and its sink.
//!
//! Everything two transports would both have to know is here; a transport is left with sockets, readiness
//! and a clock. Bytes pass through as they are read; TLS, where it is used, sits between
//! [`Link::read`] and the session, and between the session and [`Link::write_buf`].

mod conduit;

pub use conduit::{Conduit, Driver, KEEPALIVE, Read, Socket, Turn};

use crate::config::Config;
use crate::error::Misuse;
use crate::event::{Action, Change, Channel, Event, Output, Request, RequestId, Until};
use crate::session::Session;
use crate::sink::Sink;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::mem;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

/// What a driver waits for on a channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Interest {
    /// Bytes, or the end, from the peer.
    pub read: bool,
    /// Room to send.
    pub write: bool,
}

/// What comes out of a [`Link`], in order.
#[derive(Debug, Eq, PartialEq)]
pub enum LinkOutput<E> {
    /// The driver has to do something.
    Action(Action),
    /// An event of the session.
    Event(Event),
    /// The sink has taken these bytes of the file. Comes before every event that they precede.
    Written(Range<u64>),
    /// The bytes of the file from this offset on, as this server has them: the lead of a transfer, complete. See
    /// [`Config::lead`].
    Lead(u64, Bytes),
    /// The next bytes of the file that a [`Request::Content`] is for. All come before the event that it has finished.
    Content(RequestId, Bytes),
    /// The sink failed; the session ends.
    Sink(E),
}

/// How long written bytes may go unreported.
const REPORT_WITHIN: Duration = Duration::from_millis(50);

/// A [`Session`] and its [`Sink`], driven with slices: no socket, no trait of any I/O library.
///
/// The driver owns the buffers it reads into, so that one serves all the links of a thread.
pub struct Link<S: Sink + ?Sized> {
    session: Session,
    sink: Arc<S>,
    /// The part of a lead that has come.
    lead: Vec<u8>,
    /// Written and not yet reported, and since when.
    unreported: Option<(Range<u64>, Instant)>,
    outputs: VecDeque<LinkOutput<S::Error>>,
}

impl<S: Sink + ?Sized> Link<S> {
    /// A link whose control connection the driver is opening to `peer`.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: SocketAddr, sink: Arc<S>, now: Instant) -> Self {
        Self {
            lead: Vec::new(),
            session: Session::new(config, peer, now),
            sink,
            unreported: None,
            outputs: VecDeque::new(),
        }
    }

    /// See [`Session::request`].
    ///
    /// # Errors
    /// Those of [`Session::request`].
    pub fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse> {
        self.session.request(id, request, now)
    }

    /// See [`Session::shrink`].
    pub fn shrink(&mut self, id: RequestId, until: Until, now: Instant) {
        self.session.shrink(id, until, now);
    }

    /// See [`Session::quit`].
    pub fn quit(&mut self, now: Instant) {
        self.session.quit(now);
    }

    /// Takes a change of a connection.
    pub fn change(&mut self, channel: Channel, change: Change, now: Instant) {
        self.session.handle_channel(channel, change, now);
    }

    /// Takes `bytes` read from a channel. Payload that is wanted goes to the sink before this returns.
    pub fn read(&mut self, channel: Channel, bytes: &[u8], now: Instant) {
        match channel {
            Channel::Control => self.session.handle_control(bytes, now),
            Channel::Data => self.read_data(bytes, now),
        }
    }

    fn read_data(&mut self, bytes: &[u8], now: Instant) {
        let Some(window) = self.session.window() else {
            return self.session.received(bytes.len() as u64, now);
        };
        if let Some(id) = self.session.content() {
            return self.hand_over(id, window, bytes, now);
        }
        let lead = self.session.lead_end().saturating_sub(window.start);
        if lead == 0 {
            return self.write_data(window, bytes, now);
        }
        let lead_end = self.session.lead_end();
        let len = usize::try_from(lead).unwrap_or(usize::MAX).min(bytes.len());
        let (lead, rest) = bytes.split_at(len);
        self.lead.extend_from_slice(lead);
        let end = window.start.saturating_add(len as u64);
        // Before the session hears of them: the transfer may end with them.
        if end == lead_end && window.end >= lead_end {
            let lead = mem::take(&mut self.lead);
            self.collect();
            self.flush_written();
            self.outputs.push_back(LinkOutput::Lead(end.saturating_sub(lead.len() as u64), lead.into()));
        }
        self.session.received(len as u64, now);
        if !rest.is_empty() {
            self.read_data(rest, now);
        }
    }

    /// Gives what is wanted of `bytes` to the caller.
    fn hand_over(&mut self, id: RequestId, window: Range<u64>, bytes: &[u8], now: Instant) {
        let wanted = within(&window, bytes);
        if !wanted.is_empty() {
            // Before the session hears of them: the transfer may end with them.
            self.collect();
            self.outputs.push_back(LinkOutput::Content(id, Bytes::copy_from_slice(wanted)));
        }
        self.session.received(bytes.len() as u64, now);
    }

    /// Writes what is wanted of `bytes` where they belong.
    fn write_data(&mut self, window: Range<u64>, bytes: &[u8], now: Instant) {
        let wanted = within(&window, bytes);
        if !wanted.is_empty()
            && let Err(error) = self.sink.write_at(window.start, wanted)
        {
            self.collect();
            self.flush_written();
            self.outputs.push_back(LinkOutput::Sink(error));
            self.session.quit(now);
            return;
        }
        self.moved(window.start, wanted.len(), bytes.len(), now);
    }

    /// Notes that of `read` bytes from the data connection the first `written` are in the sink at `offset`.
    fn moved(&mut self, offset: u64, written: usize, read: usize, now: Instant) {
        let end = offset.saturating_add(written as u64);
        match &mut self.unreported {
            _ if written == 0 => {}
            Some((range, _)) if range.end == offset => range.end = end,
            _ => {
                self.flush_written();
                self.unreported = Some((offset..end, now));
            }
        }
        self.session.received(read as u64, now);
    }

    /// What is to be sent on a channel; empty if nothing.
    #[must_use]
    pub fn write_buf(&self, channel: Channel) -> &[u8] {
        match channel {
            Channel::Control => self.session.transmit(),
            Channel::Data => &[],
        }
    }

    /// The first `len` bytes of [`write_buf`](Self::write_buf) have been sent.
    pub fn wrote(&mut self, channel: Channel, len: usize, now: Instant) {
        if channel == Channel::Control {
            self.session.transmitted(len, now);
        }
    }

    /// What to wait for on a channel that is connected. A data connection whose bytes cannot be placed yet is left
    /// unread.
    #[must_use]
    pub fn wants(&self, channel: Channel) -> Interest {
        match channel {
            Channel::Control => {
                Interest { read: self.session.listens(), write: !self.session.transmit().is_empty() }
            }
            Channel::Data => {
                let read = self.session.window().is_some() || self.session.is_prepared();
                Interest { read, write: false }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let report = self.unreported.as_ref().map(|(_, since)| *since + REPORT_WITHIN);
        let session = self.session.poll_timeout().map(|(due, _)| due);
        [report, session].into_iter().flatten().min()
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.unreported.as_ref().is_some_and(|(_, since)| *since + REPORT_WITHIN <= now) {
            self.flush_written();
        }
        self.session.handle_timeout(now);
    }

    /// The next output, in order.
    pub fn poll(&mut self) -> Option<LinkOutput<S::Error>> {
        self.collect();
        self.outputs.pop_front()
    }

    /// The session, to look at.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Action(action) => self.outputs.push_back(LinkOutput::Action(action)),
                Output::Event(event) => {
                    if matches!(event, Event::Finished(..)) {
                        // Of a transfer that ended within its lead.
                        self.lead = Vec::new();
                    }
                    self.flush_written();
                    self.outputs.push_back(LinkOutput::Event(event));
                }
            }
        }
    }

    fn flush_written(&mut self) {
        if let Some((range, _)) = self.unreported.take() {
            self.outputs.push_back(LinkOutput::Written(range));
        }
    }
}

/// The first of `bytes`, as many as fit the window.
fn within<'a>(window: &Range<u64>, bytes: &'a [u8]) -> &'a [u8] {
    let room = usize::try_from(window.end.saturating_sub(window.start)).unwrap_or(usize::MAX);
    bytes.get(..room).unwrap_or(bytes)
}

impl<S: Sink + ?Sized> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
