//! Resumed downloads of files that have changed since the earlier run.

use super::{SIZE, download};
use pftp_tests::sim::{Download, Scenario, SimServer};

/// The half of the file that the earlier run fetched.
const HALF: std::ops::Range<u64> = 0..SIZE / 2;

/// A server that tells neither size nor time of a file.
fn without_facts() -> SimServer {
    SimServer::new().with(|behaviour| behaviour.without("SIZE").without("MLST"))
}

fn fetch(scenario: Scenario) -> Download {
    scenario.connections(4).fetch()
}

fn warnings_of_a_restart(download: &Download) -> usize {
    download.warnings.iter().filter(|warning| warning.ends_with("starting over")).count()
}

/// Regression: the size that only the journal told stayed in force after its bytes turned out to be old, and the good mirror
/// was rejected.
#[test]
fn size_that_only_the_journal_told_is_forgotten_with_its_bytes() {
    for size in [SIZE - 100_000, SIZE + 100_000] {
        for bytes_are_right in [true, false] {
            let resuming = download([without_facts()]).resuming(size, &[HALF], bytes_are_right);
            let download = fetch(resuming);
            let case = format!("{size} {bytes_are_right}: {:?}", download.warnings);
            assert_eq!(warnings_of_a_restart(&download), 1, "{case}");
        }
    }
}

/// Regression: the good mirror was rejected for the size in the journal, since a silent mirror might have told the same size.
#[test]
fn good_mirror_is_not_rejected_for_what_a_silent_one_might_tell() {
    for bytes_are_right in [true, false] {
        let mirrors = [SimServer::black_hole(), without_facts()];
        fetch(download(mirrors).resuming(SIZE - 100_000, &[HALF], bytes_are_right));
    }
}

/// Regression: the missing range lay behind the end of the file, and the mirror was rejected because its file ended too soon.
#[test]
fn file_that_is_shorter_than_the_journal_says_is_fetched_anew() {
    const BEYOND_THE_END: std::ops::Range<u64> = 0..SIZE + 50_000;
    fetch(download([without_facts()]).resuming(SIZE + 100_000, &[BEYOND_THE_END], true));
}

/// Regression: a mirror with another size than the journal's was fetched from by the old size, found too short, and rejected
/// before the other mirror had told its size.
#[test]
fn mirror_with_another_size_waits_until_the_others_have_told_theirs() {
    let done = [HALF, SIZE + 100_000..SIZE + 200_000];
    let mirrors = [SimServer::new(), SimServer::black_hole()];
    let download = fetch(download(mirrors).resuming(SIZE + 300_000, &done, true).retries(1));
    assert!(warnings_of_a_restart(&download) > 0, "{:?}", download.warnings);
}
