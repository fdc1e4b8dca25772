//! Payload on its way from servers to clients.

use super::{Happening, SimTransport};
use ftp_proto::SessionId;

impl SimTransport {
    /// Sends a portion of payload, if the session has one and the window has room. Sessions that share a path
    /// with a rate take turns.
    pub(super) fn send_payload(&mut self, id: SessionId) -> bool {
        let Some((at, len)) = self.portion(id).filter(|(_, len)| *len > 0) else { return false };
        let server = &mut self.servers[at];
        if server.pipes.congestion.is_some() {
            return self.send_segment(id);
        }
        if server.path.bytes_per_second.is_none() {
            self.send(id, len);
            return true;
        }
        if !server.queue.contains(&id) {
            server.queue.push_back(id);
        }
        self.plan_turn(at);
        false
    }

    /// Sends a portion of the session that has waited longest.
    pub(super) fn take_turn(&mut self, at: usize) {
        if let Some(id) = self.servers[at].take_turn()
            && let Some((_, len)) = self.portion(id).filter(|(_, len)| *len > 0)
        {
            self.send(id, len);
            self.settle_served(id);
        }
        self.plan_turn(at);
    }

    fn plan_turn(&mut self, at: usize) {
        if let Some(time) = self.servers[at].plan_turn(self.now) {
            self.plan_at(time, Happening::Turn(at));
        }
    }

    /// Returns the session's server, and how many bytes the session can send now.
    fn portion(&mut self, id: SessionId) -> Option<(usize, usize)> {
        let served = self.served.get_mut(&id)?;
        Some((served.server, served.room(self.now).min(self.servers[served.server].portion())))
    }

    fn send(&mut self, id: SessionId, len: usize) {
        let now = self.now;
        let Some(served) = self.served.get_mut(&id) else { return };
        let Some(data) = served.data.as_mut() else { return };
        let len = len.min(self.servers[served.server].pipes.portion());
        let mut bytes = vec![0; len];
        let filled = served.session.fill_data(&mut bytes);
        bytes.truncate(filled);
        served.session.data_sent(filled, now);
        data.in_flight += filled;
        let serial = data.serial;
        let at = self.servers[served.server].arrival(filled, now);
        self.plan_at(at, Happening::Payload(id, serial, bytes));
    }
}
