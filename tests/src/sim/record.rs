//! The record of a simulation: a hash that is equal for equal runs, and text on request.

use ftp_proto::{Escaped, Instant, Report, SessionId};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;

/// Everything that happened in a run.
#[derive(Debug, Default)]
pub struct Record {
    hash: Hash,
    text: Option<Vec<String>>,
    /// The server's address of each session.
    pub(super) peers: BTreeMap<SessionId, SocketAddr>,
    /// Events that must not happen in any run, and did.
    pub(super) violations: Vec<String>,
}

impl Record {
    /// Keeps the text from now on.
    pub fn keep_text(&mut self) {
        self.text.get_or_insert_default();
    }

    /// Returns the hash.
    pub const fn hash(&self) -> u64 {
        self.hash.0
    }

    /// Returns the text so far, if it is kept.
    pub fn text(&self) -> &[String] {
        self.text.as_deref().unwrap_or_default()
    }

    pub(super) fn opened(&mut self, now: Instant, id: SessionId, peer: SocketAddr) {
        self.peers.insert(id, peer);
        self.note(now, id, format_args!("open {peer}"));
    }

    pub(super) fn report(&mut self, now: Instant, report: &Report<Infallible>) {
        match report {
            Report::Event(id, event) => self.note(now, *id, format_args!("{event:?}")),
            Report::Written(id, _, range) => self.note(now, *id, format_args!("written {range:?}")),
            Report::Overlap(id, _, offset, bytes) => {
                self.note(now, *id, format_args!("lead of {} at {offset}", bytes.len()));
            }
            Report::Content(id, request, bytes) => {
                self.note(now, *id, format_args!("content of {} for {request:?}", bytes.len()));
            }
            Report::SinkFailed(_, _, error) => match *error {},
            Report::Misuse(id, request, misuse) => {
                self.note(now, *id, format_args!("{request:?} is misuse: {misuse}"));
            }
            other => self.violation(format!("an unknown report: {other:?}")),
        }
    }

    /// Records bytes of a control connection.
    pub(super) fn line(&mut self, now: Instant, id: SessionId, direction: &str, bytes: &[u8]) {
        let line = format!("{:>10.4} {:>3} {direction} {}", now.0.as_secs_f64(), id.0, Escaped(bytes));
        let _ = writeln!(self.hash, "{line}");
        let Some(text) = &mut self.text else { return };
        let begun = format!(" {:>3} {direction} ", id.0);
        match text.last_mut() {
            // Bytes that arrive one by one are recorded as one line.
            Some(last) if bytes.len() == 1 && last.contains(&begun) && !last.ends_with("\\n") => {
                last.push_str(&Escaped(bytes).to_string());
            }
            _ => text.push(line),
        }
    }

    pub(super) fn note(&mut self, now: Instant, id: SessionId, what: fmt::Arguments<'_>) {
        self.add(format_args!("{:>10.4} {:>3} {what}", now.0.as_secs_f64(), id.0));
    }

    /// Records an event of no session.
    pub(super) fn add(&mut self, what: fmt::Arguments<'_>) {
        let _ = writeln!(self.hash, "{what}");
        if let Some(text) = &mut self.text {
            text.push(what.to_string());
        }
    }

    pub(super) fn violation(&mut self, what: String) {
        self.add(format_args!("VIOLATION: {what}"));
        self.violations.push(what);
    }
}

/// The hash FNV-1a.
#[derive(Debug)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
