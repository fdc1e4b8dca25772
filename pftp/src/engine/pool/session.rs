//! A session as the engine sees it: its stage, its directory, its task, and the replies that it waits for.

use super::rate::Rate;
use super::running::Running;
use crate::engine::ids::{ComparisonId, FileId, MirrorId, ServerId, SlotId};
use crate::ranges::RangeSet;
use ftp_proto::{Arg, Config, Instant, RequestId, Until};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How far a session has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::engine) enum Stage {
    /// Its control connection is being established.
    Dialling,
    /// The control connection is established.
    Connected,
    /// Logged in.
    Ready,
    /// The engine has closed it; its end has not been reported yet.
    Closing,
}

/// The working directory of a session (CWD, RFC 959 §4.1.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Directory {
    /// The directory after login.
    Login,
    /// CWD is sent: paths mean nothing until its reply.
    Changing {
        request: RequestId,
        /// The directory that the session changes to.
        to: Arg,
        /// The directory that it is in; `None` for the one after login.
        from: Option<Arg>,
    },
    /// The session has changed to it.
    In(Arg),
}

/// The task of a session.
#[derive(Debug)]
pub(in crate::engine) enum Task {
    /// Nothing.
    Idle,
    /// It fetches a range.
    Transfer(Transfer),
    /// It asks a server for a checksum of the file.
    Lookup(FileId),
}

/// A request that a session has been given beside its task, and what its reply is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Pending {
    /// Size and time of a file.
    Facts(FileId, MirrorId),
    /// The same at the end: whether the file is the same.
    Confirmation(FileId, MirrorId),
    /// NOOP: the session has been silent and gets no task until it replies.
    Liveness,
    /// NOOP, sent at that time, to see whether packets wait in a queue on the path: an rtt probe.
    RttProbe(Instant),
    /// A question of the checksum lookup: its place in the list of questions.
    Lookup(FileId, usize),
}

/// Whether a session has a data connection ahead of its next transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Ahead {
    /// It was not asked for.
    None,
    /// It was asked for at that time.
    Requested(RequestId, Instant),
    /// It was there at that time.
    Ready(Instant),
}

/// The purpose of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Purpose {
    /// Its range.
    Fetch,
    /// The overlap before its empty range: a vote on the disputed bytes.
    Vote(ComparisonId),
}

/// A range of a file that a session is fetching.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Transfer {
    pub(in crate::engine) request: RequestId,
    pub(in crate::engine) file: FileId,
    pub(in crate::engine) mirror: MirrorId,
    pub(in crate::engine) purpose: Purpose,
    pub(in crate::engine) start: u64,
    /// Offset behind the last byte that has been reported.
    pub(in crate::engine) at: u64,
    pub(in crate::engine) until: Until,
    /// When it was requested.
    pub(in crate::engine) requested: Instant,
    /// Whether the server has begun: by its mark, or by a byte.
    pub(in crate::engine) started: bool,
    /// The highest average rate since the request, in bytes per second.
    pub(in crate::engine) peak: u64,
    /// It ends where it is; others get the rest of its range.
    pub(in crate::engine) is_cut: bool,
    /// Parts of the range whose bytes another session may overwrite or have overwritten before they are reported.
    pub(in crate::engine) overwritten: RangeSet,
    /// How often in a row the whole range was taken from a transfer that had brought nothing of it.
    pub(in crate::engine) takeovers: u32,
    /// How much sooner than usual its first byte comes, because its data connection was made ahead. `None` if that connection
    /// was still being made at the request.
    pub(in crate::engine) saved: Option<Duration>,
}

impl Transfer {
    /// A transfer of `file` from `start` on.
    pub(in crate::engine) fn new(
        request: RequestId,
        (file, mirror): (FileId, MirrorId),
        start: u64,
        until: Until,
        requested: Instant,
    ) -> Self {
        Self {
            request,
            file,
            mirror,
            purpose: Purpose::Fetch,
            start,
            at: start,
            until,
            requested,
            started: false,
            peak: 0,
            is_cut: false,
            overwritten: RangeSet::new(),
            takeovers: 0,
            saved: Some(Duration::ZERO),
        }
    }

    /// Records bytes that have come. Returns the part of the range before them that has not come and will not come any more.
    pub(in crate::engine) fn advance(&mut self, range: &Range<u64>, now: Instant) -> Range<u64> {
        if range.end <= self.at || range.start > self.until.end() {
            return self.at..self.at;
        }
        let skipped = self.at..range.start.max(self.at);
        self.at = range.end;
        let bytes = u128::from(self.at.saturating_sub(self.start));
        let rate = bytes.saturating_mul(1000) / now.since(self.requested).as_millis().max(1);
        self.peak = self.peak.max(u64::try_from(rate).unwrap_or(u64::MAX));
        skipped
    }

    /// The part of the range that has not come.
    pub(in crate::engine) fn left(&self) -> Range<u64> {
        self.at..self.until.end().max(self.at)
    }

