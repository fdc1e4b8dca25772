//! A session with what lies between its sockets and its sinks.
//!
//! Everything that two transports would both have to know is here; a transport is left with sockets, readiness
//! and a clock.

mod wire;

use crate::channel::{Change, Channel};
use crate::config::Config;
use crate::error::Misuse;
use crate::event::{Action, Event, Output};
use crate::payload::Payload;
use crate::request::{Request, RequestId, Retrieve, Until};
use crate::route::Route;
use crate::session::Session;
use crate::sink::Sink;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::mem;
use core::ops::Range;
use core::time::Duration;
pub(crate) use wire::Layer;
use wire::Wire;

/// The readiness that a driver waits for on a channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Interest {
    /// Bytes from the peer, or its end of the connection.
    pub read: bool,
    /// Room to send.
    pub write: bool,
}

/// An output of a [`Link`]. Outputs come in order. `E` is the error of the sink.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LinkOutput<E> {
    /// Work for the driver.
    Action(Action),
    /// An event of the session.
    Event(Event),
    /// The sink of this transfer has taken these bytes of the file. Comes before every event that they precede.
    Written(RequestId, Range<u64>),
    /// The overlap of this transfer ([`Retrieve::overlap`]), complete: the bytes of the file from this offset on, as this
    /// server has them.
    Overlap(RequestId, u64, Bytes),
    /// The next bytes of this [`Request::Content`]. All of them come before the end of the transfer.
    Content(RequestId, Bytes),
    /// The sink of this transfer failed; the session ends.
    SinkFailed(RequestId, E),
}

/// How long written bytes may go unreported.
const REPORT_WITHIN: Duration = Duration::from_millis(50);

/// A [`Session`] with a [`Sink`] for each of its transfers, driven with slices: no socket, no trait of any I/O library.
///
/// The driver owns the buffers it reads into, so that one buffer serves all the links of a thread.
pub struct Link<S: Sink + ?Sized> {
    session: Session,
    route: Route,
    /// Chooses the layer of each new connection.
    layers: fn(Channel) -> Layer,
    control: Wire,
    data: Wire,
    /// The transfers that wait or run, in order.
    transfers: VecDeque<Transfer<S>>,
    /// The part of an overlap that has come.
    overlap: Vec<u8>,
    unreported: Option<Unreported>,
    outputs: VecDeque<LinkOutput<S::Error>>,
}

/// A [`Request::Retrieve`] and its sink.
struct Transfer<S: Sink + ?Sized> {
    id: RequestId,
    /// Offset at which its overlap ends.
    offset: u64,
    sink: Arc<S>,
}

/// Bytes that a sink has taken and no output has reported.
struct Unreported {
    id: RequestId,
    range: Range<u64>,
    since: Instant,
}

impl<S: Sink + ?Sized> Link<S> {
    /// A link whose control connection the driver is opening to the address of `route`.
    #[must_use]
    pub fn new(config: Arc<Config>, route: Route, now: Instant) -> Self {
        Self::with_layers(config, route, |_| Layer::Plain, now)
    }

    pub(crate) fn with_layers(
        config: Arc<Config>,
        route: Route,
        layers: fn(Channel) -> Layer,
        now: Instant,
    ) -> Self {
        Self {
            session: Session::new(config, route.address, now),
            route,
            layers,
            control: Wire::new(layers(Channel::Control)),
            data: Wire::new(layers(Channel::Data)),
            transfers: VecDeque::new(),
            overlap: Vec::new(),
            unreported: None,
            outputs: VecDeque::new(),
        }
    }

    /// Queues work; see [`Session::request`].
    ///
    /// # Errors
    /// The errors of [`Session::request`], and [`Misuse::NoSink`] for a [`Request::Retrieve`].
    pub fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse> {
        if matches!(request, Request::Retrieve(_)) {
            return Err(Misuse::NoSink);
        }
        self.session.request(id, request, now)
    }

    /// Queues a [`Request::Retrieve`] whose bytes go to `sink`.
    ///
    /// # Errors
    /// The errors of [`Session::request`].
    pub fn retrieve(
        &mut self,
        id: RequestId,
        part: Retrieve,
        sink: Arc<S>,
        now: Instant,
    ) -> Result<(), Misuse> {
        let offset = part.offset;
        self.session.request(id, Request::Retrieve(part), now)?;
        self.transfers.push_back(Transfer { id, offset, sink });
        Ok(())
    }

