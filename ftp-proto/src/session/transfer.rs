//! One transfer: control and data connection moved together (RFC 959 §3.2, §5.1; RFC 3659 §5).
//!
//! | reply so far | data connecting | data open | data ended |
//! |---|---|---|---|
//! | none | wait for both | count, wait for the mark | wait for the reply |
//! | 1yz | wait for it (`DataConnect`) | count (`Stall`) | wait (`Completion`) |
//! | 2yz | wait for it (`Completion`) | count to the end | `Finished` |
//! | 4yz, 5yz, nothing came | close, `Refused` | close, `Refused` | `Refused` |
//! | 4yz, 5yz, after that | wait for it (`Completion`); 425: close, `Short` | count to the end (`Completion`) | `Short` |
//!
//! A transfer that is not wanted any further is cut: the data connection is closed and nothing said on the
//! control connection until the server has said that it noticed. What is sent earlier may meet a server that is
//! still sending: ProFTPD refuses it (450, and then 426), Pure-FTPd throws it away (500), pyftpdlib breaks
//! off without a word. Most servers say 426; Pure-FTPd says a second mark and nothing more; so whatever
//! comes first counts, and until the next command is answered, a further reply that may belong to the cut
//! transfer does. Where RETR is spoiled because EPSV, PASV or REST before it was refused, what is
//! under way of it is awaited in the same way; its data connection is closed when the mark or data have come, as who
//! closes it before the server accepts it may go unnoticed. A REST that was refused as by a server that understands only the first
//! command of a write is sent once more, alone.
//!
//! A data connection that is made ahead ([`Request::Prepare`](crate::Request::Prepare)) is a transfer without a path. The
//! next request takes it up, wherever it stands, and asks with REST and RETR only.

mod state;

pub(super) use state::Transfer;

use super::pipeline::Purpose;
use super::{Action, Change, Channel, Command, End, Event, Finish, Session, Verb};
use crate::code::Severity;
use crate::error::{PeerFault, SessionError};
use crate::meaning;
use crate::payload::Payload;
use crate::reply::Reply;
use crate::request::{RequestId, Until};
use crate::time::Instant;
use core::net::{IpAddr, SocketAddr};
use state::Data;

/// Whether the reply may be one more to a cut transfer: servers that say 426 may say 226 as well, as they have
/// to after an ABOR (RFC 959 §4.1.3). No command that may come next is answered with one of these.
pub(super) fn may_come_again(reply: &Reply) -> bool {
    matches!(reply.code().get(), 225 | 226 | 426)
}

/// Whether a server may say that to a command which it would understand if it came alone: the command is unknown, or comes
/// before another.
fn is_out_of_step(reply: &Reply) -> bool {
    matches!(reply.code().get(), 500 | 503)
}

/// The data that a request asks for.
pub(super) struct Wanted {
    /// The command that sends them.
    pub(super) command: Command,
    pub(super) offset: u64,
    pub(super) overlap: u64,
    pub(super) until: Until,
    /// Whether they are for the caller, and not for a sink.
    pub(super) aside: bool,
}

impl Session {
    /// Asks for a data connection that the next transfer takes up, unless one is there or on its way.
    pub(super) fn prepare_transfer(&mut self, id: RequestId) {
        match &mut self.transfer {
            Some(vacant) => {
                vacant.id = id;
                if vacant.is_prepared() {
                    self.event(Event::Prepared(id));
                }
            }
            None => {
                self.transfer = Some(Transfer::vacant(id));
                self.push_transfer();
            }
        }
    }

    pub(super) fn start_transfer(&mut self, id: RequestId, wanted: Wanted, now: Instant) {
        let Wanted { command, offset, overlap, until, aside } = wanted;
        let first = offset.saturating_sub(overlap);
        // What was asked for ahead is on its way, or there.
        let prepared = self.transfer.take();
        let asks = prepared.is_none();
        let ahead = prepared.as_ref().is_some_and(Transfer::is_prepared);
        self.marks.data = now;
        self.transfer = Some(Transfer {
            id,
            command: Some(command),
            offset,
            until,
            aside,
            ahead,
            first,
            at: first,
            ..prepared.unwrap_or_else(|| Transfer::vacant(id))
        });
        if asks { self.push_transfer() } else { self.push_retr() }
    }

