//! Commands on their way: not yet sent, or sent and not yet answered.

use crate::command::{Command, Verb};
use crate::request::RequestId;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a command is sent for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A step of the login, up to the representation type.
    Login,
    /// FEAT after login.
    Features,
    /// The caller's own command.
    Command(RequestId),
    /// SIZE, MDTM or MLST of a [`Request::Facts`](crate::Request::Facts).
    Facts(RequestId),
    /// EPSV, PASV or REST of a transfer.
    Prepare,
    /// RETR.
    Transfer,
}

/// A command that has been sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) verb: Verb,
    pub(super) purpose: Purpose,
    /// Preliminary replies to it so far.
    pub(super) preliminary: u32,
    /// It is a RETR whose data connection has been closed from this side.
    pub(super) cut: bool,
}

/// The queue of commands, matched to replies in order: replies carry no id (RFC 959 §5.4).
#[derive(Debug)]
pub(super) struct Pipeline {
    depth: usize,
    waiting: VecDeque<(Command, Purpose)>,
    sent: VecDeque<Sent>,
    /// Whether, since nothing was unanswered, more than one command was, and no transfer has begun.
    burst: bool,
    out: Vec<u8>,
    /// How much of `out` the driver has sent.
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

    /// From now on a command is sent when the one before has been answered.
    pub(super) const fn set_lock_step(&mut self) {
        self.depth = 1;
    }

    /// Queues a command behind all others.
    pub(super) fn push(&mut self, command: Command, purpose: Purpose) {
        self.waiting.push_back((command, purpose));
    }

    /// Queues a command before all that have not been sent; behind RETR if EPSV or PASV has, as nothing may
    /// come between REST and RETR.
    pub(super) fn push_next(&mut self, command: Command, purpose: Purpose) {
        let begun = |(command, _): &(Command, Purpose)| matches!(command.verb(), Verb::Rest | Verb::Retr);
        let mut at = 0;
        if self.waiting.front().is_some_and(begun) {
            let retr = self.waiting.iter().position(|(_, purpose)| *purpose == Purpose::Transfer);
            at = retr.map_or(0, |retr| retr.saturating_add(1));
        }
        self.waiting.insert(at, (command, purpose));
    }

    /// Forgets the unsent commands that `which` picks.
    pub(super) fn withdraw(&mut self, which: impl Fn(Verb, Purpose) -> bool) {
        self.waiting.retain(|(command, purpose)| !which(command.verb(), *purpose));
    }

    /// Encodes the next command that may leave now, and hands it out for the trace.
    ///
    /// Nothing is sent behind a RETR: a server that reads commands while it transfers may break the
    /// transfer off when it sees one.
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

    /// The front command has been answered.
    pub(super) fn answered(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// Whether EPSV, PASV or REST is unanswered.
    pub(super) fn preparing(&self) -> bool {
        self.sent.iter().any(|sent| sent.purpose == Purpose::Prepare)
    }

    /// Whether a RETR is still to be sent, or something before it to be answered.
    pub(super) fn before_transfer(&self) -> bool {
        let behind = self.sent.iter().skip(1).map(|sent| sent.purpose);
        let unsent = self.waiting.iter().map(|(_, purpose)| *purpose);
        behind.chain(unsent).any(|purpose| purpose == Purpose::Transfer)
    }

    /// Whether a RETR is unanswered.
    pub(super) fn transferring(&self) -> bool {
        self.sent.iter().any(|sent| sent.purpose == Purpose::Transfer)
    }

    /// Whether the reply to a cut RETR is awaited.
    pub(super) fn is_cut(&self) -> bool {
        self.sent.iter().any(|sent| sent.cut)
    }

    /// How many commands are unanswered.
    pub(super) fn unanswered(&self) -> usize {
        self.sent.len()
    }

    /// Whether what happens now may come from several commands having been under way at once.
    pub(super) const fn in_burst(&self) -> bool {
        self.burst
    }

    /// RETR is under way no longer, or its data are: the burst it came in has been understood.
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
