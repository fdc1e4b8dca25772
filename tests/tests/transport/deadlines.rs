//! Deadlines: an event that does not come in time ends its session, and no other one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(50);

/// A session waits for a connect that no server answers, and another session fetches a file meanwhile.
pub(crate) fn a_connect_that_hangs<T: Subject>() {
    let (port, server) = (FullPort::new(), serve(Behaviour::default()));
    let memory = Arc::new(Memory::default());
    let mut transport = T::start();
    let (hangs, gives_up, fetches) = (SessionId(1), SessionId(2), SessionId(3));
    transport.open(hangs, port.address.into(), patient());
    transport.open(fetches, server.addr().into(), patient());
    transport.retrieve(fetches, RequestId(1), part(0, SIZE), memory.clone());
    let events = transport.events_until(|event| matches!(event, Event::Finished(..)));
    assert!(events.iter().all(|(id, _)| *id == fetches), "{events:?}");
    memory.expect(&file().read(0..SIZE));
    transport.open(gives_up, port.address.into(), config(|timeouts| timeouts.connect = SHORT));
    let end = Event::Closed(SessionError::Timeout(Timer::Connect));
    assert_eq!(transport.event(), (gives_up, end));
}

/// Every kind of deadline at once: each session has one that is short.
pub(crate) fn each_deadline_ends_its_session<T: Subject>() {
    let port = FullPort::new();
    let full = format!("229 Extended passive mode (|||{}|)", port.address.port());
    let plain = Behaviour::default;
    let greets_nobody = serve(plain().with_cap(0, WhenFull::Hang));
    let falls_silent = serve(plain().when(Trigger::every("EPSV"), Reaction::Hang));
    let misleads = plain().when(Trigger::every("EPSV"), Reaction::reply(&full));
    let misleads = serve(misleads.when(Trigger::every("RETR"), Reaction::Ignore));
    let stalls = serve(plain().cutting_every(Cut::silent(1000, Interruption::Stall)));
    let completes_nothing = serve(Behaviour { completion: Completion::Never, ..plain() });
    let slow = Some(1_000_000);
    let minds_no_cut = serve(Behaviour { abandoned: Vec::new(), bytes_per_second: slow, ..plain() });
    let cases = [
        (port.address, config(|timeouts| timeouts.connect = SHORT), Timer::Connect),
        (greets_nobody.addr(), config(|timeouts| timeouts.reply = SHORT), Timer::Reply),
        (falls_silent.addr(), config(|timeouts| timeouts.burst = SHORT), Timer::Burst),
        (misleads.addr(), config(|timeouts| timeouts.data_connect = SHORT), Timer::DataConnect),
        (stalls.addr(), config(|timeouts| timeouts.stall = SHORT), Timer::Stall),
        (completes_nothing.addr(), config(|timeouts| timeouts.completion = SHORT), Timer::Completion),
        (minds_no_cut.addr(), config(|timeouts| timeouts.cut = SHORT), Timer::Cut),
    ];
    let mut transport = T::start();
    let mut expected = BTreeMap::new();
    for (number, (peer, config, timer)) in (0..).zip(cases) {
        let id = SessionId(number);
        let end = if timer == Timer::Cut { 100_000 } else { SIZE };
        transport.open(id, peer.into(), config);
        transport.retrieve(id, RequestId(1), part(0, end), nowhere());
        let error = SessionError::Timeout(timer);
        let of_the_burst = timer == Timer::Burst;
        expected.insert(id, if of_the_burst { SessionError::OutOfStep(Box::new(error)) } else { error });
    }
    while !expected.is_empty() {
        if let (id, Event::Closed(error)) = transport.event() {
            assert_eq!(expected.remove(&id), Some(error));
        }
    }
}
