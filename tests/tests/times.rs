//! How long downloads take in virtual time, beside the least they could take: what a change of the planner costs
//! shows in the snapshot. `INSTA_UPDATE=always cargo test -p pftp-tests --test times` takes the times as they are.

#[path = "times/cases.rs"]
mod cases;
#[path = "times/ideal.rs"]
mod ideal;
#[path = "times/world.rs"]
mod world;

use ftp_proto::{Arg, Config, Event, Report, RequestId, Retrieve, SessionId, Transport, Until};
use pftp::run::MOST_CHOSEN;
use pftp_tests::model::{File, Model, Tree};
use pftp_tests::sim::{Path, SimTransport};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use world::{Mirror, Row};

static ROWS: LazyLock<Vec<(&str, Vec<Row>)>> = LazyLock::new(|| {
    let measured =
        |(heading, cases): (&'static str, Vec<_>)| (heading, cases.into_iter().map(world::measure).collect());
    cases::all().into_iter().map(measured).collect()
});

#[test]
fn downloads() {
    insta::assert_snapshot!(table(&ROWS));
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().flat_map(|(_, rows)| rows)
}

/// The rows of cases with a name that says so.
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

#[test]
fn nothing_is_faster_than_the_ideal() {
    for row in rows() {
        assert!(row.over() > -0.001, "{}: {:?} instead of {:?}", row.case.name, row.took, row.ideal);
    }
}

#[test]
fn a_connection_logs_in_once() {
    for row in rows().filter(|row| row.case.mirrors.iter().all(Mirror::is_well)) {
        assert!(row.logins as usize <= row.case.connections, "{}: {} logins", row.case.name, row.logins);
        assert_eq!(row.refused, 0, "{}", row.case.name);
    }
}

/// A cut costs what was under way, and next to nothing is fetched twice.
#[test]
fn little_is_sent_in_vain() {
    for row in rows().filter(|row| row.case.mirrors.iter().all(Mirror::is_well)) {
        let (name, size) = (&row.case.name, row.case.size);
        let (sent, most) = (row.sent, row.written + row.in_vain);
        assert!(sent <= most, "{name}: {sent} bytes were sent, {most} at most for its cuts");
        assert!(row.written <= size + size / 100, "{name}: {} bytes were written of {size}", row.written);
    }
}

#[test]
fn a_slow_session_is_not_waited_for() {
    assert_near_ideal(&rows_of("one of 4 at 1/40"));
}

#[test]
fn a_session_that_dies_is_made_up_for() {
    assert_near_ideal(&rows_of("one of 4 dies half way"));
}

/// One that stalls is not waited for either: the others find out while they have work of their own.
#[test]
fn a_session_that_stalls_is_made_up_for() {
    assert_near_ideal(&rows_of("one of 4 stalls dead half way"));
}

#[test]
fn unequal_mirrors_deliver_their_sum() {
    assert_near_ideal(&rows_of("3: 80/40/8 Mbit/s"));
}

/// Both connections to a mirror began at once, made each other lose, and were cut and set up anew at the same time: it took
/// 14 per cent more than the ideal.
#[test]
fn several_mirrors_are_done_in_time_on_paths_on_which_packets_queue() {
    let rows = rows_of(cases::CONGESTED_MIRRORS);
    assert_near_ideal(&rows);
    for row in rows {
        let logins = if row.case.chosen { 6 } else { row.case.connections };
        assert_eq!(row.logins as usize, logins);
    }
}

#[test]
fn a_full_server_is_used_as_far_as_it_goes() {
    for (name, _) in cases::FULL {
        let row = rows().find(|row| row.case.name == name).expect("a row of the table");
        assert_near_ideal(&[row]);
        assert_eq!(row.logins, 2, "{name}");
        assert!(row.refused <= 8 + A_HANDFUL, "{name}: {} refused attempts", row.refused);
    }
}

/// Where nobody says how many, a server that takes few is asked once for all that might pay.
#[test]
fn a_full_server_is_not_stormed() {
    let row = rows().find(|row| row.case.name == cases::CHOSEN_FULL).expect("a row of the table");
    assert_near_ideal(&[row]);
    assert_eq!(row.logins, 2);
    assert!(row.refused <= MOST_CHOSEN + A_HANDFUL, "{} refused attempts", row.refused);
}

/// Attempts after those of the beginning that a full server may see.
const A_HANDFUL: usize = 4;

/// What the figures rest on: nobody gets more of a path than another.
#[test]
fn sessions_share_a_path() {
    let mut transport = SimTransport::new(Arc::default());
    let size = 1 << 20;
    let file = File::generated(1, size);
    let path = Path { latency: Duration::from_millis(75), bytes_per_second: Some(1_000_000) };
    let server = transport.add(Model::new(Tree::new().with("file", file)), path);
    let path = Arg::new(&b"file"[..]).unwrap();
    for id in [1, 2, 3] {
        let whole = Retrieve::new(path.clone(), 0, Until::Size(size));
        transport.open(SessionId(id), server.into(), Arc::new(Config::default()));
        let sink = transport.sink();
        transport.retrieve(SessionId(id), RequestId(1), whole, sink);
    }
    let mut ends = Vec::new();
    while ends.len() < 3 {
        if let Some(Report::Event(_, Event::Finished(..))) = transport.wait(None) {
            ends.push(transport.now().0);
        }
    }
    // Five round trips, then all three files.
    let together = Duration::from_millis(750) + Duration::from_micros(3 << 20);
    assert!(ends[2].abs_diff(together) < Duration::from_millis(1), "{ends:?}");
    assert!(ends[2] - ends[0] < Duration::from_millis(5), "{ends:?}");
}

fn table(groups: &[(&str, Vec<Row>)]) -> String {
    let mut text = format!(
        "{:<52}{:>5} {:>9} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8}\n",
        "", "conns", "KiB", "ideal/s", "took/s", "over/%", "sent/%", "logins", "refused"
    );
    for (heading, rows) in groups {
        writeln!(text, "\n{heading}").unwrap();
        for row in rows {
            line(&mut text, row);
        }
    }
    text
}

fn line(text: &mut String, row: &Row) {
    let (name, connections, size) = (&row.case.name, row.case.connections, row.case.size);
    let (ideal, took) = (row.ideal.as_secs_f64(), row.took.as_secs_f64());
    let sent = row.sent as f64 / size as f64 * 100.0;
    // The ideal is exact to a microsecond.
    let over = row.over().max(0.0);
    let (kib, logins, refused) = (size / 1024, row.logins, row.refused);
    writeln!(
        text,
        "  {name:<50}{connections:>5} {kib:>9} {ideal:>8.2} {took:>8.2} {over:>8.1} {sent:>7.1} {logins:>7} {refused:>8}"
    )
    .unwrap();
}
