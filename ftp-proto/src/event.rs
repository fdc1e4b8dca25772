//! What goes into a session beside bytes, and what comes out of it.

use crate::arg::Arg;
use crate::command::{Command, Verb};
use crate::error::{Cause, Error};
use crate::meaning::{Facts, Features};
use crate::reply::Reply;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;

/// One of the two connections of a session (RFC 959 §2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Channel {
    /// The control connection: commands and replies.
    Control,
    /// The data connection: one for each transfer.
    Data,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It is established.
    Connected,
    /// The peer has ended it; nothing more can be read.
    Ended(End),
    /// It could not be established.
    Failed(Cause),
}

/// How a peer ended a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// In order: every byte arrived.
    Fin,
    /// By reset or an error: bytes may be missing.
    Reset,
}

/// Work for a session.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// A command without a data connection; answered by [`Event::Reply`] or [`Event::Refused`].
    Command(Command),
    /// Size and modification time of a file (SIZE and MDTM, else MLST); answered by [`Event::Facts`].
    Facts(Arg),
    /// A file or a part of it (REST and RETR); answered by [`Event::Started`] and [`Event::Finished`],
    /// or by [`Event::Refused`].
    Retrieve(Retrieve),
    /// A small file that is not the one the sink is for: RETR, from the start. Its bytes go to
    /// [`LinkOutput::Content`](crate::LinkOutput::Content). Answered like a [`Request::Retrieve`] that ends before the
    /// offset `most` ([`Until::Offset`]): a file that is as long, or longer, ends in [`Finish::Cut`].
    Content {
        /// The file.
        path: Arg,
        /// How many bytes are taken at most.
        most: u64,
    },
    /// A data connection ahead of the next [`Request::Retrieve`] or [`Request::Content`], by EPSV or else PASV (RFC 2428 §3,
    /// RFC 959 §4.1.2): what that asks for is then there a round trip later, where it would take three. [`Event::Prepared`]
    /// follows when it is established, unless it has been taken up by then, which the next transfer does in any case. Where
    /// the server refuses it, closes it or cannot be reached there, nothing is said, and that transfer makes one of its own. A
    /// further request of this kind makes no second one, but takes the place of the first, and tells whether it is there.
    Prepare,
}

/// A part of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retrieve {
    /// The file.
    pub path: Arg,
    /// The first byte wanted, 0 for the first of the file (the restart point, RFC 3659 §5).
    pub offset: u64,
    /// Where the part ends.
    pub until: Until,
}

/// Where a transfer ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// Where the server ends it.
    Eof,
    /// At the end of the file, whose size is known: the server has to end it exactly there. Fewer bytes
    /// are [`Finish::Short`], a byte more is [`PeerFault::Overrun`](crate::PeerFault::Overrun).
    Size(u64),
    /// Before this offset, exclusive; the session cuts the transfer there.
    Offset(u64),
}

impl Until {
    /// The offset, exclusive, past which nothing is wanted; `u64::MAX` if it is not known.
    #[must_use]
    pub const fn end(self) -> u64 {
        match self {
            Self::Eof => u64::MAX,
            Self::Size(end) | Self::Offset(end) => end,
        }
    }
}

/// Names a request within its session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// What comes out of a session, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// The driver has to do something.
    Action(Action),
    /// Something the caller wants to know.
    Event(Event),
}

/// What the driver has to do with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Connect the data connection to this address, and report [`Change::Connected`] or [`Change::Failed`].
    /// (The driver opens the control connection unasked: it knows the address before the session does.)
    Connect(SocketAddr),
    /// Close the connection, at once and without waiting. Nothing is reported back.
    Close(Channel),
}

/// Something the caller wants to know.
///
/// Where a server repeats the password or the account in a reply, an event has `***` in its place, unless that is
/// shorter than four bytes: so short a word is found in many a reply that has nothing to do with it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The control connection is established; the greeting has not come yet.
    Connected,
    /// Logged in, the representation type set. The features are empty unless
    /// [`Config::features`](crate::Config::features) asked for them.
    Ready(Features),
    /// The completion reply to a [`Request::Command`].
    Reply(RequestId, Reply),
    /// What the server says of a file. What it does not say is `None`.
    Facts(RequestId, Facts),
    /// The data connection that a [`Request::Prepare`] asked for is established, and no transfer uses it yet.
    Prepared(RequestId),
    /// The transfer has begun: the mark (1yz) has come.
    Started(RequestId),
    /// The transfer is over.
    Finished(RequestId, Finish),
    /// The server refused the request with this reply to this command; the session goes on.
    Refused(RequestId, Verb, Reply),
    /// A line sent or received, if [`Config::trace`](crate::Config::trace) asks for it.
    Wire(Line),
    /// The session has ended. Comes once, and nothing after it.
    Closed(Error),
}

/// How a transfer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finish {
    /// The server ended it, and said that it was complete. Where the size is known ([`Until::Size`]), it is whole as well
    /// if the server closed the data connection in order exactly there and said nothing to that until it was lost or its
    /// time was over; but not if it was lost without a byte. [`Event::Closed`] follows then. `at` is the offset behind the
    /// last byte.
    Whole {
        /// Offset behind the last byte.
        at: u64,
    },
    /// The session stopped it on purpose at its end ([`Until::Offset`]).
    Cut,
    /// The server ended it early, or did not call it complete.
    Short {
        /// Offset behind the last byte that came.
        at: u64,
        /// The server's final reply, which may be a completion: servers lie.
        reply: Reply,
    },
}

/// A line on the control connection, without its line end, secrets masked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// From the client to the server.
    Sent(Bytes),
    /// From the server to the client.
    Received(Bytes),
}

/// `C->S: ` or `S->C: ` and the line, unprintable characters escaped.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, bytes) = match self {
            Self::Sent(bytes) => ("C->S: ", bytes),
            Self::Received(bytes) => ("S->C: ", bytes),
        };
        f.write_str(direction)?;
        crate::text::escape(bytes, f)
    }
}
