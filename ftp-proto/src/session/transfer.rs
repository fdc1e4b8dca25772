//! A transfer: control and data connection moved together (RFC 959 §3.2, §5.1; RFC 3659 §5).
//!
//! | reply to the data command | data connecting | data open | data ended |
//! |---|---|---|---|
//! | none | wait for both (`DataConnect`) | count (`Stall`) | wait for the reply (`Completion`) |
//! | 1yz | wait (`DataConnect`) | count (`Stall`) | wait for the reply (`Completion`) |
//! | 2yz | wait (`Completion`) | count to the end (`Stall`) | `Finished` |
//! | 4yz, 5yz, before 1yz and any byte | close, `Refused` | close, `Refused` | `Refused` |
//! | 4yz, 5yz, after 1yz or a byte | wait (`Completion`); 425: close, `Short` | count to the end (`Completion`) | `Short` |
//!
//! Words in brackets name the [`Timer`](crate::Timer). In each state of the first three lines, a transfer whose wanted bytes
//! have all come before the end of the data is cut, once it has begun: `Finished` with `Cut`. A data connection that could not
//! be made counts as ended: 2yz then ends the session, 4yz and 5yz are `Refused` or `Short`.
//!
//! **Cut.** The session closes the data connection and sends nothing until the server has replied to the data command. A
//! command sent earlier may meet a server that is still sending: ProFTPD refuses it (450, and then 426), Pure-FTPd throws it
//! away (500), pyftpdlib ends the transfer without a reply. Most servers reply 426; Pure-FTPd sends a second mark and nothing
//! more. Therefore the first reply counts, whatever it is, and until the next command is answered, a further reply that may belong
//! to the cut transfer is dropped.
//!
//! **Spoiled.** If EPSV, PASV or REST is refused while the data command is under way behind it, the session awaits the reply
//! to the data command as after a cut. The data connection is closed when the mark or data have come: some servers do not
//! notice a connection that is closed before they accept it. EPSV then gives way to PASV. A REST refused by a server that
//! understands only the first command of a write is sent once more, alone. Any other refusal is final.
//!
//! **Ahead.** A data connection that is made ahead ([`Request::Prepare`](crate::Request::Prepare)) is a transfer without a data
//! command. The next request takes it, in whatever state it is, and sends REST and the data command only.

mod state;

pub(super) use state::{Fetch, Target, Transfer};

use super::pipeline::Purpose;
use super::{Action, Change, Channel, Command, Event, Fence, Finish, Passive, Restart, Session, Verb};
use crate::code::Severity;
use crate::error::{PeerFault, SessionError};
use crate::meaning;
use crate::payload::Payload;
use crate::reply::Reply;
use crate::request::{RequestId, Until};
use crate::time::Instant;
use core::net::{IpAddr, SocketAddr};
use state::{Control, Data, Remedy, Running, Spoiled, Step};

/// Whether the reply may be a further one to a cut transfer: a server that replies 426 may reply 226 as well, as it has
/// to after an ABOR (RFC 959 §4.1.3). No command that may come next has one of these replies.
pub(super) fn may_come_again(reply: &Reply) -> bool {
    matches!(reply.code().get(), 225 | 226 | 426)
}

/// Whether a server may refuse a command in this way that it would understand alone: the command is unknown, or out of
/// sequence.
fn is_out_of_step(reply: &Reply) -> bool {
    matches!(reply.code().get(), 500 | 503)
}

impl Session {
    /// Makes a data connection for the next transfer, unless there is one.
    pub(super) fn prepare_transfer(&mut self, request: RequestId) {
        match &mut self.transfer {
            Some(Transfer::Ahead { id, data }) => {
                *id = request;
                if *data == Data::Open {
                    self.event(Event::Prepared(request));
                }
            }
            Some(Transfer::Running(_) | Transfer::Spoiled(_)) => {}
            None => {
                self.transfer = Some(Transfer::Ahead { id: request, data: Data::None });
                self.push_passive();
            }
        }
    }

    pub(super) fn start_transfer(&mut self, mut fetch: Fetch, now: Instant) {
        self.marks.data = now;
        let ahead = self.transfer.take().map(|ahead| ahead.data());
        fetch.connected_ahead = ahead == Some(Data::Open);
        self.run(fetch, ahead.unwrap_or(Data::None));
        if ahead.is_none() {
            self.push_passive();
        }
        self.push_data_command();
    }

    /// Makes the transfer one that has had no reply.
    fn run(&mut self, fetch: Fetch, data: Data) {
        self.transfer = Some(Transfer::Running(Running { fetch, control: Control::Silent, data }));
    }

