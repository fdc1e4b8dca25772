//! Sentences about servers and sessions.

use super::write_escaped;
use crate::engine::{Difference, EngineError, MirrorFailure, MirrorFault};
use crate::error::is_login;
use ftp_proto::{Cause, Channel, PeerFault, Reply, SessionError, Timer, Verb};
use std::fmt;
use std::io;

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::NoMirror(failures) => match MirrorFailure::most_telling(failures) {
                Some(failure) => return failure.fmt(f),
                None => "there is no mirror to fetch from".to_owned(),
            },
            Self::Mirror(failure) => return failure.fmt(f),
            Self::MirrorsDisagree { servers: [one, other], difference } => {
                let files = match difference {
                    Difference::Facts => "different files (size or time)",
                    Difference::Content => "files with different bytes",
                };
                format!("{one} and {other} have {files}, and nothing says which is right")
            }
            Self::Changed { server, path } => format!("{server}: {path} changed while it was fetched"),
            Self::Superseded => {
                "most mirrors have another file (size or time) than the one that was begun with".to_owned()
            }
        };
        write_escaped(f, &sentence)
    }
}

impl std::error::Error for EngineError {}

impl fmt::Display for MirrorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &format!("{}: {}", self.server, fault(&self.fault)))
    }
}

impl std::error::Error for MirrorFailure {}

fn fault(fault: &MirrorFault) -> String {
    match fault {
        MirrorFault::UnknownHost(why) => {
            format!("cannot find the host: {}", why.as_deref().unwrap_or("it has no address"))
        }
        MirrorFault::Session(error) => session(error, fault),
        MirrorFault::Refused { path, verb, reply } => {
            format!("fetching {path}: {verb} was refused: {}", words(reply))
        }
        MirrorFault::EndsBefore { at, start } => {
            format!("fetching: its file ends at byte {at}, before byte {start}")
        }
        MirrorFault::EndedEarly { at, size, reply, .. } => {
            let size = size.map_or_else(String::new, |size| format!(" of {size}"));
            format!("fetching: the server ended the transfer at byte {at}{size}: {reply}")
        }
        MirrorFault::SizeContradicted { shown, told } => {
            format!("fetching: its file ends at byte {shown}, but it says that it has {told}")
        }
        MirrorFault::IgnoresRestart => "sends files from their start whatever REST says".to_owned(),
        MirrorFault::CannotResume => {
            "fetching: the transfer broke off and cannot go on in the middle".to_owned()
        }
        MirrorFault::OtherBytes => "its file has other bytes than that of the other mirrors".to_owned(),
        MirrorFault::InconsistentBytes => "sent different bytes for the same part of the file".to_owned(),
        MirrorFault::OtherFile => "its file differs from that of the other mirrors (size or time)".to_owned(),
    }
}

/// Says why a session ended; `fault` is the fault that holds `error`.
fn session(error: &SessionError, fault: &MirrorFault) -> String {
    match error {
        SessionError::Refused { verb, reply } => refusal(*verb, reply, fault.is_session_limit()),
        SessionError::OutOfStep(inner) => session(inner, &MirrorFault::Session(inner.as_ref().clone())),
        SessionError::Timeout(Timer::Connect) => format!("connecting: {error}"),
        SessionError::Connection(_, Cause::Other(number)) if fault.is_socket_shortage() => {
            // The data connection is a connection, too.
            format!("connecting: {}", io::Error::from_raw_os_error(*number))
        }
        SessionError::Connection(Channel::Control, cause) => format!("connecting: {cause}"),
        SessionError::Peer(PeerFault::Unexpected(verb, reply)) => {
            format!("{verb} was answered: {}", words(reply))
        }
        SessionError::Peer(PeerFault::Unsolicited(reply)) => {
            format!("a reply to no command: {}", words(reply))
        }
        _ => format!("fetching: {error}"),
    }
}

/// Says that the server refused the connection, or a command that sets up the session.
fn refusal(verb: Option<Verb>, reply: &Reply, is_session_limit: bool) -> String {
    let said = words(reply);
    match verb {
        None => format!("connecting: {said}"),
        Some(verb) if is_login(verb) && is_session_limit => format!("logging in: {said}"),
        Some(verb) if is_login(verb) => format!("logging in: {verb} was refused: {said}"),
        Some(verb) => format!("setting up the session: {verb} was refused: {said}"),
    }
}

/// Returns the server's words, cut to 300 characters: a reply may hold a whole welcome page.
fn words(reply: &Reply) -> String {
    const LONGEST: usize = 300;
    let text = reply.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).map(|start| format!("{start}...")).unwrap_or(text),
        None => text,
    }
}
