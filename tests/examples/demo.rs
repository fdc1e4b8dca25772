//! Shows the use of several connections: `cargo run --release -p pftp-tests --example demo`
//!
//! Three FTP servers on the loopback interface throttle each connection to 4 MiB/s, as many public servers
//! do. The `pftp` command fetches one file from them three times, over fewer and fewer connections. Nothing
//! leaves this machine, and no file stays on it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use pftp_tests::binary;
use pftp_tests::loopback::Server;
use pftp_tests::model::{self, Behaviour, Model, Tree};
use sha2::{Digest as _, Sha256};
use signal_hook::consts::SIGINT;

const NAME: &str = "demo.bin";
const SIZE: u64 = 48 * MIB;
const BYTES_PER_SECOND: u64 = 4 * MIB;
const MIB: u64 = 1024 * 1024;

/// Connections and mirrors of each download.
const DOWNLOADS: [(u32, usize); 3] = [(9, 3), (3, 3), (1, 1)];

/// A download that has ended.
struct Outcome {
    connections: u32,
    mirrors: usize,
    time: Duration,
    logins: u32,
    /// Whether the file is exact.
    exact: bool,
    /// The message of a failed download.
    faults: Vec<String>,
}

fn main() -> Result<ExitCode> {
    // Ctrl-C ends the running `pftp`; this program lives on to clean up.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, interrupted.clone())?;

    println!("Building pftp; the first time this takes a while ...");
    let pftp = binary::pftp();
    let file = model::File::generated(1, SIZE);
    let sha256 = file.sha256();
    println!(
        "Three servers on this machine have the file {NAME}: {} MiB, SHA-256 {}...",
        SIZE / MIB,
        &sha256[..16]
    );
    println!("Each of them sends no more than {} MiB/s over one connection.", BYTES_PER_SECOND / MIB);

    let mut outcomes = Vec::new();
    for (connections, mirrors) in DOWNLOADS {
        outcomes.push(download(pftp, connections, mirrors, &file, &sha256)?);
        if interrupted.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(130));
        }
    }
    print_table(&outcomes);
    for Outcome { connections, faults, .. } in &outcomes {
        for fault in faults {
            eprintln!("demo: the download with -c {connections}: {fault}");
        }
    }
    let fine = outcomes.iter().all(|outcome| outcome.faults.is_empty());
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the command that fetches the file, and runs it.
fn download(
    pftp: &Path,
    connections: u32,
    mirrors: usize,
    file: &model::File,
    sha256: &str,
) -> Result<Outcome> {
    let servers = (0..mirrors).map(|_| start(file)).collect::<io::Result<Vec<_>>>()?;
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let mut command = Command::new(pftp);
    command.args(["-c", &connections.to_string(), "-d"]).arg(directory.path());
    command.args(servers.iter().map(|server| server.url(NAME)));
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    println!("\n$ pftp {}", arguments.join(" "));

    let started = Instant::now();
    let status = command.status().with_context(|| format!("cannot start {}", pftp.display()))?;
    let time = started.elapsed();

    let logins = servers.iter().map(|server| server.stats().logins()).sum();
    let mut faults = Vec::new();
    let exact = status.success() && hash(&directory.path().join(NAME))? == sha256;
    if !status.success() {
        faults.push(format!("pftp ended with {status}"));
    } else if !exact {
        faults.push("the file is not the one that the servers have".to_owned());
    } else if fs::read_dir(directory.path())?.count() != 1 {
        faults.push("pftp left other files behind".to_owned());
    }
    if logins > connections {
        faults.push("there were more logins than connections".to_owned());
    }
    directory.close().context("cannot remove the temporary directory")?;
    Ok(Outcome { connections, mirrors, time, logins, exact, faults })
}

fn start(file: &model::File) -> io::Result<Server> {
    let behaviour = Behaviour { bytes_per_second: Some(BYTES_PER_SECOND), ..Behaviour::vsftpd() };
    Server::start(Model::new(Tree::new().with(NAME, file.clone())).with_behaviour(behaviour))
}

fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn print_table(outcomes: &[Outcome]) {
    println!("\nconnections  servers  seconds  MiB/s  logins  SHA-256");
    for Outcome { connections, mirrors, time, logins, exact, .. } in outcomes {
        let seconds = time.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "the size is small")]
        let rate = SIZE as f64 / MIB as f64 / seconds;
        let verdict = if *exact { "ok" } else { "WRONG" };
        println!("{connections:11}  {mirrors:7}  {seconds:7.1}  {rate:5.1}  {logins:6}  {verdict}");
    }
}