    /// Whether bytes have come.
    pub(in crate::engine) const fn delivers(&self) -> bool {
        self.at > self.start
    }

    /// Whether it is a vote.
    pub(in crate::engine) const fn is_vote(&self) -> bool {
        matches!(self.purpose, Purpose::Vote(_))
    }
}

/// How long a transfer may take to its first byte before others may take it over: so many times the usual time, and additional
/// time for a busy server. All of it doubles with each takeover of a range, or two slow sessions would take it from each other
/// for ever.
const PATIENCE: (u32, Duration) = (4, Duration::from_millis(500));

/// How much later than usual a first byte is late; doubles likewise.
const LATE: Duration = Duration::from_millis(50);

/// A session.
#[derive(Debug)]
pub(in crate::engine) struct Session {
    pub(in crate::engine) server: ServerId,
    pub(in crate::engine) slot: SlotId,
    pub(in crate::engine) address: SocketAddr,
    pub(in crate::engine) opened: Instant,
    pub(in crate::engine) stage: Stage,
    pub(in crate::engine) directory: Directory,
    pub(in crate::engine) task: Task,
    /// The file whose facts it was last asked for.
    pub(in crate::engine) file: Option<FileId>,
    pending: Vec<(RequestId, Pending)>,
    pub(in crate::engine) ahead: Ahead,
    /// When a transfer was last requested.
    pub(in crate::engine) requested: Option<Instant>,
    /// How long its control connection took to be established.
    pub(in crate::engine) connected_in: Option<Duration>,
    /// The round-trip time that its last rtt probe measured.
    pub(in crate::engine) rtt_probe: Option<Duration>,
    /// Its configuration.
    pub(in crate::engine) config: Arc<Config>,
    /// The file, and the offset at which a transfer without a known end has ended, until the mirror has said how long its file is.
    pub(in crate::engine) unconfirmed_end: Option<(FileId, u64)>,
    /// No task before then: a transfer has failed.
    pub(in crate::engine) rests_until: Option<Instant>,
    pub(in crate::engine) rate: Rate,
    /// Bytes per second of the transfer that a refresh replaced.
    pub(in crate::engine) replaced_rate: Option<u64>,
    last_request: u64,
}

impl Session {
    /// A session that is being opened.
    pub(super) fn new(
        slot: SlotId,
        server: ServerId,
        address: SocketAddr,
        config: Arc<Config>,
        now: Instant,
    ) -> Self {
        Self {
            server,
            slot,
            address,
            opened: now,
            stage: Stage::Dialling,
            directory: Directory::Login,
            task: Task::Idle,
            file: None,
            pending: Vec::new(),
            ahead: Ahead::None,
            requested: None,
            connected_in: None,
            rtt_probe: None,
            config,
            unconfirmed_end: None,
            rests_until: None,
            rate: Rate::default(),
            replaced_rate: None,
            last_request: 0,
        }
    }

    /// The identifier of the next request.
    pub(in crate::engine) const fn next_request(&mut self) -> RequestId {
        self.last_request = self.last_request.saturating_add(1);
        RequestId(self.last_request)
    }

    /// The identifier of a request whose reply is for `pending`.
    pub(in crate::engine) fn expect(&mut self, pending: Pending) -> RequestId {
        let request = self.next_request();
        self.pending.push((request, pending));
        request
    }

    /// Takes out what the reply to a request is for.
    pub(in crate::engine) fn answered(&mut self, request: RequestId) -> Option<Pending> {
        let at = self.pending.iter().position(|(asked, _)| *asked == request)?;
        Some(self.pending.remove(at).1)
    }

    /// The purpose of the reply to a request.
    pub(in crate::engine) fn pending(&self, request: RequestId) -> Option<Pending> {
        self.pending.iter().find(|(asked, _)| *asked == request).map(|(_, pending)| *pending)
    }

    /// Whether a reply is awaited for which `which` holds.
    pub(in crate::engine) fn awaits(&self, which: impl Fn(Pending) -> bool) -> bool {
        self.pending.iter().any(|(_, pending)| which(*pending))
    }

    /// Whether the reply to an rtt probe is awaited.
    pub(in crate::engine) fn awaits_rtt_probe(&self) -> bool {
        self.awaits(|pending| matches!(pending, Pending::RttProbe(_)))
    }

    /// Whether the session must show that it lives.
    pub(in crate::engine) fn awaits_liveness(&self) -> bool {
        self.awaits(|pending| pending == Pending::Liveness)
    }

    /// Whether it is logged in and goes on.
    pub(in crate::engine) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Whether the engine has closed it.
    pub(in crate::engine) fn is_closing(&self) -> bool {
        self.stage == Stage::Closing
    }

