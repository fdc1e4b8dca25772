//! Servers that take fewer sessions than might pay.

use super::{NAME, World, model, throttled};
use ftp_proto::Event;
use pftp::plan::Settings;
use pftp_tests::model::{Behaviour, Cap, WhenFull};
use pftp_tests::sim::settings;
use std::num::NonZeroUsize;
use std::time::Duration;

#[test]
fn a_full_server_is_served_by_as_many_as_it_takes() {
    for when_full in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse] {
        let mut world = World::new();
        let cap = Some(Cap { sessions: 2, when_full, ..Cap::default() });
        let server = world.add(model(Behaviour { cap, ..throttled(1 << 20) }));
        let outcome = world.fetch(&[server], 8);
        assert!(outcome.warnings.len() <= 1, "{outcome:?}");
        let stats = world.transport.stats(server);
        assert!(stats.peak_sessions <= 8);
        let opened =
            world.transport.events().iter().filter(|(_, _, event)| matches!(event, Event::Closed(_)));
        assert!(opened.count() <= 16, "{when_full:?}: a storm of attempts");
    }
}

/// Each that was turned away had a time of its own to try again, and all of them did within seconds, once a minute.
#[test]
fn one_tries_again_a_minute_however_many_were_turned_away() {
    for when_full in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse] {
        for begin_with in [1, 32] {
            let mut world = World::new();
            let server = world.add(model(throttled(20 << 10).with_cap(2, when_full)));
            let begin_with = NonZeroUsize::new(begin_with).expect("some");
            world.fetch_with(Settings { begin_with, ..settings(&[server], NAME, 32) });
            let minutes = world.took().as_secs() / 60;
            assert!(minutes >= 3, "{minutes} minutes");
            let closed =
                world.transport.events().iter().filter(|(.., event)| matches!(event, Event::Closed(_)));
            let closed = closed.count() as u64;
            assert!(closed <= 32 + minutes, "{when_full:?}: {closed} sessions in {minutes} minutes");
        }
    }
}

/// The connections that were turned away were kept for the server that had no room, and none was left for the other.
#[test]
fn what_a_full_server_has_no_room_for_another_gets() {
    let mut world = World::new();
    let full = world.add(model(throttled(64 << 10).with_cap(2, WhenFull::Password)));
    let other = world.add(model(throttled(64 << 10)));
    let begin_with = NonZeroUsize::new(2).expect("two");
    world.fetch_with(Settings { begin_with, ..settings(&[full, other], NAME, 32) });
    assert_eq!(world.transport.stats(full).logins(), 2);
    let logins = world.transport.stats(other).logins();
    assert!(logins > 16, "{logins} logins");
}

/// It was waited for them ever longer, as each had been given the half of what another had just been given; and when they were
/// given up at last, some bytes of what they had been given were not.
#[test]
fn what_sessions_that_are_never_greeted_were_given_the_others_fetch() {
    for (cap, ideal) in [(2, 16), (4, 8), (8, 4), (16, 2)] {
        let mut world = World::new();
        let server = world.add(model(throttled(256 << 10).with_cap(cap, WhenFull::Hang)));
        world.fetch_with(Settings { begin_with: NonZeroUsize::MIN, ..settings(&[server], NAME, 32) });
        let ideal = Duration::from_secs(ideal);
        assert!(world.took() < ideal * 11 / 10 + Duration::from_secs(1), "{cap}: {:?}", world.took());
    }
}

/// Whoever was let in beside the first waited to the end to see whether there was room on the path, as others were turned away.
#[test]
fn all_sessions_that_a_full_mirror_lets_in_fetch() {
    for when_full in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse, WhenFull::Hang] {
        let mut world = World::new();
        let mirrors = [(); 2].map(|()| world.add(model(throttled(256 << 10).with_cap(2, when_full))));
        world.fetch(&mirrors, 8);
        // 8 MiB at 256 KiB/s each.
        assert!(world.took() < Duration::from_secs(10), "{when_full:?}: {:?}", world.took());
    }
}
