//! The paths of the simulation on which packets queue and get lost.

use ftp_proto::{Arg, Config, Event, Instant, Report, RequestId, Retrieve, SessionId, Transport, Until};
use pftp::plan::Settings;
use pftp_tests::model::{File, Model, Tree};
use pftp_tests::sim::{Congestion, Path, Pipes, SimTransport, run, settings};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A path of so many megabits per second and milliseconds, which loses so many packets of a million.
fn path(megabits: u64, round_trip: u64, losses: u64, size: u64, seed: u64) -> (SimTransport, SocketAddr) {
    let mut transport = SimTransport::new(Arc::default());
    let latency = Duration::from_micros(round_trip * 500);
    let path = Path { latency, bytes_per_second: Some(megabits * 125_000) };
    let server = transport.add(Model::new(Tree::new().with("file", File::generated(1, size))), path);
    transport.set_pipes(server, Pipes::congested(Congestion::of_losses(losses, seed)));
    (transport, server)
}

/// Opens a session that fetches so many bytes.
fn fetch(transport: &mut SimTransport, server: SocketAddr, id: u64, size: u64) {
    let path = Arg::new(&b"file"[..]).unwrap();
    let whole = Retrieve::new(path, 0, Until::Size(size));
    transport.open(SessionId(id), server.into(), Arc::new(Config::default()));
    let sink = transport.sink();
    transport.retrieve(SessionId(id), RequestId(1), whole, sink);
}

/// When this is reported.
fn time_of(transport: &mut SimTransport, is_it: impl Fn(&Event) -> bool) -> Instant {
    loop {
        if let Some(Report::Event(_, event)) = transport.wait(None)
            && is_it(&event)
        {
            return transport.now();
        }
    }
}

fn wait_until(transport: &mut SimTransport, seconds: u64) -> Instant {
    let until = Instant(Duration::from_secs(seconds));
    while transport.now() < until {
        transport.wait(Some(until));
    }
    until
}

#[test]
fn one_stream_fills_a_path_that_loses_nothing() {
    let (mut transport, server) = path(200, 80, 0, 64 * MIB, 1);
    fetch(&mut transport, server, 1, 64 * MIB);
    let end = time_of(&mut transport, |event| matches!(event, Event::Finished(..)));
    assert!(transport.sink().holds(&File::generated(1, 64 * MIB)));
    // The path carries 24.1 MB/s. To the first byte it takes 0.4 s, and half a second more until the window is large enough.
    let took = end.0.as_secs_f64();
    assert!((3.6..4.0).contains(&took), "{took}");
}

/// One packet of 1000, at 80 ms: after some losses 39 packets are under way on average, as with Reno, which makes 700 KB/s.
#[test]
fn one_stream_gets_little_of_a_path_that_loses_packets() {
    let rate = |seed| {
        let (mut transport, server) = path(200, 80, 1000, 1024 * MIB, seed);
        fetch(&mut transport, server, 1, 1024 * MIB);
        let mut written_by = |seconds| {
            wait_until(&mut transport, seconds);
            transport.sink().written()
        };
        let before = written_by(60);
        (written_by(160) - before) as f64 / 100.0
    };
    let rates: Vec<f64> = (1..=3).map(rate).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    assert!((0.55e6..0.85e6).contains(&mean), "{rates:?}");
}

#[test]
fn dialling_takes_longer_where_packets_queue() {
    let (mut transport, server) = path(8, 40, 0, 8 * MIB, 1);
    fetch(&mut transport, server, 1, 8 * MIB);
    let idle = time_of(&mut transport, |event| matches!(event, Event::Connected));
    assert_eq!(idle.0, Duration::from_millis(40));
    let busy = wait_until(&mut transport, 4);
    fetch(&mut transport, server, 2, 1);
    let up = time_of(&mut transport, |event| matches!(event, Event::Connected));
    let took = up.0 - busy.0;
    // The queue holds as much as a round trip, and is seldom less than a fourth full.
    assert!((Duration::from_millis(50)..=Duration::from_millis(80)).contains(&took), "{took:?}");
}

/// Those that were dialled when the first had only just begun took so much of its range that it was at the end, and had to
/// ask for another, when they had yet to begin.
#[test]
fn connections_that_are_added_leave_the_first_enough_until_they_are_logged_in() {
    for seed in 1..=12 {
        let (mut transport, server) = path(200, 80, 1000, 64 * MIB, seed);
        let settings = Settings { begin_with: NonZeroUsize::MIN, ..settings(&[server], "file", 32) };
        assert_eq!(run(settings, &mut transport).result, Ok(64 * MIB));
        let time_of = |session, is_it: fn(&Event) -> bool| {
            let mut events = transport.events().iter();
            let found = events.find(|(_, id, event)| *id == SessionId(session) && is_it(event));
            found.map(|(at, ..)| *at)
        };
        let begun = time_of(3, |event| matches!(event, Event::Started(_)));
        let ended = time_of(1, |event| matches!(event, Event::Finished(..)));
        assert!(begun.is_some() && begun < ended, "{seed}: {begun:?}, {ended:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let hash = |seed| {
        let (mut transport, server) = path(50, 40, 1000, 8 * MIB, seed);
        let outcome = run(settings(&[server], "file", 4), &mut transport);
        assert_eq!(outcome.result, Ok(8 * MIB));
        transport.record().lock().unwrap().hash()
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
