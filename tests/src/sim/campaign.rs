//! Runs many seeds and counts how they went.

use super::fault::Fault;
use super::oracle::Verdict;
use super::outage::Outage;
use super::record::Record;
use super::watch::{Course, download};
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A seed that was run.
#[derive(Debug)]
pub struct Run {
    /// The world of the seed.
    pub world: World,
    /// How it went.
    pub course: Course,
    /// The hash of everything that happened.
    pub hash: u64,
    /// Everything that happened, if the text was kept.
    pub text: Vec<String>,
}

/// Runs a seed, and keeps the text of what happens if `text` is set.
pub fn run_seed(seed: u64, text: bool) -> Run {
    let world = World::from_seed(seed);
    let record = Arc::new(Mutex::new(Record::default()));
    if text {
        record.lock().unwrap_or_else(PoisonError::into_inner).keep_text();
    }
    let course = catch_unwind(AssertUnwindSafe(|| download(&world, &record))).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        let problems = vec![format!("panicked: {said}")];
        Course {
            verdict: None,
            problems,
            fired: BTreeSet::new(),
            found: false,
            added: 0,
            took: Duration::ZERO,
        }
    });
    let record = record.lock().unwrap_or_else(PoisonError::into_inner);
    Run { world, course, hash: record.hash(), text: record.text().to_vec() }
}

/// The counts of many runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// For each fault: in how many worlds it was on, and in how many it had an effect.
    faults: BTreeMap<Fault, (u64, u64)>,
    files: u64,
    undecidable: u64,
    failures: u64,
    /// In how many worlds a checksum was found.
    pub found: u64,
    /// In how many worlds connections were added.
    pub grew: u64,
    /// How many connections were added.
    added: u64,
    longest: Duration,
    /// The seeds that failed, and why.
    pub failed: BTreeMap<u64, Vec<String>>,
}

impl Tally {
    /// Counts a run.
    pub fn add(&mut self, run: &Run) {
        let of_runs = run.world.outages.iter().flat_map(Outage::faults);
        for fault in run.world.faults().into_iter().chain(of_runs.collect::<BTreeSet<_>>()) {
            let (on, fired) = self.faults.entry(fault).or_default();
            *on += 1;
            *fired += u64::from(run.course.fired.contains(&fault));
        }
        let verdict = run.course.verdict.filter(|_| run.course.problems.is_empty());
        match verdict {
            Some(Verdict::File) => self.files += 1,
            Some(Verdict::Undecidable) => self.undecidable += 1,
            Some(Verdict::Failure) => self.failures += 1,
            None => {}
        }
        self.found += u64::from(run.course.found);
        self.grew += u64::from(run.course.added > 0);
        self.added += run.course.added as u64;
        self.longest = self.longest.max(run.course.took);
        if !run.course.problems.is_empty() {
            self.failed.insert(run.world.seed, run.course.problems.clone());
        }
    }

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: Self) {
        for (fault, (on, fired)) in other.faults {
            let counts = self.faults.entry(fault).or_default();
            *counts = (counts.0 + on, counts.1 + fired);
        }
        self.files += other.files;
        self.undecidable += other.undecidable;
        self.failures += other.failures;
        self.found += other.found;
        self.grew += other.grew;
        self.added += other.added;
        self.longest = self.longest.max(other.longest);
        self.failed.extend(other.failed);
    }

    /// Returns the number of runs.
    pub fn runs(&self) -> u64 {
        self.files + self.undecidable + self.failures + self.failed.len() as u64
    }

    /// Returns the faults that never had an effect.
    pub fn never_fired(&self) -> Vec<Fault> {
        let fired = |fault: &&Fault| self.faults.get(fault).is_some_and(|(_, fired)| *fired > 0);
        Fault::ALL.iter().filter(|fault| !fired(fault)).copied().collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fault                    on   fired")?;
        for fault in Fault::ALL {
            let (on, fired) = self.faults.get(fault).copied().unwrap_or_default();
            writeln!(f, "{:20} {on:>6} {fired:>7}", fault.to_string())?;
        }
        writeln!(
            f,
            "{} files, {} undecidable, {} failures for a reason, {} seeds failed; the longest took {:.1} s (virtual)",
            self.files,
            self.undecidable,
            self.failures,
            self.failed.len(),
            self.longest.as_secs_f64()
        )?;
        writeln!(f, "checksums found in {}; {} connections added in {}", self.found, self.added, self.grew)
    }
}

/// Runs these seeds on so many threads. Calls `go_on` before each seed, and stops when it returns false.
pub fn run_seeds(
    seeds: impl Iterator<Item = u64> + Send,
    threads: usize,
    go_on: impl Fn() -> bool + Sync,
) -> Tally {
    let seeds = Mutex::new(seeds);
    let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                while go_on()
                    && let Some(seed) = next()
                {
                    tally.add(&run_seed(seed, false));
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).merge(tally);
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
