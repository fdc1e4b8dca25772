//! The states of a transfer, and the table by which it moves.

use crate::channel::{Cause, End};
use crate::command::{Command, Verb};
use crate::error::{SessionError, Timer};
use crate::event::{Event, Finish};
use crate::payload::Payload;
use crate::reply::Reply;
use crate::request::{RequestId, Until};

/// The data connection of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Data {
    /// Not requested yet, or given up.
    None,
    /// The driver connects it.
    Connecting,
    /// Established.
    Open,
    /// The server has ended it.
    Ended(End),
    /// The driver could not connect it.
    Failed(Cause),
}

impl Data {
    const fn is_connection(self) -> bool {
        matches!(self, Self::Connecting | Self::Open)
    }
}

/// The reply to the data command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Control {
    /// None yet.
    Silent,
    /// 1yz: the mark.
    Marked,
    /// 2yz: the server calls the transfer complete.
    Complete(Reply),
    /// 4yz or 5yz before the mark and before any byte.
    Refused(Reply),
    /// 4yz or 5yz after the mark or a byte.
    Broken(Reply),
}

/// A transfer, from its request to its end.
#[derive(Debug)]
pub(in crate::session) enum Transfer {
    /// A [`Request::Prepare`](crate::Request::Prepare): no request uses the data connection yet.
    Ahead {
        /// The request to report when the data connection is established.
        id: RequestId,
        /// `None` until the reply to EPSV or PASV has come.
        data: Data,
    },
    /// A [`Request::Retrieve`](crate::Request::Retrieve) or a [`Request::Content`](crate::Request::Content) under way.
    Running(Running),
    /// EPSV, PASV or REST was refused. The replies to the commands that were sent behind it are awaited.
    Spoiled(Spoiled),
}

/// See [`Transfer::Running`].
#[derive(Debug)]
pub(in crate::session) struct Running {
    pub(super) fetch: Fetch,
    pub(super) control: Control,
    pub(super) data: Data,
}

/// See [`Transfer::Spoiled`].
#[derive(Debug)]
pub(in crate::session) struct Spoiled {
    pub(super) fetch: Fetch,
    pub(super) data: Data,
    pub(super) verb: Verb,
    pub(super) reply: Reply,
    pub(super) remedy: Remedy,
}

/// The next step once no command of a spoiled transfer is under way any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remedy {
    /// EPSV was refused: PASV is tried.
    Pasv,
    /// REST was refused as by a server that understands only the first command of a write: all of it is tried again, one
    /// command at a time.
    LockStep,
    /// None: the refusal is final, and the caller does not know yet.
    Tell,
    /// None, and the caller knows.
    Told,
}

/// The data that a request wants, and how many have come.
#[derive(Debug)]
pub(in crate::session) struct Fetch {
    pub(in crate::session) id: RequestId,
    /// The command that sends the data.
    pub(in crate::session) command: Command,
    pub(in crate::session) target: Target,
    /// Offset of the first byte wanted.
    pub(in crate::session) offset: u64,
    pub(in crate::session) until: Until,
    /// Offset of the first byte that is fetched, overlap included.
    pub(in crate::session) first: u64,
    pub(super) progress: Progress,
    /// Whether the data connection was established before the data command was sent.
    pub(super) connected_ahead: bool,
}

/// The receiver of the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum Target {
    /// A sink: the data are a part of a file.
    Sink,
    /// The caller.
    Caller,
}

/// The data that have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Wanted bytes, overlap included.
    pub(super) bytes: u64,
    /// Bytes past the end of the file.
    pub(super) excess: u64,
    /// Whether any byte has come, wanted or not.
    pub(super) any: bool,
}

/// The next step of a transfer, which follows from its state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// The transfer ends from this side: its data connection is closed, and the reply to the data command awaited.
    Cut,
    /// The transfer is over.
    Finish(Finish),
    /// The transfer is over before it began.
    Refuse(Reply),
    /// The session ends: the server calls a transfer complete whose data connection could not be made.
    Fail(Cause),
}

