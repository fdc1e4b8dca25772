//! Helpers of these tests.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

pub(crate) use ftp_proto::{
    Arg, Command, Config, Event, Finish, Misuse, Report, Request, RequestId, Retrieve, SessionError,
    SessionId, Sink, Timeouts, Timer, Transport, Until, Verb,
};
pub(crate) use ftp_transport_mio::MioTransport;
pub(crate) use ftp_transport_std::StdTransport;
pub(crate) use pftp_tests::command::until;
pub(crate) use pftp_tests::loopback::Server;
pub(crate) use pftp_tests::model::{
    Behaviour, Completion, Cut, Ending, File, Interruption, Model, Reaction, Tree, Trigger, WhenFull,
};

/// Any sink that cannot fail.
pub(crate) type AnySink = dyn Sink<Error = Infallible>;

pub(crate) type Std = StdTransport<AnySink>;
pub(crate) type Mio = MioTransport<AnySink>;

/// A transport under test.
pub(crate) trait Subject: Transport<Sink = AnySink> {
    /// A transport without sessions.
    fn start() -> Self
    where
        Self: Sized;

    /// The next report that is an event.
    fn event(&mut self) -> (SessionId, Event) {
        loop {
            if let Some(Report::Event(id, event)) = self.wait(None) {
                return (id, event);
            }
        }
    }

    /// The events of all sessions up to the one that is awaited.
    fn events_until(&mut self, awaited: impl Fn(&Event) -> bool) -> Vec<(SessionId, Event)> {
        let mut events = Vec::new();
        while events.last().is_none_or(|(_, event)| !awaited(event)) {
            events.push(self.event());
        }
        events
    }

    /// How a session ends.
    fn end_of(&mut self, wanted: SessionId) -> SessionError {
        loop {
            if let (id, Event::Closed(error)) = self.event()
                && id == wanted
            {
                return error;
            }
        }
    }
}

impl Subject for Std {
    fn start() -> Self {
        Self::new()
    }
}

impl Subject for Mio {
    fn start() -> Self {
        Self::new().expect("an event queue")
    }
}

/// Bytes of the file that servers have.
pub(crate) const SIZE: u64 = 1_000_000;

pub(crate) fn file() -> File {
    File::generated(5, SIZE)
}

/// A server of that file.
pub(crate) fn serve(behaviour: Behaviour) -> Server {
    let model = Model::new(Tree::new().with("file", file())).with_behaviour(behaviour);
    Server::start(model).expect("a loopback port is free")
}

/// The part of the file from one offset to another.
pub(crate) fn part(offset: u64, end: u64) -> Retrieve {
    let until = if end == SIZE { Until::Size(end) } else { Until::Offset(end) };
    Retrieve::new(Arg::new("file").expect("an argument"), offset, until)
}

/// Timeouts that no machine is too busy for, but for one.
pub(crate) fn config(set: impl FnOnce(&mut Timeouts)) -> Arc<Config> {
    let mut config = pftp_tests::patience::patient();
    set(&mut config.timeouts);
    Arc::new(config)
}

/// Timeouts that no machine is too busy for.
pub(crate) fn patient() -> Arc<Config> {
    config(|_| ())
}

/// A sink whose bytes no test looks at.
pub(crate) fn nowhere() -> Arc<AnySink> {
    Arc::new(Memory::default())
}

/// A sink that keeps all.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Vec<u8>>);

impl Memory {
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[u8]) {
        let memory = self.0.lock().expect("no writer panicked");
        assert_eq!(memory.len(), expected.len());
        assert!(*memory == expected, "the bytes are those of the file");
    }
}

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

/// A port that takes no connection any more and refuses none: its queue is full, and nobody accepts.
pub(crate) struct FullPort {
    pub(crate) address: SocketAddr,
    _listener: OwnedFd,
    _queued: TcpStream,
}

impl FullPort {
    pub(crate) fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        // The system lets one connection in beyond the number given.
        listen(&listener, 0).expect("a socket that can listen");
        let address = getsockname(&listener).expect("an address").try_into().expect("an IPv4 address");
        let queued = TcpStream::connect(address).expect("room for one");
        Self { address, _listener: listener, _queued: queued }
    }
}
