//! The two connections of a session, and what happens to them.

use core::fmt;

/// A connection of a session (RFC 959 §2.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Channel {
    /// The control connection: commands and replies.
    Control,
    /// The data connection: one for each transfer.
    Data,
}

/// A change of a connection, as the driver reports it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The connection is established.
    Connected,
    /// The peer has ended the connection, and everything that came before the end has been read.
    Ended(End),
    /// The connection could not be established.
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

/// Why a connection failed, in terms that every operating system has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// No process listens at the address.
    Refused,
    /// The host or its network is unreachable.
    Unreachable,
    /// The operating system gave up waiting.
    TimedOut,
    /// The peer reset the connection.
    Reset,
    /// The peer closed the connection at a point where FTP does not allow it.
    Ended,
    /// Any other cause, as the operating system numbers it; 0 if it has no number.
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
