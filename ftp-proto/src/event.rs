//! Outputs of a session.

use crate::channel::Channel;
use crate::command::Verb;
use crate::error::SessionError;
use crate::meaning::{Facts, Features};
use crate::reply::Reply;
use crate::request::RequestId;
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;

/// An output of a session. Outputs come in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Work for the driver.
    Action(Action),
    /// News for the caller.
    Event(Event),
}

/// An action that the driver carries out on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Connect the data connection to this address, and report [`Change::Connected`](crate::Change::Connected) or
    /// [`Change::Failed`](crate::Change::Failed). The driver opens the control connection without an action: it knows the
    /// address before the session does.
    Connect(SocketAddr),
    /// Close the connection, at once and without waiting. The driver reports no change for it.
    Close(Channel),
}

/// News for the caller.
///
/// If a server repeats the password or the account in a reply, the event has `***` in its place, unless the secret is
/// shorter than four bytes: so short a word is part of many replies that have nothing to do with it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The control connection is established; the greeting has not come yet.
    Connected,
    /// The login is complete and the representation type set. The features are empty unless
    /// [`Config::features`](crate::Config::features) asked for them.
    Ready(Features),
    /// The completion reply to a [`Request::Command`](crate::Request::Command).
    Reply(RequestId, Reply),
    /// Size and modification time of a file; `None` for each that the server did not tell.
    Facts(RequestId, Facts),
    /// The data connection that a [`Request::Prepare`](crate::Request::Prepare) asked for is established, and no transfer
    /// uses it yet.
    Prepared(RequestId),
    /// The transfer has begun: the mark (1yz) has come.
    Started(RequestId),
    /// The transfer is over.
    Finished(RequestId, Finish),
    /// The server refused the request with this reply to this command; the session goes on.
    Refused(RequestId, Verb, Reply),
    /// A line sent or received, if [`Config::trace`](crate::Config::trace) asks for it.
    Wire(Line),
    /// The session has ended. The event comes once, and is the last one.
    Closed(SessionError),
}

/// How a transfer ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finish {
    /// The server ended the transfer and called it complete.
    ///
    /// A transfer of known size ([`Until::Size`](crate::Until::Size)) is whole as well if the server closed the data
    /// connection in order at exactly that size, and then the control connection was lost or no reply came in time;
    /// [`Event::Closed`] follows then. An empty file whose control connection was lost before the mark is not.
    Whole {
        /// Offset behind the last byte, in bytes from the start of the file.
        at: u64,
    },
    /// The session ended the transfer at the end of its part ([`Until::Offset`](crate::Until::Offset)).
    Cut,
    /// The server ended the transfer early, or did not call it complete.
    Short {
        /// Offset behind the last byte that came, in bytes from the start of the file.
        at: u64,
        /// The server's final reply. Some servers call a transfer complete that is not, so the reply may
        /// be a completion.
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

/// Shows `C->S: ` or `S->C: ` and the line, unprintable characters escaped.
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
