//! A thousand simulated downloads, each in a world of its own, and those that once failed.

use pftp_tests::sim::{GROWING, SEARCHING, Tally, run_seed, run_seeds};
use std::fmt::Write as _;
use std::thread::available_parallelism;

/// Seeds that failed once, one a line; the comment behind each says what was wrong.
const SEEDS: &str = include_str!("../seeds.txt");

/// How many failing seeds are shown with all that happened.
const SHOWN: usize = 2;

/// The lines of what happened that are shown of one.
const LINES: usize = 400;

fn kept_seeds() -> Vec<u64> {
    let numbers = SEEDS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let numbers = numbers.filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().unwrap_or_else(|_| panic!("not a seed: {number}"))).collect()
}

/// World and dialog of a failing seed.
fn story(seed: u64) -> String {
    let run = run_seed(seed, true);
    let mut story = String::new();
    let left_out = run.text.len().saturating_sub(LINES);
    let _ = writeln!(story, "seed {seed}: {:#?}\n... {left_out} lines ...", run.world);
    for line in &run.text[left_out..] {
        let _ = writeln!(story, "{line}");
    }
    let _ = writeln!(story, "seed {seed}: {:?}", run.course.problems);
    story
}

/// Runs the seeds, prints what was on and what came of it, and shows what failed.
fn run_all(seeds: impl Iterator<Item = u64> + Send) -> Tally {
    let threads = available_parallelism().map_or(1, usize::from);
    let tally = run_seeds(seeds, threads, || true);
    println!("{tally}");
    let stories: String = tally.failed.keys().take(SHOWN).map(|seed| story(*seed)).collect();
    assert!(tally.failed.is_empty(), "{stories}\nfailing seeds: {:#?}", tally.failed);
    tally
}

#[test]
fn a_thousand_worlds() {
    let tally = run_all(0..1000);
    assert_eq!(tally.runs(), 1000);
    assert_eq!(tally.never_fired(), [], "these faults had no effect in any world");
}

#[test]
fn worlds_in_which_a_checksum_is_looked_for() {
    let tally = run_all(SEARCHING..SEARCHING + 400);
    assert_eq!(tally.runs(), 400);
    // In three of four there is one, and in some of those no file.
    assert!(tally.found > 200, "{} were found", tally.found);
}

#[test]
fn worlds_in_which_connections_are_added() {
    let tally = run_all(GROWING..GROWING + 400);
    assert_eq!(tally.runs(), 400);
    // In the others the file is small, or the mirrors deliver too little for that.
    assert!(tally.grew > 130, "connections were added in {}", tally.grew);
}

#[test]
fn seeds_that_failed_once() {
    let seeds = kept_seeds();
    let count = seeds.len() as u64;
    assert_eq!(run_all(seeds.into_iter()).runs(), count);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..1000).step_by(23) {
        let (one, other) = (run_seed(seed, false), run_seed(seed, true));
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert!(!other.text.is_empty());
    }
    assert_ne!(run_seed(1, false).hash, run_seed(2, false).hash);
}

/// The simulation would be worth nothing if it called everything right.
#[test]
fn a_failing_seed_is_told_with_its_world_and_its_dialog() {
    let story = story(0);
    assert!(story.contains("World {") && story.contains("RETR pub/file"), "{story}");
}
