//! Reasons for the end of a session, and faults of its caller.

use crate::channel::{Cause, Channel};
use crate::command::Verb;
use crate::parser::ReplyError;
use crate::reply::Reply;
use alloc::boxed::Box;
use core::fmt;

/// The reason for the end of a session, in [`Event::Closed`](crate::Event::Closed).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server did something that no server may do.
    Peer(PeerFault),
    /// An awaited event did not come in time.
    Timeout(Timer),
    /// A connection could not be made, or broke off.
    Connection(Channel, Cause),
    /// The server refused something that the session needs: the greeting or a 421 at any time (`verb` is `None`), or a
    /// step of the login.
    Refused {
        /// The refused command.
        verb: Option<Verb>,
        /// The server's reply.
        reply: Reply,
    },
    /// The fault may come from several commands sent in one write: a session in lock step
    /// ([`Config::pipeline`](crate::Config::pipeline) 1) may succeed. Holds the fault itself.
    OutOfStep(Box<Self>),
    /// The caller ended the session.
    Quit,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(fault) => fault.fmt(f),
            Self::Timeout(timer) => timer.fmt(f),
            Self::Connection(Channel::Control, cause) => write!(f, "control connection: {cause}"),
            Self::Connection(Channel::Data, cause) => write!(f, "data connection: {cause}"),
            Self::Refused { verb: Some(verb), reply } => write!(f, "{verb} was refused: {reply}"),
            Self::Refused { verb: None, reply } => write!(f, "the server said: {reply}"),
            Self::OutOfStep(error) => write!(f, "{error} (after several commands in one write)"),
            Self::Quit => f.write_str("the session was ended"),
        }
    }
}

impl core::error::Error for SessionError {}

/// A fault of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerFault {
    /// The server sent bytes that are no reply.
    Reply(ReplyError),
    /// The server sent a reply to no command.
    Unsolicited(Reply),
    /// The server's reply cannot follow this command.
    Unexpected(Verb, Reply),
    /// The server's reply to PASV or EPSV names no usable port.
    Passive(Reply),
    /// The server sent more bytes than the file has.
    Overrun {
        /// The size of the file in bytes, as the caller knew it.
        size: u64,
    },
    /// The server sent more preliminary replies than
    /// [`Limits::preliminary_replies`](crate::Limits::preliminary_replies).
    TooManyPreliminary,
    /// The server sent more replies to no command than [`Limits::unowed_replies`](crate::Limits::unowed_replies).
    TooManyUnowed,
    /// The server's reply to FEAT or MLST has too many lines.
    TooManyLines {
        /// The command.
        verb: Verb,
        /// Lines that the reply may have.
        limit: usize,
    },
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(error) => error.fmt(f),
            Self::Unsolicited(reply) => write!(f, "a reply to no command: {reply}"),
            Self::Unexpected(verb, reply) => write!(f, "{verb} was answered: {reply}"),
            Self::Passive(reply) => write!(f, "no usable port in: {reply}"),
            Self::Overrun { size } => write!(f, "more data came than the {size} bytes the file has"),
            Self::TooManyPreliminary => f.write_str("preliminary replies without end"),
            Self::TooManyUnowed => f.write_str("replies to no command without end"),
            Self::TooManyLines { verb, limit } => {
                write!(f, "{verb} was answered with more than {limit} lines")
            }
        }
    }
}

/// An event that a session waits for. [`Session::poll_timeout`](crate::Session::poll_timeout) names it with its
/// deadline.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Timer {
    /// The control connection is established.
    Connect,
    /// The login ends; counted from the control connection on.
    Login,
    /// The greeting, or a reply, comes.
    Reply,
    /// A further reply comes to one of several commands sent in one write.
    Burst,
    /// The data connection is established.
    DataConnect,
    /// The next byte of data comes.
    Stall,
    /// The completion reply comes, or the end of the data after it.
    Completion,
    /// The first reply after a cut transfer comes.
    Cut,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection within the time limit",
            Self::Login => "the login did not end within the time limit",
            Self::Reply => "no reply within the time limit",
            Self::Burst => "only some of the replies came within the time limit",
            Self::DataConnect => "no data connection within the time limit",
            Self::Stall => "no data within the time limit",
            Self::Completion => "no completion reply within the time limit",
            Self::Cut => "no reply after the cut transfer within the time limit",
        })
    }
}

/// A call that only a fault in the caller's code explains. The call changed nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Misuse {
    /// The session has ended or is ending.
    Closed,
    /// The session sends this command itself, at the right time.
    Reserved(Verb),
    /// The command opens no data connection, so it cannot be a [`Request::Content`](crate::Request::Content).
    NoData(Verb),
    /// The end of the part lies before its start ([`Until::end`](crate::Until::end) is less than
    /// [`Retrieve::offset`](crate::Retrieve::offset)). An end equal to the start is allowed, and fetches no byte.
    EndBeforeStart,
    /// A [`Request::Retrieve`](crate::Request::Retrieve) without a sink, where a sink is needed: `retrieve` takes both.
    NoSink,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the session has ended"),
            Self::Reserved(verb) => write!(f, "{verb} is the session's own to send"),
            Self::NoData(verb) => write!(f, "{verb} opens no data connection"),
            Self::EndBeforeStart => f.write_str("the end lies before the start"),
            Self::NoSink => f.write_str("a transfer without a sink for its bytes"),
        }
    }
}

impl core::error::Error for Misuse {}
