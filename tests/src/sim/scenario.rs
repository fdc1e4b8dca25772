//! The builder of simulated downloads: a file, servers and the paths to them, what goes wrong, and the client's settings.
//!
//! ```
//! use pftp_tests::model::File;
//! use pftp_tests::sim::{Scenario, SimServer};
//!
//! let slow = SimServer::new().round_trip_ms(150).session_rate(64 * 1024);
//! let download = Scenario::new(File::generated(1, 1 << 20)).server(slow).connections(4).fetch();
//! assert_eq!(download.stats(0).logins(), 4);
//! ```

mod download;
mod server;

pub use download::Download;
pub use server::{Address, SimServer};

use super::stage::Stage;
use super::{Disk, Keeper, MemorySink, Settings, SimTransport, Source};
use crate::model::File;
use ftp_proto::{Arg, Config, Facts, Instant, RepresentationType, Sink as _};
use pftp::DownloadError;
use pftp::drive::drive;
use pftp::engine::Earlier;
use pftp::ranges::RangeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The path of the file that a scenario downloads.
pub const FILE_PATH: &str = "pub/file";

/// A download to simulate.
#[derive(Clone, Debug)]
pub struct Scenario {
    file: File,
    servers: Vec<SimServer>,
    connections: usize,
    begin_with: Option<usize>,
    retries: u32,
    min_segment: u64,
    min_tail: u64,
    seed: u64,
    lookup: Option<Duration>,
    earlier: Option<EarlierRun>,
    traced: bool,
}

/// The bytes and the journal that an earlier run has left.
#[derive(Clone, Debug)]
struct EarlierRun {
    size: u64,
    ranges: Vec<Range<u64>>,
    bytes_are_right: bool,
}

impl Scenario {
    /// A download of this file over one connection, with the client's usual settings.
    pub fn new(file: File) -> Self {
        Self {
            file,
            servers: Vec::new(),
            connections: 1,
            begin_with: None,
            retries: 5,
            min_segment: 64 * 1024,
            min_tail: 4 * 1024,
            seed: 1,
            lookup: None,
            earlier: None,
            traced: false,
        }
    }

    /// Adds a mirror.
    pub fn server(self, server: SimServer) -> Self {
        self.servers([server])
    }

    /// Adds mirrors.
    pub fn servers(mut self, servers: impl IntoIterator<Item = SimServer>) -> Self {
        self.servers.extend(servers);
        self
    }

    /// Opens so many connections, all mirrors together.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Opens `begin_with` connections, and others up to `most` where they pay.
    pub fn growing(mut self, begin_with: usize, most: usize) -> Self {
        (self.begin_with, self.connections) = (Some(begin_with), most);
        self
    }

    /// Sets the fresh attempts per mirror without progress.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the bytes below which the file is not split at first.
    pub fn min_segment(mut self, bytes: u64) -> Self {
        self.min_segment = bytes;
        self
    }

    /// Sets the bytes below which no tail is taken from a running transfer.
    pub fn min_tail(mut self, bytes: u64) -> Self {
        self.min_tail = bytes;
        self
    }

    /// Sets where the client's jitter and the losses of congested paths start from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Looks up a checksum of the file on the servers, for at most so long on each.
    pub fn looking_up_a_checksum(mut self, most: Duration) -> Self {
        self.lookup = Some(most);
        self
    }

    /// Resumes after a run that has fetched `ranges` of a file of `size` bytes: of the scenario's file if
    /// `bytes_are_right`, of a file of zeros otherwise.
    pub fn resuming(mut self, size: u64, ranges: &[Range<u64>], bytes_are_right: bool) -> Self {
        self.earlier = Some(EarlierRun { size, ranges: ranges.to_vec(), bytes_are_right });
        self
    }

    /// Keeps the text of everything that happens.
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Builds the servers and paths, for sessions that a test drives itself.
    pub fn build(&self) -> (SimTransport, Vec<SocketAddr>) {
        let mut transport = SimTransport::new(Arc::default());
        if self.traced {
            transport.record().lock().unwrap_or_else(PoisonError::into_inner).keep_text();
        }
        let add = |server: &SimServer| server.add_to(&mut transport, &self.file, self.seed);
        let addresses = self.servers.iter().map(add).collect();
        (transport, addresses)
    }

    /// Runs the download to its end.
    pub fn run(self) -> Download {
        self.run_with(None).0
    }

