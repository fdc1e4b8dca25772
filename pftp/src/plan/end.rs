//! That the file ends where it is said to: some transfer has to have run into its end and been ended there by the server.
//!
//! A server that has more than it says shows that to nobody who takes only so much. The transfer of the last part shows
//! it, unless its session is lost at the last byte; or another transfer brought that part before it could be told not to,
//! or an earlier run did. Then a session that has nothing else to do asks for nothing but what lies behind the end, with
//! the usual few KiB before it.

use super::connection::Connection;
use super::mirror::{Mirror, Verdict};
use super::{MirrorFault, Notice, Planner};
use ftp_proto::{RepresentationType, SessionId, Until};

/// How many attempts in a row may fail where every byte is here and only the end is to be seen, or a checksum to be asked
/// for, whatever the user has said of others.
const ATTEMPTS: u32 = 2;

impl Planner {
    /// Whether everything is here up to the end, of which nobody has seen that it is one, or is about to.
    pub(super) fn wants_end(&self) -> bool {
        let Some(size) = self.size.filter(|_| !self.end_proven) else { return false };
        self.done.contains(&(size.saturating_sub(1)..size))
            && !self.connections.values().any(|it| self.will_end(it))
    }

    /// Whether the session's transfer goes on to where the server ends it.
    fn will_end(&self, connection: &Connection) -> bool {
        let ends = |until: Until| !matches!(until, Until::Offset(_));
        let segment = connection.segment.as_ref();
        self.may_go_on(connection)
            && segment.is_some_and(|segment| ends(segment.until) && !segment.letting_go)
    }

    /// Whether the session can show the end by nothing less than the whole file.
    pub(super) fn fetches_for_end(&self, connection: &Connection) -> bool {
        !self.end_proven && self.mirrors.get(connection.mirror).is_some_and(|mirror| !mirror.restarts)
    }

    /// Has the session prove the end.
    pub(super) fn ask_for_end(&mut self, id: SessionId) {
        if let Some(size) = self.size {
            self.retrieve(id, size, Until::Size(size));
        }
    }

    /// The mirror has ended a transfer there.
    pub(super) fn ended_at(&mut self, mirror: usize, at: u64) {
        // Where another file ends says nothing of this one.
        let counts = |known: &Mirror| known.is_alive() && known.verdict != Verdict::Differs;
        self.end_proven |= self.size == Some(at) && self.mirrors.get(mirror).is_some_and(counts);
    }

    /// How many attempts in a row may fail before a mirror is given up.
    pub(super) fn attempts(&self) -> u32 {
        let is_here = self.lacks_only_end() || self.mirror_to_call().is_some();
        if is_here { ATTEMPTS } else { self.settings.retries }
    }

    /// Whether all bytes have come that the file is said to have, and only its end is to be seen. That there are none is
    /// for its end to show.
    fn lacks_only_end(&self) -> bool {
        let whole = |size: u64| size > 0 && self.done.contains(&(0..size));
        self.size.is_some_and(whole) && !self.end_proven && self.is_compared()
    }

    /// With no mirror left that could show the end: whether what there is may be taken for the file. Nobody has seen anything
    /// that speaks against it.
    pub(super) fn does_without_end(&self) -> bool {
        let lied = |mirror: &Mirror| mirror.fault.as_ref().is_some_and(MirrorFault::is_contradiction);
        self.lacks_only_end() && !self.mirrors.iter().any(lied)
    }

    /// The user is told of that.
    pub(super) fn warn_of_unseen_end(&mut self) {
        self.notify(Notice::EndNotSeen(self.failures()));
    }

    /// In ASCII nobody but a transfer says how long the file is, and nothing can be fetched but all of it: what was taken
    /// back takes the size with it.
    pub(super) fn forget_end_in_ascii(&mut self) {
        let Some(size) = self.size.filter(|_| self.settings.representation == RepresentationType::Ascii)
        else {
            return;
        };
        if !self.done.contains(&(0..size)) {
            (self.size, self.end_proven) = (None, false);
            self.todo.clear();
        }
    }
}
