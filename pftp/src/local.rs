//! Errors of files on this machine.

use std::io;
use std::path::PathBuf;

/// A fault of a file on this machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum LocalError {
    /// An operation on a file failed.
    Failed {
        /// The operation.
        action: Action,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// A file could not be renamed.
    Rename {
        /// The present name.
        from: PathBuf,
        /// The name that it should get.
        to: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// The bytes of the download could not be written.
    Write {
        /// The file, or the writer.
        to: Place,
        /// The error; [`io::ErrorKind::BrokenPipe`] if the reader of a pipe went away.
        error: io::Error,
    },
    /// The file system has too little room for the whole file.
    NoRoom {
        /// The temporary file.
        path: PathBuf,
        /// Size of the whole file in bytes.
        size: u64,
        /// Bytes that there is room for.
        room: u64,
    },
    /// Fewer or more bytes were written than the file has.
    WrongSize {
        /// The file, or the writer.
        place: Place,
        /// Bytes that were written.
        written: u64,
        /// Size of the file in bytes.
        size: u64,
    },
    /// The bytes written cannot be read back: the place is a stream, or has converted line ends.
    NotReadable(Place),
    /// The path does not end in a file name.
    NotAFileName(PathBuf),
    /// The target is a directory.
    TargetIsDirectory(PathBuf),
    /// The target is a symbolic link.
    TargetIsLink(PathBuf),
    /// The target is something else that is not a regular file.
    TargetIsNotAFile(PathBuf),
    /// The directory of the target is not a directory.
    NotADirectory(PathBuf),
    /// The temporary name is that of something that is not a regular file.
    TemporaryIsNotAFile(PathBuf),
    /// Another process writes the temporary file.
    InUse(PathBuf),
    /// The temporary name is no longer that of the file that was written.
    Replaced(PathBuf),
}

/// An operation on a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// To create or open a temporary file.
    Create,
    /// To duplicate the descriptor of a file.
    Duplicate,
    /// To read the metadata of a file.
    Inspect,
    /// To use a directory.
    UseDirectory,
    /// To read bytes of a file.
    Read,
    /// To cut a file.
    Truncate,
    /// To start the thread that hashes a file.
    Hash,
    /// To start the thread that writes a journal.
    KeepJournal,
    /// To rename an unusable journal.
    SetAside,
}

/// The place to which the bytes of a download go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// A writer with this name.
    Stream(String),
    /// A file of this name.
    File(PathBuf),
}

impl LocalError {
    /// Returns a function that makes an error of `action` on the file at `path`.
    pub(crate) fn failed(action: Action, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Failed { action, path: path.into(), error }
    }
}