    /// Queues EPSV or PASV, and what follows it.
    fn push_transfer(&mut self) {
        let passive = if self.epsv { Command::Epsv } else { Command::Pasv };
        self.pipeline.push(passive, Purpose::Prepare);
        self.push_retr();
    }

    /// Queues REST, RETR. REST goes directly before RETR (RFC 3659 §5.1).
    fn push_retr(&mut self) {
        let Some(Transfer { command: Some(command), at, .. }) = &self.transfer else { return };
        if *at > 0 || self.stale_restart {
            self.pipeline.push(Command::Rest(*at), Purpose::Prepare);
        }
        self.pipeline.push(command.clone(), Purpose::Transfer);
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
                self.stale_restart = true;
                if self.transfer.as_ref().is_some_and(|transfer| transfer.data == Data::Open) {
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
        transfer.data = Data::Connecting;
        self.marks.data = now;
        // 0.0.0.0 is no host, and some servers name it.
        let trusted = host.filter(|host| self.config.trust_pasv_address && !host.is_unspecified());
        let host = trusted.map_or_else(|| self.peer.ip(), IpAddr::V4);
        self.action(Action::Connect(SocketAddr::new(host, port)));
    }

    /// EPSV or PASV was refused, or answered with nonsense. PASV may do better than the latter, unless RETR
    /// is under way: the server then waits at a port that nobody knows.
    fn on_no_port(&mut self, verb: Verb, reply: Reply) {
        let another_way = verb == Verb::Epsv && !self.pipeline.transferring();
        if verb == Verb::Epsv {
            self.epsv = false;
        }
        if reply.code().is_refusal() || another_way {
            self.spoil(verb, reply);
        } else {
            self.fail_in_step(SessionError::Peer(PeerFault::Passive(reply)));
        }
    }

    /// A command that prepares the transfer was refused. Nothing more of it is sent; what is under way is
    /// awaited first.
    fn spoil(&mut self, verb: Verb, reply: Reply) {
        self.pipeline.withdraw(|_, purpose| matches!(purpose, Purpose::Prepare | Purpose::Transfer));
        // A server that has begun with RETR waits for the connection, and would wait long for one that never comes, or was
        // closed before the server got to accept it.
        if !self.pipeline.transferring() {
            self.drop_data();
        }
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.spoiled.is_none() {
            // A server that understands only the first command of a write says this to the others.
            transfer.again = verb == Verb::Rest && is_out_of_step(&reply) && self.pipeline.in_burst();
            transfer.spoiled = Some((verb, reply));
        }
    }

    /// Once nothing of a spoiled transfer is under way any more, EPSV gives way to PASV, and REST in a burst to REST alone;
    /// anything else is final.
    fn settle_spoiled(&mut self) {
        if self.pipeline.preparing() || self.pipeline.transferring() {
            return;
        }
        let Some(transfer) = &mut self.transfer else { return };
        let again = core::mem::take(&mut transfer.again);
        match transfer.spoiled.take() {
            Some((Verb::Epsv, _)) => self.push_transfer(),
            Some(_) if again => {
                self.drop_data();
                self.pipeline.set_lock_step();
                self.push_transfer();
            }
            Some((verb, reply)) => {
                let (id, told) = (transfer.id, transfer.told || transfer.is_vacant());
                self.drop_data();
                self.transfer = None;
                if !told {
                    self.event(Event::Refused(id, verb, reply));
                }
            }
            None => {}
        }
    }

    /// What spoiled the transfer is final, unless PASV or a write for each command may do better: it is told before the
    /// server has noticed that nobody takes what it sends, as that may be never.
    fn tell_refusal(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        let last = |verb: Verb| verb != Verb::Epsv && !transfer.again;
        let Some((verb, reply)) = transfer.spoiled.as_ref().filter(|(verb, _)| last(*verb)) else {
            return;
        };
        if !core::mem::replace(&mut transfer.told, true) {
            let event = Event::Refused(transfer.id, *verb, reply.clone());
            self.event(event);
        }
    }

    /// 1yz to RETR.
    pub(super) fn on_mark(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        self.stale_restart = false;
        self.pipeline.end_burst();
        if transfer.is_spoiled() {
            return self.abandon_spoiled(now);
        }
        if !core::mem::replace(&mut transfer.mark, true) {
            let id = transfer.id;
            self.event(Event::Started(id));
        }
        self.settle(now);
    }

    /// The server sends, or tries to, what nobody takes: as after a cut.
    fn abandon_spoiled(&mut self, now: Instant) {
        self.drop_data();
        self.abandon(now);
        self.tell_refusal();
        self.settle_spoiled();
    }

    /// The final reply to RETR.
    pub(super) fn on_transferred(&mut self, reply: Reply, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.spoiled.is_some() {
            return self.settle_spoiled();
        }
        if transfer.is_lost_ahead(&reply) {
            return self.begin_again();
        }
        let code = reply.code();
        let strange = !code.is_completion() && !code.is_refusal();
        let out_of_step = !transfer.has_begun() && is_out_of_step(&reply) && self.pipeline.in_burst();
        if strange || out_of_step || code.is_completion() && transfer.data == Data::None {
            return self.fail_in_step(SessionError::Peer(PeerFault::Unexpected(Verb::Retr, reply)));
        }
        if code.is_completion() {
            self.stale_restart = false;
            self.pipeline.end_burst();
        }
        transfer.outcome = Some(reply);
        if transfer.data == Data::Connecting {
            self.marks.data = now;
        }
        self.settle(now);
    }

    /// The server does not have the data connection any more that was made ahead: another one is made.
    fn begin_again(&mut self) {
        self.drop_data();
        if let Some(transfer) = &mut self.transfer {
            transfer.ahead = false;
        }
        self.push_transfer();
    }

    /// A change of the data connection.
    pub(super) fn on_data(&mut self, change: Change, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        if !transfer.has_connection() {
            return;
        }
        self.marks.data = now;
        let was_open = transfer.data == Data::Open;
        transfer.data = match change {
            Change::Connected => Data::Open,
            _ if transfer.is_spoiled() => Data::None,
            Change::Ended(end) => Data::Ended(end),
            Change::Failed(cause) => Data::Failed(cause),
        };
        let (id, is_open, is_vacant) = (transfer.id, transfer.data == Data::Open, transfer.is_vacant());
        if !is_open {
            // At once: some servers say 226 only after they have seen this side close.
            self.action(Action::Close(Channel::Data));
        }
        match (is_vacant, is_open) {
            (true, true) if was_open => {}
            (true, true) => self.event(Event::Prepared(id)),
            // Whether it can be made at all is for the next transfer to find out.
            (true, false) => self.transfer = None,
            (false, _) => self.settle(now),
        }
    }

    /// Nothing comes of what was asked for ahead of a transfer.
    pub(super) fn drop_prepared(&mut self) {
        if self.transfer.as_ref().is_some_and(Transfer::is_vacant) {
            self.drop_data();
            self.transfer = None;
        }
    }

    pub(super) fn on_payload(&mut self, len: u64, now: Instant) {
        match self.payload() {
            Payload::Hold => return,
            // Nothing was asked for.
            Payload::Idle => return self.drop_prepared(),
            Payload::Overlap(..) | Payload::File(..) | Payload::Content(..) | Payload::Drain => {}
        }
        let Some(transfer) = &mut self.transfer else { return };
        self.marks.data = now;
        let room = transfer.room();
        transfer.at = transfer.at.saturating_add(len.min(room));
        if len > 0 {
            transfer.bytes = true;
            self.pipeline.end_burst();
            if transfer.is_spoiled() {
                return self.abandon_spoiled(now);
            }
        }
        let until = transfer.until;
        match until {
            Until::Size(size) => self.on_excess(len.saturating_sub(room), size, now),
            Until::Eof | Until::Offset(_) => self.settle(now),
        }
    }

    /// So many more bytes have come past the end of the file, which is at `size`.
    fn on_excess(&mut self, bytes: u64, size: u64, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.excess = transfer.excess.saturating_add(bytes);
        if transfer.excess > self.config.limits.bytes_past_end {
            self.fail(SessionError::Peer(PeerFault::Overrun { size }));
        } else {
            self.settle(now);
        }
    }

    pub(super) fn set_transfer_end(&mut self, id: RequestId, until: Until, now: Instant) {
        let Some(transfer) = self
            .transfer
            .as_mut()
            .filter(|transfer| transfer.id == id && !transfer.aside && !transfer.is_vacant())
        else {
            return;
        };
        transfer.until = until;
        // What lies before the place where it began has not come.
        let (at, first) = (transfer.at, transfer.first);
        match until {
            Until::Size(size) => self.on_excess(at.saturating_sub(size.max(first)), size, now),
            Until::Eof | Until::Offset(_) => self.settle(now),
        }
    }

    /// Draws the conclusion from what is known: the table at the head of this file.
    fn settle(&mut self, now: Instant) {
        let Some(transfer) = &self.transfer else { return };
        let (id, at, begun) = (transfer.id, transfer.at, transfer.has_begun());
        if transfer.spoiled.is_some() || transfer.is_vacant() {
            return;
        }
        match (&transfer.outcome, transfer.data) {
            // What came before the server gave up is still to be read; 425: nothing did.
            (Some(reply), Data::Open | Data::Connecting)
                if reply.code().is_refusal()
                    && reply.code().get() != 425
                    && begun
                    && !transfer.is_past_its_end() => {}
            (Some(reply), _) if reply.code().is_refusal() => {
                let (reply, wanted_is_here) = (reply.clone(), transfer.is_past_its_end());
                self.close_data();
                self.transfer = None;
                self.event(if begun && wanted_is_here {
                    Event::Finished(id, Finish::Cut)
                } else if begun {
                    Event::Finished(id, Finish::Short { at, reply })
                } else {
                    Event::Refused(id, Verb::Retr, reply)
                });
            }
            (_, Data::Open | Data::Connecting) if begun && transfer.is_past_its_end() => self.cut(now),
            (Some(reply), Data::Ended(end)) => {
                let reply = reply.clone();
                // Where the end is known, every byte has come, however the connection went.
                let whole = match transfer.until {
                    Until::Size(size) => at == size,
                    Until::Offset(end) if !transfer.aside => at >= end,
                    // Of a file for the caller no more is known than what is too much.
                    Until::Eof | Until::Offset(_) => end == End::Fin,
                };
                self.transfer = None;
                let finish = if whole { Finish::Whole { at } } else { Finish::Short { at, reply } };
                self.event(Event::Finished(id, finish));
            }
            (Some(_), Data::Failed(cause)) => self.fail(SessionError::Connection(Channel::Data, cause)),
            _ => {}
        }
    }

    /// Ends the transfer from this side; see the head of this file.
    fn cut(&mut self, now: Instant) {
        self.close_data();
        let Some(transfer) = self.transfer.take() else { return };
        self.abandon(now);
        self.event(Event::Finished(transfer.id, Finish::Cut));
    }

    /// RETR is not wanted any more: its reply is awaited, and then the next command may leave. It is the front
    /// command: its data, or its mark, have come, so all before it has been answered.
    fn abandon(&mut self, now: Instant) {
        if let Some(front) = self.pipeline.front().filter(|front| front.purpose == Purpose::Transfer) {
            front.cut = true;
            self.marks.control = now;
        }
    }

    /// The server has noticed that a transfer was cut.
    pub(super) fn on_cut_answered(&mut self) {
        self.pipeline.answered();
        self.fenced = true;
        self.strays = 0;
        self.settle_spoiled();
    }

    /// Closes the data connection, and knows nothing of it any more.
    fn drop_data(&mut self) {
        self.close_data();
        if let Some(transfer) = &mut self.transfer {
            transfer.data = Data::None;
        }
    }

    fn close_data(&mut self) {
        if self.transfer.as_ref().is_some_and(Transfer::has_connection) {
            self.action(Action::Close(Channel::Data));
        }
    }
}