    /// Moves the end of a transfer; see [`Session::set_end`].
    pub fn set_end(&mut self, id: RequestId, until: Until, now: Instant) {
        self.session.set_end(id, until, now);
    }

    /// Ends the session; see [`Session::quit`].
    pub fn quit(&mut self, now: Instant) {
        self.session.quit(now);
    }

    /// Takes a change of one of the connections.
    pub fn handle_channel(&mut self, channel: Channel, change: Change, now: Instant) {
        if let Some(change) = self.wire_mut(channel).handle_channel(change) {
            self.session.handle_channel(channel, change, now);
        }
        self.release_held(now);
    }

    /// Takes `bytes` read from a channel, in any portions. Wanted payload goes to its sink before this returns.
    pub fn handle_bytes(&mut self, channel: Channel, bytes: &[u8], now: Instant) {
        match channel {
            _ if self.wire(channel).is_busy() => {
                if let Some(change) = self.wire_mut(channel).handle_bytes(bytes) {
                    self.session.handle_channel(channel, change, now);
                }
            }
            Channel::Control => self.session.handle_bytes(bytes, now),
            Channel::Data => self.handle_data(bytes, now),
        }
        self.release_held(now);
    }

    /// Gives the session the bytes that came behind those of a layer, once it takes them.
    fn release_held(&mut self, now: Instant) {
        let held = self.control.take_held();
        if !held.is_empty() {
            self.session.handle_bytes(&held, now);
        }
        if self.session.payload() != Payload::Hold {
            let held = self.data.take_held();
            if !held.is_empty() {
                self.handle_data(&held, now);
            }
        }
    }

    const fn wire(&self, channel: Channel) -> &Wire {
        match channel {
            Channel::Control => &self.control,
            Channel::Data => &self.data,
        }
    }

