//! Failures: the message for the user, and the exit code for scripts.

use super::advice;
use super::signals::Signal;
use ftp_proto::Escaped;
use pftp::{DownloadError, ErrorKind, LocalError, Place};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The reason why the command ends without its file. Prints as one line that is safe to show on a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    reason: Reason,
    message: String,
}

/// The fact that decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    Error(ErrorKind),
    Signal(Signal),
}

/// The exit code of any other error.
pub(crate) const OTHER: u8 = 7;

/// The name of standard output in messages.
pub(super) const STDOUT: &str = "standard output";

impl Failure {
    /// Makes a failure with its message: what was tried, on which server or file, and the reason.
    pub(super) fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self::with(Reason::Error(kind), message.as_ref())
    }

    fn with(reason: Reason, message: &str) -> Self {
        Self { reason, message: Escaped(message.as_bytes()).to_string() }
    }

    /// Makes the failure of a wrong command line.
    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(ErrorKind::Other, format!("{message} (pftp --help tells more)"))
    }

    /// Makes the failure of a local file: `action` is what failed, as in "cannot create".
    pub(super) fn local(action: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(ErrorKind::Local, format!("{action} {}: {error}", path.display()))
    }

    /// Makes the failure of a download that a signal stopped.
    pub(super) fn stopped(signal: Signal, can_resume: bool) -> Self {
        let message = if can_resume { "stopped; run the same command again to go on" } else { "stopped" };
        Self::with(Reason::Signal(signal), message)
    }

    /// Returns the exit code.
    pub(super) const fn code(&self) -> u8 {
        match self.reason {
            Reason::Error(kind) => code(kind),
            Reason::Signal(signal) => signal.code(),
        }
    }

    /// Returns whether nothing is printed: the reader of the output went away, so no user waits for it.
    pub(crate) const fn is_quiet(&self) -> bool {
        matches!(self.reason, Reason::Error(ErrorKind::BrokenPipe))
    }

    /// Returns the kind of the error; `None` for a signal.
    #[cfg(test)]
    pub(super) const fn kind(&self) -> Option<ErrorKind> {
        match self.reason {
            Reason::Error(kind) => Some(kind),
            Reason::Signal(_) => None,
        }
    }
}

/// Returns the exit code of an error.
const fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Connect => 1,
        ErrorKind::Authentication => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Syntax => 4,
        ErrorKind::NotImplemented => 5,
        ErrorKind::NotAllowed => 6,
        ErrorKind::Integrity => 8,
        ErrorKind::Local | ErrorKind::BrokenPipe => 9,
        _ => OTHER,
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<&DownloadError> for Failure {
    fn from(error: &DownloadError) -> Self {
        Self::new(error.kind(), advice::with_advice(error, advice::for_error(error)))
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}

/// Makes the failure of a write to standard output.
pub(super) fn of_stdout(error: io::Error) -> Failure {
    Failure::from(&DownloadError::from(LocalError::Write { to: Place::Stream(STDOUT.to_owned()), error }))
}

#[cfg(test)]
mod tests;