    fn push_passive(&mut self) {
        let command = match self.passive {
            Passive::Epsv => Command::Epsv,
            Passive::Pasv => Command::Pasv,
        };
        self.pipeline.push(command, Purpose::Prepare);
    }

    /// Queues REST and the data command. REST goes directly before it (RFC 3659 §5.1).
    fn push_data_command(&mut self) {
        let Some(Transfer::Running(Running { fetch, .. })) = &self.transfer else { return };
        let first = fetch.first;
        if first > 0 || self.restart == Restart::Stale {
            self.pipeline.push(Command::Rest(first), Purpose::Prepare);
        }
        self.pipeline.push(fetch.command.clone(), Purpose::Transfer);
    }

    /// The final reply to EPSV, PASV or REST.
    pub(super) fn on_prepared(&mut self, verb: Verb, reply: Reply, now: Instant) {
        if verb == Verb::Rest {
            self.on_restart(reply, now)
        } else {
            self.on_passive(verb, reply, now)
        }
        self.settle_spoiled();
    }

    /// The final reply to REST: 3yz, or the server will not start there.
    fn on_restart(&mut self, reply: Reply, now: Instant) {
        match reply.code().severity() {
            Severity::Intermediate => {
                self.restart = Restart::Stale;
                if self.transfer.as_ref().is_some_and(|transfer| transfer.data() == Data::Open) {
                    self.marks.data = now;
                }
            }
            Severity::Transient | Severity::Permanent => self.spoil(Verb::Rest, reply),
            Severity::Preliminary | Severity::Completion => {
                self.fail_in_step(SessionError::Peer(PeerFault::Unexpected(Verb::Rest, reply)));
            }
        }
    }

    /// The final reply to EPSV or PASV.
    fn on_passive(&mut self, verb: Verb, reply: Reply, now: Instant) {
        let named = match verb {
            Verb::Epsv => meaning::epsv(&reply).map(|port| (None, port)),
            _ => meaning::pasv(&reply).map(|(host, port)| (Some(host), port)),
        };
        let Some((host, port)) = named else { return self.on_no_port(verb, reply) };
        let Some(transfer) = &mut self.transfer else { return };
        *transfer.data_mut() = Data::Connecting;
        self.marks.data = now;
        // Some servers name 0.0.0.0, which is no host.
        let trusted = host.filter(|host| self.config.trust_pasv_address && !host.is_unspecified());
        let host = trusted.map_or_else(|| self.peer.ip(), IpAddr::V4);
        self.action(Action::Connect(SocketAddr::new(host, port)));
    }

    /// EPSV or PASV was refused, or its reply names no port. PASV may do better than an EPSV without a port, unless the data
    /// command is under way: the server then waits at a port that the reply did not name.
    fn on_no_port(&mut self, verb: Verb, reply: Reply) {
        let another_way = verb == Verb::Epsv && !self.pipeline.transferring();
        if verb == Verb::Epsv {
            self.passive = Passive::Pasv;
        }
        if reply.code().is_refusal() || another_way {
            self.spoil(verb, reply);
        } else {
            self.fail_in_step(SessionError::Peer(PeerFault::Passive(reply)));
        }
    }

    /// A command that prepares the transfer was refused: no further command of the transfer is sent.
    fn spoil(&mut self, verb: Verb, reply: Reply) {
        self.pipeline.withdraw(|_, purpose| matches!(purpose, Purpose::Prepare | Purpose::Transfer));
        // A server that has begun with the data command waits for the data connection, perhaps for long, and may not notice
        // one that is closed before it is accepted.
        if !self.pipeline.transferring() {
            self.drop_data();
        }
        let remedy = match verb {
            Verb::Epsv => Remedy::Pasv,
            Verb::Rest if is_out_of_step(&reply) && self.pipeline.in_burst() => Remedy::LockStep,
            _ => Remedy::Tell,
        };
        match self.transfer.take() {
            Some(Transfer::Running(Running { fetch, data, .. })) => {
                self.transfer = Some(Transfer::Spoiled(Spoiled { fetch, data, verb, reply, remedy }));
            }
            Some(ahead @ Transfer::Ahead { .. }) if remedy == Remedy::Pasv => {
                self.transfer = Some(ahead);
                self.push_passive();
            }
            // The next transfer finds out whether a data connection can be made at all.
            Some(Transfer::Ahead { .. }) => {}
            // The first refusal counts.
            spoiled => self.transfer = spoiled,
        }
    }