    const fn wire_mut(&mut self, channel: Channel) -> &mut Wire {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        }
    }

    fn handle_data(&mut self, bytes: &[u8], now: Instant) {
        match self.session.payload() {
            _ if bytes.is_empty() => self.session.handle_payload(0, now),
            Payload::Overlap(id, range) => {
                let (overlap, rest) = bytes.split_at(within(&range, bytes).len());
                self.keep_overlap(id, range.start, overlap);
                self.session.handle_payload(overlap.len() as u64, now);
                if !rest.is_empty() {
                    self.handle_data(rest, now);
                }
            }
            Payload::File(id, range) => {
                let wanted = within(&range, bytes);
                match self.write(id, range.start, wanted) {
                    Ok(()) => {
                        self.note_written(id, range.start, wanted.len() as u64, now);
                        self.session.handle_payload(bytes.len() as u64, now);
                    }
                    Err(error) => {
                        self.collect();
                        self.flush_written();
                        self.outputs.push_back(LinkOutput::SinkFailed(id, error));
                        self.session.quit(now);
                    }
                }
            }
            Payload::Content(id, range) => {
                let wanted = within(&range, bytes);
                // Before the session hears of the bytes: the transfer may end with them.
                self.collect();
                self.outputs.push_back(LinkOutput::Content(id, Bytes::copy_from_slice(wanted)));
                self.session.handle_payload(bytes.len() as u64, now);
            }
            Payload::Hold | Payload::Idle | Payload::Drain => {
                self.session.handle_payload(bytes.len() as u64, now);
            }
        }
    }

    /// Keeps bytes of an overlap, and outputs the overlap once it is complete.
    fn keep_overlap(&mut self, id: RequestId, start: u64, bytes: &[u8]) {
        self.overlap.extend_from_slice(bytes);
        let end = start.saturating_add(bytes.len() as u64);
        let is_complete = self.transfers.iter().any(|transfer| transfer.id == id && transfer.offset == end);
        if is_complete {
            // Before the session hears of the bytes: the transfer may end with them.
            let overlap = mem::take(&mut self.overlap);
            self.collect();
            self.flush_written();
            let first = end.saturating_sub(overlap.len() as u64);
            self.outputs.push_back(LinkOutput::Overlap(id, first, overlap.into()));
        }
    }

    /// Writes bytes of a file to the sink of their transfer.
    fn write(&self, id: RequestId, offset: u64, bytes: &[u8]) -> Result<(), S::Error> {
        match self.transfers.iter().find(|transfer| transfer.id == id) {
            Some(transfer) => transfer.sink.write_at(offset, bytes),
            None => Ok(()),
        }
    }

    /// Notes that a sink has taken `len` bytes at `offset`.
    fn note_written(&mut self, id: RequestId, offset: u64, len: u64, now: Instant) {
        let end = offset.saturating_add(len);
        match &mut self.unreported {
            Some(before) if before.id == id && before.range.end == offset => before.range.end = end,
            _ => {
                self.flush_written();
                self.unreported = Some(Unreported { id, range: offset..end, since: now });
            }
        }
    }

    /// The bytes to send on a channel next; empty if there are none. The bytes stay until
    /// [`handle_transmitted`](Self::handle_transmitted) reports them sent. Before the driver closes a channel
    /// ([`Action::Close`]), it sends them as far as the socket takes them without waiting.
    #[must_use]
    pub fn poll_transmit(&self, channel: Channel) -> &[u8] {
        if self.session_sends(channel) {
            self.session.poll_transmit()
        } else {
            self.wire(channel).poll_transmit()
        }
    }

    /// Takes the first `len` bytes of [`poll_transmit`](Self::poll_transmit) as sent.
    pub fn handle_transmitted(&mut self, channel: Channel, len: usize, now: Instant) {
        if self.session_sends(channel) {
            self.session.handle_transmitted(len, now);
        } else {
            self.wire_mut(channel).handle_transmitted(len);
        }
    }

    /// Whether the next bytes to send on a channel are those of the session, and not of a layer.
    fn session_sends(&self, channel: Channel) -> bool {
        channel == Channel::Control && !self.control.is_busy() && !self.session.poll_transmit().is_empty()
    }

    /// The readiness to wait for on a channel that is connected. A data connection whose bytes cannot be placed yet is left unread.
    #[must_use]
    pub fn interest(&self, channel: Channel) -> Interest {
        let write = !self.poll_transmit(channel).is_empty();
        let read = self.wire(channel).is_busy()
            || match channel {
                Channel::Control => self.session.listens(),
                Channel::Data => self.session.payload() != Payload::Hold,
            };
        Interest { read, write }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let report = self.unreported.as_ref().map(|written| written.since + REPORT_WITHIN);
        let session = self.session.poll_timeout().map(|(due, _)| due);
        [report, session].into_iter().flatten().min()
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.unreported.as_ref().is_some_and(|written| written.since + REPORT_WITHIN <= now) {
            self.flush_written();
        }
        self.session.handle_timeout(now);
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<LinkOutput<S::Error>> {
        self.collect();
        let output = self.outputs.pop_front();
        // Not when it is queued: the driver may have an earlier connection still.
        match output {
            Some(LinkOutput::Action(Action::Connect(_))) => {
                self.data = Wire::new((self.layers)(Channel::Data))
            }
            Some(LinkOutput::Action(Action::Close(channel))) => self.wire_mut(channel).close(),
            _ => {}
        }
        output
    }

    /// The session, to look at.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The way to the server.
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Action(action) => self.outputs.push_back(LinkOutput::Action(action)),
                Output::Event(event) => {
                    self.flush_written();
                    self.forget_ended(&event);
                    self.outputs.push_back(LinkOutput::Event(event));
                }
            }
        }
    }

    /// Drops the sink of a transfer that has ended, and an overlap that stays incomplete.
    fn forget_ended(&mut self, event: &Event) {
        match event {
            Event::Finished(id, _) | Event::Refused(id, ..) => {
                self.transfers.retain(|transfer| transfer.id != *id);
                self.overlap = Vec::new();
            }
            Event::Closed(_) => self.transfers.clear(),
            _ => {}
        }
    }

    fn flush_written(&mut self) {
        if let Some(Unreported { id, range, .. }) = self.unreported.take() {
            self.outputs.push_back(LinkOutput::Written(id, range));
        }
    }
}

/// The first of `bytes`, as many as fit the range.
fn within<'a>(range: &Range<u64>, bytes: &'a [u8]) -> &'a [u8] {
    let room = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    bytes.get(..room).unwrap_or(bytes)
}

impl<S: Sink + ?Sized> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