impl Fetch {
    pub(in crate::session) fn new(id: RequestId, command: Command, target: Target, until: Until) -> Self {
        let progress = Progress::default();
        Self { id, command, target, offset: 0, until, first: 0, progress, connected_ahead: false }
    }

    /// Offset of the next byte.
    pub(super) const fn at(&self) -> u64 {
        self.first.saturating_add(self.progress.bytes)
    }

    /// How many bytes more are wanted.
    pub(super) const fn room(&self) -> u64 {
        self.until.end().saturating_sub(self.at())
    }

    /// Whether every wanted byte has come of a part that ends before the data may.
    const fn is_past_its_end(&self) -> bool {
        match self.until {
            Until::Offset(end) => self.at() >= end,
            Until::Eof | Until::Size(_) => false,
        }
    }

    /// The fetch at its start again, over a data connection to be made.
    pub(super) fn restarted(self) -> Self {
        Self { progress: Progress::default(), connected_ahead: false, ..self }
    }
}

impl Running {
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self.control, Control::Silent | Control::Refused(_)) || self.fetch.progress.any
    }

    /// The next step: the table of the module `transfer`, line by line.
    pub(super) fn step(&self) -> Step {
        let (at, done) = (self.fetch.at(), self.fetch.is_past_its_end());
        match (&self.control, self.data) {
            (Control::Silent, Data::Open) if done && self.has_begun() => Step::Cut,
            (Control::Silent, _) => Step::Wait,

            (Control::Marked | Control::Complete(_), Data::Connecting | Data::Open) if done => Step::Cut,
            (Control::Marked, _) => Step::Wait,

            (Control::Complete(_), Data::None | Data::Connecting | Data::Open) => Step::Wait,
            (Control::Complete(_), Data::Ended(end)) if self.is_whole(end) => {
                Step::Finish(Finish::Whole { at })
            }
            (Control::Complete(reply), Data::Ended(_)) => {
                Step::Finish(Finish::Short { at, reply: reply.clone() })
            }
            (Control::Complete(_), Data::Failed(cause)) => Step::Fail(cause),

            (Control::Refused(reply), _) => Step::Refuse(reply.clone()),

            (Control::Broken(_), _) if done => Step::Finish(Finish::Cut),
            // 425 says that there was no data connection, so no byte was sent.
            (Control::Broken(reply), Data::Connecting | Data::Open) if reply.code().get() != 425 => {
                Step::Wait
            }
            (Control::Broken(reply), _) => Step::Finish(Finish::Short { at, reply: reply.clone() }),
        }
    }

    /// Whether data that the server calls complete are whole. If the end is known, every byte has come, however the
    /// connection ended. The end of a [`Request::Content`](crate::Request::Content) is a limit and not a known end.
    fn is_whole(&self, end: End) -> bool {
        match (self.fetch.until, self.fetch.target) {
            (Until::Size(size), _) => self.fetch.at() == size,
            (Until::Offset(end), Target::Sink) => self.fetch.at() >= end,
            (Until::Offset(_), Target::Caller) | (Until::Eof, _) => end == End::Fin,
        }
    }

    fn payload(&self) -> Payload {
        let Fetch { id, target, offset, until, .. } = self.fetch;
        let (at, end) = (self.fetch.at(), until.end());
        match (self.data, target) {
            (Data::None | Data::Connecting | Data::Ended(_) | Data::Failed(_), _) => Payload::Hold,
            (Data::Open, _) if at >= end => Payload::Drain,
            (Data::Open, Target::Caller) => Payload::Content(id, at..end),
            (Data::Open, Target::Sink) if at < offset => Payload::Overlap(id, at..end.min(offset)),
            (Data::Open, Target::Sink) => Payload::File(id, at..end),
        }
    }

    fn waits_for(&self) -> Option<Timer> {
        match (self.data, &self.control) {
            (Data::None, _) => None,
            (Data::Connecting, Control::Silent | Control::Marked) => Some(Timer::DataConnect),
            (Data::Open, Control::Silent | Control::Marked | Control::Complete(_)) => Some(Timer::Stall),
            (Data::Connecting | Data::Open, _) => Some(Timer::Completion),
            (Data::Ended(_) | Data::Failed(_), _) => Some(Timer::Completion),
        }
    }

    /// Whether the data command was refused because the data connection made ahead is lost.
    pub(super) fn has_lost_connection(&self, reply: &Reply) -> bool {
        self.fetch.connected_ahead && !self.has_begun() && matches!(reply.code().get(), 425 | 503)
    }
}

