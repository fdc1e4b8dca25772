//! Downloads over simulated paths with TCP's congestion control, each with many seeds:
//! `cargo run --release -p pftp-tests --example paths`
//!
//! `--seeds N` sets how many seeds, 10 by default, and `--from N` the first of them. `--only TEXT` picks the cases whose
//! names contain TEXT; `--list` prints the names. Other cases are built with `--path MBIT,MS,LOST`, once for each mirror,
//! with the packets lost of a million; `--size MIB`; `--throttle KIB`, per second and session; and `--connections N`, once
//! or several times, 0 for as many as the client chooses. `--trace SEED` prints everything that happens with that seed.
//!
//! The times are virtual seconds; the seed is the one that took longest. Logins and bytes sent, in per cent of the file, are
//! the mean of a download.

use anyhow::{Context as _, Result, bail, ensure};
use pftp::Settings as DownloadSettings;
use pftp_tests::model::File;
use pftp_tests::sim::{Download, Scenario, SimServer};
use std::env;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

const MIB: u64 = 1 << 20;

/// Bytes below which the command does not split a file.
const MIN_SEGMENT: u64 = MIB;

/// A download.
#[derive(Clone, Debug)]
struct Case {
    what: &'static str,
    paths: Vec<Line>,
    throttle: Option<u64>,
    size: u64,
    /// 0 for as many as the client chooses.
    connections: usize,
}

/// A path to a mirror.
#[derive(Clone, Copy, Debug)]
struct Line {
    megabits: u64,
    round_trip: u64,
    /// Packets lost of a million.
    losses: u64,
}

/// How a download went.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    seed: u64,
    seconds: f64,
    logins: u32,
    sent: u64,
}

/// The command line.
#[derive(Debug, Default)]
struct Options {
    seeds: Option<u64>,
    from: u64,
    only: String,
    list: bool,
    trace: Option<u64>,
    paths: Vec<Line>,
    size: Option<u64>,
    throttle: Option<u64>,
    connections: Vec<usize>,
}

fn main() -> Result<()> {
    let options = Options::parse(env::args().skip(1))?;
    let cases: Vec<Case> =
        options.cases().into_iter().filter(|case| case.to_string().contains(&options.only)).collect();
    if options.list {
        cases.iter().for_each(|case| println!("{case}"));
        return Ok(());
    }
    if let Some(seed) = options.trace {
        return cases.iter().try_for_each(|case| trace(case, seed));
    }
    let seeds = options.seeds.unwrap_or(10);
    println!(
        "{:<58}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}",
        "", "mean/s", "least", "most", "seed", "logins", "sent/%"
    );
    let started = Instant::now();
    for case in &cases {
        let outcomes = with_seeds(case, options.from..options.from.saturating_add(seeds))?;
        print_row(case, &outcomes);
    }
    println!("{seeds} seeds each, in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(option) = args.next() {
            if option == "--list" {
                options.list = true;
                continue;
            }
            let value = args.next().context("a value is missing")?;
            let number = || value.parse::<u64>().context(option.clone());
            match option.as_str() {
                "--seeds" => options.seeds = Some(number()?),
                "--from" => options.from = number()?,
                "--only" => options.only = value,
                "--trace" => options.trace = Some(number()?),
                "--path" => options.paths.push(Line::parse(&value)?),
                "--size" => options.size = Some(number()? * MIB),
                "--throttle" => options.throttle = Some(number()? * 1024),
                "--connections" => options.connections.push(number()?.try_into()?),
                _ => bail!(
                    "usage: paths [--seeds N] [--from N] [--only TEXT] [--list] [--trace SEED] \
                     [--path MBIT,MS,LOST]... [--size MIB] [--throttle KIB] [--connections N]..."
                ),
            }
        }
        Ok(options)
    }

    /// Returns the cases of the command line, or else the cases that the lab measures with an emulator.
    fn cases(&self) -> Vec<Case> {
        let line = |megabits, round_trip, losses| Line { megabits, round_trip, losses };
        let unequal = vec![line(80, 20, 0), line(40, 60, 0), line(8, 150, 0)];
        let cells = |what, paths: &[Line], throttle, size, connections: &[usize]| {
            let connections = if self.connections.is_empty() { connections } else { &self.connections };
            let cell = |connections: &usize| Case {
                what,
                paths: paths.to_vec(),
                throttle: self.throttle.or(throttle),
                size: self.size.unwrap_or(size * MIB),
                connections: *connections,
            };
            connections.iter().map(cell).collect::<Vec<_>>()
        };
        if !self.paths.is_empty() {
            return cells("asked for", &self.paths, None, 64, &[1, 4, 8, 16, 0]);
        }
        let mut cases = cells("clean", &[line(200, 80, 0)], None, 128, &[1, 4, 8, 16, 0]);
        cases.extend(cells("lossy", &[line(200, 80, 1000)], None, 64, &[1, 4, 8, 16, 0]));
        cases.extend(cells("throttled", &[line(500, 20, 0)], Some(2 * MIB), 64, &[8, 0]));
        cases.extend(cells("unequal", &unequal, None, 64, &[6, 12, 0]));
        cases
    }
}

