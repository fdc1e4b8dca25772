//! Simulated paths on which packets queue and get lost.

use ftp_proto::{Arg, Config, Event, Instant, Report, RequestId, Retrieve, SessionId, Transport, Until};
use pftp_tests::model::File;
use pftp_tests::sim::{FILE_PATH, Scenario, SimServer, SimTransport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Packets lost of a million: one of a thousand.
const LOSSY: u64 = 1000;

/// A server with a file of so many bytes at the end of a congested path.
fn scenario(megabits: u64, round_trip_ms: u64, losses: u64, size: u64) -> Scenario {
    let server = SimServer::new().path_megabits(megabits).round_trip_ms(round_trip_ms).congested(losses);
    Scenario::new(File::generated(1, size)).server(server)
}

fn build(scenario: &Scenario) -> (SimTransport, SocketAddr) {
    let (transport, servers) = scenario.build();
    (transport, servers[0])
}

/// Opens a session that fetches the first `size` bytes of the file.
fn fetch(transport: &mut SimTransport, server: SocketAddr, id: u64, size: u64) {
    let path = Arg::new(FILE_PATH).unwrap();
    let whole = Retrieve::new(path, 0, Until::Size(size));
    transport.open(SessionId(id), server.into(), Arc::new(Config::default()));
    let sink = transport.sink();
    transport.retrieve(SessionId(id), RequestId(1), whole, sink);
}

/// Waits for an event, and returns when it came.
fn time_of(transport: &mut SimTransport, is_awaited: impl Fn(&Event) -> bool) -> Instant {
    loop {
        if let Some(Report::Event(_, event)) = transport.wait(None)
            && is_awaited(&event)
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
fn one_stream_fills_a_path_without_losses() {
    const SIZE: u64 = 64 * MIB;
    let (mut transport, server) = build(&scenario(200, 80, 0, SIZE));
    fetch(&mut transport, server, 1, SIZE);
    let end = time_of(&mut transport, |event| matches!(event, Event::Finished(..)));
    assert!(transport.sink().holds(&File::generated(1, SIZE)));
    // The path carries 24.1 MB/s. The first byte takes 0.4 s, and the window needs half a second more to grow.
    let took = end.0.as_secs_f64();
    assert!((3.6..4.0).contains(&took), "{took}");
}

/// With one lost packet of 1000 and 80 ms, Reno has 39 packets in flight on average: 700 KB/s.
#[test]
fn one_stream_gets_little_of_a_path_with_losses() {
    const SIZE: u64 = 1024 * MIB;
    let rate = |seed| {
        let (mut transport, server) = build(&scenario(200, 80, LOSSY, SIZE).seed(seed));
        fetch(&mut transport, server, 1, SIZE);
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
fn dialling_takes_longer_while_packets_queue() {
    const UNLOADED_RTT: Duration = Duration::from_millis(40);
    let (mut transport, server) = build(&scenario(8, 40, 0, 8 * MIB));
    fetch(&mut transport, server, 1, 8 * MIB);
    let unloaded = time_of(&mut transport, |event| matches!(event, Event::Connected));
    assert_eq!(unloaded.0, UNLOADED_RTT);
    let loaded = wait_until(&mut transport, 4);
    fetch(&mut transport, server, 2, 1);
    let took = time_of(&mut transport, |event| matches!(event, Event::Connected)).0 - loaded.0;
    // The queue holds as much as a round trip, and is seldom less than a fourth full.
    assert!((UNLOADED_RTT * 5 / 4..=UNLOADED_RTT * 2).contains(&took), "{took:?}");
}

/// Regression: connections that were added right at the start took so much of the first one's range that it was finished, and
/// needed another, before they had begun.
#[test]
fn added_connections_leave_the_first_enough_until_they_are_logged_in() {
    for seed in 1..=12 {
        let download = scenario(200, 80, LOSSY, 64 * MIB).seed(seed).growing(1, 32).fetch();
        let time_of = |session, is_awaited: fn(&Event) -> bool| {
            let mut events = download.events();
            let found = events.find(|(_, id, event)| *id == SessionId(session) && is_awaited(event));
            found.map(|(at, ..)| *at)
        };
        let begun = time_of(3, |event| matches!(event, Event::Started(_)));
        let ended = time_of(1, |event| matches!(event, Event::Finished(..)));
        assert!(begun.is_some() && begun < ended, "{seed}: {begun:?}, {ended:?}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    let hash = |seed| scenario(50, 40, LOSSY, 8 * MIB).seed(seed).connections(4).fetch().hash();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
