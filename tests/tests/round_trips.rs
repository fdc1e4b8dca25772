//! How many round trips a download takes, on paths where nothing else takes time.

use ftp_proto::{Event, Finish, Instant};
use pftp_tests::model::{Behaviour, File};
use pftp_tests::sim::{Scenario, SimServer, SimTransport};
use std::sync::Arc;
use std::time::Duration;

const ROUND_TRIP: u64 = 100;
/// More than a window: the server is still sending when its transfer is cut.
const SIZE: u64 = 20_000_000;

fn file() -> File {
    File::generated(7, SIZE)
}

fn scenario(behaviour: Behaviour) -> Scenario {
    let server = SimServer::new().round_trip_ms(ROUND_TRIP).behaving(behaviour);
    Scenario::new(file()).server(server)
}

/// Time in round trips, which must be a whole number.
fn round_trips(at: Instant) -> u64 {
    let nanos = Duration::from_millis(ROUND_TRIP).as_nanos();
    assert_eq!(at.0.as_nanos() % nanos, 0, "{at:?} is not a whole number of round trips");
    u64::try_from(at.0.as_nanos() / nanos).unwrap()
}

#[test]
fn the_first_byte_takes_five() {
    for behaviour in
        [Behaviour::vsftpd(), Behaviour::proftpd(), Behaviour::pure_ftpd(), Behaviour::pyftpdlib()]
    {
        let download = scenario(behaviour).fetch();
        // SYN, greeting, burst, data connection, data.
        let first: Vec<u64> = download.first_bytes().map(round_trips).collect();
        assert_eq!(first, [5]);
        let session = &download.stats(0).sessions[0];
        // And the question at the end, whether the file is still the same.
        assert_eq!((session.reads, session.logins, session.data_connections), (2, 1, 1), "one burst");
    }
}

/// A further range costs two round trips until its data connection stands: EPSV, REST and RETR in one write, then
/// the connection. Its first byte comes one later, as it does at first.
#[test]
fn a_further_range_takes_two_and_its_first_byte() {
    use ftp_proto::{Arg, Config, Report, Request, RequestId, Retrieve, SessionId, Transport, Until};
    let (mut world, servers) = scenario(Behaviour::vsftpd()).build();
    let (server, sink) = (servers[0], world.sink());
    let id = SessionId(1);
    world.open(id, server.into(), Arc::new(Config::default()));
    let path = Arg::new(&b"pub/file"[..]).unwrap();
    let range = |offset, until| Retrieve::new(path.clone(), offset, until);
    let ask = |world: &mut SimTransport, request, what| {
        let asked = world.now();
        world.retrieve(id, RequestId(request), what, Arc::clone(&sink));
        loop {
            match world.wait(None).expect("a report") {
                Report::Written(..) => return round_trips(Instant(world.now().0 - asked.0)),
                Report::Event(_, Event::Closed(error)) => panic!("{error}"),
                _ => {}
            }
        }
    };
    assert_eq!(ask(&mut world, 1, range(0, Until::Offset(1000))), 5);
    // After a cut, one more: until the server has said that it noticed.
    assert_eq!(ask(&mut world, 2, range(2000, Until::Offset(3000))), 1 + 2 + 1);
    assert_eq!(ask(&mut world, 3, range(SIZE - 1000, Until::Size(SIZE))), 1 + 2 + 1);
    while !matches!(world.wait(None), Some(Report::Event(_, Event::Finished(_, Finish::Whole { at: SIZE }))))
    {
    }
    // After a whole transfer.
    assert_eq!(ask(&mut world, 4, range(SIZE - 500, Until::Size(SIZE))), 2 + 1);
    while !matches!(world.wait(None), Some(Report::Event(_, Event::Finished(..)))) {}
    // Over a data connection that is there already.
    world.request(id, RequestId(5), Request::Prepare);
    while !matches!(world.wait(None), Some(Report::Event(_, Event::Prepared(RequestId(5))))) {}
    assert_eq!(ask(&mut world, 6, range(SIZE - 500, Until::Size(SIZE))), 1);
    let stats = world.stats(server);
    assert_eq!((stats.logins(), stats.data_connections()), (1, 5));
}

#[test]
fn sessions_of_one_download_are_opened_side_by_side() {
    let download = scenario(Behaviour::default()).connections(4).fetch();
    let connected = download.events().filter(|(.., event)| matches!(event, Event::Connected));
    assert_eq!(connected.map(|(at, ..)| round_trips(*at)).collect::<Vec<_>>(), [1; 4]);
    // The size comes with the first burst, at 3; the others ask for their ranges then.
    assert_eq!(download.first_bytes().map(round_trips).collect::<Vec<_>>(), [5, 6, 6, 6]);
    assert_eq!(download.logins(), 4);
}