impl Line {
    fn parse(text: &str) -> Result<Self> {
        let numbers = text.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>().context("--path")?;
        let [megabits, round_trip, losses] = numbers[..] else { bail!("--path takes three numbers") };
        Ok(Self { megabits, round_trip, losses })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_paths = |number: fn(&Line) -> u64| {
            self.paths.iter().map(|line| number(line).to_string()).collect::<Vec<_>>().join("/")
        };
        write!(
            f,
            "{}: {} Mbit/s, {} ms",
            self.what,
            of_paths(|line| line.megabits),
            of_paths(|line| line.round_trip)
        )?;
        if self.paths.iter().any(|line| line.losses > 0) {
            write!(f, ", {} ppm lost", of_paths(|line| line.losses))?;
        }
        write!(f, ", {} MiB, ", self.size / MIB)?;
        match self.connections {
            0 => write!(f, "chosen"),
            connections => write!(f, "-c {connections}"),
        }
    }
}

/// Returns the outcomes in the order of the seeds.
fn with_seeds(case: &Case, seeds: std::ops::Range<u64>) -> Result<Vec<Outcome>> {
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let outcome = measure(case, seed).with_context(|| format!("{case}, seed {seed}"))?;
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads = available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no download panics"))
    })?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|outcome| outcome.seed);
    Ok(outcomes)
}

fn scenario(case: &Case, seed: u64) -> Scenario {
    let mirror = |line: &Line| {
        let server = SimServer::new().path_megabits(line.megabits).round_trip_ms(line.round_trip);
        let server = server.congested(line.losses);
        case.throttle.into_iter().fold(server, SimServer::session_rate)
    };
    let scenario = Scenario::new(File::generated(1, case.size)).servers(case.paths.iter().map(mirror));
    let scenario = scenario.seed(seed).min_segment(MIN_SEGMENT);
    match case.connections {
        0 => scenario.growing(case.paths.len(), DownloadSettings::CHOSEN_CONNECTIONS),
        connections => scenario.connections(connections),
    }
}

fn measure(case: &Case, seed: u64) -> Result<Outcome> {
    let download = scenario(case, seed).run();
    check(&download)?;
    let seconds = download.ended().as_secs_f64();
    Ok(Outcome { seed, seconds, logins: download.logins(), sent: download.sent() })
}

fn trace(case: &Case, seed: u64) -> Result<()> {
    let download = scenario(case, seed).traced().run();
    for line in download.trace() {
        println!("{line}");
    }
    check(&download)
}

fn check(download: &Download) -> Result<()> {
    if !download.succeeded() {
        bail!("{}: {:?}", download.failure(), download.warnings);
    }
    ensure!(download.is_exact(), "the bytes are wrong");
    Ok(())
}

fn print_row(case: &Case, outcomes: &[Outcome]) {
    let count = outcomes.len() as f64;
    let seconds = || outcomes.iter().map(|outcome| outcome.seconds);
    let mean = seconds().sum::<f64>() / count;
    let least = seconds().fold(f64::INFINITY, f64::min);
    let slowest = outcomes.iter().max_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let (most, seed) = slowest.map_or((0.0, 0), |slowest| (slowest.seconds, slowest.seed));
    let logins = outcomes.iter().map(|outcome| f64::from(outcome.logins)).sum::<f64>() / count;
    let sent = outcomes.iter().map(|outcome| outcome.sent as f64).sum::<f64>() / count;
    let sent = sent / case.size as f64 * 100.0;
    println!("{:<58}{mean:>8.2}{least:>8.2}{most:>8.2}{seed:>8}{logins:>8.1}{sent:>8.1}", case.to_string());
}
