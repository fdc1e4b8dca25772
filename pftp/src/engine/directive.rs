//! The input of the engine, and the acts that it wants done.

use super::earlier::Earlier;
use super::error::{EngineError, Notice};
use super::ids::{ComparisonId, FileId, ServerId};
use crate::lookup::Found;
use bytes::Bytes;
use ftp_proto::{Arg, Config, RepresentationType, Request, RequestId, Retrieve, SessionId, Until};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a job: they hold for all its servers and files.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Connections at most, all servers together. 1 if a file must come in order or as ASCII.
    pub connections: NonZeroUsize,
    /// Connections that are opened at once. More are added where they pay.
    pub begin_with: NonZeroUsize,
    /// Attempts without progress that may fail before a server is given up.
    pub retries: u32,
    /// The seed of all jitter.
    pub seed: u64,
}

/// A server, as the engine is told of it.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The name that messages show.
    pub name: String,
    /// Login, time limits and the other settings of its sessions.
    pub config: Config,
    /// Connections that the user asked for by naming the server. The engine may use more.
    pub connections: usize,
}

/// A copy of a file on a server.
#[derive(Clone, Debug)]
pub struct Source {
    /// The server.
    pub server: ServerId,
    /// The path of the file there.
    pub path: Arg,
}

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its mirrors; of two on one server the second is left out. The first is asked first.
    pub mirrors: Vec<Source>,
    /// Bytes below which the file is not split at first.
    pub min_segment: u64,
    /// Bytes below which no tail is taken from a running transfer.
    pub min_tail: u64,
    /// Whether the bytes must come in order, over one connection.
    pub in_order: bool,
    /// The representation type of its transfers (RFC 959 §3.1.1). Offsets mean nothing in ASCII: the file then comes over one
    /// connection, from the start.
    pub representation: RepresentationType,
    /// The bytes of earlier runs.
    pub earlier: Earlier,
    /// How long a server may be asked for a checksum of the file; `None` if no checksum is looked up.
    pub lookup: Option<Duration>,
}

/// An act that the engine wants done.
#[derive(Clone, Debug)]
pub enum Directive {
    /// Resolve the name of a server, and call [`Fetcher::resolved`](super::Fetcher::resolved).
    Resolve(ServerId),
    /// Open a session.
    Open {
        /// The session.
        id: SessionId,
        /// The number of its connection for the log, from 1. A session that replaces another has the same number.
        connection: usize,
        /// The address to connect to.
        address: SocketAddr,
        /// The session's settings.
        config: Arc<Config>,
    },
    /// Give a request to a session.
    Request(SessionId, RequestId, Request),
    /// Have a session fetch a range of a file into the sink of that file.
    Retrieve(SessionId, RequestId, FileId, Retrieve),
    /// Move the end of a transfer.
    SetEnd(SessionId, RequestId, Until),
    /// End a session.
    Close(SessionId),
    /// Compare these bytes with those that the sink has from this offset on, and call
    /// [`Fetcher::compared`](super::Fetcher::compared).
    Compare(FileId, ComparisonId, u64, Bytes),
    /// The lookup of a checksum has ended with this result. It may come again; the last one counts. If the finished file [is
    /// here already](super::FileStatus::is_here_already) and a checksum was found, compare them and call
    /// [`Fetcher::compared_finished`](super::Fetcher::compared_finished).
    Found(FileId, Option<Found>),
    /// Fewer bytes are [settled](super::FileStatus::settled) than before: record only those, and wait until the record is on disk,
    /// before any directive that follows is carried out.
    Retract(FileId),
    /// Tell the user of something that did not stop the download.
    Notice(Notice),
    /// A file is done: its size in bytes, or why there is none. No further directive names the file. Other sessions write to
    /// its sink no more, unless it was the last file of the job: then end the sessions first.
    Done(FileId, Result<u64, EngineError>),
}
