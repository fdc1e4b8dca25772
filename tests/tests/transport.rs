//! `ftp-transport-std` as a library: sessions, the end of them, and a sink that is stuck.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use ftp_proto::{
    Arg, Config, Error, Event, Finish, Report, Request, RequestId, Retrieve, SessionId, Sink, Transport,
    Until,
};
use ftp_transport_std::StdTransport;
use pftp_tests::loopback::Server;
use pftp_tests::model::{Behaviour, File, Model, Reaction, Tree, Trigger};

const SIZE: u64 = 1_000_000;

fn file() -> File {
    File::generated(5, SIZE)
}

fn serve(behaviour: Behaviour) -> Server {
    let model = Model::new(Tree::new().with("file", file())).with_behaviour(behaviour);
    Server::start(model).expect("a loopback port is free")
}

fn part(offset: u64, end: u64) -> Request {
    let until = if end == SIZE { Until::Size(end) } else { Until::Offset(end) };
    Request::Retrieve(Retrieve { path: Arg::new("file").expect("an argument"), offset, until })
}

#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl Sink for Memory {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let offset = usize::try_from(offset).expect("a small file");
        let mut memory = self.0.lock().expect("no writer panicked");
        let len = memory.len().max(offset + bytes.len());
        memory.resize(len, 0);
        memory[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// The events of all sessions up to the one that is awaited.
fn until<S: Sink + ?Sized + 'static>(
    transport: &mut StdTransport<S>,
    awaited: impl Fn(&Event) -> bool,
) -> Vec<(SessionId, Event)>
where
    S::Error: Send,
{
    let mut events = Vec::new();
    while events.last().is_none_or(|(_, event)| !awaited(event)) {
        if let Some(Report::Event(id, event)) = transport.wait(None) {
            events.push((id, event));
        }
    }
    events
}

#[test]
fn sessions_fetch_parts_side_by_side_and_one_after_the_other() {
    let server = serve(Behaviour::default());
    let memory = Arc::new(Memory::default());
    let mut transport = StdTransport::new(memory.clone());
    let config = Arc::new(Config::default());
    for session in 0..4 {
        transport.open(SessionId(session), server.addr(), config.clone());
        for round in 0..2 {
            let start = (session * 2 + round) * SIZE / 8;
            transport.request(SessionId(session), RequestId(round), part(start, start + SIZE / 8));
        }
    }
    let mut finished = 0;
    while finished < 8 {
        let events = until(&mut transport, |event| matches!(event, Event::Finished(..)));
        assert!(!events.iter().any(|(_, event)| matches!(event, Event::Closed(_))), "{events:?}");
        finished += 1;
    }
    assert!(*memory.0.lock().expect("no writer panicked") == file().read(0..SIZE));
    drop(transport);
    let stats = server.stop();
    assert_eq!((stats.logins(), stats.transfers.len()), (4, 8));
}

#[test]
fn a_session_that_is_closed_says_so_once_and_takes_nothing_more() {
    let server = serve(Behaviour::default());
    let mut transport = StdTransport::new(Arc::new(Memory::default()));
    let id = SessionId(1);
    transport.open(id, server.addr(), Arc::new(Config::default()));
    until(&mut transport, |event| matches!(event, Event::Ready(_)));
    transport.close(id);
    let events = until(&mut transport, |event| matches!(event, Event::Closed(_)));
    assert_eq!(events, [(id, Event::Closed(Error::Quit))]);
    transport.request(id, RequestId(1), part(0, SIZE));
    transport.shrink(id, RequestId(1), Until::Offset(0));
    transport.close(id);
    let now = transport.now();
    assert!(transport.wait(Some(now)).is_none());
}

#[test]
fn a_port_where_nobody_listens_is_reported() {
    let server = serve(Behaviour::default());
    let nobody = server.addr();
    drop(server);
    let mut transport = StdTransport::new(Arc::new(Memory::default()));
    transport.open(SessionId(1), nobody, Arc::new(Config::default()));
    let events = until(&mut transport, |event| matches!(event, Event::Closed(_)));
    assert!(matches!(events[..], [(SessionId(1), Event::Closed(Error::Connection(..)))]), "{events:?}");
}

#[test]
fn a_drop_ends_sessions_in_order() {
    let hangs = Behaviour::default().when(Trigger::every("RETR"), Reaction::Hang);
    let server = serve(hangs);
    let mut transport = StdTransport::new(Arc::new(Memory::default()));
    for session in 0..3 {
        transport.open(SessionId(session), server.addr(), Arc::new(Config::default()));
        transport.request(SessionId(session), RequestId(1), part(0, SIZE));
    }
    for _ in 0..3 {
        until(&mut transport, |event| matches!(event, Event::Ready(_)));
    }
    drop(transport);
    pftp_tests::command::until("all are gone", || server.with_stats(|stats| stats.open_sessions() == 0));
    assert_eq!(server.stop().count("QUIT"), 3);
}

#[test]
fn a_waker_wakes_from_another_thread() {
    let mut transport = StdTransport::new(Arc::new(Memory::default()));
    let wake = transport.waker();
    let waking = std::thread::spawn(move || wake());
    assert!(transport.wait(None).is_none());
    waking.join().expect("it woke");
}

/// Takes nothing before it is told to, and says when it is asked.
struct Stuck {
    asked: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Sink for Stuck {
    type Error = Infallible;

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), Infallible> {
        let _ = self.asked.send(());
        // Ends when there is nobody left to let it go.
        let _ = self.go.lock().expect("no writer panicked").recv();
        Ok(())
    }
}

#[test]
fn what_is_abandoned_does_not_wait_for_a_sink() {
    let server = serve(Behaviour::default());
    let (asked, is_asked) = channel();
    let (let_go, go) = channel();
    let mut transport = StdTransport::new(Arc::new(Stuck { asked, go: Mutex::new(go) }));
    transport.open(SessionId(1), server.addr(), Arc::new(Config::default()));
    transport.request(SessionId(1), RequestId(1), part(0, SIZE));
    is_asked.recv().expect("a write");
    transport.abandon();
    drop(let_go);
}

#[test]
fn the_end_of_a_part_can_be_moved() {
    let server = serve(Behaviour { bytes_per_second: Some(1_000_000), ..Behaviour::default() });
    let memory = Arc::new(Memory::default());
    let mut transport = StdTransport::new(memory.clone());
    let id = SessionId(1);
    transport.open(id, server.addr(), Arc::new(Config::default()));
    transport.request(id, RequestId(1), part(0, SIZE));
    until(&mut transport, |event| matches!(event, Event::Started(_)));
    transport.shrink(id, RequestId(1), Until::Offset(200_000));
    let events = until(&mut transport, |event| matches!(event, Event::Finished(..)));
    assert_eq!(events.last(), Some(&(id, Event::Finished(RequestId(1), Finish::Cut))));
    assert!(*memory.0.lock().expect("no writer panicked") == file().read(0..200_000));
    transport.request(id, RequestId(2), part(SIZE - 10, SIZE));
    let events = until(&mut transport, |event| matches!(event, Event::Finished(..)));
    assert_eq!(events.last(), Some(&(id, Event::Finished(RequestId(2), Finish::Whole { at: SIZE }))));
    assert_eq!(server.stop().logins(), 1);
}
