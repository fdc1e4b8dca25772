//! Connections that are added while they pay.

use super::{KIB, MIB, download, throttled};
use ftp_proto::Event;
use pftp_tests::model::Behaviour;
use pftp_tests::sim::{Download, SimServer};
use std::time::Duration;

/// Downloads from this server, first over one connection and then over up to 16.
fn fetch(server: SimServer) -> Download {
    download([server]).growing(1, 16).fetch()
}

/// Regression: a session that was opened as a trial sent RETR before the reply to its CWD.
#[test]
fn added_connections_change_directory_before_they_fetch() {
    let download = fetch(throttled(256 * KIB).with(|it| Behaviour { refuses_paths: true, ..it }));
    let stats = download.stats(0);
    assert!(stats.logins() > 4, "{} logins", stats.logins());
    for session in 1..stats.logins() as usize {
        let lines = stats.lines_of(session);
        let place = |verb: &str| lines.iter().position(|line| line.starts_with(verb));
        assert!(place("CWD") < place("SIZE") && place("SIZE") < place("RETR"), "{session}: {lines:?}");
    }
}

/// Regression: the history of the rate was shorter than two round trips of this path.
#[test]
fn path_of_600_ms_gets_the_connections_that_pay() {
    let logins = fetch(throttled(96 * KIB).round_trip_ms(600)).logins();
    assert!(logins > 4, "{logins} logins");
}

/// Regression: connections that did not pay were closed near the end of the file, and the slowest fetched its last bytes alone.
#[test]
fn connections_that_did_not_pay_stay_open_near_the_end() {
    let closed_before_the_end = |path_mib_per_second| {
        let download = fetch(SimServer::new().path_rate(path_mib_per_second * MIB));
        let logins = download.logins();
        assert!(logins > 8, "{logins} logins");
        let is_early = |at: Duration| at < download.took();
        let closed = |event: &Event| matches!(event, Event::Closed(_));
        download.events().filter(|(at, _, event)| is_early(at.0) && closed(event)).count()
    };
    let [slow, fast] = [1, 4].map(closed_before_the_end);
    assert!(slow > 8 && fast == 0, "{slow} closed on the slow path, {fast} on the fast one");
}

/// Regression: added connections were closed as useless before their first bytes could come, and dialled again later.
#[test]
fn added_connections_are_not_judged_before_their_first_bytes_can_have_come() {
    let late = throttled(256 * KIB).with(|it| Behaviour { start_delay: Duration::from_secs(1), ..it });
    let download = download([late]).growing(1, 32).fetch();
    let logins = download.logins();
    assert!(logins <= 32, "{logins} logins");
    assert!(download.took() < Duration::from_secs(9), "{:?}", download.took());
}

/// Regression: no connection was added unless the rest of the file took one and a half times as long as a trial.
#[test]
fn connections_are_added_if_the_rest_takes_little_longer_than_a_trial() {
    // 1.1 s are left of the file at first, and a trial takes 1 s.
    let download = fetch(throttled(6 * MIB));
    let logins = download.logins();
    assert!(logins > 4, "{logins} logins");
    assert!(download.took() < Duration::from_millis(1200), "{:?}", download.took());
}
