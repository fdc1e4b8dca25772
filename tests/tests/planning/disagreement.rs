//! Mirrors that fail, lie, or have different files.

use super::{MIB, SIZE, download, file, throttled};
use pftp_tests::model::{Behaviour, File, Reaction, Trigger, WhenFull};
use pftp_tests::sim::{ErrorKind, SimServer};
use std::time::Duration;

/// The time of a file that is newer than [`file`].
const NEWER: &str = "20240301000000";

/// A server whose file has another size.
fn with_other_size() -> SimServer {
    SimServer::new().serving(File::generated(4, SIZE + 1))
}

/// A server that tells this much more than the size of its file, or less.
fn with_size_error(server: SimServer, size_error: i64) -> SimServer {
    server.with(|behaviour| Behaviour { size_error, ..behaviour })
}

#[test]
fn dead_mirror_is_a_warning_and_its_connections_go_to_the_other() {
    let download = download([SimServer::refusing(), throttled(MIB)]).connections(4).fetch();
    assert_eq!(download.warnings.len(), 1);
    assert!(download.warned(0, "connecting: connection refused"), "{download:?}");
    assert_eq!(download.stats(1).logins(), 4);
}

#[test]
fn failure_that_says_most_is_reported() {
    let download = download([SimServer::refusing(), SimServer::new().without_file()]).connections(2).run();
    assert_eq!(download.failure_kind(), ErrorKind::NotFound);
    assert_eq!(download.warnings.len(), 1);
}

#[test]
fn two_mirrors_with_different_sizes_fail_the_download() {
    let download = download([SimServer::new(), with_other_size()]).connections(4).run();
    assert_eq!(download.failure_kind(), ErrorKind::Integrity);
}

#[test]
fn two_mirrors_with_different_bytes_fail_the_download() {
    let other = throttled(MIB).serving(File::generated(11, SIZE));
    let download = download([throttled(MIB), other]).connections(4).run();
    assert_eq!(download.failure_kind(), ErrorKind::Integrity);
    assert!(download.failure().to_string().contains("different bytes"), "{}", download.failure());
}

#[test]
fn majority_of_mirrors_outvotes_one() {
    let download = download([SimServer::new(), with_other_size(), SimServer::new()]).connections(6).fetch();
    assert_eq!(download.warnings.len(), 1, "{:?}", download.warnings);
    assert!(download.warned(1, "its file differs"), "{:?}", download.warnings);
}

/// Regression: a mirror that lost its session before it told its facts gave its connection for good to a full mirror, which
/// was dialled in vain from then on.
#[test]
fn deciding_mirror_is_asked_again_after_it_lost_its_session() {
    let full = throttled(MIB).session_limit(1, WhenFull::Refuse).serving(file().with_modified(NEWER));
    // Without this, the end of the first session would make the engine look at the dispute again.
    let full = full.with(|it| Behaviour { idle_timeout: Some(Duration::from_secs(120)), ..it });
    let loses_session = Behaviour::default().when(Trigger::nth("SIZE", 1), Reaction::Close);
    let deciding = SimServer::new().sessions(0..2, &loses_session);
    let download = download([full, SimServer::new(), deciding]).connections(2).fetch();
    let outvoted = "its file differs from that of the other mirrors";
    assert!(download.warned(0, outvoted), "{:?}", download.warnings);
    assert!(download.took() < Duration::from_secs(5), "{:?}", download.took());
}

/// Regression: the size that a rejected mirror had told stayed in force: an empty file, and exit code 0.
#[test]
fn size_told_by_a_rejected_mirror_is_forgotten() {
    let liar = with_size_error(SimServer::new().round_trip_ms(20), -(SIZE as i64));
    let download = download([liar, SimServer::new().round_trip_ms(200)]).connections(4).fetch();
    assert_eq!(download.warnings.len(), 1, "{:?}", download.warnings);
    assert!(download.warned(0, "fetching: more data came"), "{:?}", download.warnings);
}

/// Regression: bytes that the sessions of a rejected mirror wrote after the rejection counted as fetched.
#[test]
fn late_writes_of_a_rejected_mirror_do_not_count() {
    for step in 0..30 {
        let liar = throttled(200_000 + step * 7000).round_trip_ms(20);
        let liar = with_size_error(liar.serving(File::generated(9, SIZE + 1000)), -1000);
        let good = throttled(100_000 + step * 3000).round_trip_ms(30 + step);
        let download = download([liar, good]).connections(2 + step as usize % 5).run();
        if download.succeeded() {
            assert!(download.contents()[..SIZE as usize] == file().read(0..SIZE), "step {step}");
        } else {
            assert_eq!(download.failure_kind(), ErrorKind::Integrity, "step {step}");
        }
    }
}

/// Regression: a server that answers 350 to REST and sends from byte 0 went unnoticed beside a good mirror.
#[test]
fn mirror_that_ignores_rest_is_rejected() {
    let ignoring = || throttled(MIB).with(|behaviour| Behaviour { ignores_rest: true, ..behaviour });
    for mirrors in [[ignoring(), throttled(MIB)], [throttled(MIB), ignoring()]] {
        let download = download(mirrors).connections(4).fetch();
        assert_eq!(download.warnings.len(), 1, "{:?}", download.warnings);
    }
}

/// Regression: the time that a mirror had told was forgotten when a later session could not tell it, and two files with
/// different times were mixed.
#[test]
fn modification_time_outlives_a_session_that_cannot_tell_it() {
    for refused in [&[][..], &["MDTM"], &["SIZE", "MDTM"]] {
        let first = throttled(MIB).round_trip_ms(20).serving(file().with_modified("20240101000000"));
        let later = refused.iter().fold(first.behaviour_of(0), |behaviour, verb| {
            behaviour.when(Trigger::every(verb), Reaction::reply("450 Not now."))
        });
        // The second file differs from the first where no two transfers meet.
        let other = file().with_modified("20240202000000");
        let other = [1, 3, 5, 7].iter().fold(other, |file, mib| file.with_patch(mib * MIB, vec![0; 100]));
        let second = throttled(MIB).round_trip_ms(100).serving(other);
        let download = download([first.sessions(1..12, &later), second]).connections(4).run();
        assert_eq!(download.failure_kind(), ErrorKind::Integrity, "{refused:?}: {:?}", download.warnings);
    }
}