    /// Runs the download to its end. Panics if it fails or a byte is wrong.
    #[track_caller]
    pub fn fetch(self) -> Download {
        let download = self.run();
        download.assert_complete();
        download
    }

    /// Runs the download with a journal, which resumes what the keeper's disk has. Returns the disk that the run leaves
    /// if the keeper ended it.
    pub fn run_with_journal(self, keeper: Keeper) -> (Download, Option<Disk>) {
        self.run_with(Some(keeper))
    }

    fn run_with(self, keeper: Option<Keeper>) -> (Download, Option<Disk>) {
        let (mut transport, addresses) = self.build();
        let sink = transport.sink();
        let names = self.resolved(&mut transport, &addresses);
        let mut settings = self.settings(&names);
        if let Some(earlier) = &self.earlier {
            settings.earlier = earlier.leave(&self.file, &sink);
        }
        if let Some(keeper) = &keeper {
            let Ok(()) = sink.write_at(0, keeper.disk().bytes());
            settings.earlier = keeper.disk().earlier();
        }
        let mut stage = Stage::new(names, Arc::clone(&sink));
        stage.keeper = keeper;
        let (mut engine, only) = settings.start(Instant::ZERO);
        let results = drive(&mut engine, &mut transport, &mut stage);
        let result = results.and_then(|mut results| results.take(only).map_err(DownloadError::from));
        let left =
            stage.keeper.filter(Keeper::was_ended).map(|keeper| keeper.left(&engine.status(only), &sink));
        let download =
            Download { file: self.file, result, warnings: stage.warnings, addresses, transport, sink };
        (download, left)
    }

    /// The addresses of each server's name.
    fn resolved(&self, transport: &mut SimTransport, addresses: &[SocketAddr]) -> Vec<Vec<SocketAddr>> {
        let mut resolve = |own: SocketAddr, address: &Address| match address {
            Address::Own => own,
            Address::BlackHole => transport.black_hole(),
            Address::Refused => SocketAddr::from(([192, 0, 2, 99], 21)),
            Address::OfServer(index) => addresses[*index],
        };
        let names = self.servers.iter().zip(addresses);
        names.map(|(server, own)| server.addresses.iter().map(|it| resolve(*own, it)).collect()).collect()
    }

    fn settings(&self, names: &[Vec<SocketAddr>]) -> Settings {
        // Messages call a server by its first address that is its own.
        let mut settings = settings(names, self.connections);
        if let Some(begin_with) = self.begin_with {
            settings.begin_with = NonZeroUsize::new(begin_with).expect("at least one connection");
        }
        settings.retries = self.retries;
        settings.min_segment = self.min_segment;
        settings.min_tail = self.min_tail;
        settings.seed = self.seed;
        settings.lookup = self.lookup;
        settings
    }
}

impl EarlierRun {
    /// Writes the bytes of the earlier run, and returns its journal.
    fn leave(&self, file: &File, sink: &MemorySink) -> Earlier {
        let mut done = RangeSet::new();
        for range in &self.ranges {
            let there = range.start..range.end.min(file.size());
            if self.bytes_are_right && !there.is_empty() {
                let Ok(()) = sink.write_at(there.start, &file.read(there));
            }
            done.insert(range.clone());
        }
        let zeros = |range: Range<u64>| {
            let len = usize::try_from(range.end - range.start).expect("a range fits into memory");
            Ok::<_, Infallible>(vec![0; len].into())
        };
        let Ok(earlier) = Earlier::new(Facts { size: Some(self.size), ..Facts::default() }, done, zeros);
        earlier
    }
}

/// Returns the settings of a download from servers whose names are these addresses, with `connections` connections.
pub fn settings(names: &[Vec<SocketAddr>], connections: usize) -> Settings {
    let path = Arg::new(FILE_PATH).expect("a path of a test is an argument");
    let source = |addresses: &Vec<SocketAddr>| Source {
        server: addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        path: path.clone(),
        config: Config::default(),
        connections: 1,
    };
    let connections = NonZeroUsize::new(connections).expect("at least one connection");
    Settings {
        sources: names.iter().map(source).collect(),
        connections,
        begin_with: connections,
        retries: 5,
        min_segment: 64 * 1024,
        min_tail: 4 * 1024,
        in_order: false,
        representation: RepresentationType::Image,
        seed: 1,
        earlier: Earlier::default(),
        lookup: None,
    }
}
