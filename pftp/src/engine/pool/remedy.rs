//! The consequence of the end of a session: pure, one table.

use crate::engine::shortage::is_socket_shortage;
use ftp_proto::{Config, PeerFault, Redial, SessionError, Verb};

/// The act that the end of a session calls for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Remedy {
    /// Dial again with this change. It is not a failure, and cannot happen twice to a connection.
    Change(Redial),
    /// Dial again: the session was lost over a question of the lookup, which says nothing about the file.
    DialAgain,
    /// Count a failure: another attempt may succeed.
    Retry,
    /// The server sent more bytes than the file has.
    Overrun,
    /// Give the server up: another attempt would fail the same way.
    GiveUp,
}

/// The knowledge of the pool beside the session that ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Circumstances {
    /// Whether the session asked for a checksum.
    pub(in crate::engine) looked_up: bool,
    /// Whether a session of the server has logged in before.
    pub(in crate::engine) logged_in: bool,
    /// Whether the server has ever been reached.
    pub(in crate::engine) reached: bool,
    /// Whether another session of the server lives.
    pub(in crate::engine) tried: bool,
}

/// The act that the end of a session of this configuration by `error` calls for: the advice for one session, and what the pool knows
/// beside.
pub(in crate::engine) fn remedy(error: &SessionError, config: &Config, at: Circumstances) -> Remedy {
    // No other way to connect would do better.
    if is_socket_shortage(error) {
        return Remedy::Retry;
    }
    match Redial::after(error, config) {
        change @ (Redial::LockStep | Redial::Pasv) => Remedy::Change(change),
        _ if at.looked_up => Remedy::DialAgain,
        Redial::OtherAddress if !at.reached && !at.tried => Remedy::GiveUp,
        Redial::Never => match error {
            SessionError::Peer(PeerFault::Overrun { .. }) => Remedy::Overrun,
            // The same user and password were accepted before.
            SessionError::Refused { verb: Some(Verb::User | Verb::Pass), .. } if at.logged_in => {
                Remedy::Retry
            }
            SessionError::Refused { .. } => Remedy::GiveUp,
            _ => Remedy::Retry,
        },
        _ => Remedy::Retry,
    }
}

/// Whether no control connection could be established, so that another address may do better.
pub(in crate::engine) fn is_unreachable(error: &SessionError, config: &Config) -> bool {
    Redial::after(error, config) == Redial::OtherAddress
}
