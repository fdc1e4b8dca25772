//! Size and modification time of a file (RFC 3659 §3, §4, §7).

use super::Session;
use super::pipeline::Purpose;
use crate::arg::Arg;
use crate::command::{Command, RepresentationType, Verb};
use crate::error::{PeerFault, SessionError};
use crate::event::Event;
use crate::meaning::{self, Facts};
use crate::reply::Reply;
use crate::request::RequestId;

/// A [`Request::Facts`](crate::Request::Facts) under way.
#[derive(Debug)]
pub(super) struct Inquiry {
    id: RequestId,
    path: Arg,
    facts: Facts,
    /// Number of its commands that are unanswered.
    open: u8,
    /// Whether the server does not know SIZE, so that MLST may know more.
    without_size: bool,
}

impl Session {
    /// Queues SIZE and MDTM. In ASCII a transfer has another size than the stored file, so SIZE is not sent.
    pub(super) fn start_inquiry(&mut self, id: RequestId, path: Arg) {
        let mut open = 1;
        if self.config.representation == RepresentationType::Image {
            self.pipeline.push(Command::Size(path.clone()), Purpose::Facts(id));
            open = 2;
        }
        self.pipeline.push(Command::Mdtm(path.clone()), Purpose::Facts(id));
        self.inquiries.push_back(Inquiry { id, path, facts: Facts::default(), open, without_size: false });
    }

    /// The final reply to SIZE, MDTM or MLST.
    pub(super) fn on_facts(&mut self, id: RequestId, verb: Verb, reply: &Reply) {
        let limit = self.config.limits.mlst_lines;
        if verb == Verb::Mlst && reply.raw_lines().nth(limit).is_some() {
            return self.fail(SessionError::Peer(PeerFault::TooManyLines { verb, limit }));
        }
        let Some(at) = self.inquiries.iter().position(|inquiry| inquiry.id == id) else { return };
        let Some(inquiry) = self.inquiries.get_mut(at) else { return };
        inquiry.open = inquiry.open.saturating_sub(1);
        match verb {
            Verb::Size => {
                inquiry.facts.size = meaning::size(reply);
                inquiry.without_size = matches!(reply.code().get(), 500 | 502 | 504);
            }
            Verb::Mdtm => inquiry.facts.modify = meaning::mdtm(reply),
            _ => {
                let listed = meaning::mlst(reply).map(|entry| entry.facts).unwrap_or_default();
                let known = core::mem::replace(&mut inquiry.facts, listed);
                inquiry.facts.modify = known.modify.or(inquiry.facts.modify);
            }
        }
        if inquiry.open > 0 {
            return;
        }
        if core::mem::take(&mut inquiry.without_size) {
            inquiry.open = 1;
            let path = inquiry.path.clone();
            self.pipeline.push_next(Command::Mlst(path), Purpose::Facts(id));
        } else if let Some(inquiry) = self.inquiries.remove(at) {
            self.event(Event::Facts(inquiry.id, inquiry.facts));
        }
    }
}
