//! Downloads simulated: the real planner and real links, model servers, byte pipes with latency and rate, and
//! a clock that jumps from one happening to the next.
//!
//! Nothing here waits, and the same input gives the same run.

mod campaign;
mod client;
mod deadlines;
mod disk;
mod fault;
mod growing;
mod oracle;
mod outage;
mod pipes;
mod random;
mod record;
mod server;
mod stage;
mod staging;
mod tcp;
mod transport;
mod watch;
mod world;

pub use campaign::{Run, Tally, run_seed, run_seeds};
pub use disk::{Disk, Keeper};
pub use fault::{Fault, Nature};
pub use growing::GROWING;
pub use oracle::Verdict;
pub use outage::{Ending, Outage};
pub use pipes::{Pipes, Replies, WINDOW};
pub use random::Random;
pub use record::Record;
pub use server::Seen;
pub use tcp::Congestion;
pub use transport::{Path, SimTransport};
pub use watch::Course;
pub use world::{Mirror, SEARCHING, Trouble, World};

use crate::model::File;
use ftp_proto::{Arg, Config, Instant, RepresentationType, Sink};
use pftp::drive::drive;
use pftp::exit::Failure;
use pftp::plan::{Before, Planner, Settings, Source};
use stage::Stage;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More bytes than any simulated file has.
const LONGEST: usize = 1 << 30;

/// A sink in memory.
#[derive(Debug, Default)]
pub struct MemorySink {
    contents: Mutex<Vec<u8>>,
    written: AtomicU64,
}

impl MemorySink {
    /// What has been written, gaps as zeros.
    pub fn contents(&self) -> Vec<u8> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes were written in all: those that came twice count twice.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether what has been written is this file, no more and no less.
    pub fn holds(&self, file: &File) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = vec![0; 1 << 16];
        let mut pieces = contents.chunks(wanted.len()).zip((0..).step_by(wanted.len()));
        let same = |(piece, at): (&[u8], u64)| {
            let len = file.fill(at, &mut wanted);
            wanted[..len] == *piece
        };
        contents.len() as u64 == file.size() && pieces.all(same)
    }

    /// `len` bytes from `offset` on, if so much has been written.
    pub fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).ok()?;
        contents.get(start..start + len).map(<[u8]>::to_vec)
    }
}

impl Sink for MemorySink {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let start = usize::try_from(offset).expect("a simulated file fits into memory");
        let end = start.saturating_add(bytes.len());
        assert!(end <= LONGEST, "bytes are written at {offset}, where no simulated file is");
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[start..end].copy_from_slice(bytes);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A download of `path` from each of `servers`, with `connections` connections.
pub fn settings(servers: &[SocketAddr], path: &str, connections: usize) -> Settings {
    let path = Arg::new(path.as_bytes().to_vec()).expect("a path of a test is an argument");
    let source = |server: &SocketAddr| Source {
        server: server.to_string(),
        path: path.clone(),
        config: Config::default(),
        connections: 1,
    };
    Settings {
        sources: servers.iter().map(source).collect(),
        connections: NonZeroUsize::new(connections).expect("at least one connection"),
        begin_with: NonZeroUsize::new(connections).expect("at least one connection"),
        retries: 5,
        min_segment: 64 * 1024,
        min_tail: 4 * 1024,
        in_order: false,
        representation: RepresentationType::Image,
        seed: 1,
        before: Before::default(),
        search: None,
    }
}

/// How a simulated download went.
#[derive(Debug)]
pub struct Outcome {
    /// The size of the file, or why there is none.
    pub result: Result<u64, Failure>,
    /// What the user was told on the way.
    pub warnings: Vec<String>,
}

/// Runs a download to its end. The servers' names are their addresses, separated by commas.
pub fn run(settings: Settings, transport: &mut SimTransport) -> Outcome {
    let mut stage = Stage::new(addresses(&settings), transport.sink());
    let mut planner = Planner::new(settings, Instant::ZERO);
    let sink = transport.sink();
    let result = drive(&mut planner, transport, &sink, &mut stage);
    Outcome { result, warnings: stage.warnings }
}

/// The same with a journal: goes on with what the keeper's disk has, and says what the run has left; `None` if it was not
/// ended from outside.
pub fn run_with_journal(
    mut settings: Settings,
    transport: &mut SimTransport,
    keeper: Keeper,
) -> (Outcome, Option<Disk>) {
    let sink = transport.sink();
    let Ok(()) = sink.write_at(0, keeper.disk().bytes());
    settings.before = keeper.disk().before();
    let mut stage = Stage::new(addresses(&settings), Arc::clone(&sink));
    stage.keeper = Some(keeper);
    let mut planner = Planner::new(settings, Instant::ZERO);
    let sink = transport.sink();
    let result = drive(&mut planner, transport, &sink, &mut stage);
    let ended = stage.keeper.filter(Keeper::was_ended).map(|keeper| keeper.left(&planner, &sink));
    (Outcome { result, warnings: stage.warnings }, ended)
}

fn addresses(settings: &Settings) -> Vec<Vec<SocketAddr>> {
    let parse = |address: &str| address.parse().expect("simulated servers are named by address");
    settings.sources.iter().map(|source| source.server.split(',').map(parse).collect()).collect()
}
