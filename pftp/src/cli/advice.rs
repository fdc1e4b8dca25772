//! Advice: what the user can do about an error.

use ftp_proto::{Cause, Channel, SessionError, Verb};
use pftp::{
    DownloadError, DownloadNotice, EngineError, ErrorKind, LocalError, MirrorFailure, MirrorFault, Notice,
};
use std::fmt::Display;
use std::io;

const BUSY: &str = "the server is busy: try later, or with fewer connections (-c)";

const SOCKET_SHORTAGE: &str = "this machine or process has no more descriptors or buffers for connections: \
                               allow more (ulimit -n), or use fewer connections (-c)";

const MAKE_ROOM: &str = "make room and run the same command again";

/// Appends advice to a sentence.
pub(super) fn with_advice(sentence: impl Display, advice: Option<&str>) -> String {
    match advice {
        Some(advice) => format!("{sentence}; {advice}"),
        None => sentence.to_string(),
    }
}

/// Returns the message for a notice, with the advice of the error in it.
pub(super) fn notice(notice: &DownloadNotice) -> String {
    let sentence = notice.to_string();
    let failure = match notice {
        DownloadNotice::Engine(Notice::MirrorDropped(failure)) => Some(failure),
        DownloadNotice::Engine(Notice::EndNotSeen(failures)) => MirrorFailure::most_telling(failures),
        DownloadNotice::MirrorFailed(error) => return with_advice(sentence, for_error(error)),
        _ => None,
    };
    match failure {
        Some(failure) => {
            let advised = with_advice(failure, for_fault(&failure.fault));
            sentence.replacen(&failure.to_string(), &advised, 1)
        }
        None => sentence,
    }
}

/// Returns the advice for an error of a download.
pub(super) fn for_error(error: &DownloadError) -> Option<&'static str> {
    match error {
        DownloadError::Engine(error) => for_engine_error(error),
        DownloadError::Local(error) => for_local_error(error),
        _ => None,
    }
}

fn for_engine_error(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::NoMirror(failures) => for_fault(&MirrorFailure::most_telling(failures)?.fault),
        EngineError::Mirror(failure) => for_fault(&failure.fault),
        EngineError::MirrorsDisagree { .. } => Some("name only one of them"),
        EngineError::Changed { .. } => Some("run the same command again"),
        _ => None,
    }
}

fn for_fault(fault: &MirrorFault) -> Option<&'static str> {
    match fault {
        MirrorFault::UnknownHost(_) => Some("check the server's name"),
        MirrorFault::Session(error) => for_session_error(error, fault),
        MirrorFault::Refused { .. } if fault.is_session_limit() => Some(BUSY),
        MirrorFault::Refused { .. } => for_refusal(fault.kind()),
        MirrorFault::IgnoresRestart => Some("use one connection (-c 1)"),
        MirrorFault::CannotResume => Some("fetch to a file instead"),
        _ => None,
    }
}

/// Returns the advice for the end of a session; `fault` is the fault that holds `error`.
fn for_session_error(error: &SessionError, fault: &MirrorFault) -> Option<&'static str> {
    match error {
        SessionError::OutOfStep(inner) => for_fault(&MirrorFault::Session(inner.as_ref().clone())),
        SessionError::Refused { verb: None | Some(Verb::User | Verb::Pass | Verb::Acct), .. }
            if fault.is_session_limit() =>
        {
            Some(BUSY)
        }
        SessionError::Refused { verb: Some(Verb::User | Verb::Pass | Verb::Acct), .. } => {
            for_refusal(fault.kind())
        }
        SessionError::Timeout(_) => Some("wait longer with --timeout, or try later"),
        SessionError::Connection(..) if fault.is_socket_shortage() => Some(SOCKET_SHORTAGE),
        SessionError::Connection(Channel::Control, Cause::Refused | Cause::Unreachable) => {
            Some("check the server's name and port")
        }
        _ => None,
    }
}

const fn for_refusal(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Authentication => Some("give another user with -n or another password with -P"),
        ErrorKind::NotAllowed => Some("another user may be allowed to: -n and -P"),
        ErrorKind::NotFound => Some("check the path: without a leading / it starts at the login directory"),
        _ => None,
    }
}

fn for_local_error(error: &LocalError) -> Option<&'static str> {
    match error {
        LocalError::Write { error, .. } => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(MAKE_ROOM),
            io::ErrorKind::FileTooLarge => Some("the file system, or ulimit -f, allows no larger file"),
            _ => None,
        },
        LocalError::NoRoom { .. } => Some(MAKE_ROOM),
        LocalError::TargetIsDirectory(_) => Some("-d takes a directory, -o the name of a file"),
        LocalError::TargetIsLink(_) => Some("name the file that it leads to, or -o - for standard output"),
        LocalError::TargetIsNotAFile(_) => Some("-o - writes to standard output"),
        LocalError::TemporaryIsNotAFile(_) => Some("remove it"),
        _ => None,
    }
}
