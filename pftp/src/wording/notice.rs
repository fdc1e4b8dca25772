//! Sentences for notices.

use super::write_escaped;
use crate::engine::{MirrorFailure, Notice};
use crate::notice::DownloadNotice;
use crate::verification::VerifyError;
use std::fmt;

impl fmt::Display for DownloadNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Engine(notice) => return notice.fmt(f),
            Self::ConnectionsReduced { wanted, used } => {
                format!("{wanted} connections are more than servers allow; using {used}")
            }
            Self::Resumed { bytes } => format!("going on: {bytes} bytes are here from an earlier run"),
            Self::EarlierRunDiscarded(discarded) => discarded.to_string(),
            Self::JournalNotWritten { journal, error } => {
                let journal = journal.display();
                format!("cannot write {journal}: {error}; if stopped, the download starts over")
            }
            Self::NoChecksum => {
                "there is nothing to verify the file with: no server that could be asked has a \
                                 checksum of it"
                    .to_owned()
            }
            Self::Verified(found) => format!("verified: {found}"),
            Self::FinishedFileDiffers { path, found, error } => {
                let why = match error {
                    VerifyError::Read(error) => format!("cannot be read: {error}"),
                    VerifyError::Mismatch { computed, .. } => format!("has {computed} and not {found}"),
                };
                format!("{} is here already, but {why}; fetching it again", path.display())
            }
            Self::AskingOneByOne(mismatch) => {
                format!("{mismatch}; asking one mirror after the other for the file")
            }
            Self::MirrorFailed(error) => error.to_string(),
            Self::MirrorHasChecksum { server } => {
                format!("the file of {server} has the checksum, another mirror's has not")
            }
        };
        write_escaped(f, &sentence)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::MirrorDropped(failure) => format!("{failure}; going on without it"),
            Self::SessionLimit { server } => {
                format!("{server} takes no more connections; going on with fewer")
            }
            Self::NoRestart { server } => {
                format!("{server} cannot send a part of a file, only the whole; using one connection to it")
            }
            Self::EndNotSeen(failures) => {
                let failure =
                    MirrorFailure::most_telling(failures).map_or_else(String::new, ToString::to_string);
                format!("{failure}; all bytes had come by then, but that the file ends there was not seen")
            }
            Self::EarlierRunOutdated => {
                "the file is not the one that an earlier run has begun (size or time); starting over"
                    .to_owned()
            }
            Self::EarlierBytesDiffer => {
                "what an earlier run has fetched is not what the server has now; starting over".to_owned()
            }
            Self::LookupTooSlow { server } => format!("{server}: looking for a checksum takes too long"),
            Self::Lookup(remark) => remark.to_string(),
        };
        write_escaped(f, &sentence)
    }
}
