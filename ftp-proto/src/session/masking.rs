//! Secrets that a server repeats: they reach no log and no message.

use super::Session;
use crate::arg::Secret;
use crate::error::{Error, PeerFault};
use crate::event::{Event, Finish, Line};
use crate::parser::ReplyError;
use crate::reply::Reply;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;
use memchr::memmem;

/// Secrets of fewer bytes stay: they are found where nobody repeats them, and a mask in the place of a common word
/// tells what the secret is.
const SHORTEST: usize = 4;

const MASK: &[u8] = b"***";

impl Session {
    /// The event with `***` for each secret that has been sent.
    pub(super) fn masked(&self, event: Event) -> Event {
        if !self.secret_told {
            return event;
        }
        match event {
            Event::Wire(Line::Received(line)) => Event::Wire(Line::Received(self.masked_line(&line))),
            Event::Reply(id, reply) => Event::Reply(id, self.masked_reply(&reply)),
            Event::Refused(id, verb, reply) => Event::Refused(id, verb, self.masked_reply(&reply)),
            Event::Finished(id, Finish::Short { at, reply }) => {
                Event::Finished(id, Finish::Short { at, reply: self.masked_reply(&reply) })
            }
            Event::Closed(error) => Event::Closed(self.masked_error(error)),
            Event::Wire(Line::Sent(_))
            | Event::Finished(_, Finish::Whole { .. } | Finish::Cut)
            | Event::Connected
            | Event::Ready(_)
            | Event::Facts(..)
            | Event::Started(_) => event,
        }
    }

    fn masked_error(&self, error: Error) -> Error {
        let fault = match error {
            Error::Peer(fault) => fault,
            Error::Refused { verb, reply } => {
                return Error::Refused { verb, reply: self.masked_reply(&reply) };
            }
            Error::OutOfStep(inner) => return Error::OutOfStep(Box::new(self.masked_error(*inner))),
            Error::Timeout(_) | Error::Connection(..) | Error::Quit => return error,
        };
        Error::Peer(match fault {
            PeerFault::Unsolicited(reply) => PeerFault::Unsolicited(self.masked_reply(&reply)),
            PeerFault::Unexpected(verb, reply) => PeerFault::Unexpected(verb, self.masked_reply(&reply)),
            PeerFault::Passive(reply) => PeerFault::Passive(self.masked_reply(&reply)),
            PeerFault::Reply(ReplyError::Malformed { line }) => {
                PeerFault::Reply(ReplyError::Malformed { line: self.masked_start(&line) })
            }
            fault => fault,
        })
    }

    fn masked_reply(&self, reply: &Reply) -> Reply {
        let mut secrets = self.secrets();
        if secrets.all(|secret| memmem::find(reply.raw(), secret).is_none()) {
            return reply.clone();
        }
        let lines: Vec<Bytes> = reply.raw_lines().map(|line| self.masked_line(line)).collect();
        reply.with_lines(lines.join(&b"\r\n"[..]).into())
    }

    /// A line of a reply: what may be a code, at its start, stays.
    fn masked_line(&self, line: &[u8]) -> Bytes {
        let code = line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
        let (code, text) = line.split_at(if code { line.len().min(4) } else { 0 });
        let text = self.secrets().fold(text.to_vec(), |text, secret| without(&text, secret));
        [code, &text].concat().into()
    }

    /// The start of a line that may have been cut off in the middle of a secret.
    fn masked_start(&self, line: &[u8]) -> Bytes {
        let mut line = self.masked_line(line).to_vec();
        for secret in self.secrets() {
            let is_cut = |length: &usize| secret.get(..*length).is_some_and(|start| line.ends_with(start));
            if let Some(length) = (SHORTEST..secret.len()).rev().find(is_cut) {
                line.truncate(line.len().saturating_sub(length));
                line.extend_from_slice(MASK);
            }
        }
        line.into()
    }

    /// What is not to be repeated. The longer one first: the other may be a part of it.
    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let account = self.config.account.as_ref().map_or(&[][..], Secret::expose);
        let mut secrets = [account, self.config.password.expose()];
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets.into_iter().filter(|secret| secret.len() >= SHORTEST)
    }
}

/// `text` with the mask for every `secret`.
fn without(text: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut from = 0;
    for at in memmem::find_iter(text, secret) {
        shown.extend_from_slice(text.get(from..at).unwrap_or_default());
        shown.extend_from_slice(MASK);
        from = at.saturating_add(secret.len());
    }
    shown.extend_from_slice(text.get(from..).unwrap_or_default());
    shown
}
