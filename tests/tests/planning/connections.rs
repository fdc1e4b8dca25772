//! Connections move from a mirror that fails to the others, and back.

use super::{KIB, MIB, download, file, throttled};
use pftp_tests::model::{Behaviour, Cut, Interruption, Reaction, Trigger, WhenFull};
use pftp_tests::sim::SimServer;
use std::time::Duration;

fn busy() -> Behaviour {
    Behaviour::default().when(Trigger::Accepted, Reaction::reply_and_close("421 Busy, try later."))
}

/// A server that lets no session in.
fn closed(when_full: WhenFull) -> SimServer {
    SimServer::new().session_limit(0, when_full)
}

/// A session at this rate whose transfers die after so many bytes.
fn dying(bytes_per_second: u64, after: u64) -> Behaviour {
    throttled(bytes_per_second).behaviour_of(0).cutting_every(Cut::silent(after, Interruption::Die))
}

/// Regression: the mirror whose name was resolved first began, and a nearer one waited until the size was known.
#[test]
fn nearest_mirror_begins() {
    const NEAR: u64 = 10;
    let mirrors = [SimServer::new().round_trip_ms(150), SimServer::new().round_trip_ms(NEAR)];
    let download = download(mirrors).connections(2).fetch();
    // SYN, greeting, one burst of commands, data connection, data.
    let first_byte = Duration::from_millis(5 * NEAR);
    assert_eq!(download.first_bytes().map(|at| at.0).min(), Some(first_byte));
}

/// Regression: two mirrors waited for the third to resume in the middle of the file, and the third waited for a connection.
#[test]
fn mirror_without_a_connection_gets_one_from_a_mirror_without_rest() {
    let without_rest = || throttled(MIB).with(|behaviour| behaviour.without("REST"));
    download([without_rest(), without_rest(), SimServer::new()]).connections(2).fetch();
}

#[test]
fn failing_mirror_does_not_keep_the_only_connection() {
    let download = download([closed(WhenFull::Greeting), SimServer::new()]).connections(1).fetch();
    assert!(download.took() < Duration::from_secs(5), "{:?}", download.took());
}

/// Regression: a connection that was reassigned to a mirror in back-off stayed idle, each time for longer.
#[test]
fn connection_of_a_mirror_in_back_off_fetches_from_another_meanwhile() {
    let newer = SimServer::new().serving(file().with_modified("20240301000000"));
    let loses_session = Behaviour::default().when(Trigger::nth("SIZE", 1), Reaction::Close);
    let deciding = throttled(MIB).sessions(0..6, &loses_session);
    let download = download([throttled(MIB), newer, deciding]).connections(2).fetch();
    assert_eq!(download.warnings.len(), 1, "{:?}", download.warnings);
    // 8 MiB at 1 MiB/s, and the second connection fetches a part.
    assert!(download.took() < Duration::from_secs(7), "{:?}", download.took());
}

/// Regression: a mirror that lost its only session left its connection to the slow one for good: 14.7 s.
#[test]
fn mirror_that_lost_its_session_gets_a_connection_back() {
    let fast = || throttled(4 * MIB);
    let lost_once = fast().session(0, dying(4 * MIB, MIB));
    let busy_afterwards = lost_once.clone().sessions(1..3, &busy());
    let busy_at_first = fast().session(0, busy());
    for (case, fast) in [lost_once, busy_afterwards, busy_at_first].into_iter().enumerate() {
        let download = download([fast, throttled(256 * KIB)]).connections(2).fetch();
        assert_eq!(download.warnings, [""; 0]);
        assert!(download.took() < Duration::from_secs(5), "{case}: {:?}", download.took());
    }
}

/// Regression: a mirror that was silent when it was redialled held its connections for half a minute.
#[test]
fn mirror_that_lost_its_sessions_and_is_silent_now_does_not_keep_its_connections() {
    for (connections, most) in [(1, 12), (4, 4)] {
        let silent = closed(WhenFull::Hang).sessions(0..2, &dying(MIB, MIB));
        let download = download([silent, throttled(MIB)]).connections(connections).fetch();
        assert!(download.took() < Duration::from_secs(most), "{connections}: {:?}", download.took());
    }
}

/// Regression: each attempt at a mirror that lets no session in ended a transfer of another, which had to log in anew.
#[test]
fn mirror_that_lets_no_session_in_costs_the_others_little() {
    const CONNECTIONS: usize = 8;
    /// Logins beyond one a connection: of sessions that were called back before they had a range.
    const SPARE_LOGINS: u32 = 6;
    for closed in [SimServer::new().behaving(busy()), closed(WhenFull::Greeting)] {
        let download = download([closed, throttled(16 * KIB)]).connections(CONNECTIONS).fetch();
        let logins = download.stats(1).logins();
        assert!(logins <= CONNECTIONS as u32 + SPARE_LOGINS, "{logins} logins");
        // 8 connections at 16 KiB/s take 64 s.
        assert!(download.took() < Duration::from_secs(72), "{:?}", download.took());
    }
}

/// Regression: connections that paid at a mirror were dialled, after it failed, at one that had no room for them.
#[test]
fn added_connections_end_with_their_mirror() {
    for when_full in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse, WhenFull::Hang] {
        // The sessions of the first mirror last until all of them are busy; no other session is let in after them.
        let gone = SimServer::new().with(|it| it.when(Trigger::nth("PASS", 1), Reaction::reply("530 Gone.")));
        let failing = gone.sessions(0..32, &dying(64 * KIB, 100 * KIB));
        let small = throttled(256 * KIB).session_limit(1, when_full);
        let download = download([failing, small]).growing(4, 32).fetch();
        let logins = download.stats(0).logins();
        assert!(logins > 16, "{logins} logins");
        let dialled = download.dialled(1);
        assert!(dialled <= 6, "{when_full:?}: {dialled} attempts");
    }
}
