//! Mirrors with several addresses.

use super::{MIB, download, throttled};
use pftp_tests::model::{Cut, Interruption, Reaction, Trigger, WhenFull};
use pftp_tests::sim::{Address, SimServer};
use std::time::Duration;

#[test]
fn dead_address_is_not_waited_out() {
    let server = SimServer::new().at([Address::BlackHole, Address::Own]);
    let download = download([server]).connections(3).fetch();
    assert!(download.took() < Duration::from_secs(2), "{:?}", download.took());
    assert_eq!(download.logins(), 3);
}

#[test]
fn address_that_refuses_connections_is_followed_by_the_next() {
    let server = SimServer::new().at([Address::Refused, Address::Own]);
    download([server]).connections(2).fetch();
}

/// Regression: the only working address was dropped when it took no second session, and the dead one dialled from then on.
#[test]
fn address_that_takes_no_more_sessions_is_kept_beside_a_dead_one() {
    let full = throttled(MIB).session_limit(1, WhenFull::Refuse);
    let lost = Reaction::Cut(Cut::silent(100_000, Interruption::Die));
    let first = full.behaviour_of(0).when(Trigger::nth("RETR", 1), lost);
    let server = full.session(0, first).at([Address::BlackHole, Address::Own]);
    download([server]).connections(2).fetch();
}

/// Regression: an address counted as working for every mirror as soon as a session of any mirror had reached it.
#[test]
fn second_address_of_a_mirror_is_tried_when_another_mirror_fills_the_first() {
    let full = throttled(MIB).session_limit(1, WhenFull::Refuse);
    let good = throttled(8 * MIB).at([Address::OfServer(0), Address::Own]);
    let download = download([full, good]).connections(2).fetch();
    assert_eq!(download.warnings, [""; 0]);
    assert_eq!(download.stats(1).logins(), 1);
}
