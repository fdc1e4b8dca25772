//! Errors of a download. The sentences are in [`wording`](crate::wording).

use crate::checksum::Checksum;
use crate::engine::{EngineError, MirrorFailure, MirrorFault};
use crate::local::{LocalError, Place};
use crate::verification::Reference;
use ftp_proto::{Channel, PeerFault, Reply, SessionError, Timer, Verb};
use std::io;

/// Why a download ended without its file.
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadError {
    /// The list of sources is empty.
    NoSource,
    /// A checksum is for the bytes on the server, which the ASCII type changes.
    ChecksumInAscii,
    /// The servers do not deliver the file.
    Engine(EngineError),
    /// A file on this machine is at fault.
    Local(LocalError),
    /// The whole file has another checksum or size.
    Checksum(Box<ChecksumMismatch>),
    /// The whole file could not be read to verify it.
    Unverified {
        /// The temporary file, or the writer.
        place: Place,
        /// The operating system's error.
        error: io::Error,
    },
    /// The event loop could not be made.
    EventLoop(io::Error),
    /// A [`CancelHandle`](crate::CancelHandle) ended the download.
    Cancelled {
        /// Whether a later download can resume with bytes of this one.
        can_resume: bool,
    },
}

/// The whole file has another checksum or size than it should have.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChecksumMismatch {
    /// The temporary file, or the writer.
    pub place: Place,
    /// The checksum that the file should have.
    pub wanted: Reference,
    /// The checksum that the file has.
    pub computed: Checksum,
    /// Size of the file in bytes.
    pub size: u64,
}

impl From<EngineError> for DownloadError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<LocalError> for DownloadError {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}

/// The kinds of error, in the order of how much they say: if several mirrors fail, the failure of the greatest kind is
/// reported.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server cannot be reached, or takes no more sessions.
    Connect,
    /// Any other error.
    Other,
    /// A URL or a request is malformed.
    Syntax,
    /// The server does not implement a command.
    NotImplemented,
    /// The login failed.
    Authentication,
    /// The server does not allow the request.
    NotAllowed,
    /// The server does not have the file.
    NotFound,
    /// The bytes are not those of one file, or do not have the checksum.
    Integrity,
    /// A file or a limit of this machine.
    Local,
    /// The reader of the written bytes went away.
    BrokenPipe,
    /// The download was cancelled.
    Cancelled,
}

impl DownloadError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSource | Self::ChecksumInAscii | Self::EventLoop(_) => ErrorKind::Other,
            Self::Engine(error) => error.kind(),
            Self::Local(error) => error.kind(),
            Self::Checksum(_) => ErrorKind::Integrity,
            Self::Unverified { .. } => ErrorKind::Local,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }
}

impl EngineError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoMirror(failures) => {
                MirrorFailure::most_telling(failures).map_or(ErrorKind::Other, |it| it.fault.kind())
            }
            Self::Mirror(failure) => failure.fault.kind(),
            Self::MirrorsDisagree { .. } | Self::Changed { .. } | Self::Superseded => ErrorKind::Integrity,
        }
    }
}

impl MirrorFailure {
    /// Returns the failure whose kind says most; of several, the first.
    #[must_use]
    pub fn most_telling(failures: &[Self]) -> Option<&Self> {
        failures
            .iter()
            .reduce(|most, other| if other.fault.kind() > most.fault.kind() { other } else { most })
    }
}

impl LocalError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Write { error, .. } if error.kind() == io::ErrorKind::BrokenPipe => ErrorKind::BrokenPipe,
            Self::WrongSize { .. } => ErrorKind::Integrity,
            Self::NotReadable(_) => ErrorKind::Other,
            _ => ErrorKind::Local,
        }
    }
}

impl MirrorFault {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownHost(_) => ErrorKind::Connect,
            Self::Session(error) => session_kind(error, self.is_session_limit(), self.is_socket_shortage()),
            Self::Refused { reply, .. } => refusal_kind(reply),
            _ if self.is_contradiction() => ErrorKind::Integrity,
            _ => ErrorKind::Other,
        }
    }
}

fn session_kind(error: &SessionError, is_session_limit: bool, is_socket_shortage: bool) -> ErrorKind {
    match error {
        SessionError::Refused { verb: None, .. } => ErrorKind::Connect,
        SessionError::Refused { verb: Some(verb), reply } => match refusal_kind(reply) {
            _ if is_login(*verb) && is_session_limit => ErrorKind::Connect,
            kind @ (ErrorKind::Syntax | ErrorKind::NotImplemented) => kind,
            _ if is_login(*verb) => ErrorKind::Authentication,
            kind => kind,
        },
        SessionError::OutOfStep(inner) => MirrorFault::Session(inner.as_ref().clone()).kind(),
        SessionError::Timeout(Timer::Connect) => ErrorKind::Connect,
        SessionError::Connection(..) if is_socket_shortage => ErrorKind::Local,
        SessionError::Connection(Channel::Control, _) => ErrorKind::Connect,
        SessionError::Peer(PeerFault::Overrun { .. }) => ErrorKind::Integrity,
        _ => ErrorKind::Other,
    }
}

/// Returns whether the command is part of a login.
pub(crate) const fn is_login(verb: Verb) -> bool {
    matches!(verb, Verb::User | Verb::Pass | Verb::Acct)
}

/// Returns the kind of a refusal (RFC 959 §4.2.2).
fn refusal_kind(reply: &Reply) -> ErrorKind {
    match reply.code().get() {
        530 | 430 | 331 | 332 => ErrorKind::Authentication,
        // Several servers quote the file name, which may hold any word: a clear "not there" goes first.
        550 if reply.mentions(&["no such", "not found", "not exist", "cannot find"]) => ErrorKind::NotFound,
        550 if reply.mentions(&["permission", "denied", "not allowed", "not permitted", "privilege"]) => {
            ErrorKind::NotAllowed
        }
        550 => ErrorKind::NotFound,
        532..=534 | 553 => ErrorKind::NotAllowed,
        501 => ErrorKind::Syntax,
        500 | 502 | 504 => ErrorKind::NotImplemented,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests;
