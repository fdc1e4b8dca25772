//! Power cuts, in virtual time: bytes that were written and not flushed are lost, in part. The next run is exact all the same.

use std::time::Duration;

use ftp_proto::Instant;
use pftp_tests::model::File;
use pftp_tests::sim::{Disk, Download, Ending, Keeper, Random, Scenario, SimServer};

const SIZE: u64 = 2 << 20;

/// Runs of a download that end before the last of them is left alone.
const MOST_CUTS: u32 = 39;

fn mirror(file: &File, bytes_per_second: u64) -> SimServer {
    SimServer::new().round_trip_ms(20).serving(file.clone()).session_rate(bytes_per_second)
}

/// Runs a download of `file` once. Returns the disk that it leaves, if the keeper ended it.
fn run(file: &File, mirrors: Vec<SimServer>, connections: usize, keeper: Keeper) -> (Download, Option<Disk>) {
    let scenario = Scenario::new(file.clone()).servers(mirrors).connections(connections);
    scenario.min_segment(32 * 1024).run_with_journal(keeper)
}

/// Cuts the power, or kills the client, again and again until the file is there. Returns how often.
#[track_caller]
fn fetch_through_power_cuts(seed: u64, mirrors: impl Fn(&File) -> Vec<SimServer>, file_changes: bool) -> u32 {
    let mut random = Random::new(seed);
    let mut file = File::generated(seed, SIZE);
    let mut disk = Disk::default();
    for cuts in 0..=MOST_CUTS {
        let connections = random.within(1, 5) as usize;
        let at = Instant(Duration::from_millis(random.within(50, 750)));
        if file_changes && random.percent(25) {
            // Size and time stay as they are, so only the bytes tell.
            file = File::generated(1000 * seed + random.within(0, 999), SIZE);
        }
        let end = (cuts < MOST_CUTS)
            .then_some((at, random.pick(&[Ending::PowerCut, Ending::PowerCut, Ending::Killed])));
        let keeper = Keeper::new(disk, end, Random::new(random.number()));
        let (download, left) = run(&file, mirrors(&file), connections, keeper);
        if download.succeeded() {
            assert!(download.is_exact(), "seed {seed}: the bytes are wrong");
            return cuts;
        }
        disk = left.unwrap_or_else(|| panic!("seed {seed}: {}", download.failure()));
    }
    panic!("seed {seed}: never done");
}

#[test]
fn download_from_one_server_is_exact_after_power_cuts() {
    let cuts: u32 =
        (1..=12).map(|seed| fetch_through_power_cuts(seed, |file| vec![mirror(file, 300_000)], false)).sum();
    assert!(cuts > 25, "{cuts}");
}

#[test]
fn download_from_several_mirrors_is_exact_after_power_cuts() {
    let mirrors = |file: &File| [100_000, 300_000, 500_000].map(|rate| mirror(file, rate)).to_vec();
    let cuts: u32 = (1..=8).map(|seed| fetch_through_power_cuts(seed, mirrors, false)).sum();
    assert!(cuts > 10, "{cuts}");
}

/// A mirror without REST writes the whole file over the bytes of the earlier run.
#[test]
fn whole_file_of_a_mirror_with_other_bytes_is_not_mixed_with_earlier_bytes() {
    let other = File::generated(12_345, SIZE);
    let killed = |at: u64| Some((Instant(Duration::from_millis(at)), Ending::Killed));
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let file = File::generated(seed, SIZE);
        let keeper = Keeper::new(Disk::default(), killed(random.within(500, 2000)), Random::new(seed));
        let (_, left) = run(&file, vec![mirror(&file, 400_000)], 2, keeper);
        let end = killed(random.within(500, 2000));
        let keeper = Keeper::new(left.expect("the first run is killed"), end, Random::new(seed));
        let without_rest = mirror(&other, 400_000).with(|behaviour| behaviour.without("REST"));
        let (download, left) = run(&file, vec![without_rest], 1, keeper);
        assert!(download.sent() > 0, "seed {seed}");
        let keeper = Keeper::new(left.expect("the second run is killed"), None, Random::new(seed));
        let (download, _) = run(&file, vec![mirror(&file, 400_000)], 2, keeper);
        download.assert_complete();
    }
}

#[test]
fn download_of_a_file_that_changes_is_exact_after_power_cuts() {
    for seed in 1..=12 {
        fetch_through_power_cuts(seed, |file| vec![mirror(file, 300_000)], true);
    }
}

/// Regression: bytes of the other file that had been compared with old bytes of the other file were mixed in.
#[test]
fn mirror_with_other_bytes_is_outvoted_after_power_cuts() {
    let other = File::generated(12_345, SIZE);
    let mirrors = |file: &File| vec![mirror(file, 300_000), mirror(&other, 300_000), mirror(file, 300_000)];
    for seed in 1..=15 {
        fetch_through_power_cuts(seed, mirrors, false);
    }
}

/// Only bytes that no journal record names yet, and overlaps, are sent again.
#[test]
fn few_bytes_are_sent_twice_after_a_power_cut() {
    const RATE: u64 = 200_000;
    const OVERLAP: u64 = 4096;
    /// Bytes that a throttled server sends at once.
    const BURST: u64 = RATE / 20;
    const HALF_ROUND_TRIP: Duration = Duration::from_millis(10);
    let file = File::generated(1, SIZE);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let connections = random.pick(&[1, 2, 4, 8]);
        let at = Keeper::EVERY + Keeper::TAKES + Duration::from_millis(random.within(0, 1500));
        let ending = random.pick(&[Ending::PowerCut, Ending::Killed]);
        let keeper = Keeper::new(Disk::default(), Some((Instant(at), ending)), Random::new(seed));
        let (download, left) = run(&file, vec![mirror(&file, RATE)], connections, keeper);
        let Some(left) = left else { continue };
        let recorded = left.recorded().len();
        let (sent, sessions) = (download.sent(), connections as u64);
        let lost = sent - recorded;
        // A byte is on its way for half a round trip, and unrecorded until the next record is on disk.
        let unrecorded = Keeper::EVERY + Keeper::TAKES + HALF_ROUND_TRIP;
        let most = sessions * (RATE * unrecorded.as_millis() as u64 / 1000 + BURST + OVERLAP);
        assert!(lost <= most, "seed {seed}: {lost} bytes of {sent} are lost, and not {most} at most");
        let keeper = Keeper::new(left, None, Random::new(seed));
        let (download, _) = run(&file, vec![mirror(&file, RATE)], connections, keeper);
        download.assert_complete();
        // Two overlaps for each range, and the bytes in flight when a transfer is cut.
        let again = sessions * 2 * (2 * OVERLAP + BURST + RATE / 50);
        let (sent, missing) = (download.sent(), SIZE - recorded);
        assert!(sent <= missing + again, "seed {seed}: {sent} bytes for {missing}");
    }
}
