//! A control connection with its data connection.

mod facts;
mod login;
mod masking;
mod phase;
mod pipeline;
mod timers;
mod transfer;

use crate::channel::{Cause, Change, Channel, End};
use crate::code::Severity;
use crate::command::{Command, Verb};
use crate::config::Config;
use crate::error::{Misuse, PeerFault, SessionError, Timer};
use crate::event::{Action, Event, Finish, Line, Output};
use crate::parser::ReplyParser;
use crate::payload::Payload;
use crate::reply::Reply;
use crate::request::{Request, RequestId, Retrieve, Until};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use facts::Inquiry;
use phase::{Fence, Login, Passive, Phase, Restart};
use pipeline::{Pipeline, Purpose};
use timers::Marks;
use transfer::{Fetch, Target, Transfer};

/// An FTP session: a control connection, one login, any number of transfers one after the other.
///
/// The machine holds no socket and no clock. The driver opens the control connection, reports changes of connections
/// ([`handle_channel`](Self::handle_channel)) and the bytes it reads ([`handle_bytes`](Self::handle_bytes)), sends the
/// bytes of [`poll_transmit`](Self::poll_transmit), carries out the actions of [`poll_output`](Self::poll_output), and
/// calls [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) falls due. Payload never
/// enters the machine: [`payload`](Self::payload) says what the bytes of the data connection are, and the driver
/// reports their number with [`handle_payload`](Self::handle_payload).
///
/// Outputs queue, and the driver need not take them between two calls. Nothing that a server does has a worse result
/// than [`Event::Closed`].
pub struct Session {
    config: Arc<Config>,
    peer: SocketAddr,
    phase: Phase,
    /// Whether PASS or ACCT has been sent, so that the server may repeat its argument.
    secret_sent: bool,
    passive: Passive,
    restart: Restart,
    replies: ReplyParser,
    pipeline: Pipeline,
    requests: VecDeque<(RequestId, Request)>,
    inquiries: VecDeque<Inquiry>,
    transfer: Option<Transfer>,
    fence: Fence,
    marks: Marks,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session whose control connection the driver is opening to `peer`.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: SocketAddr, now: Instant) -> Self {
        let epsv = config.epsv && !(config.trust_pasv_address && peer.is_ipv4());
        Self {
            peer,
            phase: Phase::Connecting,
            secret_sent: false,
            passive: if epsv { Passive::Epsv } else { Passive::Pasv },
            restart: Restart::Clear,
            replies: ReplyParser::new(config.limits.reply_bytes).with_max_lines(config.limits.reply_lines),
            pipeline: Pipeline::new(config.pipeline.get()),
            requests: VecDeque::new(),
            inquiries: VecDeque::new(),
            transfer: None,
            fence: Fence::Down,
            marks: Marks::new(now),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Queues work. A request may come at any time, before the greeting too: it then leaves with the login in one
    /// write, as far as [`Config::pipeline`] allows. `id` names the request in events; the caller chooses it and never
    /// uses one twice.
    ///
    /// # Errors
    /// [`Misuse`], and nothing is queued: the session has ended ([`Misuse::Closed`]), the session itself sends the
    /// command ([`Misuse::Reserved`]), the command opens no data connection ([`Misuse::NoData`]), or the end of the
    /// part lies before its start ([`Misuse::EndBeforeStart`]).
    pub fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse> {
        if self.phase == Phase::Closed {
            return Err(Misuse::Closed);
        }
        match &request {
            Request::Command(command) if is_reserved(command.verb()) => {
                return Err(Misuse::Reserved(command.verb()));
            }
            Request::Content { command, .. } if !matches!(command, Command::Retr(_)) => {
                return Err(Misuse::NoData(command.verb()));
            }
            Request::Retrieve(part) if part.until.end() < part.offset => return Err(Misuse::EndBeforeStart),
            Request::Command(_)
            | Request::Facts(_)
            | Request::Retrieve(_)
            | Request::Content { .. }
            | Request::Prepare => {}
        }
        self.requests.push_back((id, request));
        self.pump(now);
        Ok(())
    }

    /// Moves the end of the transfer `id`, which waits or runs, in either direction. An [`Until::Offset`] that has
    /// been passed cuts the transfer at once. Does nothing if the transfer is over, because its end may be on its way
    /// to the caller, and nothing for a [`Request::Content`].
    pub fn set_end(&mut self, id: RequestId, until: Until, now: Instant) {
        let queued = self.requests.iter_mut().find(|(queued, _)| *queued == id);
        if let Some((_, Request::Retrieve(part))) = queued {
            part.until = until;
            if until.end() <= part.offset && matches!(until, Until::Offset(_)) {
                self.requests.retain(|(queued, _)| *queued != id);
                self.event(Event::Finished(id, Finish::Cut));
            }
            return;
        }
        self.set_transfer_end(id, until, now);
        self.pump(now);
    }

    /// Ends the session: queues QUIT for [`poll_transmit`](Self::poll_transmit), closes both connections, and outputs
    /// [`SessionError::Quit`]. The reply to QUIT is not awaited (RFC 959 §4.1.1).
    pub fn quit(&mut self, _now: Instant) {
        if matches!(self.phase, Phase::Login(_) | Phase::Ready | Phase::Parting(_)) {
            self.trace(|| Line::Sent(Command::Quit.masked()));
            self.pipeline.send_last(&Command::Quit);
        }
        self.fail(SessionError::Quit);
    }

    /// Takes bytes read from the control connection, in any portions.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if !self.listens() {
            return;
        }
        self.replies.push(bytes);
        while self.listens() {
            match self.replies.next() {
                Ok(Some(reply)) => {
                    self.marks.control = now;
                    if self.config.trace {
                        for line in self.masked_reply(&reply).raw_lines() {
                            self.event(Event::Wire(Line::Received(Bytes::copy_from_slice(line))));
                        }
                    }
                    self.on_reply(reply, now);
                }
                Ok(None) => break,
                Err(error) => self.part(SessionError::Peer(PeerFault::Reply(error)), Self::fail),
            }
        }
        self.pump(now);
    }

    /// Takes a change of one of the connections.
    pub fn handle_channel(&mut self, channel: Channel, change: Change, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        match (channel, change) {
            (Channel::Control, Change::Connected) => {
                if self.phase == Phase::Connecting {
                    self.phase = Phase::Greeting { preliminary: 0 };
                    (self.marks.connected, self.marks.control) = (now, now);
                    self.event(Event::Connected);
                }
            }
            (Channel::Control, Change::Failed(cause)) => {
                self.fail(SessionError::Connection(Channel::Control, cause));
            }
            (Channel::Control, Change::Ended(end)) => {
                let cause = if end == End::Fin { Cause::Ended } else { Cause::Reset };
                let error = SessionError::Connection(Channel::Control, cause);
                if self.pipeline.unanswered() > 0 {
                    self.fail_in_step(error)
                } else {
                    self.part(error, Self::fail)
                }
            }
            (Channel::Data, change) => self.on_data(change, now),
        }
        self.pump(now);
    }

    /// Takes the passing of time. Does nothing before [`poll_timeout`](Self::poll_timeout) has fallen due.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Some deadlines do not end the session.
        while let Some((_, timer)) = self.poll_timeout().filter(|(due, _)| *due <= now) {
            self.on_timeout(timer);
        }
    }

    /// The bytes to send on the control connection next; empty if there are none. The bytes stay until
    /// [`handle_transmitted`](Self::handle_transmitted) reports them sent.
    #[must_use]
    pub fn poll_transmit(&self) -> &[u8] {
        self.pipeline.transmit()
    }

    /// Takes the first `len` bytes of [`poll_transmit`](Self::poll_transmit) as sent.
    pub fn handle_transmitted(&mut self, len: usize, now: Instant) {
        self.pipeline.transmitted(len);
        self.marks.control = now;
    }

    /// Returns the next output, in order. Before the driver carries out an [`Action::Close`] of the control
    /// connection, it sends the bytes of [`poll_transmit`](Self::poll_transmit), as far as the socket takes them
    /// without waiting.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The time at which [`handle_timeout`](Self::handle_timeout) wants to be called next, and what the session waits
    /// for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.next_deadline()
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether the session still reads the control connection.
    #[must_use]
    pub(crate) fn listens(&self) -> bool {
        !matches!(self.phase, Phase::Parting(_) | Phase::Closed)
    }

    /// The meaning of the next bytes of the data connection. The driver asks before each read.
    #[must_use]
    pub fn payload(&self) -> Payload {
        match &self.transfer {
            Some(transfer) if !self.pipeline.before_transfer() => transfer.payload(),
            _ => Payload::Hold,
        }
    }

    /// Takes the number of bytes that the driver has read from the data connection, after it has done with them what
    /// [`payload`](Self::payload) says. Does nothing while that is [`Payload::Hold`].
    pub fn handle_payload(&mut self, len: u64, now: Instant) {
        self.on_payload(len, now);
        self.pump(now);
    }

    fn on_reply(&mut self, reply: Reply, now: Instant) {
        if let Phase::Greeting { preliminary } = self.phase {
            return self.on_greeting(preliminary, reply);
        }
        if reply.code().get() == 421 {
            return self.part(SessionError::Refused { verb: None, reply }, Self::fail);
        }
        if let Fence::Up { unowed } = &mut self.fence
            && transfer::may_come_again(&reply)
        {
            *unowed = unowed.saturating_add(1);
            if *unowed > self.config.limits.unowed_replies {
                self.fail(SessionError::Peer(PeerFault::TooManyUnowed));
            }
            return;
        }
        let limit = self.config.limits.preliminary_replies;
        let aborts = reply.code().get() == 426;
        let Some(front) = self.pipeline.front() else {
            let error = SessionError::Peer(PeerFault::Unsolicited(reply));
            // 426 takes back that a transfer was complete.
            return if aborts { self.fail_in_step(error) } else { self.part(error, Self::fail_in_step) };
        };
        if reply.code().severity() == Severity::Preliminary {
            front.preliminary = front.preliminary.saturating_add(1);
            let (count, purpose, cut) = (front.preliminary, front.purpose, front.cut);
            match purpose {
                _ if count > limit => self.fail(SessionError::Peer(PeerFault::TooManyPreliminary)),
                Purpose::Transfer if !cut => self.on_mark(now),
                // Pure-FTPd replies to a cut transfer with a second mark and nothing more.
                Purpose::Transfer if count > 1 => self.on_cut_answered(),
                Purpose::Transfer => {}
                Purpose::Login
                | Purpose::Features
                | Purpose::Command(_)
                | Purpose::Facts(_)
                | Purpose::Prepare => {}
            }
            return;
        }
        if front.cut {
            return self.on_cut_answered();
        }
        // 426 replies to transfers only: a transfer that the server called complete was not.
        if aborts && front.purpose != Purpose::Transfer {
            return self.fail_in_step(SessionError::Peer(PeerFault::Unsolicited(reply)));
        }
        let Some(sent) = self.pipeline.answered() else { return };
        self.fence = Fence::Down;
        match sent.purpose {
            Purpose::Login => self.on_login(sent.verb, reply),
            Purpose::Features => self.on_features(&reply),
            Purpose::Command(id) if reply.code().is_refusal() => {
                self.event(Event::Refused(id, sent.verb, reply));
            }
            Purpose::Command(id) => self.event(Event::Reply(id, reply)),
            Purpose::Facts(id) => self.on_facts(id, sent.verb, &reply),
            Purpose::Prepare => self.on_prepared(sent.verb, reply, now),
            Purpose::Transfer => self.on_transferred(sent.verb, reply, now),
        }
    }

    /// Turns requests into commands, and sends the commands that may leave now.
    fn pump(&mut self, now: Instant) {
        match self.phase {
            Phase::Login(_) | Phase::Ready => {}
            Phase::Parting(_) => return self.depart(),
            Phase::Connecting | Phase::Greeting { .. } | Phase::Closed => return,
        }
        while self.transfer.as_ref().is_none_or(Transfer::is_ahead) {
            match self.requests.pop_front() {
                Some((id, Request::Command(command))) => self.pipeline.push(command, Purpose::Command(id)),
                Some((id, Request::Facts(path))) => self.start_inquiry(id, path),
                Some((id, Request::Retrieve(Retrieve { path, offset, until, overlap }))) => {
                    let mut fetch = Fetch::new(id, Command::Retr(path), Target::Sink, until);
                    (fetch.offset, fetch.first) = (offset, offset.saturating_sub(overlap));
                    self.start_transfer(fetch, now);
                }
                Some((id, Request::Content { command, most })) => {
                    let fetch = Fetch::new(id, command, Target::Caller, Until::Offset(most));
                    self.start_transfer(fetch, now);
                }
                Some((id, Request::Prepare)) => self.prepare_transfer(id),
                None => break,
            }
        }
        while let Some(command) = self.pipeline.send_next() {
            self.marks.control = now;
            self.secret_sent |= matches!(command, Command::Pass(_) | Command::Acct(_));
            self.trace(|| Line::Sent(command.masked()));
        }
    }

    fn trace(&mut self, line: impl FnOnce() -> Line) {
        if self.config.trace {
            self.event(Event::Wire(line()));
        }
    }

    fn event(&mut self, event: Event) {
        let event = self.masked(event);
        self.outputs.push_back(Output::Event(event));
    }

    fn action(&mut self, action: Action) {
        self.outputs.push_back(Output::Action(action));
    }

    /// Ends the session with `fail`, but not before the data have come of a transfer that the server has called
    /// complete: they are on their way.
    fn part(&mut self, error: SessionError, fail: fn(&mut Self, SessionError)) {
        if self.transfer.as_ref().is_some_and(Transfer::is_completed) {
            self.phase = Phase::Parting(error);
        } else {
            fail(self, error);
        }
    }

    /// Ends a session that is parting once its transfer is over.
    fn depart(&mut self) {
        if self.transfer.is_none()
            && let Phase::Parting(error) = &self.phase
        {
            self.fail(error.clone());
        }
    }

    /// Ends the session with an error that several commands in one write may have caused, unless a cut may have.
    fn fail_in_step(&mut self, error: SessionError) {
        let burst = self.pipeline.in_burst() && self.fence == Fence::Down;
        let error = if burst { SessionError::OutOfStep(Box::new(error)) } else { error };
        self.fail(error);
    }

    /// Ends the session.
    fn fail(&mut self, error: SessionError) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        if let Some(transfer) = self.transfer.take() {
            if transfer.has_connection() {
                self.action(Action::Close(Channel::Data));
            }
            if let Some(finished) = transfer.ended_at_size(&error).filter(|_| error != SessionError::Quit) {
                self.event(finished);
            }
        }
        self.requests.clear();
        self.inquiries.clear();
        self.action(Action::Close(Channel::Control));
        self.event(Event::Closed(error));
    }
}

/// Shows the state, and no text of either side: text may hold secrets.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("phase", &self.phase)
            .field("unanswered", &self.pipeline.unanswered())
            .field("requests", &self.requests.len())
            .field("payload", &self.payload())
            .finish_non_exhaustive()
    }
}

/// Whether the session alone sends the command.
const fn is_reserved(verb: Verb) -> bool {
    !matches!(
        verb,
        Verb::Cwd
            | Verb::Feat
            | Verb::Hash
            | Verb::Mdtm
            | Verb::Mlst
            | Verb::Noop
            | Verb::Opts
            | Verb::Pwd
            | Verb::Site
            | Verb::Size
            | Verb::Syst
            | Verb::Xcrc
            | Verb::Xmd5
            | Verb::Xsha1
            | Verb::Xsha256
            | Verb::Xsha512
    )
}
