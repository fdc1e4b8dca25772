//! The demand of the files for the servers: all that the pool is told of files.

use crate::engine::ids::{Arena, ServerId};

/// The demand of all files that are being fetched, at one moment.
#[derive(Debug)]
pub(in crate::engine) struct Demand {
    /// The demand for each server.
    pub(in crate::engine) servers: Arena<ServerId, ServerDemand>,
    /// Whether another session could be of use: to fetch, or to say which file its server has.
    pub(in crate::engine) has_work: bool,
    /// Bytes that have not come, of files whose size is known.
    pub(in crate::engine) left: u64,
    /// The number of parts that these bytes may be split into.
    pub(in crate::engine) parts: usize,
    /// Whether a file whose size is known may be split over several connections.
    pub(in crate::engine) may_split: bool,
    /// Whether no file may be split, so that connections are not added.
    pub(in crate::engine) is_single: bool,
}

/// The demand for one server.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct ServerDemand {
    /// Whether it has a mirror that may be fetched from: one that has not shown another file.
    pub(in crate::engine) serves: bool,
    /// Whether all its mirrors have shown another file.
    pub(in crate::engine) differs: bool,
    /// Whether it has yet to say which file it has.
    pub(in crate::engine) is_unheard: bool,
    /// Whether the files wait for a statement of it.
    pub(in crate::engine) is_awaited: bool,
    /// Whether bytes that it delivered count.
    pub(in crate::engine) holds_bytes: bool,
}
