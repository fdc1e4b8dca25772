//! Why a session ends, and faults of its caller.

use crate::channel::{Cause, Channel};
use crate::command::Verb;
use crate::parser::ReplyError;
use crate::reply::Reply;
use alloc::boxed::Box;
use core::fmt;

/// Why a session ended. It is the last thing a session says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionError {
    /// The server did what no server may.
    Peer(PeerFault),
    /// Something awaited did not come in time.
    Timeout(Timer),
    /// A connection could not be made, or broke.
    Connection(Channel, Cause),
    /// The server refused what the session cannot go on without: the greeting or 421 at any time
    /// (`verb` is `None`), or a step of the login.
    Refused {
        /// The command that was refused.
        verb: Option<Verb>,
        /// The server's words.
        reply: Reply,
    },
    /// Commands were sent in a burst, and what followed may come from that: a session in lock step
    /// ([`Config::pipeline`](crate::Config::pipeline) = 1) may succeed. Holds what was seen.
    OutOfStep(Box<Self>),
    /// The session was asked to end.
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

/// What a server did that no server may.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerFault {
    /// It sent something that is no reply.
    Reply(ReplyError),
    /// It answered a question nobody asked.
    Unsolicited(Reply),
    /// Its reply cannot follow this command.
    Unexpected(Verb, Reply),
    /// Its reply to PASV or EPSV names no usable port.
    Passive(Reply),
    /// It sent more bytes than the file was said to have.
    Overrun {
        /// The size of the file, in bytes, as it was known.
        size: u64,
    },
    /// It sent preliminary replies without end.
    TooManyPreliminary,
    /// It sent replies without end that no command is owed.
    TooManyUnowed,
    /// Its reply to FEAT or MLST has too many lines.
    TooManyLines {
        /// The command.
        verb: Verb,
        /// How many lines the reply may have.
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

/// What a session waits for. [`Session::poll_timeout`](crate::Session::poll_timeout) names it, so that a
/// session that waits can say for what.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Timer {
    /// The control connection.
    Connect,
    /// The end of the login, from the control connection on.
    Login,
    /// The greeting, or a reply.
    Reply,
    /// A further reply to a burst.
    Burst,
    /// The data connection.
    DataConnect,
    /// The next byte of data.
    Stall,
    /// The completion reply, or the data connection after it.
    Completion,
    /// The first reply after a cut transfer.
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
    /// This command opens no data connection, so it cannot be a [`Request::Content`](crate::Request::Content).
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