impl Transfer {
    /// The data connection.
    pub(super) const fn data(&self) -> Data {
        match self {
            Self::Ahead { data, .. } => *data,
            Self::Running(running) => running.data,
            Self::Spoiled(spoiled) => spoiled.data,
        }
    }

    pub(super) const fn data_mut(&mut self) -> &mut Data {
        match self {
            Self::Ahead { data, .. } => data,
            Self::Running(running) => &mut running.data,
            Self::Spoiled(spoiled) => &mut spoiled.data,
        }
    }

    /// The meaning of the next bytes of the data connection, if no command before the data command is unanswered.
    pub(in crate::session) fn payload(&self) -> Payload {
        match self {
            Self::Ahead { data: Data::Open, .. } => Payload::Idle,
            Self::Running(running) => running.payload(),
            // A byte is the sign that the server has begun to send what nobody takes.
            Self::Spoiled(Spoiled { data: Data::Open, .. }) => Payload::Drain,
            Self::Ahead { .. } | Self::Spoiled(_) => Payload::Hold,
        }
    }

    /// Whether the driver connects the data connection, or it is open.
    pub(in crate::session) const fn has_connection(&self) -> bool {
        self.data().is_connection()
    }

    /// Whether no request uses the data connection yet.
    pub(in crate::session) const fn is_ahead(&self) -> bool {
        matches!(self, Self::Ahead { .. })
    }

    /// Whether EPSV, PASV or REST was refused.
    pub(in crate::session) const fn is_spoiled(&self) -> bool {
        matches!(self, Self::Spoiled(_))
    }

    /// The deadline of the data connection, or of the reply while there is none.
    pub(in crate::session) fn waits_for(&self) -> Option<Timer> {
        match self {
            Self::Running(running) => running.waits_for(),
            Self::Ahead { data, .. } | Self::Spoiled(Spoiled { data, .. }) => {
                (*data == Data::Connecting).then_some(Timer::DataConnect)
            }
        }
    }

    /// Whether the data command may have to wait for its turn at the server, so that no byte is late yet.
    pub(in crate::session) const fn waits_for_turn(&self) -> bool {
        match self {
            Self::Running(running) => running.fetch.connected_ahead && !running.has_begun(),
            Self::Ahead { .. } | Self::Spoiled(_) => false,
        }
    }

    /// Whether the server has called the transfer complete while data are still to come.
    pub(in crate::session) const fn is_completed(&self) -> bool {
        match self {
            Self::Running(running) => {
                running.data.is_connection() && matches!(running.control, Control::Complete(_))
            }
            Self::Ahead { .. } | Self::Spoiled(_) => false,
        }
    }

    /// The cause if the data connection could not be made.
    pub(in crate::session) const fn failure(&self) -> Option<Cause> {
        match self.data() {
            Data::Failed(cause) => Some(cause),
            Data::None | Data::Connecting | Data::Open | Data::Ended(_) => None,
        }
    }

    /// The event of a transfer that is whole although the session ends by `error`: the server has closed the data
    /// connection in order, exactly at the end of the file, so no reply could tell more. An empty file is an exception if the
    /// control connection was lost before the mark: the server may have been about to send bytes.
    pub(in crate::session) fn ended_at_size(&self, error: &SessionError) -> Option<Event> {
        let Self::Running(Running { fetch, control, data }) = self else { return None };
        let lost = matches!(error, SessionError::Connection(..) | SessionError::OutOfStep(_));
        let at = fetch.at();
        let whole = *data == Data::Ended(End::Fin)
            && fetch.until == Until::Size(at)
            && (fetch.progress.any || !matches!(control, Control::Silent) && !lost);
        whole.then_some(Event::Finished(fetch.id, Finish::Whole { at }))
    }
}

#[cfg(test)]
mod tests;
