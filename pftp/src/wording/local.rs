//! Sentences about files on this machine.

use super::write_escaped;
use crate::journal::JournalError;
use crate::local::{Action, LocalError, Place};
use crate::resume::Discarded;
use std::fmt;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(name) => write_escaped(f, name),
            Self::File(path) => write_escaped(f, &path.display().to_string()),
        }
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = match self {
            Self::Failed { action, path, error } => {
                let sentence = format!("{} {}: {error}", attempt(*action), path.display());
                return write_escaped(f, &sentence);
            }
            Self::Rename { from, to, error } => {
                let sentence = format!("cannot rename {} to {}: {error}", from.display(), to.display());
                return write_escaped(f, &sentence);
            }
            Self::Write { to, error } => return write_escaped(f, &format!("cannot write {to}: {error}")),
            Self::NoRoom { path, size, room } => {
                let path = path.display();
                let sentence =
                    format!("cannot write {path}: the file has {size} bytes, and there is room for {room}");
                return write_escaped(f, &sentence);
            }
            Self::WrongSize { place: place @ Place::Stream(_), written, size } => {
                return write!(f, "{place}: got {written} bytes instead of {size}");
            }
            Self::WrongSize { place: place @ Place::File(_), written, size } => {
                return write!(f, "{place}: holds {written} bytes instead of {size}");
            }
            Self::NotReadable(place) => return write!(f, "{place}: cannot be read again"),
            Self::NotAFileName(path) => (path, "is not a file name"),
            Self::TargetIsDirectory(path) => (path, "is a directory"),
            Self::TargetIsLink(path) => (path, "is a symbolic link"),
            Self::TargetIsNotAFile(path) => (path, "exists and is not a regular file"),
            Self::NotADirectory(path) => (path, "is not a directory"),
            Self::TemporaryIsNotAFile(path) => (path, "is not a regular file"),
            Self::InUse(path) => (path, "in use by another pftp"),
            Self::Replaced(path) => (path, "is not the file that was written any more"),
        };
        write_escaped(f, &format!("{}: {what}", path.display()))
    }
}

impl std::error::Error for LocalError {}

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

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChecksumDiffered => {
                f.write_str("what an earlier run has fetched did not have its checksum; starting over")
            }
            Self::JournalUnusable { journal, moved_to, error } => {
                let (journal, moved_to) = (journal.display(), moved_to.display());
                let sentence =
                    format!("{journal} {error}; it is {moved_to} now, and the download starts over");
                write_escaped(f, &sentence)
            }
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("is not a journal of pftp"),
            Self::Version => f.write_str("is of another version of pftp"),
            Self::Damaged => f.write_str("is damaged"),
            Self::MissingBytes(part) => {
                write_escaped(f, &format!("names bytes that {} does not have", part.display()))
            }
            Self::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for JournalError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::io;
    use std::path::Path;

    fn described(error: &LocalError) -> (ErrorKind, String) {
        (error.kind(), error.to_string())
    }

    fn stream() -> Place {
        Place::Stream("standard output".to_owned())
    }

    #[test]
    fn local_error_names_the_file() {
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
                "cannot write d/f: no storage space",
            ),
            (
                LocalError::NoRoom { path: path(), size: 10, room: 9 },
                "cannot write d/f: the file has 10 bytes, and there is room for 9",
            ),
            (LocalError::NotAFileName(path()), "d/f: is not a file name"),
            (LocalError::TargetIsDirectory(path()), "d/f: is a directory"),
            (LocalError::TargetIsLink(path()), "d/f: is a symbolic link"),
            (LocalError::TargetIsNotAFile(path()), "d/f: exists and is not a regular file"),
            (LocalError::NotADirectory(path()), "d/f: is not a directory"),
            (LocalError::TemporaryIsNotAFile(path()), "d/f: is not a regular file"),
            (LocalError::InUse(path()), "d/f: in use by another pftp"),
            (LocalError::Replaced(path()), "d/f: is not the file that was written any more"),
        ] {
            assert_eq!(described(&error), (ErrorKind::Local, sentence.to_owned()));
        }
    }

    #[test]
    fn kind_of_a_local_error_follows_from_what_failed() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(described(&LocalError::Write { to: stream(), error }).0, ErrorKind::BrokenPipe);
        for (place, sentence) in [
            (stream(), "standard output: got 3 bytes instead of 4"),
            (Place::File("f".into()), "f: holds 3 bytes instead of 4"),
        ] {
            let error = LocalError::WrongSize { place, written: 3, size: 4 };
            assert_eq!(described(&error), (ErrorKind::Integrity, sentence.to_owned()));
        }
        let sentence = "standard output: cannot be read again".to_owned();
        assert_eq!(described(&LocalError::NotReadable(stream())), (ErrorKind::Other, sentence));
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
            assert_eq!(unusable.to_string(), sentence);
        }
    }
}
