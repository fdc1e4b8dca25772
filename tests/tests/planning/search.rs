//! The search for a checksum, and what it may not cost.

use super::{NAME, World, at, file, model, throttled};
use pftp::plan::Settings;
use pftp_tests::model::{Behaviour, Bursts, File, Model, Reaction, Tree, Trigger};
use pftp_tests::sim::settings;
use std::net::SocketAddr;
use std::time::Duration;

const CHECKSUM: &str = "pub/file.sha256";

fn searching(servers: &[SocketAddr], connections: usize) -> Settings {
    Settings { search: Some(Duration::from_secs(120)), ..settings(servers, NAME, connections) }
}

/// A server that ends each session which asks for the checksum it has.
fn breaks_off(behaviour: Behaviour) -> Model {
    let asked = || Trigger::Line(format!("RETR {CHECKSUM}").into_bytes());
    let behaviour =
        behaviour.when(asked(), Reaction::Delay(Duration::from_secs(2))).when(asked(), Reaction::Close);
    let tree = Tree::new().with(NAME, file()).with(CHECKSUM, File::generated(4, 72));
    Model::new(tree).with_behaviour(behaviour)
}

/// Nothing ever happened again: what was left to do became clear only after it had been looked for sessions to open.
#[test]
fn the_next_mirror_is_called_when_the_one_before_has_had_its_last_say() {
    let mut world = World::new();
    let first = at(&mut world, breaks_off(Behaviour::default()), 40);
    // Its sessions are lost when everything has come, and nobody opens others just like that.
    let next = model(Behaviour { bursts: Bursts::Closed, ..Behaviour::default() });
    let next = at(&mut world, next, 800);
    let outcome = world.fetch_with(searching(&[first, next], 6));
    assert_eq!(outcome.warnings.len(), 1, "{outcome:?}");
    assert_eq!(world.transport.stats(next).logins(), 1);
}

/// The mirror was given up for the sessions that ended over the search, and with it the download.
#[test]
fn sessions_that_are_lost_over_the_search_say_nothing_of_the_file() {
    let mut world = World::new();
    let silent = world.transport.black_hole();
    let good = world.add(breaks_off(throttled(1 << 20)));
    let outcome = world.fetch_with(Settings { retries: 0, ..searching(&[silent, good], 3) });
    let warned = format!("{good}: file.sha256 cannot be read");
    assert!(outcome.warnings.iter().any(|warning| warning.starts_with(&warned)), "{outcome:?}");
}
