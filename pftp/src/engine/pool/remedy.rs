//! What follows from the end of a session: pure, one table.

use super::super::session_limit::{is_session_limit, is_socket_shortage};
use ftp_proto::{Cause, Channel, PeerFault, SessionError, Timer, Verb};

/// What to do about a session that ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Remedy {
    /// Dial again in lock step. Not a failure, and it cannot happen twice to a connection.
    LockStep,
    /// Dial again with PASV. Likewise.
    Pasv,
    /// Dial again: the session was lost over a question of the lookup, which says nothing about the file.
    DialAgain,
    /// Count a failure: another attempt may succeed.
    Retry,
    /// The server sent more bytes than the file has.
    Overrun,
    /// Give the server up: another attempt would fail the same way.
    GiveUp,
}

/// The circumstances of the end of a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Circumstances {
    /// Whether the session began with EPSV.
    pub(in crate::engine) epsv: bool,
    /// Whether it asked for a checksum.
    pub(in crate::engine) looked_up: bool,
    /// Whether a session of the server has logged in before.
    pub(in crate::engine) logged_in: bool,
    /// Whether the server has ever been reached.
    pub(in crate::engine) reached: bool,
    /// Whether another session of the server lives.
    pub(in crate::engine) tried: bool,
}

/// What to do about a session that ended by `error`.
pub(in crate::engine) fn remedy(error: &SessionError, at: Circumstances) -> Remedy {
    match error {
        SessionError::OutOfStep(_) => Remedy::LockStep,
        // No other way to connect would do better.
        _ if is_socket_shortage(error) => Remedy::Retry,
        SessionError::Connection(Channel::Data, _) | SessionError::Timeout(Timer::DataConnect) if at.epsv => {
            Remedy::Pasv
        }
        _ if at.looked_up => Remedy::DialAgain,
        SessionError::Refused { reply, .. } if is_session_limit(reply) => Remedy::Retry,
        SessionError::Peer(PeerFault::Overrun { .. }) => Remedy::Overrun,
        // The same user and password were accepted before.
        SessionError::Refused { verb: Some(Verb::User | Verb::Pass), .. } if at.logged_in => Remedy::Retry,
        SessionError::Refused { verb: Some(_), .. } => Remedy::GiveUp,
        SessionError::Refused { verb: None, reply } if !reply.code().is_transient() => Remedy::GiveUp,
        _ if is_unreachable(error) && !at.reached && !at.tried => Remedy::GiveUp,
        _ => Remedy::Retry,
    }
}

/// Whether no control connection could be established.
pub(in crate::engine) const fn is_unreachable(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::Connection(
            Channel::Control,
            Cause::Refused | Cause::Unreachable | Cause::TimedOut | Cause::Other(_)
        ) | SessionError::Timeout(Timer::Connect)
    )
}
