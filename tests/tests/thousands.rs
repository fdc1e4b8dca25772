//! Thousands of sessions in one loop. A test binary of its own keeps other tests from starting threads
//! meanwhile.

use std::convert::Infallible;
use std::fs;
use std::sync::{Arc, Mutex};

use ftp_proto::{Arg, Event, Finish, Report, RequestId, Retrieve, SessionId, Sink, Transport as _, Until};
use ftp_transport_mio::MioTransport;
use pftp_tests::loopback::Server;
use pftp_tests::model::{File, Model, Tree};
use pftp_tests::patience::patient;

const SESSIONS: usize = 2000;

/// Sessions that log in at the same time: a server's queue of connections is short.
const DIALLING: usize = 100;

/// The size of the largest file, in bytes.
const LARGEST: usize = 20_000;

/// Takes one file, and panics at the first wrong byte.
struct Checked {
    wanted: Vec<u8>,
    /// How many bytes have come.
    at: Mutex<usize>,
}

impl Sink for Checked {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let mut at = self.at.lock().expect("no writer panicked");
        assert_eq!(offset, *at as u64, "a transfer writes from the first byte to the last");
        let end = *at + bytes.len();
        assert!(self.wanted.get(*at..end) == Some(bytes), "bytes {offset} to {end} are those of the file");
        *at = end;
        Ok(())
    }
}

/// Returns files that have no page in common.
fn files() -> Vec<Vec<u8>> {
    let all = File::generated(9, (SESSIONS * LARGEST) as u64).read(0..u64::MAX);
    all.chunks(LARGEST).enumerate().map(|(number, chunk)| chunk[..LARGEST - number % 1000].to_vec()).collect()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("a list of threads").count()
}

/// Waits for such an event of any session.
fn await_event(transport: &mut MioTransport<Checked>, awaited: impl Fn(&Event) -> bool) {
    loop {
        match transport.wait(None) {
            Some(Report::Event(_, event)) if awaited(&event) => return,
            Some(Report::Event(id, Event::Closed(error))) => panic!("{id:?}: {error}"),
            _ => {}
        }
    }
}

#[test]
fn two_thousand_sessions_fetch_a_file_each_in_one_thread() {
    let files = files();
    let tree = |tree: Tree, (number, bytes): (usize, &Vec<u8>)| {
        tree.with(format!("{number}"), File::bytes(bytes.clone()))
    };
    let server = Server::start_apart(Model::new(files.iter().enumerate().fold(Tree::new(), tree)));
    let server = server.expect("a free port");
    let sink = |wanted| Arc::new(Checked { wanted, at: Mutex::new(0) });
    let sinks: Vec<Arc<Checked>> = files.into_iter().map(sink).collect();
    let mut transport = MioTransport::new().expect("an event queue");
    let config = Arc::new(patient());
    let before = threads();

    let mut opened = 0;
    for ready in 0..SESSIONS {
        while opened < SESSIONS.min(ready + DIALLING) {
            transport.open(SessionId(opened as u64), server.addr().into(), Arc::clone(&config));
            opened += 1;
        }
        await_event(&mut transport, |event| matches!(event, Event::Ready(_)));
    }
    assert_eq!(server.with_stats(|stats| stats.open_sessions()), SESSIONS);
    for (number, sink) in sinks.iter().enumerate() {
        let path = Arg::new(number.to_string()).expect("an argument");
        let whole = Retrieve::new(path, 0, Until::Size(sink.wanted.len() as u64));
        transport.retrieve(SessionId(number as u64), RequestId(1), whole, Arc::clone(sink));
    }
    for _ in 0..SESSIONS {
        assert_eq!(threads(), before);
        await_event(&mut transport, |event| matches!(event, Event::Finished(_, Finish::Whole { .. })));
    }

    for sink in &sinks {
        assert_eq!(*sink.at.lock().expect("no writer panicked"), sink.wanted.len());
    }
    assert_eq!(server.with_stats(|stats| (stats.open_sessions(), stats.logins())), (SESSIONS, 2000));
}
