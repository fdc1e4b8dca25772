//! Whole files of all sizes, over any number of connections.

use pftp_tests::servers::{PASSWORD, USER};

use crate::site::{MIB, Setup, content};

const NAME: &str = "file.bin";

pub(crate) fn anonymous_gets_a_file(setup: Setup) {
    let bytes = content(MIB + 17);
    let outcome = setup.serve(NAME, bytes).fetch(NAME).run();
    outcome.expect_file(NAME, bytes);
    assert!(outcome.log.commands().contains(&"USER anonymous"), "{outcome}");
}

pub(crate) fn user_gets_a_file(setup: Setup) {
    let bytes = content(MIB + 17);
    let outcome = setup.serve(NAME, bytes).fetch(NAME).args(["-n", USER, "-P", PASSWORD]).run();
    outcome.expect_file(NAME, bytes);
    assert!(outcome.log.commands().contains(&"USER tester"), "{outcome}");
}

pub(crate) fn one_connection(setup: Setup) {
    let bytes = content(24 * MIB);
    let outcome = setup.serve(NAME, bytes).fetch(NAME).connections(1).run();
    outcome.expect_file(NAME, bytes);
    assert_eq!((outcome.log.count("USER"), outcome.log.count("RETR")), (1, 1), "{outcome}");
}

pub(crate) fn two_connections(setup: Setup) {
    several_connections(setup, 2);
}

pub(crate) fn eight_connections(setup: Setup) {
    several_connections(setup, 8);
}

pub(crate) fn sixteen_connections(setup: Setup) {
    several_connections(setup, 16);
}

fn several_connections(setup: Setup, connections: usize) {
    let bytes = content(24 * MIB);
    // A single connection takes 8 seconds at least, so the other connections have time to begin.
    let site = setup.serve_slowly(6 * MIB / connections, NAME, bytes);
    let outcome = site.fetch(NAME).connections(connections).min_segment("256K").run();
    outcome.expect_file(NAME, bytes);
    let threads = outcome.log.threads();
    assert!(threads.values().all(|thread| thread.count("USER") == 1), "{outcome}");
    assert!(threads.len() <= connections, "{outcome}");
    let fetching = threads.values().filter(|thread| thread.count("RETR") > 0).count();
    assert!(fetching > 1, "{outcome}");
}

pub(crate) fn eight_connections_for_64_mib(setup: Setup) {
    let bytes = content(64 * MIB);
    setup.serve(NAME, bytes).fetch(NAME).connections(8).run().expect_file(NAME, bytes);
}

pub(crate) fn no_byte(setup: Setup) {
    few_bytes(setup, 0);
}

pub(crate) fn one_byte(setup: Setup) {
    few_bytes(setup, 1);
}

pub(crate) fn two_bytes(setup: Setup) {
    few_bytes(setup, 2);
}

pub(crate) fn fewer_bytes_than_connections(setup: Setup) {
    few_bytes(setup, 13);
}

fn few_bytes(setup: Setup, len: usize) {
    let bytes = content(len);
    let site = setup.serve(NAME, bytes);
    site.fetch(NAME).run().expect_file(NAME, bytes);
    site.fetch(NAME).connections(16).min_segment("1").run().expect_file(NAME, bytes);
}
