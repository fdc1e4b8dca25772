//! Servers that limit the number of sessions.

use super::{KIB, MIB, download, throttled};
use pftp_tests::model::WhenFull;
use std::time::Duration;

/// The ways in which a full server turns a session away at once.
const TURNED_AWAY: [WhenFull; 3] = [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse];

/// All ways in which a full server turns a session away.
const FULL: [WhenFull; 4] = [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse, WhenFull::Hang];

#[test]
fn full_server_is_used_up_to_its_session_limit() {
    for when_full in TURNED_AWAY {
        let download = download([throttled(MIB).session_limit(2, when_full)]).connections(8).fetch();
        assert!(download.warnings.len() <= 1, "{:?}", download.warnings);
        assert!(download.stats(0).peak_sessions <= 8);
        assert!(download.closed_sessions() <= 16, "{when_full:?}: a storm of attempts");
    }
}

/// Regression: each connection that was turned away kept a timer of its own, and all of them dialled again every minute.
#[test]
fn full_server_is_dialled_once_a_minute_however_many_connections_it_turned_away() {
    const MOST: usize = 32;
    for when_full in TURNED_AWAY {
        for begin_with in [1, MOST] {
            let server = throttled(20 * KIB).session_limit(2, when_full);
            let download = download([server]).growing(begin_with, MOST).fetch();
            let minutes = download.took().as_secs() / 60;
            assert!(minutes >= 3, "{minutes} minutes");
            let closed = download.closed_sessions();
            assert!(
                closed as u64 <= MOST as u64 + minutes,
                "{when_full:?}: {closed} sessions in {minutes} minutes"
            );
        }
    }
}

/// Regression: connections that a full server had turned away were kept for it, and the other mirror got none of them.
#[test]
fn connections_that_a_full_server_turns_away_go_to_another_mirror() {
    let full = throttled(64 * KIB).session_limit(2, WhenFull::Password);
    let download = download([full, throttled(64 * KIB)]).growing(2, 32).fetch();
    assert_eq!(download.stats(0).logins(), 2);
    let logins = download.stats(1).logins();
    assert!(logins > 16, "{logins} logins");
}

/// Regression: the ranges of sessions that are never greeted were halved again and again, waited for ever longer, and in part
/// lost.
#[test]
fn ranges_of_sessions_that_are_never_greeted_go_to_the_others() {
    for (sessions, ideal) in [(2, 16), (4, 8), (8, 4), (16, 2)] {
        let server = throttled(256 * KIB).session_limit(sessions, WhenFull::Hang);
        let download = download([server]).growing(1, 32).fetch();
        let most = Duration::from_secs(ideal) * 11 / 10 + Duration::from_secs(1);
        assert!(download.took() < most, "{sessions}: {:?}", download.took());
    }
}

/// Regression: the second session that a full mirror let in waited to the end for a free path, because others were turned away.
#[test]
fn every_session_that_a_full_mirror_lets_in_fetches() {
    for when_full in FULL {
        let mirrors = [(); 2].map(|()| throttled(256 * KIB).session_limit(2, when_full));
        let download = download(mirrors).connections(8).fetch();
        // 8 MiB over four sessions at 256 KiB/s take 8 s.
        assert!(download.took() < Duration::from_secs(10), "{when_full:?}: {:?}", download.took());
    }
}
