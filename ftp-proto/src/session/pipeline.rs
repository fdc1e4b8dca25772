//! Commands that are not yet sent, or sent and not yet answered.

use crate::command::{Command, Verb};
use crate::request::RequestId;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The purpose of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A step of the login, up to the representation type.
    Login,
    /// FEAT after the login.
    Features,
    /// A command of the caller.
    Command(RequestId),
    /// SIZE, MDTM or MLST of a [`Request::Facts`](crate::Request::Facts).
    Facts(RequestId),
    /// EPSV, PASV or REST of a transfer.
    Prepare,
    /// The command that sends the data.
    Transfer,
}

/// A command that has been sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) verb: Verb,
    pub(super) purpose: Purpose,
    /// Preliminary replies so far.
    pub(super) preliminary: u32,
    /// Whether it is the data command of a transfer that was cut.
    pub(super) cut: bool,
}

/// The queue of commands, matched to replies in order: replies carry no id (RFC 959 §5.4).
#[derive(Debug)]
pub(super) struct Pipeline {
    depth: usize,
    waiting: VecDeque<(Command, Purpose)>,
    sent: VecDeque<Sent>,
    /// Whether more than one command was unanswered since none was, and no transfer has begun since.
    burst: bool,
    out: Vec<u8>,
    /// Bytes of `out` that the driver has sent.
    gone: usize,
}

impl Pipeline {
    pub(super) const fn new(depth: usize) -> Self {
        Self {
            depth,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            burst: false,
            out: Vec::new(),
            gone: 0,
        }
    }

    /// Sends each further command only after the reply to the one before.
    pub(super) const fn set_lock_step(&mut self) {
        self.depth = 1;
    }

    /// Queues a command behind all others.
    pub(super) fn push(&mut self, command: Command, purpose: Purpose) {
        self.waiting.push_back((command, purpose));
    }

    /// Queues a command before all unsent ones; but behind the data command if its EPSV or PASV was sent, because no
    /// command may come between REST and the data command.
    pub(super) fn push_next(&mut self, command: Command, purpose: Purpose) {
        let begun = |(command, _): &(Command, Purpose)| matches!(command.verb(), Verb::Rest | Verb::Retr);
        let mut at = 0;
        if self.waiting.front().is_some_and(begun) {
            let retr = self.waiting.iter().position(|(_, purpose)| *purpose == Purpose::Transfer);
            at = retr.map_or(0, |retr| retr.saturating_add(1));
        }
        self.waiting.insert(at, (command, purpose));
    }

    /// Drops the unsent commands that `which` picks.
    pub(super) fn withdraw(&mut self, which: impl Fn(Verb, Purpose) -> bool) {
        self.waiting.retain(|(command, purpose)| !which(command.verb(), *purpose));
    }

    /// Encodes the next command that may leave now, and returns it for the trace.
    ///
    /// No command is sent behind a data command: a server that reads commands while it transfers may break the
    /// transfer off.
    pub(super) fn send_next(&mut self) -> Option<Command> {
        if self.sent.len() >= self.depth || self.transferring() {
            return None;
        }
        let (command, purpose) = self.waiting.pop_front()?;
        command.encode(&mut self.out);
        self.burst = !self.sent.is_empty();
        self.sent.push_back(Sent { verb: command.verb(), purpose, preliminary: 0, cut: false });
        Some(command)
    }

    /// Encodes a command that awaits no reply.
    pub(super) fn send_last(&mut self, command: &Command) {
        self.waiting.clear();
        command.encode(&mut self.out);
    }

    /// The command that the next reply answers.
    pub(super) fn front(&mut self) -> Option<&mut Sent> {
        self.sent.front_mut()
    }

    /// Takes the front command as answered.
    pub(super) fn answered(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// Whether EPSV, PASV or REST is unanswered.
    pub(super) fn preparing(&self) -> bool {
        self.sent.iter().any(|sent| sent.purpose == Purpose::Prepare)
    }

    /// Whether a data command is unsent, or a command before it unanswered.
    pub(super) fn before_transfer(&self) -> bool {
        let behind = self.sent.iter().skip(1).map(|sent| sent.purpose);
        let unsent = self.waiting.iter().map(|(_, purpose)| *purpose);
        behind.chain(unsent).any(|purpose| purpose == Purpose::Transfer)
    }

    /// Whether a data command is unanswered.
    pub(super) fn transferring(&self) -> bool {
        self.sent.iter().any(|sent| sent.purpose == Purpose::Transfer)
    }

    /// Whether the reply to the data command of a cut transfer is awaited.
    pub(super) fn is_cut(&self) -> bool {
        self.sent.iter().any(|sent| sent.cut)
    }

    /// How many commands are unanswered.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len()
    }

    /// Whether the present event may come from several commands having been under way at once.
    pub(super) const fn in_burst(&self) -> bool {
        self.burst
    }

    /// Ends the burst: the server has understood it, because the data command is answered or its data come.
    pub(super) const fn end_burst(&mut self) {
        self.burst = false;
    }

    pub(super) fn transmit(&self) -> &[u8] {
        self.out.get(self.gone..).unwrap_or_default()
    }

    pub(super) fn transmitted(&mut self, len: usize) {
        self.gone = self.gone.saturating_add(len).min(self.out.len());
        if self.gone == self.out.len() {
            self.out.clear();
            self.gone = 0;
        }
    }
}
