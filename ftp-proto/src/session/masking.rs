//! Masks secrets that a server repeats, so that they reach no log and no message.

use super::Session;
use crate::arg::Secret;
use crate::error::{PeerFault, SessionError};
use crate::event::{Event, Finish};
use crate::parser::ReplyError;
use crate::reply::Reply;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Reverse;
use memchr::memmem;

/// Shorter secrets are not masked: they occur by chance, and a mask in place of a common word would tell the secret.
const SHORTEST: usize = 4;

const MASK: &[u8] = b"***";

impl Session {
    /// Replaces each secret that has been sent with `***`.
    pub(super) fn masked(&self, event: Event) -> Event {
        if !self.secret_sent {
            return event;
        }
        match event {
            Event::Reply(id, reply) => Event::Reply(id, self.masked_reply(&reply)),
            Event::Refused(id, verb, reply) => Event::Refused(id, verb, self.masked_reply(&reply)),
            Event::Finished(id, Finish::Short { at, reply }) => {
                Event::Finished(id, Finish::Short { at, reply: self.masked_reply(&reply) })
            }
            Event::Closed(error) => Event::Closed(self.masked_error(error)),
            // Received lines are masked as a reply, before it is split: see `masked_reply`.
            Event::Wire(_)
            | Event::Finished(_, Finish::Whole { .. } | Finish::Cut)
            | Event::Connected
            | Event::Ready(_)
            | Event::Facts(..)
            | Event::Prepared(_)
            | Event::Started(_) => event,
        }
    }

    fn masked_error(&self, error: SessionError) -> SessionError {
        let fault = match error {
            SessionError::Peer(fault) => fault,
            SessionError::Refused { verb, reply } => {
                return SessionError::Refused { verb, reply: self.masked_reply(&reply) };
            }
            SessionError::OutOfStep(inner) => {
                return SessionError::OutOfStep(Box::new(self.masked_error(*inner)));
            }
            SessionError::Timeout(_) | SessionError::Connection(..) | SessionError::Quit => return error,
        };
        SessionError::Peer(match fault {
            PeerFault::Unsolicited(reply) => PeerFault::Unsolicited(self.masked_reply(&reply)),
            PeerFault::Unexpected(verb, reply) => PeerFault::Unexpected(verb, self.masked_reply(&reply)),
            PeerFault::Passive(reply) => PeerFault::Passive(self.masked_reply(&reply)),
            PeerFault::Reply(ReplyError::Malformed { line }) => {
                PeerFault::Reply(ReplyError::Malformed { line: self.masked_start(&line) })
            }
            fault => fault,
        })
    }

    /// Replaces each secret that has been sent with `***`.
    pub(super) fn masked_reply(&self, reply: &Reply) -> Reply {
        if !self.secret_sent || self.secrets().all(|secret| memmem::find(reply.raw(), secret).is_none()) {
            return reply.clone();
        }
        let last = reply.raw_lines().count().saturating_sub(1);
        let line = |(at, line)| {
            let masked = self.masked_line(line);
            if at == 0 || at == last { with_code(line, masked) } else { masked }
        };
        let lines: Vec<Vec<u8>> = reply.raw_lines().enumerate().map(line).collect();
        reply.with_lines(lines.join(&b"\r\n"[..]).into())
    }

    fn masked_line(&self, line: &[u8]) -> Vec<u8> {
        self.secrets().fold(line.to_vec(), |line, secret| without(&line, secret))
    }

    /// Masks the start of a line, which may end in the middle of a secret.
    fn masked_start(&self, line: &[u8]) -> Bytes {
        let mut line = self.masked_line(line);
        for secret in self.secrets() {
            let is_cut = |length: &usize| secret.get(..*length).is_some_and(|start| line.ends_with(start));
            if let Some(length) = (SHORTEST..secret.len()).rev().find(is_cut) {
                line.truncate(line.len().saturating_sub(length));
                line.extend_from_slice(MASK);
            }
        }
        line.into()
    }

    /// The secrets, the longer one first: the other may be a part of it.
    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let account = self.config.account.as_ref().map_or(&[][..], Secret::expose);
        let mut secrets = [account, self.config.password.expose()];
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets.into_iter().filter(|secret| secret.len() >= SHORTEST)
    }
}

/// Puts the code of `line` and the character behind it back in front of `masked`, if a mask begins in them. The code
/// decides what the reply means, and tells nothing that the meaning does not.
fn with_code(line: &[u8], masked: Vec<u8>) -> Vec<u8> {
    let head = line.get(..4).unwrap_or(line);
    if masked.starts_with(head) {
        return masked;
    }
    let mask = memmem::find(&masked, MASK).unwrap_or_default();
    [head, masked.get(mask..).unwrap_or_default()].concat()
}

/// Replaces every `secret` in `text` with the mask.
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
