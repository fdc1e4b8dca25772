//! Urgent data (RFC 793): a read ends before them, and what follows is there all the same.

use std::sync::Arc;

use pftp_tests::raw::Raw;
use rustix::net::{SendFlags, send};

use crate::support::*;

const FROM: u64 = 1000;
const TO: u64 = 101_000;

pub(crate) fn urgent_data_are_a_part_of_the_file<T: Subject>() {
    let server = Raw::start(file().read(0..SIZE), |_, peer| {
        let mut data = None;
        peer.serve(|peer, command| {
            match command.split_once(' ') {
                Some(("REST", _)) => {
                    let stream = peer.data()?;
                    // An urgent byte in the middle and one at the end. All of it is there before any of it may be read, and
                    // nothing follows it, not even the end.
                    for piece in file().read(FROM..TO).chunks(50_000) {
                        send(&stream, piece, SendFlags::OOB)?;
                    }
                    data = Some(stream);
                    peer.say("350 There.\r\n")?;
                }
                Some(("RETR", _)) => peer.say("150 Here it comes.\r\n")?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    })
    .expect("a free port");
    let sink = Arc::new(Memory::default());
    let mut transport = T::start();
    let id = SessionId(1);
    transport.open(id, server.addr().into(), patient());
    transport.retrieve(id, RequestId(1), part(FROM, TO), sink.clone());
    let events = transport.events_until(|event| matches!(event, Event::Finished(..) | Event::Closed(_)));
    assert_eq!(events.last(), Some(&(id, Event::Finished(RequestId(1), Finish::Cut))));
    let mut expected = vec![0; FROM as usize];
    expected.extend(file().read(FROM..TO));
    sink.expect(&expected);
}
