//! Tables of failures, and reports that no transport makes.

use super::mirror::{Told, reply};
use bytes::Bytes;
use ftp_proto::{
    Cause, Channel, Event, Facts, Features, Finish, PeerFault, Report, RequestId, SessionError, SessionId,
    TimeVal, Timer, Verb,
};

/// Returns one of the ways in which a session may end.
pub(super) fn error(which: u8) -> SessionError {
    match which % 14 {
        0 => SessionError::Connection(Channel::Control, Cause::Reset),
        1 => SessionError::Connection(Channel::Control, Cause::Refused),
        2 => SessionError::Connection(Channel::Control, Cause::Unreachable),
        3 => SessionError::Connection(Channel::Data, Cause::Refused),
        4 => SessionError::Timeout(Timer::Stall),
        5 => SessionError::Timeout(Timer::Connect),
        6 => SessionError::Timeout(Timer::DataConnect),
        7 => SessionError::OutOfStep(Box::new(SessionError::Timeout(Timer::Burst))),
        8 => SessionError::Refused { verb: None, reply: reply("421 too many users") },
        9 => SessionError::Refused { verb: None, reply: reply("421 going down") },
        10 => SessionError::Refused { verb: Some(Verb::Pass), reply: reply("530 too many sessions") },
        11 => SessionError::Refused { verb: Some(Verb::Pass), reply: reply("530 wrong") },
        12 => SessionError::Peer(PeerFault::Unsolicited(reply("200 ok"))),
        _ => SessionError::Peer(PeerFault::TooManyPreliminary),
    }
}

/// Returns one of the ways in which a request may be refused.
pub(super) fn refusal(which: u8) -> (Verb, &'static str) {
    match which % 8 {
        0 => (Verb::Retr, "550 no such file"),
        1 => (Verb::Retr, "450 busy"),
        2 => (Verb::Rest, "502 no"),
        3 => (Verb::Rest, "450 not now"),
        4 => (Verb::Pasv, "425 no port"),
        5 => (Verb::Epsv, "522 no"),
        6 => (Verb::Retr, "425 no connection"),
        _ => (Verb::Retr, "553 no"),
    }
}

/// Returns what the server calls a transfer that ends early.
pub(super) fn early(which: u8) -> &'static str {
    ["426 broken off", "226 done", "451 disk", "550 gone"][usize::from(which % 4)]
}

/// Returns a report of a session that may not exist, about an event that cannot happen.
pub(super) fn report(session: u8, what: u8, one: u16, two: u16) -> Told {
    let id = SessionId(u64::from(session % 16));
    let request = RequestId(u64::from(one % 8));
    let wide =
        |number: u16| if number >= 0xff00 { u64::MAX - u64::from(number & 0xff) } else { u64::from(number) };
    let event = match what % 13 {
        0 => return Report::Written(id, request, wide(one).min(wide(two))..wide(two).max(wide(one))),
        1 => return Report::Written(id, request, 0..u64::MAX),
        2 => return Report::Overlap(id, request, wide(one), Bytes::from(vec![7; usize::from(two % 9)])),
        3 => Event::Connected,
        4 => Event::Ready(Features::default()),
        5 => Event::Reply(request, reply("250 done")),
        6 => Event::Facts(request, Facts { size: Some(wide(two)), ..Facts::default() }),
        7 => {
            let modify = TimeVal::parse(format!("2024061512{:04}", two % 60).as_bytes());
            Event::Facts(request, Facts { modify, ..Facts::default() })
        }
        8 if what % 26 == 21 => Event::Prepared(request),
        8 => Event::Started(request),
        9 => Event::Finished(request, Finish::Whole { at: wide(two) }),
        10 => Event::Finished(request, Finish::Cut),
        11 => {
            let (verb, words) = refusal(two.to_le_bytes()[0]);
            Event::Refused(request, verb, reply(words))
        }
        _ => Event::Closed(error(two.to_le_bytes()[0])),
    };
    Report::Event(id, event)
}
