//! The lookup of a checksum must not cost the download.

use super::{MIB, download, throttled};
use pftp_tests::model::{Behaviour, Bursts, File, Reaction, Trigger};
use pftp_tests::sim::SimServer;
use std::time::Duration;

const CHECKSUM_FILE: &str = "pub/file.sha256";

/// The longest that a lookup may take on one server.
const LONGEST_LOOKUP: Duration = Duration::from_secs(120);

/// A server that closes each session which fetches the checksum file.
fn breaking_off_lookups(server: SimServer) -> SimServer {
    let asked = || Trigger::Line(format!("RETR {CHECKSUM_FILE}").into_bytes());
    let delay = Reaction::Delay(Duration::from_secs(2));
    let server = server.with(|it| it.when(asked(), delay).when(asked(), Reaction::Close));
    server.with_file(CHECKSUM_FILE, File::generated(4, 72))
}

/// Regression: the engine looked for sessions to open before it knew that a lookup was left, and nothing happened again.
#[test]
fn next_mirror_is_dialled_when_the_lookup_on_the_one_before_has_failed() {
    let first = breaking_off_lookups(SimServer::new());
    // This mirror has lost its sessions by the time that all bytes are here.
    let next = SimServer::new().round_trip_ms(800).with(|it| Behaviour { bursts: Bursts::Closed, ..it });
    let download = download([first, next]).connections(6).looking_up_a_checksum(LONGEST_LOOKUP).fetch();
    assert_eq!(download.warnings.len(), 1, "{:?}", download.warnings);
    assert_eq!(download.stats(1).logins(), 1);
}

/// Regression: a mirror was rejected, and the download with it, when sessions ended during the lookup.
#[test]
fn sessions_lost_during_the_lookup_do_not_reject_their_mirror() {
    let mirrors = [SimServer::black_hole(), breaking_off_lookups(throttled(MIB))];
    let looking_up = download(mirrors).connections(3).looking_up_a_checksum(LONGEST_LOOKUP);
    let download = looking_up.retries(0).fetch();
    assert!(download.warned(1, "file.sha256 cannot be read"), "{:?}", download.warnings);
}
