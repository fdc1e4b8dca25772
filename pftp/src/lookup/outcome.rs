//! The outcome of a lookup: a checksum, and facts that the user should know.

use super::ListError;
use crate::checksum::{Algorithm, Checksum};
use ftp_proto::{Reply, Verb};

/// Bytes in a block of `sum -r`.
pub(super) const BLOCK: u64 = 1024;

/// The checksum that a server has of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The checksum.
    pub checksum: Checksum,
    /// The size of the file in blocks of 1024 bytes, the last of which need not be full, if the server has it.
    pub blocks: Option<u64>,
    /// The server, as messages call it.
    pub server: String,
    /// The place of the checksum on the server.
    pub origin: Origin,
}

impl Found {
    /// Returns whether a file of `size` bytes with the checksum `computed` is the file that the server means.
    #[must_use]
    pub fn matches(&self, computed: &Checksum, size: u64) -> bool {
        self.checksum == *computed && self.blocks.is_none_or(|blocks| blocks == size.div_ceil(BLOCK))
    }
}

/// The place of a checksum on a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// A file of checksums with this name, in the directory of the file.
    List(Vec<u8>),
    /// The reply to a command that computes a checksum.
    Command(Verb),
}

/// A fact that the user should know, because it made the lookup weaker than it could be.
///
/// `server` is the server as messages call it, `list` the name of a file of checksums.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Remark {
    /// A file of checksums has no usable checksum of the file.
    UselessList {
        /// The server.
        server: String,
        /// The file of checksums.
        list: Vec<u8>,
        /// The reason.
        error: ListError,
    },
    /// A file of checksums is larger than 16 MiB.
    ListTooLarge {
        /// The server.
        server: String,
        /// The file of checksums.
        list: Vec<u8>,
    },
    /// A file of checksums is on the server, but did not come.
    ListNotRead {
        /// The server.
        server: String,
        /// The file of checksums.
        list: Vec<u8>,
        /// The reply that refused or ended the transfer; `None` if the session ended.
        reply: Option<Reply>,
    },
    /// The server refused to compute a checksum.
    CommandRefused {
        /// The server.
        server: String,
        /// The command.
        verb: Verb,
        /// The refusal.
        reply: Reply,
    },
    /// The session ended before the server replied to a command that computes a checksum.
    CommandNotAnswered {
        /// The server.
        server: String,
        /// The command.
        verb: Verb,
    },
    /// The reply to a command that computes a checksum has no checksum of the whole file.
    CommandMisanswered {
        /// The server.
        server: String,
        /// The command.
        verb: Verb,
        /// The algorithm that the server was asked for.
        algorithm: Algorithm,
        /// The reply.
        reply: Reply,
    },
}
