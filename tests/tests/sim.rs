//! Thousands of simulated downloads, each in a world drawn from a seed, and all seeds that failed once.

use pftp_tests::sim::{GROWING, LOOKING_UP, Tally, run_seed, run_seeds};
use std::fmt::Write as _;
use std::thread::available_parallelism;

/// Seeds that failed once, one a line, each with a comment that says why.
const SEEDS: &str = include_str!("../seeds.txt");

/// How many failing seeds are shown with their text.
const SHOWN: usize = 2;

/// How many lines of the text are shown.
const LINES: usize = 400;

fn kept_seeds() -> Vec<u64> {
    let numbers = SEEDS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let numbers = numbers.filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().unwrap_or_else(|_| panic!("not a seed: {number}"))).collect()
}

/// Returns the world of a failing seed, and the last lines of its text.
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

/// Runs the seeds, prints the tally, and panics with the story of those that failed.
fn run_all(seeds: impl Iterator<Item = u64> + Send) -> Tally {
    let threads = available_parallelism().map_or(1, usize::from);
    let tally = run_seeds(seeds, threads, || true);
    println!("{tally}");
    let stories: String = tally.failed.keys().take(SHOWN).map(|seed| story(*seed)).collect();
    assert!(tally.failed.is_empty(), "{stories}\nfailing seeds: {:#?}", tally.failed);
    tally
}

#[test]
fn thousand_worlds_end_well() {
    let tally = run_all(0..1000);
    assert_eq!(tally.runs(), 1000);
    assert_eq!(tally.never_fired(), [], "these faults had no effect in any world");
}

#[test]
fn worlds_with_a_checksum_lookup_end_well() {
    let tally = run_all(LOOKING_UP..LOOKING_UP + 400);
    assert_eq!(tally.runs(), 400);
    // Three of four worlds have a checksum, and some downloads fail.
    assert!(tally.found > 200, "{} were found", tally.found);
}

#[test]
fn worlds_with_added_connections_end_well() {
    let tally = run_all(GROWING..GROWING + 400);
    assert_eq!(tally.runs(), 400);
    // In the other worlds the file is too small, or more connections bring too little.
    assert!(tally.grew > 130, "connections were added in {}", tally.grew);
}

#[test]
fn seeds_that_failed_once_end_well() {
    let seeds = kept_seeds();
    let count = seeds.len() as u64;
    assert_eq!(run_all(seeds.into_iter()).runs(), count);
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in (0..1000).step_by(23) {
        let (one, other) = (run_seed(seed, false), run_seed(seed, true));
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert!(!other.text.is_empty());
    }
    assert_ne!(run_seed(1, false).hash, run_seed(2, false).hash);
}

#[test]
fn story_of_a_seed_shows_its_world_and_its_dialog() {
    let story = story(0);
    assert!(story.contains("World {") && story.contains("RETR pub/file"), "{story}");
}
