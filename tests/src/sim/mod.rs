//! Simulated downloads: the real engine and real links, model servers, byte pipes with latency and rate, and a virtual
//! clock that jumps from one event to the next.
//!
//! The simulation never waits, and the same input gives the same run. [`Scenario`] builds a download by hand;
//! [`run_seed`] draws one from a seed, with faults, and judges it.

mod campaign;
mod client;
mod deadlines;
mod disk;
mod fault;
mod growing;
mod memory;
mod oracle;
mod outage;
mod pipes;
mod random;
mod record;
mod scenario;
mod server;
mod settings;
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
pub use memory::MemorySink;
pub use oracle::Verdict;
pub use outage::{Ending, Outage};
pub use pftp::ErrorKind;
pub use pipes::{Pipes, Replies, WINDOW};
pub use random::Random;
pub use record::Record;
pub use scenario::{Address, Download, FILE_PATH, Scenario, SimServer, settings};
pub use server::Seen;
pub use settings::{Settings, Source};
pub use tcp::Congestion;
pub use transport::{Path, SimTransport};
pub use watch::Course;
pub use world::{LOOKING_UP, Mirror, Trouble, World};
