//! Why a download fails, and notices on the way: facts, without exit codes, wording or advice.

use super::shortage::is_socket_shortage;
use ftp_proto::{Arg, PeerFault, Reply, SessionError, Verb};

/// Why a download ended without its file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EngineError {
    /// No mirror is left: why each of them failed, in the order of the sources.
    NoMirror(Vec<MirrorFailure>),
    /// Two mirrors have different files, and no majority decides.
    MirrorsDisagree {
        /// The servers of the two.
        servers: [String; 2],
        /// In what the files differ.
        difference: Difference,
    },
    /// The file changed on its server while it was fetched.
    Changed {
        /// The server.
        server: String,
        /// The file.
        path: Arg,
    },
    /// Most mirrors have another file than the one whose first bytes have already gone to a pipe.
    Superseded,
    /// A mirror failed in a way that ends the whole download: its bytes have already gone to a pipe.
    Mirror(MirrorFailure),
}

/// In what the files of two mirrors differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Size or modification time.
    Facts,
    /// Bytes.
    Content,
}

/// Why one mirror is of no more use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorFailure {
    /// The server's name, as messages show it.
    pub server: String,
    /// The reason.
    pub fault: MirrorFault,
}

/// The reason of a [`MirrorFailure`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MirrorFault {
    /// The server's name has no address: the resolver's words, or `None` if the name exists.
    UnknownHost(Option<String>),
    /// A session with the server ended.
    Session(SessionError),
    /// The server refused a command about the file.
    Refused {
        /// The file.
        path: Arg,
        /// The command.
        verb: Verb,
        /// The server's words.
        reply: Reply,
    },
    /// The file ends before the first byte that was asked for.
    EndsBefore {
        /// Offset where it ends, in bytes.
        at: u64,
        /// Offset of the first byte asked for.
        start: u64,
    },
    /// The server ended a transfer early.
    EndedEarly {
        /// Offset behind the last byte that came.
        at: u64,
        /// The size of the file in bytes, if it is known.
        size: Option<u64>,
        /// The server's final reply, which may be a completion.
        reply: Reply,
        /// Whether the server called the transfer complete although bytes were missing.
        lied: bool,
    },
    /// The server tells another size than the offset at which it ended a transfer.
    SizeContradicted {
        /// The offset at which it ended a transfer, in bytes.
        shown: u64,
        /// The size it tells.
        told: u64,
    },
    /// The server sends files from their start whatever REST says.
    IgnoresRestart,
    /// The server cannot resume in the middle of a file, and the bytes before have gone to a pipe.
    CannotResume,
    /// The mirror's bytes differ from those of the other mirrors.
    OtherBytes,
    /// The only mirror sent different bytes for the same part of the file.
    InconsistentBytes,
    /// The mirror's file has another size or modification time than that of the other mirrors.
    OtherFile,
}

impl MirrorFault {
    /// Whether the mirror's file, or what its server said of the file, is wrong.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        match self {
            Self::Session(error) => is_overrun(error),
            Self::EndedEarly { lied, .. } => *lied,
            Self::EndsBefore { .. }
            | Self::SizeContradicted { .. }
            | Self::IgnoresRestart
            | Self::OtherBytes
            | Self::InconsistentBytes
            | Self::OtherFile => true,
            Self::UnknownHost(_) | Self::Refused { .. } | Self::CannotResume => false,
        }
    }

    /// Whether the server refused because it takes no more sessions.
    #[must_use]
    pub fn is_session_limit(&self) -> bool {
        match self {
            Self::Refused { reply, .. } | Self::Session(SessionError::Refused { reply, .. }) => {
                reply.is_session_limit()
            }
            _ => false,
        }
    }

    /// Whether this machine has no more descriptors or buffers for connections.
    #[must_use]
    pub fn is_socket_shortage(&self) -> bool {
        matches!(self, Self::Session(error) if is_socket_shortage(error))
    }
}

fn is_overrun(error: &SessionError) -> bool {
    match error {
        SessionError::OutOfStep(inner) => is_overrun(inner),
        error => matches!(error, SessionError::Peer(PeerFault::Overrun { .. })),
    }
}

/// An event to tell the user that does not end the download.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A mirror failed; the others carry on.
    MirrorDropped(MirrorFailure),
    /// The server takes no more sessions.
    SessionLimit {
        /// The server.
        server: String,
    },
    /// The server cannot send a part of a file.
    NoRestart {
        /// The server.
        server: String,
    },
    /// All bytes came, and no server confirmed that the file ends there: why each mirror failed.
    EndNotSeen(Vec<MirrorFailure>),
    /// The file has another size or modification time than the one an earlier run began.
    EarlierRunOutdated,
    /// Bytes of an earlier run differ from those that the server has now.
    EarlierBytesDiffer,
    /// The lookup of a checksum takes too long on this server.
    LookupTooSlow {
        /// The server.
        server: String,
    },
    /// A lookup of a checksum met something worth a warning or a note.
    Lookup(crate::lookup::Remark),
}
