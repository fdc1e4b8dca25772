//! Failures: what the user reads, and the exit code that a script sees.

mod engine;

pub use engine::{Message, message};

use crate::drive::DriveError;
use ftp_proto::Escaped;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why a download ended without its file. Prints as one line that is safe to show on a terminal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

/// The kinds of failure, in the order of how much they say: if several mirrors fail, the failure of the
/// greatest kind is the one to report.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// No connection to the server, or it would not serve us.
    Connect,
    /// Anything else, wrong use of the command line included.
    Other,
    /// A malformed URL or config, or a request that the server calls malformed.
    Syntax,
    /// The server does not implement a command.
    NotImplemented,
    /// The login failed.
    Authentication,
    /// The server does not allow it.
    NotAllowed,
    /// The server has no such file.
    NotFound,
    /// The bytes are not those of one file.
    Integrity,
    /// A file here.
    Local,
    /// Nobody reads standard output any more. There is nobody to tell, so it is not printed.
    BrokenPipe,
    /// The user stopped it.
    Interrupted(Signal),
}

/// A signal that ends the program in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Authentication => 2,
            Self::NotFound => 3,
            Self::Syntax => 4,
            Self::NotImplemented => 5,
            Self::NotAllowed => 6,
            Self::Other => 7,
            Self::Integrity => 8,
            Self::Local | Self::BrokenPipe => 9,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }

    /// What the user can do, where there is something.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Authentication => Some("give another user with -n or another password with -P"),
            Self::NotAllowed => Some("another user may be allowed to: -n and -P"),
            Self::NotFound => Some("check the path: without a leading / it starts at the login directory"),
            Self::Connect
            | Self::Other
            | Self::Syntax
            | Self::NotImplemented
            | Self::Integrity
            | Self::Local
            | Self::BrokenPipe
            | Self::Interrupted(_) => None,
        }
    }
}

impl Failure {
    /// A failure with its message: what was tried, on which server or file, and what came of it.
    #[must_use]
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        Self { kind, message: Escaped(message.as_ref().as_bytes()).to_string() }
    }

    /// Wrong use of the command line.
    #[must_use]
    pub fn usage(message: impl Display) -> Self {
        Self::new(Kind::Other, format!("{message} (pftp --help tells more)"))
    }

    /// Something failed on a local file: `action` is what, as in "cannot create".
    #[must_use]
    pub fn local(action: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Kind::Local, format!("{action} {}: {error}", path.display()))
    }

    /// A write of the file failed; `name` says where to. A broken pipe is a kind of its own.
    #[must_use]
    pub fn write(name: impl Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::BrokenPipe, format!("{name}: {error}"));
        }
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => MAKE_ROOM,
            io::ErrorKind::FileTooLarge => "; the file system, or ulimit -f, allows no larger file",
            _ => "",
        };
        Self::new(Kind::Local, format!("cannot write {name}: {error}{advice}"))
    }

    fn with_advice(kind: Kind, message: &str, advice: Option<&str>) -> Self {
        match advice {
            Some(advice) => Self::new(kind, format!("{message}; {advice}")),
            None => Self::new(kind, message),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether to print nothing.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self.kind, Kind::BrokenPipe)
    }

    /// Of two failures the one that says more; `self` if they say as much.
    #[must_use]
    pub fn or_more_telling(self, other: Self) -> Self {
        if other.kind > self.kind { other } else { self }
    }
}

impl From<DriveError<Self>> for Failure {
    fn from(error: DriveError<Self>) -> Self {
        match error {
            DriveError::Engine(error) => Self::from(error),
            DriveError::Surroundings(failure) => failure,
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.kind.code())
    }
}

/// What to do about a full disk.
pub(crate) const MAKE_ROOM: &str = "; make room and run the same command again";

#[cfg(test)]
mod tests;
