//! A reply that has come is in time, however late its reader looks. In a test binary of its own: it takes thousands of
//! descriptors.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ftp_proto::{Command, Event, Report, Request, RequestId, SessionId, Sink, Transport as _};
use ftp_transport_mio::MioTransport;
use pftp_tests::command::until;
use pftp_tests::loopback::Server;
use pftp_tests::model::{Model, Tree};
use pftp_tests::patience::patient;

/// More than the system tells of in one call.
const SESSIONS: u64 = 2500;

/// How many log in at a time: a server's queue of connections is short.
const DIALLING: u64 = 50;

/// The time limit of a reply.
const LIMIT: Duration = Duration::from_secs(5);

struct Nothing;

impl Sink for Nothing {
    type Error = Infallible;

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn replies_to_thousands_that_all_came_before_anyone_looked() {
    let server = Server::start_apart(Model::new(Tree::new())).expect("a free port");
    let mut config = patient();
    config.timeouts.reply = LIMIT;
    let config = Arc::new(config);
    let mut transport = MioTransport::<Nothing>::new().expect("an event queue");
    let mut opened = 0;
    let mut ready = 0;
    while ready < SESSIONS {
        while opened < SESSIONS.min(ready + DIALLING) {
            transport.open(SessionId(opened), server.addr().into(), Arc::clone(&config));
            opened += 1;
        }
        match transport.wait(None) {
            Some(Report::Event(_, Event::Ready(_))) => ready += 1,
            Some(Report::Event(id, Event::Closed(error))) => panic!("{id:?}: {error}"),
            _ => {}
        }
    }
    for session in 0..SESSIONS {
        transport.request(SessionId(session), RequestId(1), Request::Command(Command::Noop));
    }
    until("all are answered", || server.with_stats(|stats| stats.count("NOOP")) == SESSIONS as usize);
    let over = transport.now() + LIMIT;
    until("the time of all replies is over", || transport.now() > over);
    let mut answered = 0;
    while answered < SESSIONS {
        match transport.wait(None) {
            Some(Report::Event(_, Event::Reply(..))) => answered += 1,
            Some(Report::Event(id, Event::Closed(error))) => panic!("{id:?}: {error}"),
            _ => {}
        }
    }
}
