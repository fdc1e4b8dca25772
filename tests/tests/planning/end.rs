//! Connections that are lost at the last byte of the file.

use super::{SIZE, download};
use pftp_tests::model::{Behaviour, Cut, File, Interruption, Reaction, Trigger};
use pftp_tests::sim::{ErrorKind, SimServer};

/// Bytes that a server has beyond the size that it tells.
const UNTOLD: u64 = 1000;

const LOST: [Interruption; 3] = [Interruption::Die, Interruption::Reset, Interruption::Stall];

/// A server that interrupts its first transfer at byte [`SIZE`].
fn lost_at_the_end(how: Interruption) -> SimServer {
    SimServer::new().session(0, first_session(Behaviour::default(), how))
}

fn first_session(behaviour: Behaviour, how: Interruption) -> Behaviour {
    behaviour.when(Trigger::nth("RETR", 1), Reaction::Cut(Cut::silent(SIZE, how)))
}

/// Regression: a file counted as complete when its only transfer was lost at the told size, although the server had more.
#[test]
fn connection_lost_at_the_told_size_does_not_prove_the_end_of_the_file() {
    for how in LOST {
        for retries in [0, 5] {
            let tells_less = Behaviour { size_error: -(UNTOLD as i64), ..Behaviour::default() };
            let server = SimServer::new().serving(File::generated(3, SIZE + UNTOLD));
            let server = server.behaving(tells_less.clone()).session(0, first_session(tells_less, how));
            let download = download([server]).retries(retries).run();
            let failure = download.failure().to_string();
            assert_eq!(download.failure_kind(), ErrorKind::Integrity, "{how:?}: {failure}");
            assert!(failure.contains("more data came than the 8388608 bytes"), "{how:?}: {failure}");
        }
    }
}

#[test]
fn end_of_the_file_is_fetched_once_more_if_it_was_not_seen() {
    for how in LOST {
        let download = download([lost_at_the_end(how)]).fetch();
        assert_eq!(download.warnings, [""; 0], "{how:?}");
        assert_eq!(download.logins(), 2, "{how:?}");
        assert!(download.sent() <= SIZE + 4096, "{how:?}: {} bytes", download.sent());
    }
}

#[test]
fn file_whose_end_is_never_seen_is_complete_with_a_warning() {
    for how in LOST {
        let again = Cut::silent(4096, how);
        let server = lost_at_the_end(how).with(|behaviour| behaviour.cutting_every(again));
        let download = download([server]).fetch();
        assert_eq!(download.warnings.len(), 1, "{how:?}: {:?}", download.warnings);
        let warning = &download.warnings[0];
        assert!(warning.contains("that the file ends there was not seen"), "{how:?}: {warning}");
        assert_eq!(download.logins(), 3, "{how:?}");
    }
}

#[test]
fn data_connection_closed_at_the_told_size_proves_the_end_of_the_file() {
    let download = download([lost_at_the_end(Interruption::Fin)]).fetch();
    assert_eq!(download.warnings, [""; 0]);
    assert_eq!(download.stats(0).data_connections(), 1);
}
