//! Sentences and exit codes for the facts that the planner reports.

use super::{Failure, Kind};
use crate::plan::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
use crate::wording;
use ftp_proto::{Cause, Channel, PeerFault, Reply, SessionError, Timer, Verb};
use std::io;

const BUSY: &str = "the server is busy: try later, or with fewer connections (-c)";

const FEWER: &str = "this machine or process has no more descriptors or buffers for connections: \
                     allow more (ulimit -n), or use fewer connections (-c)";

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let message = match &error {
            EngineError::NoMirror(failures) => {
                let most = most_telling(failures);
                return most.unwrap_or_else(|| Self::new(Kind::Other, "there is no mirror to fetch from"));
            }
            EngineError::Mirror(failure) => return Self::from(failure),
            EngineError::MirrorsDisagree { servers: [one, other], difference } => {
                let files = match difference {
                    Difference::Facts => "different files (size or time)",
                    Difference::Content => "files with different bytes",
                };
                format!(
                    "{one} and {other} have {files}, and nothing says which is right; name only one of them"
                )
            }
            EngineError::Changed { server, path } => {
                format!("{server}: {path} changed while it was fetched; run the same command again")
            }
            EngineError::Superseded => {
                "most mirrors have another file (size or time) than the one that was begun with".to_owned()
            }
        };
        Self::new(Kind::Integrity, message)
    }
}

impl From<&MirrorFailure> for Failure {
    fn from(MirrorFailure { server, fault }: &MirrorFailure) -> Self {
        let kind = if fault.is_contradiction() { Kind::Integrity } else { Kind::Other };
        let message = match fault {
            MirrorFault::UnknownHost(why) => {
                let why = why.as_deref().unwrap_or("it has no address");
                let message = format!("{server}: cannot find the host: {why}; check the server's name");
                return Self::new(Kind::Connect, message);
            }
            MirrorFault::Session(error) => return session(server, error, fault),
            MirrorFault::Refused { path, verb, reply } => {
                let kind = kind_of(reply);
                let advice = if fault.is_session_limit() { Some(BUSY) } else { kind.advice() };
                let said = words(reply);
                let message = format!("{server}: fetching {path}: {verb} was refused: {said}");
                return Self::with_advice(kind, &message, advice);
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
            MirrorFault::IgnoresRestart => {
                "sends files from their start whatever REST says; use one connection (-c 1)".to_owned()
            }
            MirrorFault::CannotResume => {
                "fetching: the transfer broke off and cannot go on in the middle; fetch to a file instead"
                    .to_owned()
            }
            MirrorFault::OtherBytes => "its file has other bytes than that of the other mirrors".to_owned(),
            MirrorFault::InconsistentBytes => "sent different bytes for the same part of the file".to_owned(),
            MirrorFault::OtherFile => {
                "its file differs from that of the other mirrors (size or time)".to_owned()
            }
        };
        Self::new(kind, format!("{server}: {message}"))
    }
}

/// A session with the server ended; `fault` is the same with what follows from it.
fn session(server: &str, error: &SessionError, fault: &MirrorFault) -> Failure {
    match error {
        SessionError::Refused { verb, reply } => refused(server, *verb, reply, fault.is_session_limit()),
        SessionError::OutOfStep(inner) => {
            session(server, inner, &MirrorFault::Session(inner.as_ref().clone()))
        }
        SessionError::Timeout(timer) => {
            let kind = if *timer == Timer::Connect { Kind::Connect } else { Kind::Other };
            let message = format!("{server}: {}: {error}", attempt(kind));
            Failure::with_advice(kind, &message, Some("wait longer with --timeout, or try later"))
        }
        SessionError::Connection(_, Cause::Other(number)) if fault.is_socket_shortage() => {
            // The server's part so far does not matter, and no other server would help.
            let text = io::Error::from_raw_os_error(*number);
            Failure::new(Kind::Local, format!("{server}: connecting: {text}; {FEWER}"))
        }
        SessionError::Connection(Channel::Control, cause) => {
            let unreachable = matches!(cause, Cause::Refused | Cause::Unreachable);
            let advice = unreachable.then_some("check the server's name and port");
            Failure::with_advice(Kind::Connect, &format!("{server}: connecting: {cause}"), advice)
        }
        SessionError::Peer(PeerFault::Overrun { .. }) => {
            Failure::new(Kind::Integrity, format!("{server}: fetching: {error}"))
        }
        SessionError::Peer(PeerFault::Unexpected(verb, reply)) => {
            Failure::new(Kind::Other, format!("{server}: {verb} was answered: {}", words(reply)))
        }
        SessionError::Peer(PeerFault::Unsolicited(reply)) => {
            Failure::new(Kind::Other, format!("{server}: a reply to no command: {}", words(reply)))
        }
        _ => Failure::new(Kind::Other, format!("{server}: fetching: {error}")),
    }
}

/// The server refused the connection, or a command that sets up the session.
fn refused(server: &str, verb: Option<Verb>, reply: &Reply, is_session_limit: bool) -> Failure {
    let said = words(reply);
    let busy = is_session_limit.then_some(BUSY);
    let Some(verb) = verb else {
        return Failure::with_advice(Kind::Connect, &format!("{server}: connecting: {said}"), busy);
    };
    let login = matches!(verb, Verb::User | Verb::Pass | Verb::Acct);
    if login && is_session_limit {
        return Failure::with_advice(Kind::Connect, &format!("{server}: logging in: {said}"), busy);
    }
    let mut kind = kind_of(reply);
    if login && !matches!(kind, Kind::Syntax | Kind::NotImplemented) {
        kind = Kind::Authentication;
    }
    let step = if login { "logging in" } else { "setting up the session" };
    let message = format!("{server}: {step}: {verb} was refused: {said}");
    Failure::with_advice(kind, &message, if login { kind.advice() } else { None })
}

/// Returns the failure that says most.
fn most_telling(failures: &[MirrorFailure]) -> Option<Failure> {
    failures.iter().map(Failure::from).reduce(Failure::or_more_telling)
}

const fn attempt(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Connect) { "connecting" } else { "fetching" }
}

