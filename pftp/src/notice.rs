//! Events of a download that do not end it. The sentences are in [`wording`](crate::wording).

use crate::engine::Notice;
use crate::error::{ChecksumMismatch, DownloadError};
use crate::lookup::{Found, ListError, Remark};
use crate::resume::Discarded;
use crate::verification::VerifyError;
use std::io;
use std::path::PathBuf;

/// An event of a download that does not end it. Prints as a sentence that is safe to show on a terminal.
#[derive(Debug)]
#[non_exhaustive]
pub enum DownloadNotice {
    /// An event of the transfers.
    Engine(Notice),
    /// The number of connections is lower than wanted.
    ConnectionsReduced {
        /// The number in [`Settings::connections`](crate::Settings::connections).
        wanted: usize,
        /// Connections that the download uses at most.
        used: usize,
    },
    /// The download resumes with bytes of an earlier run.
    Resumed {
        /// Number of bytes.
        bytes: u64,
    },
    /// The bytes of an earlier run are of no use.
    EarlierRunDiscarded(Discarded),
    /// The journal cannot be written, so the download cannot be resumed if it is stopped now.
    JournalNotWritten {
        /// The journal.
        journal: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// No server has a checksum of the file.
    NoChecksum,
    /// The file has the checksum that a server has of it.
    Verified(Found),
    /// The file at the final name is not the file on the server.
    FinishedFileDiffers {
        /// The final name.
        path: PathBuf,
        /// The checksum that a server has of the file.
        found: Found,
        /// The reason.
        error: VerifyError,
    },
    /// The bytes of several mirrors together do not have the checksum, so each mirror is asked for the whole file.
    AskingOneByOne(Box<ChecksumMismatch>),
    /// A mirror did not deliver the whole file when it was asked alone.
    MirrorFailed(DownloadError),
    /// The file of one mirror has the checksum, the file of another mirror does not.
    MirrorHasChecksum {
        /// The server of the first mirror.
        server: String,
    },
}

impl DownloadNotice {
    /// Returns whether a user should be warned. The other notices explain what the download does.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        match self {
            Self::Engine(notice) => notice.is_warning(),
            Self::Resumed { .. } | Self::Verified(_) => false,
            _ => true,
        }
    }
}

impl Notice {
    /// Returns whether a user should be warned. If a server has several files of checksums, it is usual that one of them does
    /// not list the file.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        !matches!(self, Self::Lookup(Remark::UselessList { error: ListError::NotListed, .. }))
    }
}
