//! Ranges that end before the file does: the data connection is closed while the server still sends, and the
//! session goes on with the next range.

use crate::call::Outcome;
use crate::site::{MIB, Setup, Site, content};

const NAME: &str = "file.bin";

const CONNECTIONS: usize = 3;

/// The server waits between two writes when its transfer is cut, as one on a slow path does.
pub(crate) fn cut_while_the_server_waits(setup: Setup) {
    let bytes = content(5 * MIB);
    let site = setup.serve_slowly(2 * MIB, NAME, bytes);
    let outcomes = many_cuts(&site, bytes, "2M", 5);
    for outcome in outcomes {
        assert_eq!(outcome.log.count("USER"), CONNECTIONS, "{outcome}");
    }
}

/// The server sends as fast as it can when its transfer is cut.
pub(crate) fn cut_while_the_server_writes(setup: Setup) {
    let bytes = content(40 * MIB);
    let site = setup.serve(NAME, bytes);
    many_cuts(&site, bytes, "16M", 10);
}

/// Downloads of a file that makes two parts for three connections: so the third takes over half of one, and
/// whoever is free first goes on with half of what is left elsewhere, until it is not worth while any more.
fn many_cuts(site: &Site, bytes: &[u8], min_segment: &str, downloads: usize) -> Vec<Outcome> {
    let download = |_| {
        let outcome = site.fetch(NAME).connections(CONNECTIONS).min_segment(min_segment).run();
        outcome.expect_file(NAME, bytes);
        let threads = outcome.log.threads();
        assert!(threads.len() <= CONNECTIONS, "{outcome}");
        assert!(threads.values().all(|thread| thread.count("USER") == 1), "a second login\n{outcome}");
        outcome
    };
    let outcomes: Vec<Outcome> = (0..downloads).map(download).collect();
    let more_ranges = |outcome: &Outcome| outcome.log.count("EPSV").saturating_sub(outcome.log.count("USER"));
    let more_ranges: usize = outcomes.iter().map(more_ranges).sum();
    assert!(more_ranges >= downloads, "{more_ranges} ranges after the first of a connection");
    outcomes
}
