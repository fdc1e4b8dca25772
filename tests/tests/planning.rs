//! Simulated downloads from slow, full, dead and disagreeing mirrors, in virtual time.

#[path = "planning/addresses.rs"]
mod addresses;
#[path = "planning/connections.rs"]
mod connections;
#[path = "planning/disagreement.rs"]
mod disagreement;
#[path = "planning/end.rs"]
mod end;
#[path = "planning/growth.rs"]
mod growth;
#[path = "planning/limits.rs"]
mod limits;
#[path = "planning/lookup.rs"]
mod lookup;
#[path = "planning/resume.rs"]
mod resume;
#[path = "planning/slowness.rs"]
mod slowness;

use pftp_tests::model::File;
use pftp_tests::sim::{Scenario, SimServer};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of the file.
const SIZE: u64 = 8 * MIB;

fn file() -> File {
    File::generated(3, SIZE)
}

/// A download of [`file`] from these mirrors.
fn download(mirrors: impl IntoIterator<Item = SimServer>) -> Scenario {
    Scenario::new(file()).servers(mirrors)
}

/// A well-behaved server that throttles each session to so many bytes per second.
fn throttled(bytes_per_second: u64) -> SimServer {
    SimServer::new().session_rate(bytes_per_second)
}
