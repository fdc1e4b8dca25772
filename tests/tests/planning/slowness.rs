//! Slow, silent and lock-step sessions.

use super::{KIB, MIB, SIZE, download, throttled};
use pftp_tests::model::{Behaviour, Bursts, Cut, File, Interruption, Nth, Reaction, Trigger};
use pftp_tests::sim::{Scenario, SimServer};
use std::time::Duration;

#[test]
fn slow_connection_loses_its_range_to_the_others_and_no_session_logs_in_twice() {
    let slow = throttled(MIB / 40).behaviour_of(0);
    let download = download([throttled(MIB).session(1, slow)]).connections(4).fetch();
    assert_eq!(download.warnings, [""; 0]);
    assert_eq!(download.stats(0).logins(), 4);
    assert_eq!(download.stats(0).sessions.len(), 4);
    // 8 MiB at 3 MiB/s. The slow session alone would need 80 s for its 2 MiB.
    assert!(download.took() < Duration::from_millis(3500), "{:?}", download.took());
}

/// Regression: two sessions that waited for their first bytes took a range from each other and back, with a NOOP each time:
/// 475 of them.
#[test]
fn range_does_not_move_to_and_fro_between_two_silent_sessions() {
    let silent_from_retrieve = |nth| {
        let delay = Reaction::Delay(Duration::from_secs(20));
        throttled(MIB).behaviour_of(0).when(Trigger::Verb("RETR".to_owned(), Nth::From(nth)), delay)
    };
    let server = throttled(64 * KIB).session(1, silent_from_retrieve(1)).session(2, silent_from_retrieve(2));
    let download = download([server]).connections(4).fetch();
    let probes = download.stats(0).count("NOOP");
    assert!(probes <= 8, "{probes} NOOPs");
}

/// Regression: a transfer that fetched its overlap for 17 s, and only then wanted bytes, was measured as delivering nothing.
/// Another session took its range over, with an overlap of its own, and so on.
#[test]
fn transfer_with_a_slow_overlap_keeps_its_range() {
    const SMALL: u64 = 8 * KIB;
    let scenario = Scenario::new(File::generated(3, SMALL)).server(throttled(234));
    let download = scenario.connections(5).min_segment(1).min_tail(1).fetch();
    assert!(download.took() < Duration::from_secs(60), "{:?}", download.took());
}

/// Regression: no tail below 16 KiB was taken from a transfer, however slow it was, so the other mirror stayed idle.
#[test]
fn two_slow_mirrors_share_a_small_file() {
    let mirrors = [throttled(3500), throttled(3500)];
    let download = Scenario::new(File::generated(3, 28 * KIB)).servers(mirrors).connections(2).fetch();
    // A mirror alone needs 8.2 s; two need 4.1 s and the overlap of 4 KiB.
    assert!(download.took() < Duration::from_secs(6), "{:?}", download.took());
}

/// Regression: the range of a slow transfer was split below the minimum that the user had set.
#[test]
fn range_too_small_to_split_is_fetched_a_second_time() {
    let server = throttled(MIB).session(1, throttled(64 * KIB).behaviour_of(0));
    let half = SIZE / 2;
    let download = download([server]).connections(2).min_segment(half).min_tail(half).fetch();
    let transfers = &download.stats(0).transfers;
    assert_eq!(transfers.len(), 3, "{transfers:?}");
    // The slow session alone needs a minute for its half.
    assert!(download.took() < Duration::from_secs(10), "{:?}", download.took());
}

#[test]
fn server_that_mishandles_pipelined_commands_is_redialled_in_lock_step() {
    for bursts in [Bursts::RestDropped, Bursts::SecondRefused, Bursts::Closed] {
        let server = SimServer::new().with(|behaviour| Behaviour { bursts, ..behaviour });
        let download = download([server]).connections(3).fetch();
        assert_eq!(download.warnings, [""; 0]);
        assert!(download.stats(0).sessions.len() <= 6, "each connection is redialled once");
    }
}

/// Regression: a session whose server refuses NOOP never answered the probe after a pause, and got no further range.
#[test]
fn session_that_paused_gets_a_range_again_even_if_noop_is_refused() {
    let server = throttled(MIB).with(|behaviour| behaviour.without("NOOP"));
    let pause = Cut::silent(300_000, Interruption::Pause(Duration::from_secs(5)));
    let pausing = server.behaviour_of(0).when(Trigger::nth("RETR", 1), Reaction::Cut(pause));
    let download = download([server.session(0, pausing)]).connections(2).fetch();
    let lines = download.stats(0).lines_of(0);
    let probe = lines.iter().position(|line| *line == "NOOP").expect("the paused session is probed");
    assert!(lines[probe..].iter().any(|line| line.starts_with("RETR")), "{lines:?}");
}