    /// Goes on once no command of a spoiled transfer is under way any more.
    fn settle_spoiled(&mut self) {
        if self.pipeline.preparing() || self.pipeline.transferring() {
            return;
        }
        if !self.transfer.as_ref().is_some_and(Transfer::is_spoiled) {
            return;
        }
        self.drop_data();
        let Some(Transfer::Spoiled(Spoiled { fetch, verb, reply, remedy, .. })) = self.transfer.take() else {
            return;
        };
        match remedy {
            Remedy::Pasv => self.run_again(fetch),
            Remedy::LockStep => {
                self.pipeline.set_lock_step();
                self.run_again(fetch);
            }
            Remedy::Tell => self.event(Event::Refused(fetch.id, verb, reply)),
            Remedy::Told => {}
        }
    }

    /// Starts a transfer again, over a new data connection.
    fn run_again(&mut self, fetch: Fetch) {
        self.run(fetch.restarted(), Data::None);
        self.push_passive();
        self.push_data_command();
    }

    /// 1yz to the data command.
    pub(super) fn on_mark(&mut self, now: Instant) {
        self.restart = Restart::Clear;
        self.pipeline.end_burst();
        match &mut self.transfer {
            Some(Transfer::Spoiled(_)) => self.abandon_spoiled(now),
            Some(Transfer::Running(running)) => {
                if running.control == Control::Silent {
                    running.control = Control::Marked;
                    let id = running.fetch.id;
                    self.event(Event::Started(id));
                }
                self.settle(now);
            }
            Some(Transfer::Ahead { .. }) | None => {}
        }
    }

    /// The server sends the data of a spoiled transfer, or tries to: as after a cut, its reply is awaited. A final refusal is
    /// reported now, as the server may never notice that the data connection is closed.
    fn abandon_spoiled(&mut self, now: Instant) {
        self.drop_data();
        self.abandon(now);
        if let Some(Transfer::Spoiled(Spoiled { fetch, verb, reply, remedy, .. })) = &mut self.transfer
            && *remedy == Remedy::Tell
        {
            *remedy = Remedy::Told;
            let event = Event::Refused(fetch.id, *verb, reply.clone());
            self.event(event);
        }
        self.settle_spoiled();
    }

    /// The final reply to the data command.
    pub(super) fn on_transferred(&mut self, verb: Verb, reply: Reply, now: Instant) {
        let running = match &mut self.transfer {
            Some(Transfer::Running(running)) => running,
            Some(Transfer::Spoiled(_)) => return self.settle_spoiled(),
            Some(Transfer::Ahead { .. }) | None => return,
        };
        if running.has_lost_connection(&reply) {
            return self.begin_again();
        }
        let (code, begun) = (reply.code(), running.has_begun());
        let strange = !code.is_completion() && !code.is_refusal();
        let out_of_step = !begun && is_out_of_step(&reply) && self.pipeline.in_burst();
        if strange || out_of_step || code.is_completion() && running.data == Data::None {
            return self.fail_in_step(SessionError::Peer(PeerFault::Unexpected(verb, reply)));
        }
        if running.data == Data::Connecting {
            self.marks.data = now;
        }
        running.control = match (code.is_completion(), begun) {
            (true, _) => Control::Complete(reply),
            (false, true) => Control::Broken(reply),
            (false, false) => Control::Refused(reply),
        };
        if code.is_completion() {
            self.restart = Restart::Clear;
            self.pipeline.end_burst();
        }
        self.settle(now);
    }

    /// The server has lost the data connection that was made ahead: another one is made.
    fn begin_again(&mut self) {
        self.drop_data();
        if let Some(Transfer::Running(running)) = self.transfer.take() {
            self.run_again(running.fetch);
        }
    }

