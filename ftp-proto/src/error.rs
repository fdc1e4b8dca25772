//! Why a session ends, and what only its caller can get wrong.

use crate::command::Verb;
use crate::event::Channel;
use crate::parser::ReplyError;
use crate::reply::Reply;
use alloc::boxed::Box;
use core::fmt;

/// Why a session ended. It is the last thing a session says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Error {
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

impl fmt::Display for Error {
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

impl core::error::Error for Error {}

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

/// Why a connection failed, in terms every operating system has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Nobody listens there.
    Refused,
    /// No way there: host or network unreachable.
    Unreachable,
    /// The operating system gave up waiting.
    TimedOut,
    /// The peer broke the connection off.
    Reset,
    /// The peer closed the connection where it must not.
    Ended,
    /// Anything else, as the operating system numbers it; 0 if it does not.
    Other(i32),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("host unreachable"),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::Reset => f.write_str("connection reset by the server"),
            Self::Ended => f.write_str("connection closed by the server"),
            Self::Other(code) => write!(f, "connection failed (system error {code})"),
        }
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Other(error.raw_os_error().unwrap_or_default()),
        }
    }
}

/// A call that the caller's own code should not have made; nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Misuse {
    /// The session has ended or is ending.
    Closed,
    /// The machine sends this command itself, when it is its turn.
    Reserved(Verb),
    /// The end of a range lies before its start.
    EmptyRange,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the session has ended"),
            Self::Reserved(verb) => write!(f, "{verb} is the session's own to send"),
            Self::EmptyRange => f.write_str("the range ends before it starts"),
        }
    }
}

impl core::error::Error for Misuse {}
