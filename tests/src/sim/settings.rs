//! The settings of a job that fetches one file.

use ftp_proto::{Arg, Config, Instant, RepresentationType};
use pftp::engine::{self, Earlier, Fetcher, FileId, ServerSettings, Wanted};
use std::num::NonZeroUsize;
use std::time::Duration;

/// A mirror of the file.
#[derive(Clone, Debug)]
pub struct Source {
    /// The server's name.
    pub server: String,
    /// The path of the file there.
    pub path: Arg,
    /// The settings of its sessions.
    pub config: Config,
    /// Connections that the user asked for by naming the server.
    pub connections: usize,
}

/// A job of one file: the settings of the engine and of the file in one place.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mirrors.
    pub sources: Vec<Source>,
    /// Connections at most.
    pub connections: NonZeroUsize,
    /// Connections that are opened at once.
    pub begin_with: NonZeroUsize,
    /// Attempts without progress that may fail before a mirror is given up.
    pub retries: u32,
    /// Bytes below which the file is not split at first.
    pub min_segment: u64,
    /// Bytes below which no tail is taken.
    pub min_tail: u64,
    /// Whether the bytes must come in order.
    pub in_order: bool,
    /// The representation type.
    pub representation: RepresentationType,
    /// The seed of all jitter.
    pub seed: u64,
    /// The bytes of earlier runs.
    pub earlier: Earlier,
    /// How long a server may be asked for a checksum.
    pub lookup: Option<Duration>,
}

impl Settings {
    /// Starts an engine with the file. The servers are added in the order of the mirrors.
    pub fn start(self, now: Instant) -> (Fetcher, FileId) {
        let is_single = self.in_order || self.representation == RepresentationType::Ascii;
        let limit = |connections: NonZeroUsize| if is_single { NonZeroUsize::MIN } else { connections };
        let settings = engine::Settings {
            connections: limit(self.connections),
            begin_with: limit(self.begin_with),
            retries: self.retries,
            seed: self.seed,
        };
        let mut engine = Fetcher::new(settings, now);
        let mut source = |source: Source| {
            let Source { server: name, path, config, connections } = source;
            engine::Source { server: engine.add_server(ServerSettings { name, config, connections }), path }
        };
        let wanted = Wanted {
            mirrors: self.sources.into_iter().map(&mut source).collect(),
            min_segment: self.min_segment,
            min_tail: self.min_tail,
            in_order: self.in_order,
            representation: self.representation,
            earlier: self.earlier,
            lookup: self.lookup,
        };
        let file = engine.add(wanted, now);
        (engine, file)
    }
}
