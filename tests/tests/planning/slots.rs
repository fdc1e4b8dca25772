//! Whose the connections are: what a mirror that fails leaves to the others, and what it gets back.

use super::{NAME, World, file, model, throttled};
use pftp::plan::Settings;
use pftp_tests::model::{Behaviour, Cap, Cut, Interruption, Model, Reaction, Tree, Trigger, WhenFull};
use pftp_tests::sim::settings;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Two mirrors waited for the third to restart, and the third for a connection.
#[test]
fn a_mirror_without_a_connection_gets_that_of_one_that_cannot_restart() {
    let mut world = World::new();
    let whole_only = || model(throttled(1 << 20).without("REST"));
    let servers = [whole_only(), whole_only(), model(Behaviour::default())].map(|it| world.add(it));
    world.fetch(&servers, 2);
}

#[test]
fn a_failing_mirror_does_not_keep_the_only_connection() {
    let mut world = World::new();
    let hangs = model(Behaviour { cap: Some(Cap { sessions: 0, ..Cap::default() }), ..Behaviour::default() });
    let servers = [world.add(hangs), world.add(model(Behaviour::default()))];
    world.fetch(&servers, 1);
    assert!(world.took() < Duration::from_secs(5), "{:?}", world.took());
}

/// It would stand idle until that mirror may be dialled again, each time for longer.
#[test]
fn a_connection_lent_to_a_mirror_that_has_to_wait_fetches_from_another_meanwhile() {
    let mut world = World::new();
    let later = Tree::new().with(NAME, file().with_modified("20240301000000"));
    let lost = || Behaviour::default().when(Trigger::nth("SIZE", 1), Reaction::Close);
    let decides = model(throttled(1 << 20));
    let decides = (0..6).fold(decides, |decides, session| decides.with_session(session, lost()));
    let servers = [model(throttled(1 << 20)), Model::new(later), decides].map(|it| world.add(it));
    let outcome = world.fetch(&servers, 2);
    assert_eq!(outcome.warnings.len(), 1, "{outcome:?}");
    // 8 MiB at 1 MiB/s, of which the second connection brings its part.
    assert!(world.took() < Duration::from_secs(7), "{:?}", world.took());
}

/// A mirror whose only session was lost left its connection to the other for good: 14.7 s, at the pace of the slow one.
#[test]
fn a_mirror_that_broke_off_once_comes_back() {
    let fast = || throttled(4 << 20);
    let breaks_off = || fast().cutting_every(Cut::silent(1 << 20, Interruption::Die));
    let busy = || fast().when(Trigger::Accepted, Reaction::reply_and_close("421 Busy, try later."));
    let once = model(fast()).with_session(0, breaks_off());
    // Where nobody is let in for a while, its connection is of use elsewhere, and comes back when it has waited.
    let longer = (1..3).fold(once.clone(), |model, session| model.with_session(session, busy()));
    let from_the_start = model(fast()).with_session(0, busy());
    for (case, fast) in [once, longer, from_the_start].into_iter().enumerate() {
        let mut world = World::new();
        let servers = [world.add(fast), world.add(model(throttled(256 << 10)))];
        let outcome = world.fetch(&servers, 2);
        assert_eq!(outcome.warnings, [""; 0]);
        assert!(world.took() < Duration::from_secs(5), "{case}: {:?}", world.took());
    }
}

/// One that went silent when it was dialled again held its connections for half a minute: with one, nothing was fetched.
#[test]
fn a_mirror_that_broke_off_and_is_silent_now_does_not_keep_its_connections() {
    for (connections, most) in [(1, 12), (4, 4)] {
        let mut world = World::new();
        let breaks_off = throttled(1 << 20).cutting_every(Cut::silent(1 << 20, Interruption::Die));
        let cap = Cap { sessions: 0, when_full: WhenFull::Hang, ..Cap::default() };
        let silent = model(Behaviour { cap: Some(cap), ..Behaviour::default() });
        let silent = silent.with_session(0, breaks_off.clone()).with_session(1, breaks_off);
        let servers = [world.add(silent), world.add(model(throttled(1 << 20)))];
        world.fetch(&servers, connections);
        assert!(world.took() < Duration::from_secs(most), "{connections}: {:?}", world.took());
    }
}

/// Each attempt at one that lets nobody in ended a transfer of another, which had to log in anew.
#[test]
fn a_mirror_that_lets_nobody_in_costs_the_others_little() {
    let hangs = Behaviour { cap: Some(Cap { sessions: 0, ..Cap::default() }), ..Behaviour::default() };
    let busy =
        Behaviour::default().when(Trigger::Accepted, Reaction::reply_and_close("421 Busy, try later."));
    for closed in [busy, hangs] {
        let mut world = World::new();
        let servers = [world.add(model(closed)), world.add(model(throttled(16 << 10)))];
        world.fetch(&servers, 8);
        let logins = world.transport.stats(servers[1]).logins();
        // With 8 connections at 16 KiB/s each it takes 64 s.
        // Some of those that are called back have nothing to do yet, and can be spared at once.
        assert!(logins <= 8 + 6, "{logins} logins");
        assert!(world.took() < Duration::from_secs(72), "{:?}", world.took());
    }
}

/// Those that paid at a mirror were dialled, when it was given up, at one that had no room for them.
#[test]
fn connections_that_were_added_go_with_their_mirror() {
    for when_full in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse, WhenFull::Hang] {
        let mut world = World::new();
        // Its sessions last until all of them are busy; after those nobody is let in.
        let dies = throttled(64 << 10).cutting_every(Cut::silent(100 << 10, Interruption::Die));
        let gone = Behaviour::default().when(Trigger::nth("PASS", 1), Reaction::reply("530 Gone."));
        let mirror = (0..32).fold(model(gone), |mirror, session| mirror.with_session(session, dies.clone()));
        let mirror = world.add(mirror);
        let small = world.add(model(throttled(256 << 10).with_cap(1, when_full)));
        let begin_with = NonZeroUsize::new(4).expect("four");
        world.fetch_with(Settings { begin_with, ..settings(&[mirror, small], NAME, 32) });
        let logins = world.transport.stats(mirror).logins();
        assert!(logins > 16, "{logins} logins");
        let dialled = world.transport.seen(small).dialled;
        assert!(dialled <= 6, "{when_full:?}: {dialled} attempts");
    }
}
