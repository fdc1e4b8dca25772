//! Power cuts, in virtual time: what was written and not put on disk is lost, in part. The next run is exact all the same.

use std::sync::Arc;
use std::time::Duration;

use ftp_proto::Instant;
use pftp_tests::model::{Behaviour, File, Model, Tree};
use pftp_tests::sim::{
    Disk, Ending, Keeper, MemorySink, Outcome, Path, Random, SimTransport, run_with_journal, settings,
};

const SIZE: u64 = 2 << 20;
const NAME: &str = "pub/file";

/// One run of a download with the servers of these models: what came of it, what it wrote, what it has left if it was ended
/// from outside, and how many bytes were sent for it.
fn run(models: &[Model], connections: usize, keeper: Keeper) -> (Outcome, Vec<u8>, Option<Disk>, u64) {
    let sink = Arc::new(MemorySink::default());
    let mut transport = SimTransport::new(Arc::clone(&sink));
    let servers: Vec<_> =
        models.iter().map(|model| transport.add(model.clone(), Path::of_round_trip(20))).collect();
    let mut settings = settings(&servers, NAME, connections);
    settings.min_segment = 32 * 1024;
    let (outcome, left) = run_with_journal(settings, &mut transport, keeper);
    let sent = servers.iter().map(|server| transport.stats(*server).payload()).sum();
    (outcome, sink.contents(), left, sent)
}

/// Power cuts until the file is there; how many there were.
#[track_caller]
fn through_the_dark(seed: u64, models: impl Fn(&File) -> Vec<Model>, changes: bool) -> u32 {
    let mut random = Random::new(seed);
    let mut file = File::generated(seed, SIZE);
    let mut disk = Disk::default();
    for cuts in 0..40 {
        let connections = random.within(1, 5) as usize;
        let at = Instant(Duration::from_millis(random.within(50, 750)));
        if changes && random.percent(25) {
            // Of the same size and time, so that only the bytes tell.
            file = File::generated(1000 * seed + random.within(0, 999), SIZE);
        }
        let end = (cuts < 39).then_some((at, random.pick(&[Ending::Dark, Ending::Dark, Ending::Killed])));
        let keeper = Keeper::new(disk, end, Random::new(random.number()));
        let (outcome, written, left, _) = run(&models(&file), connections, keeper);
        match (outcome.result, left) {
            (Ok(size), _) => {
                assert_eq!(size, SIZE);
                assert!(written == file.read(0..SIZE), "seed {seed}: the bytes are wrong");
                return cuts;
            }
            (Err(_), Some(left)) => disk = left,
            (Err(failure), None) => panic!("seed {seed}: {failure}"),
        }
    }
    panic!("seed {seed}: never done");
}

fn model(file: &File, bytes_per_second: u64) -> Model {
    let behaviour = Behaviour { bytes_per_second: Some(bytes_per_second), ..Behaviour::default() };
    Model::new(Tree::new().with(NAME, file.clone())).with_behaviour(behaviour)
}

#[test]
fn of_one_server() {
    let cuts: u32 =
        (1..=12).map(|seed| through_the_dark(seed, |file| vec![model(file, 300_000)], false)).sum();
    assert!(cuts > 25, "{cuts}");
}

#[test]
fn of_several_mirrors() {
    let mirrors = |file: &File| [100_000, 300_000, 500_000].map(|rate| model(file, rate)).to_vec();
    let cuts: u32 = (1..=8).map(|seed| through_the_dark(seed, mirrors, false)).sum();
    assert!(cuts > 10, "{cuts}");
}

/// A mirror without REST writes the whole file, over what is there.
#[test]
fn with_a_mirror_of_other_bytes_that_sends_only_whole_files() {
    let other = File::generated(12_345, SIZE);
    let without = |file: &File, rate| {
        let behaviour = Behaviour { bytes_per_second: Some(rate), ..Behaviour::default() }.without("REST");
        Model::new(Tree::new().with(NAME, file.clone())).with_behaviour(behaviour)
    };
    let killed = |at: u64| Some((Instant(Duration::from_millis(at)), Ending::Killed));
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let file = File::generated(seed, SIZE);
        let keeper = Keeper::new(Disk::default(), killed(random.within(500, 2000)), Random::new(seed));
        let (_, _, left, _) = run(&[model(&file, 400_000)], 2, keeper);
        let end = killed(random.within(500, 2000));
        let keeper = Keeper::new(left.expect("it takes longer"), end, Random::new(seed));
        let (_, _, left, sent) = run(&[without(&other, 400_000)], 1, keeper);
        assert!(sent > 0, "seed {seed}");
        let keeper = Keeper::new(left.expect("it takes longer"), None, Random::new(seed));
        let (outcome, written, _, _) = run(&[model(&file, 400_000)], 2, keeper);
        assert_eq!(outcome.result.ok(), Some(SIZE));
        assert!(written == file.read(0..SIZE), "seed {seed}: a mixed file");
    }
}

#[test]
fn while_the_file_changes() {
    for seed in 1..=12 {
        through_the_dark(seed, |file| vec![model(file, 300_000)], true);
    }
}

#[test]
fn with_a_mirror_of_other_bytes() {
    let other = File::generated(12_345, SIZE);
    let mirrors = |file: &File| vec![model(file, 300_000), model(&other, 300_000), model(file, 300_000)];
    // Bytes of the other that had been compared with old bytes of the other were once woven into the file.
    for seed in 1..=15 {
        through_the_dark(seed, mirrors, false);
    }
}

/// What comes in the time in which the journal does not yet say it, and what is compared at the seams: no more is sent again.
#[test]
fn little_is_sent_twice() {
    const RATE: u64 = 200_000;
    let file = File::generated(1, SIZE);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let connections = random.pick(&[1, 2, 4, 8]);
        let at = Keeper::EVERY + Keeper::TAKES + Duration::from_millis(random.within(0, 1500));
        let ending = random.pick(&[Ending::Dark, Ending::Killed]);
        let keeper = Keeper::new(Disk::default(), Some((Instant(at), ending)), Random::new(seed));
        let (_, _, left, sent) = run(&[model(&file, RATE)], connections, keeper);
        let Some(left) = left else { continue };
        let noted = left.noted().len();
        let lost = sent - noted;
        // Until the next record is on disk; and half a round trip that a byte is on its way.
        let unnoted = Keeper::EVERY + Keeper::TAKES + Duration::from_millis(10);
        // What the bucket of a server gives at once, and one seam, for each connection.
        let seams = connections as u64 * (RATE / 20 + 4096);
        let most = RATE * connections as u64 * unnoted.as_millis() as u64 / 1000 + seams;
        assert!(lost <= most, "seed {seed}: {lost} bytes of {sent} are lost, and not {most} at most");
        let keeper = Keeper::new(left, None, Random::new(seed));
        let (outcome, _, _, sent) = run(&[model(&file, RATE)], connections, keeper);
        assert_eq!(outcome.result.ok(), Some(SIZE));
        // Two seams for each range, and what is on its way when a transfer is cut.
        let seams = connections as u64 * 2 * (2 * 4096 + RATE / 20 + RATE / 50);
        assert!(sent <= SIZE - noted + seams, "seed {seed}: {sent} bytes for {}", SIZE - noted);
    }
}
