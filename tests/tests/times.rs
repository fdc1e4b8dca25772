//! How long downloads take in virtual time, beside the least that they could take.
//!
//! The snapshot shows in review what a change of the engine costs; `INSTA_UPDATE=always cargo test -p pftp-tests --test
//! times` accepts the times as they are. Each row has an allowance besides, so a row that gets worse fails all the same.

#[path = "times/case.rs"]
mod case;
#[path = "times/cases.rs"]
mod cases;
#[path = "times/ideal.rs"]
mod ideal;

use case::{Case, Row};
use ftp_proto::{Arg, Config, Event, Report, RequestId, Retrieve, SessionId, Transport, Until};
use pftp::Settings as DownloadSettings;
use pftp_tests::model::File;
use pftp_tests::sim::{FILE_PATH, Scenario, SimServer};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static ROWS: LazyLock<Vec<(&str, Vec<Row>)>> = LazyLock::new(|| {
    let measure =
        |(heading, cases): (_, Vec<Case>)| (heading, cases.into_iter().map(Case::measure).collect());
    cases::all().into_iter().map(measure).collect()
});

/// How far a row may stay below its allowance, in points. The allowance of a row that got better is lowered.
const SLACK: f64 = 2.0;

#[test]
fn table_of_downloads_is_as_in_the_snapshot() {
    insta::assert_snapshot!(table(&ROWS));
}

#[test]
fn every_row_keeps_to_its_allowance() {
    let outside = |row: &&Row| !(row.case.allowance - SLACK..=row.case.allowance).contains(&row.over());
    let outside: Vec<String> = rows()
        .filter(outside)
        .map(|row| {
            let (case, over) = (&row.case, row.over());
            format!(
                "{} over {}: {over:.2} % over the ideal, {} allowed",
                case.name, case.connections, case.allowance
            )
        })
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn no_download_is_faster_than_its_ideal() {
    for row in rows() {
        assert!(row.over() > -0.001, "{}: {:?} instead of {:?}", row.case.name, row.took, row.ideal);
    }
}

#[test]
fn each_connection_logs_in_once() {
    for row in rows().filter(|row| row.case.has_well_behaved_mirrors()) {
        assert!(row.logins as usize <= row.case.connections, "{}: {} logins", row.case.name, row.logins);
        assert_eq!(row.refused, 0, "{}", row.case.name);
    }
}

/// A cut costs the bytes in flight; hardly a byte is written twice.
#[test]
fn few_bytes_are_sent_in_vain() {
    for row in rows().filter(|row| row.case.has_well_behaved_mirrors()) {
        let (name, size) = (&row.case.name, row.case.size);
        let (sent, most) = (row.sent, row.written + row.in_vain);
        assert!(sent <= most, "{name}: {sent} bytes were sent, {most} at most for its cuts");
        assert!(row.written <= size + size / 100, "{name}: {} bytes were written of {size}", row.written);
    }
}

#[test]
fn slow_session_is_not_waited_for() {
    assert_near_ideal(&rows_of("one of 4 at 1/40"));
}

#[test]
fn session_that_dies_is_made_up_for() {
    assert_near_ideal(&rows_of("one of 4 dies half way"));
}

/// The stall is noticed while the other sessions still have ranges of their own.
#[test]
fn session_that_stalls_is_made_up_for() {
    assert_near_ideal(&rows_of("one of 4 stalls dead half way"));
}

#[test]
fn unequal_mirrors_deliver_the_sum_of_their_rates() {
    assert_near_ideal(&rows_of("3: 80/40/8 Mbit/s"));
}

/// Regression: both connections to a mirror began at once, made each other lose packets, and were cut and redialled at the
/// same time: 14 per cent over the ideal.
#[test]
fn several_mirrors_on_congested_paths_deliver_the_sum_of_their_rates() {
    let rows = rows_of(cases::CONGESTED_MIRRORS);
    assert_near_ideal(&rows);
    for row in rows {
        let logins = if row.case.growing { 6 } else { row.case.connections };
        assert_eq!(row.logins as usize, logins);
    }
}

/// Attempts that a full server may see beyond those at the beginning.
const LATER_ATTEMPTS: usize = 4;

#[test]
fn full_server_is_used_up_to_its_session_limit() {
    for (name, _) in cases::FULL {
        for row in rows_of(name).into_iter().filter(|row| row.case.name == name) {
            assert_near_ideal(&[row]);
            assert_eq!(row.logins, 2, "{name}");
            let most = row.case.connections + LATER_ATTEMPTS;
            assert!(row.refused <= most, "{name}: {} refused attempts", row.refused);
        }
    }
}

#[test]
fn full_server_is_not_stormed_by_added_connections() {
    for row in rows_of(cases::FULL_WHILE_GROWING) {
        assert_near_ideal(&[row]);
        assert_eq!(row.logins, 2);
        assert!(
            row.refused <= DownloadSettings::CHOSEN_CONNECTIONS + LATER_ATTEMPTS,
            "{} refused attempts",
            row.refused
        );
    }
}

/// The figures rest on paths that are fair to their sessions.
#[test]
fn sessions_share_a_path_evenly() {
    const RATE: u64 = 1_000_000;
    const FILE_SIZE: u64 = 1 << 20;
    const SESSIONS: u64 = 3;
    let server = SimServer::new().round_trip_ms(150).path_rate(RATE);
    let (mut transport, servers) = Scenario::new(File::generated(1, FILE_SIZE)).server(server).build();
    for id in 1..=SESSIONS {
        let path = Arg::new(FILE_PATH).unwrap();
        let whole = Retrieve::new(path, 0, Until::Size(FILE_SIZE));
        transport.open(SessionId(id), servers[0].into(), Arc::new(Config::default()));
        let sink = transport.sink();
        transport.retrieve(SessionId(id), RequestId(1), whole, sink);
    }
    let mut ends = Vec::new();
    while ends.len() < SESSIONS as usize {
        if let Some(Report::Event(_, Event::Finished(..))) = transport.wait(None) {
            ends.push(transport.now().0);
        }
    }
    // Five round trips, then all three files.
    let all =
        Duration::from_millis(5 * 150) + Duration::from_secs(1) * (SESSIONS * FILE_SIZE / 1000) as u32 / 1000;
    assert!(ends[2].abs_diff(all) < Duration::from_millis(1), "{ends:?}");
    assert!(ends[2] - ends[0] < Duration::from_millis(5), "{ends:?}");
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().flat_map(|(_, rows)| rows)
}

/// Returns the rows whose names contain this.
fn rows_of(name: &str) -> Vec<&'static Row> {
    let rows: Vec<&Row> = rows().filter(|row| row.case.name.contains(name)).collect();
    assert!(!rows.is_empty(), "no case is named {name}");
    rows
}

