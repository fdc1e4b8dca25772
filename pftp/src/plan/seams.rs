//! Where bytes of two transfers meet: what both have of the file there must be the same.
//!
//! A server that accepts REST and sends from the start all the same, and a mirror with another file of the same size and
//! time, show themselves nowhere else.

use super::{Directive, Planner, SeamId};
use crate::exit::{Failure, Kind};
use bytes::Bytes;
use ftp_proto::SessionId;
use std::ops::Range;

/// Bytes before its first one that a transfer fetches again.
pub(super) const LEAD: u64 = 4 * 1024;

/// What a mirror has before the first byte of a transfer.
#[derive(Debug)]
pub(super) struct Seam {
    mirror: usize,
    offset: u64,
    bytes: Bytes,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// To be compared with what is there, once it is there.
    New,
    /// It differs; to be compared with the start of the file.
    Differs,
    /// A comparison is under way.
    Asked,
    /// That with the start of the file is.
    AskedOfStart,
}

impl Seam {
    /// The part of the file that it is to be compared with next.
    fn counterpart(&self) -> Option<Range<u64>> {
        let start = match self.state {
            State::New => self.offset,
            State::Differs => 0,
            State::Asked | State::AskedOfStart => return None,
        };
        Some(start..start.saturating_add(self.bytes.len() as u64))
    }
}

impl Planner {
    /// A session has fetched the lead of its transfer.
    pub(super) fn on_lead(&mut self, id: SessionId, offset: u64, bytes: Bytes) {
        let Some(connection) = self.connections.get(&id).filter(|connection| !connection.closing) else {
            return;
        };
        self.last_seam = self.last_seam.saturating_add(1);
        let seam = Seam { mirror: connection.mirror, offset, bytes, state: State::New };
        self.seams.insert(SeamId(self.last_seam), seam);
    }

    /// Has compared what can be.
    pub(super) fn compare_seams(&mut self) {
        for (id, seam) in &mut self.seams {
            let Some(part) = seam.counterpart().filter(|part| self.done.contains(part)) else { continue };
            seam.state = if seam.state == State::New { State::Asked } else { State::AskedOfStart };
            self.directives.push_back(Directive::Compare(*id, part.start, seam.bytes.clone()));
        }
    }

    /// Takes the answer to [`Directive::Compare`].
    pub fn compared(&mut self, id: SeamId, same: bool) {
        let Some(mut seam) = self.seams.remove(&id) else { return };
        match (seam.state, same) {
            (State::Asked, false) => {
                seam.state = State::Differs;
                self.seams.insert(id, seam);
            }
            (State::AskedOfStart, true) => self.unmask_restart(seam.mirror),
            (State::AskedOfStart, false) => self.unmask_contents(&seam),
            (State::New | State::Differs | State::Asked, _) => {}
        }
    }

    fn unmask_restart(&mut self, mirror: usize) {
        let Some(known) = self.mirrors.get(mirror) else { return };
        let server = &known.server;
        let message =
            format!("{server}: sends files from their start whatever REST says; use one connection (-c 1)");
        self.unmask(mirror, Failure::new(Kind::Integrity, message));
    }

    fn unmask_contents(&mut self, seam: &Seam) {
        let part = seam.offset..seam.offset.saturating_add(seam.bytes.len() as u64);
        let mut others = self.mirrors.iter().enumerate().filter(|(at, _)| *at != seam.mirror);
        let other =
            others.find(|(_, other)| other.fetched.contains(&part)).map(|(_, other)| other.server.clone());
        let Some(server) = self.mirrors.get(seam.mirror).map(|known| known.server.clone()) else { return };
        let Some(other) = other else {
            let message = format!("{server}: sent different bytes for the same part of the file");
            return self.unmask(seam.mirror, Failure::new(Kind::Integrity, message));
        };
        let message = format!(
            "{other} and {server} have files with different bytes, and nothing says which is right; name only one of them"
        );
        self.finish(Err(Failure::new(Kind::Integrity, message)));
    }

    /// What the mirror said of the file is worth nothing any more.
    pub(super) fn forget_seams(&mut self, mirror: usize) {
        self.seams.retain(|_, seam| seam.mirror != mirror);
    }
}
