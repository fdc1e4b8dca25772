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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(error: LocalError) -> (Kind, String) {
        let failure = Failure::from(error);
        (failure.kind(), failure.to_string())
    }

    #[test]
    fn local_error_names_the_file_and_the_remedy() {
        let path = || Path::new("d/f").to_owned();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for (error, sentence) in [
            (
                LocalError::Failed { action: Action::Create, path: path(), error: io::Error::other("why") },
                "cannot create d/f: why",
            ),
            (
                LocalError::Rename { from: "a".into(), to: path(), error: io::Error::other("why") },
                "cannot rename a to d/f: why",
            ),
            (
                LocalError::Write { to: Place::File(path()), error: full() },
                "cannot write d/f: no storage space; make room and run the same command again",
            ),
            (
                LocalError::NoRoom { path: path(), size: 10, room: 9 },
                "cannot write d/f: the file has 10 bytes, and there is room for 9; \
                 make room and run the same command again",
            ),
            (LocalError::NotAFileName(path()), "d/f: is not a file name"),
            (
                LocalError::TargetIsDirectory(path()),
                "d/f: is a directory; -d takes a directory, -o the name of a file",
            ),
            (
                LocalError::TargetIsLink(path()),
                "d/f: is a symbolic link; name the file that it leads to, or -o - for standard output",
            ),
            (
                LocalError::TargetIsNotAFile(path()),
                "d/f: exists and is not a regular file; -o - writes to standard output",
            ),
            (LocalError::NotADirectory(path()), "d/f: is not a directory"),
            (LocalError::TemporaryIsNotAFile(path()), "d/f: is not a regular file; remove it"),
            (LocalError::InUse(path()), "d/f: in use by another pftp"),
            (LocalError::Replaced(path()), "d/f: is not the file that was written any more"),
        ] {
            assert_eq!(failure(error), (Kind::Local, sentence.to_owned()));
        }
    }

    #[test]
    fn kind_of_a_local_error_follows_from_what_failed() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(failure(LocalError::Write { to: Place::Stdout, error }).0, Kind::BrokenPipe);
        for (place, sentence) in [
            (Place::Stdout, "standard output: got 3 bytes instead of 4"),
            (Place::File("f".into()), "f: holds 3 bytes instead of 4"),
        ] {
            let error = LocalError::WrongSize { place, written: 3, size: 4 };
            assert_eq!(failure(error), (Kind::Integrity, sentence.to_owned()));
        }
        let sentence = "standard output: cannot be read again".to_owned();
        assert_eq!(failure(LocalError::NotReadable(Place::Stdout)), (Kind::Other, sentence));
    }

    #[test]
    fn unusable_journal_is_named_with_the_reason_and_its_new_name() {
        for (error, reason) in [
            (JournalError::Foreign, "is not a journal of pftp"),
            (JournalError::Version, "is of another version of pftp"),
            (JournalError::Damaged, "is damaged"),
            (JournalError::MissingBytes("f.part".into()), "names bytes that f.part does not have"),
            (JournalError::Read(io::Error::other("why")), "cannot be read: why"),
        ] {
            let unusable =
                Discarded::JournalUnusable { journal: "j".into(), moved_to: "j-unusable".into(), error };
            let sentence = format!("j {reason}; it is j-unusable now, and the download starts over");
            assert_eq!(discarded(&unusable), sentence);
        }
    }
}
