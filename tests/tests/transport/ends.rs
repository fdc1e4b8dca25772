//! How sessions end.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;

pub(crate) fn a_session_that_is_closed_says_so_once_and_takes_nothing_more<T: Subject>() {
    let server = serve(Behaviour::default());
    let mut transport = T::start();
    let id = SessionId(1);
    transport.open(id, server.addr().into(), patient());
    transport.events_until(|event| matches!(event, Event::Ready(_)));
    transport.close(id);
    let events = transport.events_until(|event| matches!(event, Event::Closed(_)));
    assert_eq!(events, [(id, Event::Closed(SessionError::Quit))]);
    transport.retrieve(id, RequestId(1), part(0, SIZE), nowhere());
    transport.set_end(id, RequestId(1), Until::Offset(0));
    transport.close(id);
    let now = transport.now();
    assert!(transport.wait(Some(now)).is_none());
}

pub(crate) fn a_port_where_nobody_listens_is_reported<T: Subject>() {
    let server = serve(Behaviour::default());
    let nobody = server.addr();
    drop(server);
    let mut transport = T::start();
    transport.open(SessionId(1), nobody.into(), patient());
    let events = transport.events_until(|event| matches!(event, Event::Closed(_)));
    assert!(
        matches!(events[..], [(SessionId(1), Event::Closed(SessionError::Connection(..)))]),
        "{events:?}"
    );
}

/// Three sessions in a transfer of which nothing comes; they have to end when this happens to their transport.
fn three_end<T: Subject>(by: impl FnOnce(T)) {
    let server = serve(Behaviour::default().when(Trigger::every("RETR"), Reaction::Hang));
    let mut transport = T::start();
    for session in 0..3 {
        transport.open(SessionId(session), server.addr().into(), patient());
        transport.retrieve(SessionId(session), RequestId(1), part(0, SIZE), nowhere());
    }
    for _ in 0..3 {
        transport.events_until(|event| matches!(event, Event::Ready(_)));
    }
    by(transport);
    until("all are gone", || server.with_stats(|stats| stats.open_sessions() == 0));
    assert_eq!(server.stop().count("QUIT"), 3);
}

pub(crate) fn a_drop_ends_sessions_in_order<T: Subject>() {
    three_end::<T>(drop);
}

pub(crate) fn to_abandon_ends_sessions_too<T: Subject>() {
    three_end::<T>(T::abandon);
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

/// Std only: the single thread of the other transport would itself be in the sink.
#[test]
fn what_is_abandoned_does_not_wait_for_a_sink_in_another_thread() {
    let server = serve(Behaviour::default());
    let (asked, is_asked) = channel();
    let (let_go, go) = channel();
    let stuck = Arc::new(Stuck { asked, go: Mutex::new(go) });
    let mut transport = StdTransport::new();
    // If the test fails, `let_go` is dropped before the transport, which waits for the sink.
    let let_go = let_go;
    transport.open(SessionId(1), server.addr().into(), patient());
    transport.retrieve(SessionId(1), RequestId(1), part(0, SIZE), stuck);
    // Lets it begin; it may have come further than that already.
    let _ = transport.wait(Some(transport.now()));
    is_asked.recv_timeout(Duration::from_secs(300)).expect("a write");
    transport.abandon();
    drop(let_go);
}