    /// Whether the control connection is established and the session goes on.
    pub(in crate::engine) const fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Connected | Stage::Ready)
    }

    /// Whether CWD is under way.
    pub(in crate::engine) const fn is_changing_directory(&self) -> bool {
        matches!(self.directory, Directory::Changing { .. })
    }

    /// Whether it may get a task now.
    pub(in crate::engine) fn is_free(&self) -> bool {
        self.is_ready()
            && matches!(self.task, Task::Idle)
            && !self.is_changing_directory()
            && !self.awaits_liveness()
            && self.rests_until.is_none()
    }

    /// Its transfer.
    pub(in crate::engine) const fn transfer(&self) -> Option<&Transfer> {
        match &self.task {
            Task::Transfer(transfer) => Some(transfer),
            Task::Idle | Task::Lookup(_) => None,
        }
    }

    /// Its transfer, to change it.
    pub(in crate::engine) const fn transfer_mut(&mut self) -> Option<&mut Transfer> {
        match &mut self.task {
            Task::Transfer(transfer) => Some(transfer),
            Task::Idle | Task::Lookup(_) => None,
        }
    }

    /// Its transfer of this file.
    pub(in crate::engine) fn transfer_of(&self, file: FileId) -> Option<&Transfer> {
        self.transfer().filter(|transfer| transfer.file == file)
    }

    /// Ends the transfer that `request` names and returns it.
    pub(in crate::engine) fn end_transfer(&mut self, request: RequestId) -> Option<Transfer> {
        self.transfer().filter(|transfer| transfer.request == request)?;
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Transfer(transfer) => Some(transfer),
            Task::Idle | Task::Lookup(_) => None,
        }
    }

    /// Whether it asks for a checksum.
    pub(in crate::engine) const fn is_looking_up(&self) -> bool {
        matches!(self.task, Task::Lookup(_))
    }

    /// When its last attempt at anything began.
    pub(super) fn began(&self) -> Instant {
        self.requested.unwrap_or(self.opened)
    }

    /// Whether bytes of its transfer have come.
    pub(in crate::engine) fn delivers(&self) -> bool {
        self.transfer().is_some_and(Transfer::delivers)
    }

    /// Bytes per second that it last had for long enough, or fewer if the running transfer has slowed down.
    pub(in crate::engine) fn late_rate(&self, usual: Duration, now: Instant) -> Option<u64> {
        let established = self.rate.established()?;
        Some(if self.delivers() { self.rate.cautious(established, usual, now) } else { established })
    }

    /// How long a packet took there and back while the path could be seen: by an rtt probe, or by the dialling of a connection
    /// that has no task yet.
    pub(in crate::engine) fn seen_round_trip(&self) -> Option<Duration> {
        if self.awaits_rtt_probe() {
            return None;
        }
        self.rtt_probe.or_else(|| self.connected_in.filter(|_| !self.is_ready()))
    }

    /// Its running transfer with the rate as of `now`, or `guess` bytes per second while no rate is known. `usual` is the usual
    /// time to a first byte. `None` for a vote and for a transfer that is being cut.
    pub(in crate::engine) fn running(&self, guess: u64, usual: Duration, now: Instant) -> Option<Running> {
        let transfer = self.transfer().filter(|transfer| !transfer.is_cut && !transfer.is_vote())?;
        if self.is_closing() {
            return None;
        }
        let running =
            |rate, delay| Some(Running { left: transfer.left(), rate, delay, closing: Duration::ZERO });
        if transfer.delivers() {
            return running(self.rate.cautious(guess, usual, now), Duration::ZERO);
        }
        let waited = now.since(transfer.requested);
        let first_byte = usual.saturating_sub(transfer.saved.unwrap_or_default());
        let again = 1_u32.checked_shl(transfer.takeovers).unwrap_or(u32::MAX);
        let (times, more) = PATIENCE;
        let patience = first_byte.saturating_mul(times).saturating_add(more).saturating_mul(again);
        if waited >= patience {
            return running(0, Duration::ZERO);
        }
        // The established rate is that of the transfer before.
        let rate = self.rate.established().unwrap_or(guess).max(1);
        // A late transfer has lost a packet, and waits the longer the longer it has waited.
        let late =
            waited.saturating_sub(first_byte.saturating_add(LATE).saturating_mul(again)).saturating_mul(2);
        running(rate, first_byte.saturating_sub(waited).max(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_first_byte_is_expected_later_the_longer_it_is_awaited() {
        let at = |millis| Instant(Duration::from_millis(millis));
        let address = SocketAddr::from(([127, 0, 0, 1], 21));
        let running = |takeovers, now| {
            let mut session = Session::new(SlotId(0), ServerId(0), address, Arc::default(), at(0));
            let until = Until::Offset(1000);
            let transfer = Transfer::new(RequestId(1), (FileId(0), MirrorId(0)), 0, until, at(0));
            session.task = Task::Transfer(Transfer { takeovers, ..transfer });
            session.running(7, Duration::from_millis(300), at(now)).expect("a transfer runs")
        };
        let delays = [0, 200, 300, 350, 600].map(|now| running(0, now).delay.as_millis());
        assert_eq!(delays, [300, 100, 0, 0, 500]);
        assert_eq!(running(0, 1_700).rate, 0, "the transfer counts as silent");
        assert_eq!(running(1, 700).delay, Duration::ZERO, "a takeover doubles the patience");
    }
}
