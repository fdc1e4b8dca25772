//! Files that have become others since an earlier run.

use super::{NAME, SIZE, World, file, model};
use ftp_proto::{Facts, Sink};
use pftp::plan::{Before, Settings};
use pftp::ranges::RangeSet;
use pftp_tests::model::Behaviour;
use pftp_tests::sim::settings;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Range;

/// `done` is here of a file of this size. Its bytes are those of the file that the servers have, or are not.
fn begun(world: &World, servers: &[SocketAddr], size: u64, done: &[Range<u64>], same: bool) -> Settings {
    let mut set = RangeSet::new();
    for range in done {
        let end = range.end.min(SIZE);
        if same && range.start < end {
            world.sink.write_at(range.start, &file().read(range.start..end)).expect("memory");
        }
        set.insert(range.clone());
    }
    let read = |range: Range<u64>| Ok::<_, Infallible>(vec![0; (range.end - range.start) as usize].into());
    let Ok(before) = Before::new(Facts { size: Some(size), ..Facts::default() }, set, read);
    Settings { before, ..settings(servers, NAME, 4) }
}

/// The size that only the journal told stayed in force when its bytes had turned out to be old, or more came than that: the
/// mirror was given up.
#[test]
fn a_size_that_only_an_earlier_run_knew_goes_with_its_bytes() {
    let done = 0..SIZE / 2;
    for size in [SIZE - 100_000, SIZE + 100_000] {
        for same in [true, false] {
            let mut world = World::new();
            let mirror = world.add(model(Behaviour::default().without("SIZE").without("MLST")));
            let outcome = world.fetch_with(begun(&world, &[mirror], size, std::slice::from_ref(&done), same));
            let over = |warning: &String| warning.ends_with("starting over");
            assert_eq!(
                outcome.warnings.iter().filter(|it| over(it)).count(),
                1,
                "{size} {same}: {outcome:?}"
            );
        }
    }
}

/// It was given up for the size that only the journal told, as one that never answered might have told the same.
#[test]
fn a_good_mirror_is_not_given_up_for_what_a_silent_one_might_say() {
    for same in [true, false] {
        let mut world = World::new();
        let silent = world.transport.black_hole();
        let mirror = world.add(model(Behaviour::default().without("SIZE").without("MLST")));
        let done = 0..SIZE / 2;
        world.fetch_with(begun(&world, &[silent, mirror], SIZE - 100_000, std::slice::from_ref(&done), same));
    }
}

/// What was to be fetched lay behind the end, and the mirror was said to end too soon until it was given up.
#[test]
fn a_file_that_has_become_shorter_than_what_an_earlier_run_has_of_it_is_fetched_anew() {
    let mut world = World::new();
    let mirror = world.add(model(Behaviour::default().without("SIZE").without("MLST")));
    let done = 0..SIZE + 50_000;
    world.fetch_with(begun(&world, &[mirror], SIZE + 100_000, std::slice::from_ref(&done), true));
}

/// It was fetched from by the old size, found to end too soon, and given up before the other was.
#[test]
fn a_mirror_that_tells_another_size_waits_until_the_others_are_heard() {
    let mut world = World::new();
    let silent = world.transport.black_hole();
    let mirror = world.add(model(Behaviour::default()));
    let done = [0..SIZE / 2, SIZE + 100_000..SIZE + 200_000];
    let settings = begun(&world, &[mirror, silent], SIZE + 300_000, &done, true);
    let outcome = world.fetch_with(Settings { retries: 1, ..settings });
    assert!(outcome.warnings.iter().any(|warning| warning.ends_with("starting over")), "{outcome:?}");
}
