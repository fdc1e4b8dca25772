//! Sentences about files on this machine.

use crate::exit::{Failure, Kind, MAKE_ROOM};
use crate::journal::JournalError;
use crate::local::{Action, LocalError, Place};
use crate::resume::Discarded;
use std::io;
use std::path::Path;

/// Names a place.
pub(crate) fn place(place: &Place) -> String {
    match place {
        Place::Stdout => "standard output".to_owned(),
        Place::File(path) => path.display().to_string(),
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let local = |path: &Path, what: &str| Self::new(Kind::Local, format!("{}: {what}", path.display()));
        match error {
            LocalError::Failed { action, path, error } => Self::local(attempt(action), &path, &error),
            LocalError::Rename { from, to, error } => {
                Self::local(&format!("cannot rename {} to", from.display()), &to, &error)
            }
            LocalError::Write { to, error } => Self::write(place(&to), &error),
            LocalError::NoRoom { path, size, room } => {
                let path = path.display();
                let message =
                    format!("cannot write {path}: the file has {size} bytes, and there is room for {room}");
                Self::new(Kind::Local, format!("{message}{MAKE_ROOM}"))
            }
            LocalError::WrongSize { place: Place::Stdout, written, size } => {
                let message = format!("standard output: got {written} bytes instead of {size}");
                Self::new(Kind::Integrity, message)
            }
            LocalError::WrongSize { place: Place::File(path), written, size } => {
                let message = format!("{}: holds {written} bytes instead of {size}", path.display());
                Self::new(Kind::Integrity, message)
            }
            LocalError::NotReadable(at) => {
                Self::new(Kind::Other, format!("{}: cannot be read again", place(&at)))
            }
            LocalError::NotAFileName(path) => local(&path, "is not a file name"),
            LocalError::TargetIsDirectory(path) => {
                local(&path, "is a directory; -d takes a directory, -o the name of a file")
            }
            LocalError::TargetIsLink(path) => local(
                &path,
                "is a symbolic link; name the file that it leads to, or -o - for standard output",
            ),
            LocalError::TargetIsNotAFile(path) => {
                local(&path, "exists and is not a regular file; -o - writes to standard output")
            }
            LocalError::NotADirectory(path) => local(&path, "is not a directory"),
            LocalError::TemporaryIsNotAFile(path) => local(&path, "is not a regular file; remove it"),
            LocalError::InUse(path) => local(&path, "in use by another pftp"),
            LocalError::Replaced(path) => local(&path, "is not the file that was written any more"),
        }
    }
}

const fn attempt(action: Action) -> &'static str {
    match action {
        Action::Create => "cannot create",
        Action::Duplicate => "cannot open again",
        Action::Inspect => "cannot look at",
        Action::UseDirectory => "cannot use the directory",
        Action::Read => "cannot read",
        Action::Truncate => "cannot truncate",
        Action::Hash => "cannot hash",
        Action::KeepJournal => "cannot keep",
        Action::SetAside => "cannot rename",
    }
}

/// Says that the journal at `path` cannot be written.
pub(crate) fn record_error(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}; if stopped, the download starts over", path.display())
}

/// Says why the bytes of an earlier run are of no use.
pub(crate) fn discarded(discarded: &Discarded) -> String {
    match discarded {
        Discarded::ChecksumDiffered => {
            "what an earlier run has fetched did not have its checksum; starting over".to_owned()
        }
        Discarded::JournalUnusable { journal, moved_to, error } => format!(
            "{} {}; it is {} now, and the download starts over",
            journal.display(),
            journal_error(error),
            moved_to.display()
        ),
    }
}

fn journal_error(error: &JournalError) -> String {
    match error {
        JournalError::Foreign => "is not a journal of pftp".to_owned(),
        JournalError::Version => "is of another version of pftp".to_owned(),
        JournalError::Damaged => "is damaged".to_owned(),
        JournalError::MissingBytes(part) => format!("names bytes that {} does not have", part.display()),
        JournalError::Read(error) => format!("cannot be read: {error}"),
    }
}