    /// A change of the data connection.
    pub(super) fn on_data(&mut self, change: Change, now: Instant) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.has_connection()) else {
            return;
        };
        self.marks.data = now;
        let spoiled = transfer.is_spoiled();
        let data = match change {
            Change::Connected => Data::Open,
            _ if spoiled => Data::None,
            Change::Ended(end) => Data::Ended(end),
            Change::Failed(cause) => Data::Failed(cause),
        };
        let before = core::mem::replace(transfer.data_mut(), data);
        let ahead = match transfer {
            Transfer::Ahead { id, .. } => Some(*id),
            Transfer::Running(_) | Transfer::Spoiled(_) => None,
        };
        if data != Data::Open {
            // At once: some servers reply 226 only after they have seen this side close.
            self.action(Action::Close(Channel::Data));
        }
        match ahead {
            Some(id) if data == Data::Open && before != Data::Open => self.event(Event::Prepared(id)),
            Some(_) if data == Data::Open => {}
            // The next transfer finds out whether a data connection can be made at all.
            Some(_) => self.transfer = None,
            None => self.settle(now),
        }
    }

    /// Gives up a data connection that was made ahead.
    pub(super) fn drop_prepared(&mut self) {
        if self.transfer.as_ref().is_some_and(Transfer::is_ahead) {
            self.drop_data();
            self.transfer = None;
        }
    }

    pub(super) fn on_payload(&mut self, len: u64, now: Instant) {
        match self.payload() {
            Payload::Hold => return,
            // No command asked for these bytes.
            Payload::Idle => return self.drop_prepared(),
            Payload::Overlap(..) | Payload::File(..) | Payload::Content(..) | Payload::Drain => {}
        }
        self.marks.data = now;
        if len > 0 {
            self.pipeline.end_burst();
        }
        match &mut self.transfer {
            Some(Transfer::Spoiled(_)) if len > 0 => self.abandon_spoiled(now),
            Some(Transfer::Running(Running { fetch, .. })) => {
                let wanted = len.min(fetch.room());
                fetch.progress.bytes = fetch.progress.bytes.saturating_add(wanted);
                fetch.progress.any |= len > 0;
                match fetch.until {
                    Until::Size(size) => self.on_excess(len.saturating_sub(wanted), size, now),
                    Until::Eof | Until::Offset(_) => self.settle(now),
                }
            }
            _ => {}
        }
    }

    /// Takes the news of bytes past the end of the file, which is at `size`.
    fn on_excess(&mut self, bytes: u64, size: u64, now: Instant) {
        let Some(Transfer::Running(Running { fetch, .. })) = &mut self.transfer else { return };
        fetch.progress.excess = fetch.progress.excess.saturating_add(bytes);
        if fetch.progress.excess > self.config.limits.bytes_past_end {
            self.fail(SessionError::Peer(PeerFault::Overrun { size }));
        } else {
            self.settle(now);
        }
    }

    pub(super) fn set_transfer_end(&mut self, id: RequestId, until: Until, now: Instant) {
        let fetch = match &mut self.transfer {
            Some(Transfer::Running(Running { fetch, .. }) | Transfer::Spoiled(Spoiled { fetch, .. })) => {
                fetch
            }
            Some(Transfer::Ahead { .. }) | None => return,
        };
        if fetch.id != id || fetch.target == Target::Caller {
            return;
        }
        fetch.until = until;
        match until {
            Until::Size(size) => {
                // Bytes before the first one of the transfer have not come.
                let excess = fetch.at().saturating_sub(size.max(fetch.first));
                self.on_excess(excess, size, now);
            }
            Until::Eof | Until::Offset(_) => self.settle(now),
        }
    }

    /// Does what follows from the state of the transfer.
    fn settle(&mut self, now: Instant) {
        let Some(Transfer::Running(running)) = &self.transfer else { return };
        let (id, verb) = (running.fetch.id, running.fetch.command.verb());
        match running.step() {
            Step::Wait => {}
            Step::Cut => {
                self.end_transfer();
                self.abandon(now);
                self.event(Event::Finished(id, Finish::Cut));
            }
            Step::Finish(finish) => {
                self.end_transfer();
                self.event(Event::Finished(id, finish));
            }
            Step::Refuse(reply) => {
                self.end_transfer();
                self.event(Event::Refused(id, verb, reply));
            }
            Step::Fail(cause) => self.fail(SessionError::Connection(Channel::Data, cause)),
        }
    }

    fn end_transfer(&mut self) {
        self.drop_data();
        self.transfer = None;
    }

    /// The reply to the data command is awaited, and then the next command may leave. The data command is the front one: its
    /// data or its mark have come, so all commands before it have been answered.
    fn abandon(&mut self, now: Instant) {
        if let Some(front) = self.pipeline.front().filter(|front| front.purpose == Purpose::Transfer) {
            front.cut = true;
            self.marks.control = now;
        }
    }

    /// The server has noticed that a transfer was cut.
    pub(super) fn on_cut_answered(&mut self) {
        self.pipeline.answered();
        self.fence = Fence::Up { unowed: 0 };
        self.settle_spoiled();
    }

    /// Closes the data connection, if there is one.
    fn drop_data(&mut self) {
        if let Some(transfer) = &mut self.transfer
            && transfer.has_connection()
        {
            *transfer.data_mut() = Data::None;
            self.action(Action::Close(Channel::Data));
        }
    }
}
