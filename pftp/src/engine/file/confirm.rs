//! Whether the file is still the same when all of it has come.
//!
//! A file may be replaced or rewritten while it is fetched. Overlaps do not show that if old and new bytes agree there; size and
//! time do. So each mirror that delivered bytes is asked once more at the end, unless it has told its facts within the last
//! second and after its last transfer had begun: times of files are rarely finer than a second, and the file that a server has
//! opened is one file. An idle session asks when the end is near, so that nobody waits for the reply. A mirror that has lost all
//! its sessions by then is dialled once more.

use super::File;
use crate::engine::ids::MirrorId;
use crate::engine::pool::path::{Path, Span};
use ftp_proto::Instant;
use std::time::Duration;

/// How long before the end a statement still holds.
pub(in crate::engine) const RECENT: Duration = Duration::from_secs(1);

/// How long a session is awaited that can ask. The only one of its mirror may be stuck in a transfer that another has ended.
const UNASKED: Span = (4, Duration::from_millis(200));

/// How long the reply is awaited.
const UNANSWERED: Span = (6, Duration::from_secs(2));

/// How long a mirror is awaited that is dialled once more.
const DIALLED: Span = (10, Duration::from_secs(3));

/// Round trips that a session takes at most for its question after a transfer: the server notices the cut behind the bytes that
/// it has sent, which may fill a queue as long as the path, and replies.
pub(in crate::engine) const CLOSING: u32 = 3;

impl File {
    /// Notes whether all bytes are here. Returns since when.
    pub(in crate::engine) fn note_complete(&mut self, is_complete: bool, now: Instant) -> Option<Instant> {
        if is_complete {
            Some(*self.complete_since.get_or_insert(now))
        } else {
            self.complete_since = None;
            None
        }
    }

    /// Whether all bytes that are here came, or come, in one transfer.
    pub(in crate::engine) fn is_of_one_transfer(&self) -> bool {
        self.transfers == 1 && !self.has_earlier()
    }

    /// Whether bytes of the mirror count, and its last statement came too long before the file was complete, or before it opened
    /// the file for the last time.
    pub(in crate::engine) fn is_doubtful(&self, mirror: MirrorId, complete: Instant) -> bool {
        let known = &self.replicas[mirror];
        let counts = !known.is_dropped && known.facts.is_some() && !self.ledger.written_by(mirror).is_empty();
        let opened_since =
            |said: Instant| !self.is_of_one_transfer() && known.started_at.is_some_and(|at| said <= at);
        counts && known.told_at.is_none_or(|said| said + RECENT < complete || opened_since(said))
    }

    /// Whether the mirror was asked to confirm and has told nothing since.
    pub(in crate::engine) fn is_confirm_asked(&self, mirror: MirrorId) -> bool {
        self.replicas[mirror].confirm_asked.is_some()
    }

    /// Notes that the mirror was asked to confirm.
    pub(in crate::engine) fn confirm_asked(&mut self, mirror: MirrorId, now: Instant) {
        self.replicas[mirror].confirm_asked = Some(now);
    }

    /// Whether the mirror is to be dialled once more to confirm. Notes that it is.
    pub(in crate::engine) fn dial_to_confirm(
        &mut self,
        mirror: MirrorId,
        complete: Instant,
        now: Instant,
    ) -> bool {
        let wanted = !self.is_of_one_transfer()
            && self.replicas[mirror].dialled_at.is_none()
            && self.is_doubtful(mirror, complete);
        if wanted {
            self.replicas[mirror].dialled_at = Some(now);
        }
        wanted
    }

    /// Until when a confirmation of the mirror is awaited. `ready` tells whether a session can ask, `tried` whether one lives.
    pub(in crate::engine) fn confirmation_due(
        &self,
        mirror: MirrorId,
        path: &Path,
        (ready, tried): (bool, bool),
        now: Instant,
    ) -> Option<Instant> {
        let since = self.complete_since?;
        let known = &self.replicas[mirror];
        let dialled = known.dialled_at.filter(|_| tried);
        let may = self.is_doubtful(mirror, since) && (ready || dialled.is_some());
        let due = match (dialled, known.confirm_asked) {
            (Some(dialled), _) => dialled + path.span(DIALLED),
            (None, Some(asked)) => asked + path.span(UNANSWERED),
            (None, None) => since + path.span(UNASKED),
        };
        (may && due > now).then_some(due)
    }
}
