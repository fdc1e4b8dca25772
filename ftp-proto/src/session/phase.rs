//! The states of a session, apart from its transfer.

use crate::error::SessionError;

/// The stage of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The driver connects the control connection.
    Connecting,
    /// The greeting is awaited (RFC 959 §5.4).
    Greeting {
        /// Preliminary greetings (120) so far.
        preliminary: u32,
    },
    /// USER to TYPE are on their way.
    Login(Login),
    /// The login is complete, the representation type set.
    Ready,
    /// The session ends with this error once the data have come of a transfer that the server has called complete. The
    /// control connection is read no more.
    Parting(SessionError),
    /// [`Event::Closed`](crate::Event::Closed) is among the outputs.
    Closed,
}

/// The state of a login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Login {
    /// The server has not accepted the user yet.
    Pending,
    /// The server has accepted the user.
    Accepted,
}

/// The command that asks for a data connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Passive {
    Epsv,
    Pasv,
}

/// The restart point at the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Restart {
    /// None: a data command without REST sends the file from its start.
    Clear,
    /// An earlier REST may be in force: it was answered, and its data command refused.
    Stale,
}

/// Whether a further reply to a cut transfer may come before the one to the next command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fence {
    Down,
    Up {
        /// Further replies so far.
        unowed: u32,
    },
}