fn assert_near_ideal(rows: &[&Row]) {
    for row in rows {
        assert!(row.over() < 10.0, "{}: {:?} instead of {:?}", row.case.name, row.took, row.ideal);
    }
}

fn table(groups: &[(&str, Vec<Row>)]) -> String {
    let mut text = format!(
        "{:<52}{:>5} {:>9} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8}\n",
        "", "conns", "KiB", "ideal/s", "took/s", "over/%", "most/%", "sent/%", "logins", "refused"
    );
    for (heading, rows) in groups {
        writeln!(text, "\n{heading}").unwrap();
        for row in rows {
            write_row(&mut text, row);
        }
    }
    text
}

fn write_row(text: &mut String, row: &Row) {
    let Case { name, connections, size, allowance, .. } = &row.case;
    let (ideal, took) = (row.ideal.as_secs_f64(), row.took.as_secs_f64());
    let sent = row.sent as f64 / *size as f64 * 100.0;
    // The ideal is exact to a microsecond.
    let over = row.over().max(0.0);
    let (kib, logins, refused) = (size / 1024, row.logins, row.refused);
    writeln!(
        text,
        "  {name:<50}{connections:>5} {kib:>9} {ideal:>8.2} {took:>8.2} {over:>8.1} {allowance:>8.1} {sent:>7.1} {logins:>7} {refused:>8}"
    )
    .unwrap();
}
