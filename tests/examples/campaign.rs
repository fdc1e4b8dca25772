//! Downloads in simulated worlds, one for each seed: `cargo run --release -p pftp-tests --example campaign`
//!
//! `--from N` and `--count N` choose the seeds, 0 to 999 by default; `--seconds S` runs seeds from there on
//! for about that long instead. `--seed N` runs one seed, and prints its world and everything that happens in
//! it.
//!
//! The worlds from `--from 4294967296` on resemble those from 0 on, with a lookup of a checksum; in those
//! from `--from 8589934592` on connections are added while they pay.
//!
//! Prints how often each fault was on and had an effect, in how many worlds connections were added, and the
//! seeds that failed. Exits with 1 if a seed failed.

use anyhow::{Context as _, Result, bail};
use pftp_tests::sim::{run_seed, run_seeds};
use std::env;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

fn main() -> Result<ExitCode> {
    let mut args = env::args().skip(1);
    let (mut from, mut count, mut seed, mut seconds) = (0, None, None, None);
    while let Some(option) = args.next() {
        let value: u64 = args.next().context("a number is missing")?.parse().context(option.clone())?;
        match option.as_str() {
            "--from" => from = value,
            "--count" => count = Some(value),
            "--seed" => seed = Some(value),
            "--seconds" => seconds = Some(value),
            _ => bail!("usage: campaign [--from N] [--count N] [--seconds S] | --seed N"),
        }
    }
    match seed {
        Some(seed) => Ok(one(seed)),
        None => Ok(many(from, count, seconds)),
    }
}

fn one(seed: u64) -> ExitCode {
    let run = run_seed(seed, true);
    for line in &run.text {
        println!("{line}");
    }
    println!("{:#?}\n{:#?}\ntrace {:016x}", run.world, run.course, run.hash);
    exit_code(run.course.problems.is_empty())
}

fn many(from: u64, count: Option<u64>, seconds: Option<u64>) -> ExitCode {
    let end = count.or(if seconds.is_some() { None } else { Some(1000) });
    let end = end.map_or(u64::MAX, |count| from.saturating_add(count));
    let started = Instant::now();
    let go_on = || seconds.is_none_or(|seconds| started.elapsed() < Duration::from_secs(seconds));
    let threads = available_parallelism().map_or(1, usize::from);
    let tally = run_seeds(from..end, threads, go_on);
    let took = started.elapsed().as_secs_f64();
    println!("{tally}");
    println!("{} seeds in {took:.1} s, {:.0} a second", tally.runs(), tally.runs() as f64 / took);
    for (seed, problems) in &tally.failed {
        println!("seed {seed} failed: {}", problems.join("; "));
    }
    exit_code(tally.failed.is_empty())
}

fn exit_code(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
