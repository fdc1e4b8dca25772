//! Sentences for the facts of the library: the `Display` of errors and notices.
//!
//! A sentence says what happened, and where: server or file. It has no advice, because advice depends on the program. Text
//! from servers is escaped, so that a sentence is one line that is safe to show on a terminal.

mod engine;
mod local;
mod lookup;
mod notice;

use crate::error::{ChecksumMismatch, DownloadError};
use crate::verification::Reference;
use ftp_proto::Escaped;
use std::fmt;

/// Writes a sentence as one line that is safe to show on a terminal.
fn write_escaped(f: &mut fmt::Formatter<'_>, sentence: &str) -> fmt::Result {
    write!(f, "{}", Escaped(sentence.as_bytes()))
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource => f.write_str("there is no source to fetch from"),
            Self::ChecksumInAscii => {
                f.write_str("a checksum is for the bytes on the server, which ascii mode changes")
            }
            Self::Engine(error) => error.fmt(f),
            Self::Local(error) => error.fmt(f),
            Self::Checksum(mismatch) => mismatch.fmt(f),
            Self::Unverified { place, error } => write_escaped(f, &format!("cannot read {place}: {error}")),
            Self::EventLoop(error) => write!(f, "cannot make an event loop: {error}"),
            Self::Cancelled { .. } => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for DownloadError {}

impl fmt::Display for ChecksumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, wanted, computed, size } = self;
        let sentence = match wanted {
            Reference::Given(checksum) => format!("{place} has {computed} and not {checksum}"),
            Reference::Found(found) if found.blocks.is_some() => {
                format!("{place} has {computed} and {size} bytes, and not {found}")
            }
            Reference::Found(found) => format!("{place} has {computed} and not {found}"),
        };
        write_escaped(f, &sentence)
    }
}

impl std::error::Error for ChecksumMismatch {}