/// Returns what a refusal means for a file (RFC 959 §4.2.2).
fn kind_of(reply: &Reply) -> Kind {
    match reply.code().get() {
        530 | 430 | 331 | 332 => Kind::Authentication,
        // Several servers quote the file name, which may hold any word: a clear "not there" goes first.
        550 if reply.mentions(&["no such", "not found", "not exist", "cannot find"]) => Kind::NotFound,
        550 if reply.mentions(&["permission", "denied", "not allowed", "not permitted", "privilege"]) => {
            Kind::NotAllowed
        }
        550 => Kind::NotFound,
        532..=534 | 553 => Kind::NotAllowed,
        501 => Kind::Syntax,
        500 | 502 | 504 => Kind::NotImplemented,
        _ => Kind::Other,
    }
}

/// Returns the server's words, not its whole welcome page.
fn words(reply: &Reply) -> String {
    const LONGEST: usize = 300;
    let text = reply.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).map(|start| format!("{start}...")).unwrap_or(text),
        None => text,
    }
}

/// A sentence for the user about something that does not end the download.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Something is not as it should be.
    Warning(String),
    /// Everything is as it should be.
    Note(String),
}

/// Returns the sentence for a notice.
#[must_use]
pub fn message(notice: &Notice) -> Message {
    Message::Warning(match notice {
        Notice::MirrorDropped(failure) => format!("{}; going on without it", Failure::from(failure)),
        Notice::SessionLimit { server } => {
            format!("{server} takes no more connections; going on with fewer")
        }
        Notice::NoRestart { server } => {
            format!("{server} cannot send a part of a file, only the whole; using one connection to it")
        }
        Notice::EndNotSeen(failures) => {
            let failure = most_telling(failures).map_or_else(String::new, |failure| failure.to_string());
            format!("{failure}; all bytes had come by then, but that the file ends there was not seen")
        }
        Notice::EarlierRunOutdated => {
            "the file is not the one that an earlier run has begun (size or time); starting over".to_owned()
        }
        Notice::EarlierBytesDiffer => {
            "what an earlier run has fetched is not what the server has now; starting over".to_owned()
        }
        Notice::LookupTooSlow { server } => format!("{server}: looking for a checksum takes too long"),
        Notice::Lookup(remark) if wording::is_warning(remark) => wording::remark(remark),
        Notice::Lookup(remark) => return Message::Note(wording::remark(remark)),
    })
}
