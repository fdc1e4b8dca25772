//! Sessions that go well.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::*;

pub(crate) fn parts_side_by_side_and_one_after_the_other<T: Subject>() {
    let server = serve(Behaviour::default());
    let memory = Arc::new(Memory::default());
    let mut transport = T::start();
    let config = patient();
    for session in 0..4 {
        transport.open(SessionId(session), server.addr().into(), config.clone());
        for round in 0..2 {
            let start = (session * 2 + round) * SIZE / 8;
            transport.retrieve(
                SessionId(session),
                RequestId(round),
                part(start, start + SIZE / 8),
                memory.clone(),
            );
        }
    }
    let mut finished = 0;
    while finished < 8 {
        let events = transport.events_until(|event| matches!(event, Event::Finished(..)));
        assert!(!events.iter().any(|(_, event)| matches!(event, Event::Closed(_))), "{events:?}");
        finished += 1;
    }
    memory.expect(&file().read(0..SIZE));
    drop(transport);
    let stats = server.stop();
    assert_eq!((stats.logins(), stats.transfers.len()), (4, 8));
}

pub(crate) fn sinks_of_their_own<T: Subject>() {
    let files: Vec<File> = (0..4).map(|seed| File::generated(seed, 100_000 + seed)).collect();
    let serve = |file: &File| Server::start(Model::new(Tree::new().with("file", file.clone())));
    let servers: Vec<Server> = files.iter().map(|file| serve(file).expect("a port is free")).collect();
    let sinks = [(); 4].map(|()| Arc::new(Memory::default()));
    let mut transport = T::start();
    for (number, (server, sink)) in (0..).zip(servers.iter().zip(&sinks)) {
        transport.open(SessionId(number), server.addr().into(), patient());
        let whole = Retrieve::new(Arg::new("file").expect("an argument"), 0, Until::Eof);
        transport.retrieve(SessionId(number), RequestId(1), whole, sink.clone());
    }
    for _ in &servers {
        transport.events_until(|event| matches!(event, Event::Finished(_, Finish::Whole { .. })));
    }
    for (file, sink) in files.iter().zip(&sinks) {
        sink.expect(&file.read(0..u64::MAX));
    }
}

pub(crate) fn the_end_of_a_part_can_be_moved<T: Subject>() {
    let server = serve(Behaviour { bytes_per_second: Some(1_000_000), ..Behaviour::default() });
    server.hold();
    let memory = Arc::new(Memory::default());
    let mut transport = T::start();
    let id = SessionId(1);
    transport.open(id, server.addr().into(), patient());
    transport.retrieve(id, RequestId(1), part(0, SIZE), memory.clone());
    transport.events_until(|event| matches!(event, Event::Started(_)));
    transport.set_end(id, RequestId(1), Until::Offset(200_000));
    server.let_go();
    let events = transport.events_until(|event| matches!(event, Event::Finished(..)));
    assert_eq!(events.last(), Some(&(id, Event::Finished(RequestId(1), Finish::Cut))));
    memory.expect(&file().read(0..200_000));
    transport.retrieve(id, RequestId(2), part(SIZE - 10, SIZE), memory.clone());
    let events = transport.events_until(|event| matches!(event, Event::Finished(..)));
    assert_eq!(events.last(), Some(&(id, Event::Finished(RequestId(2), Finish::Whole { at: SIZE }))));
    assert_eq!(server.stop().logins(), 1);
}

pub(crate) fn ipv6<T: Subject>() {
    let model = Model::new(Tree::new().with("file", file()));
    // A machine may be without IPv6.
    let Ok(server) = Server::start_at((Ipv6Addr::LOCALHOST, 0), model) else { return };
    let memory = Arc::new(Memory::default());
    let mut transport = T::start();
    transport.open(SessionId(1), server.addr().into(), patient());
    transport.retrieve(SessionId(1), RequestId(1), part(0, SIZE), memory.clone());
    transport.events_until(|event| matches!(event, Event::Finished(_, Finish::Whole { at: SIZE })));
    memory.expect(&file().read(0..SIZE));
}

pub(crate) fn a_waker_wakes_from_another_thread<T: Subject>() {
    let mut transport = T::start();
    let wake = transport.waker();
    let waking = std::thread::spawn(move || wake());
    assert!(transport.wait(None).is_none());
    waking.join().expect("it woke");
}

pub(crate) fn a_waker_wakes_a_busy_transport<T: Subject>() {
    // At this rate the server is still sending then, however slow the machine is.
    let server = serve(Behaviour { bytes_per_second: Some(5000), ..Behaviour::default() });
    let mut transport = T::start();
    transport.open(SessionId(1), server.addr().into(), patient());
    transport.retrieve(SessionId(1), RequestId(1), part(0, SIZE), nowhere());
    transport.events_until(|event| matches!(event, Event::Started(_)));
    let wake = transport.waker();
    std::thread::spawn(move || wake()).join().expect("it woke");
    while let Some(report) = transport.wait(None) {
        assert!(!matches!(report, Report::Event(_, Event::Finished(..))), "woken first");
    }
}

pub(crate) fn nothing_happens_until_a_time<T: Subject>() {
    let mut transport = T::start();
    for until in [transport.now(), transport.now() + Duration::from_millis(5)] {
        assert!(transport.wait(Some(until)).is_none());
        assert!(transport.now() >= until);
    }
}

pub(crate) fn misuse_is_reported_and_the_session_goes_on<T: Subject>() {
    let server = serve(Behaviour::default());
    let memory = Arc::new(Memory::default());
    let mut transport = T::start();
    let id = SessionId(1);
    transport.open(id, server.addr().into(), patient());
    transport.request(id, RequestId(1), Request::Retrieve(part(0, SIZE)));
    transport.request(id, RequestId(2), Request::Command(Command::Quit));
    transport.retrieve(id, RequestId(3), part(0, SIZE), memory.clone());
    let mut misuses = Vec::new();
    loop {
        match transport.wait(None) {
            Some(Report::Misuse(id, request, misuse)) => misuses.push((id, request, misuse)),
            Some(Report::Event(_, Event::Finished(RequestId(3), finish))) => {
                assert_eq!(finish, Finish::Whole { at: SIZE });
                break;
            }
            Some(Report::Event(_, Event::Closed(error))) => panic!("{error}"),
            _ => {}
        }
    }
    let reserved = Misuse::Reserved(Verb::Quit);
    assert_eq!(misuses, [(id, RequestId(1), Misuse::NoSink), (id, RequestId(2), reserved)]);
    memory.expect(&file().read(0..SIZE));
}
