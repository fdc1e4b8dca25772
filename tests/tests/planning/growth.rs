//! Connections that are added where nobody says how many there are to be.

use super::{NAME, SIZE, World, model, throttled};
use ftp_proto::Event;
use pftp::plan::Settings;
use pftp_tests::model::Behaviour;
use pftp_tests::sim::{Path, settings};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A download that begins with one connection and may have 16.
fn chosen(server: SocketAddr) -> Settings {
    Settings { begin_with: NonZeroUsize::MIN, ..settings(&[server], NAME, 16) }
}

/// One that was dialled to see whether the path is full asked for a range before the reply to its CWD had come.
#[test]
fn connections_that_are_added_change_the_directory_before_they_fetch() {
    let mut world = World::new();
    let server = world.add(model(Behaviour { refuses_paths: true, ..throttled(256 * 1024) }));
    assert_eq!(world.run(chosen(server)).result, Ok(SIZE));
    let stats = world.transport.stats(server);
    assert!(stats.logins() > 4, "{} logins", stats.logins());
    for session in 1..stats.logins() as usize {
        let lines = stats.lines_of(session);
        let place = |verb: &str| lines.iter().position(|line| line.starts_with(verb));
        assert!(place("CWD") < place("SIZE") && place("SIZE") < place("RETR"), "{session}: {lines:?}");
    }
}

/// What came over the last two round trips did not fit into what was looked back at.
#[test]
fn a_path_of_600_milliseconds_gets_the_connections_that_pay() {
    let mut world = World::new();
    let server = world.transport.add(model(throttled(96 * 1024)), Path::of_round_trip(600));
    assert_eq!(world.run(chosen(server)).result, Ok(SIZE));
    let logins = world.transport.stats(server).logins();
    assert!(logins > 4, "{logins} logins");
}

/// They were closed however little was left, and the slowest had to bring the end of the file alone.
#[test]
fn connections_that_did_not_pay_stay_where_little_is_left() {
    let closed_before_the_end = |megabytes_per_second: u64| {
        let mut world = World::new();
        let path = Path { bytes_per_second: Some(megabytes_per_second << 20), ..Path::of_round_trip(40) };
        let server = world.transport.add(model(Behaviour::default()), path);
        assert_eq!(world.run(chosen(server)).result, Ok(SIZE));
        let end = world.took();
        let logins = world.transport.stats(server).logins();
        assert!(logins > 8, "{logins} logins");
        let events = world.transport.events().iter();
        events.filter(|(at, _, event)| at.0 < end && matches!(event, Event::Closed(_))).count()
    };
    let [slow, fast] = [1, 4].map(closed_before_the_end);
    assert!(slow > 8 && fast == 0, "{slow} of the slow path, {fast} of the fast one");
}

/// They were closed before any of them could have brought anything, and dialled again later.
#[test]
fn connections_are_not_judged_before_their_first_bytes_can_have_come() {
    let mut world = World::new();
    let late = Behaviour { start_delay: Duration::from_secs(1), ..throttled(256 << 10) };
    let server = world.add(model(late));
    world.fetch_with(Settings { begin_with: NonZeroUsize::MIN, ..settings(&[server], NAME, 32) });
    let logins = world.transport.stats(server).logins();
    assert!(logins <= 32, "{logins} logins");
    assert!(world.took() < Duration::from_secs(9), "{:?}", world.took());
}

/// What was left had to take half as long again as a trial may: a fast start was then followed by one connection to the end.
#[test]
fn connections_are_added_where_what_is_left_takes_little_longer_than_a_trial() {
    let mut world = World::new();
    // Of 8 MiB there are 1.1 s left at first, and a trial takes one second.
    let server = world.add(model(throttled(6 << 20)));
    assert_eq!(world.run(chosen(server)).result, Ok(SIZE));
    let logins = world.transport.stats(server).logins();
    assert!(logins > 4, "{logins} logins");
    assert!(world.took() < Duration::from_millis(1200), "{:?}", world.took());
}
