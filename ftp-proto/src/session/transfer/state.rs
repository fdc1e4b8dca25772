//! What is known of a transfer.

use crate::channel::{Cause, End};
use crate::command::{Command, Verb};
use crate::error::{SessionError, Timer};
use crate::event::{Event, Finish};
use crate::payload::Payload;
use crate::reply::Reply;
use crate::request::{RequestId, Until};

/// The data connection of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Data {
    /// Not asked for, or given up.
    None,
    Connecting,
    Open,
    Ended(End),
    Failed(Cause),
}

/// A [`Request::Retrieve`](crate::Request::Retrieve) or a [`Request::Content`](crate::Request::Content) under way; or a
/// [`Request::Prepare`](crate::Request::Prepare), which one of these takes up.
#[derive(Debug)]
pub(in crate::session) struct Transfer {
    pub(super) id: RequestId,
    /// The command that sends the data; `None` if nothing is to be fetched yet.
    pub(super) command: Option<Command>,
    /// The first byte wanted.
    pub(super) offset: u64,
    pub(super) until: Until,
    /// It is a [`Request::Content`](crate::Request::Content).
    pub(super) aside: bool,
    /// Its data connection was there before it was asked for, as far as is known.
    pub(super) ahead: bool,
    /// Offset of the first byte that is fetched, overlap included.
    pub(super) first: u64,
    /// Offset of the next byte.
    pub(super) at: u64,
    pub(super) data: Data,
    /// The mark (1yz) to RETR has come.
    pub(super) mark: bool,
    /// Data have come, wanted or not.
    pub(super) bytes: bool,
    /// Bytes that came past the end of the file.
    pub(super) excess: u64,
    /// The final reply to RETR.
    pub(super) outcome: Option<Reply>,
    /// EPSV, PASV or REST was refused while RETR was under way.
    pub(super) spoiled: Option<(Verb, Reply)>,
    /// The caller has been told of that.
    pub(super) told: bool,
    /// That may be because it came in a burst: it is tried once more, one command at a time.
    pub(super) again: bool,
}

impl Transfer {
    /// One of which no more is known than that there is to be one.
    pub(super) const fn vacant(id: RequestId) -> Self {
        Self {
            id,
            command: None,
            offset: 0,
            until: Until::Eof,
            aside: false,
            ahead: false,
            first: 0,
            at: 0,
            data: Data::None,
            mark: false,
            bytes: false,
            excess: 0,
            outcome: None,
            spoiled: None,
            told: false,
            again: false,
        }
    }

    /// What the next bytes of the data connection are, if no command before RETR is unanswered.
    pub(in crate::session) fn payload(&self) -> Payload {
        let end = self.until.end();
        match self.data {
            Data::Open if self.is_vacant() => Payload::Idle,
            Data::Open if self.is_spoiled() || self.at >= end => Payload::Drain,
            Data::Open if self.aside => Payload::Content(self.id, self.at..end),
            Data::Open if self.at < self.offset => Payload::Overlap(self.id, self.at..end.min(self.offset)),
            Data::Open => Payload::File(self.id, self.at..end),
            Data::None | Data::Connecting | Data::Ended(_) | Data::Failed(_) => Payload::Hold,
        }
    }

    /// How many bytes more are wanted.
    pub(super) const fn room(&self) -> u64 {
        if self.is_spoiled() { 0 } else { self.until.end().saturating_sub(self.at) }
    }

    /// Whether nothing is to be fetched yet.
    pub(in crate::session) const fn is_vacant(&self) -> bool {
        self.command.is_none()
    }

    /// Whether the data connection is there, and nothing is to be fetched yet.
    pub(in crate::session) fn is_prepared(&self) -> bool {
        self.is_vacant() && self.data == Data::Open
    }

    pub(in crate::session) const fn has_connection(&self) -> bool {
        matches!(self.data, Data::Connecting | Data::Open)
    }

    /// What the data connection, or its absence, is waited on for.
    pub(in crate::session) fn waits_for(&self) -> Option<Timer> {
        match (self.data, &self.outcome) {
            (Data::None, _) => None,
            (Data::Open, _) if self.is_spoiled() || self.is_vacant() => None,
            (Data::Connecting, None) => Some(Timer::DataConnect),
            (Data::Open, Some(reply)) if reply.code().is_refusal() => Some(Timer::Completion),
            (Data::Open, _) => Some(Timer::Stall),
            (Data::Connecting, Some(_)) | (Data::Ended(_) | Data::Failed(_), _) => Some(Timer::Completion),
        }
    }

    /// Whether the server has called it complete, while data are still to come.
    pub(in crate::session) fn is_completed(&self) -> bool {
        self.has_connection() && self.outcome.as_ref().is_some_and(|reply| reply.code().is_completion())
    }

    /// Whether the server is to notice that nobody takes what it sends.
    pub(in crate::session) const fn is_spoiled(&self) -> bool {
        self.spoiled.is_some()
    }

    /// Why the data connection could not be made.
    pub(in crate::session) const fn failure(&self) -> Option<Cause> {
        match self.data {
            Data::Failed(cause) => Some(cause),
            Data::None | Data::Connecting | Data::Open | Data::Ended(_) => None,
        }
    }

    /// What is to be told of it if the session ends by `error`: the server has closed the data connection in order, exactly
    /// where the file ends. No reply could say more. But if it was lost without a byte, it may have been about to send some.
    pub(in crate::session) fn ended_at_size(&self, error: &SessionError) -> Option<Event> {
        let lost = matches!(error, SessionError::Connection(..) | SessionError::OutOfStep(_));
        let whole = self.data == Data::Ended(End::Fin)
            && self.until == Until::Size(self.at)
            && (self.bytes || self.mark && !lost)
            && self.spoiled.is_none();
        whole.then_some(Event::Finished(self.id, Finish::Whole { at: self.at }))
    }

    /// Whether no byte can be late yet: RETR may have had to wait for its turn.
    pub(in crate::session) const fn waits_for_turn(&self) -> bool {
        self.ahead && !self.has_begun()
    }

    /// Whether RETR was refused for want of a data connection, where one was made ahead.
    pub(super) fn is_lost_ahead(&self, reply: &Reply) -> bool {
        self.waits_for_turn() && matches!(reply.code().get(), 425 | 503)
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.mark || self.bytes
    }

    /// Whether everything wanted is here, and the rest is not wanted.
    pub(super) const fn is_past_its_end(&self) -> bool {
        match self.until {
            Until::Offset(end) => self.at >= end,
            Until::Eof | Until::Size(_) => false,
        }
    }
}
