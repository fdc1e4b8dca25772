//! Downloads simulated: the real planner and real links, model servers, byte pipes with latency and rate, and
//! a clock that jumps from one happening to the next.
//!
//! Nothing here waits, and the same input gives the same run.

mod campaign;
mod client;
mod fault;
mod oracle;
mod pipes;
mod random;
mod record;
mod server;
mod staging;
mod transport;
mod watch;
mod world;

pub use campaign::{Run, Tally, run_seed, run_seeds};
pub use fault::{Fault, Nature};
pub use oracle::Verdict;
pub use pipes::{Pipes, Replies, WINDOW};
pub use random::Random;
pub use record::Record;
pub use server::Seen;
pub use transport::{Path, SimTransport};
pub use watch::Course;
pub use world::{Mirror, SEARCHING, Trouble, World};

use ftp_proto::{Arg, Config, Instant, Report, SessionId, Sink, Type};
use pftp::drive::{Input, Surroundings, drive};
use pftp::exit::Failure;
use pftp::plan::{Before, MirrorId, Planner, Settings, Source};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// More bytes than any simulated file has.
const LONGEST: usize = 1 << 30;

/// A sink in memory.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<Vec<u8>>);

impl MemorySink {
    /// What has been written, gaps as zeros.
    pub fn contents(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `len` bytes from `offset` on, if so much has been written.
    pub fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[start..end].copy_from_slice(bytes);
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
        in_order: false,
        representation: Type::Image,
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
    let parse = |address: &str| address.parse().expect("simulated servers are named by address");
    let addresses =
        settings.sources.iter().map(|source| source.server.split(',').map(parse).collect()).collect();
    let sink = transport.sink();
    let mut stage = Stage { addresses, sink, inputs: VecDeque::new(), warnings: Vec::new() };
    let mut planner = Planner::new(settings, Instant::ZERO);
    let result = drive(&mut planner, transport, &mut stage);
    Outcome { result, warnings: stage.warnings }
}

struct Stage {
    addresses: Vec<Vec<SocketAddr>>,
    sink: Arc<MemorySink>,
    inputs: VecDeque<Input>,
    warnings: Vec<String>,
}

impl Surroundings<Infallible> for Stage {
    fn resolve(&mut self, id: MirrorId) {
        let found = self.addresses.get(id.0).cloned().unwrap_or_default();
        self.inputs.push_back(Input::Resolved(id, Ok(found)));
    }

    fn input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    fn opened(&mut self, _id: SessionId, _thread: usize) {}

    fn report(&mut self, _report: &Report<Infallible>) -> Result<(), Failure> {
        Ok(())
    }

    fn same(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        Ok(self.sink.read(offset, bytes.len()).is_some_and(|there| there == bytes))
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }

    /// An input that is there is to be taken at once.
    fn progress(&mut self, _planner: &Planner, now: Instant) -> Option<Instant> {
        (!self.inputs.is_empty()).then_some(now)
    }
}
