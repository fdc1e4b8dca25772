//! The servers' ends of the connections.

use super::{Happening, SimTransport};
use crate::model::{Action as ServerAction, DataChange, Ending, Output as ServerOutput, Tree};
use crate::sim::deadlines::Party;
use crate::sim::pipes::Replies;
use crate::sim::server::{Served, ServedData};
use crate::sim::tcp::Stream;
use ftp_proto::{End, SessionId};
use std::sync::Arc;

impl SimTransport {
    /// Handles a SYN at a data port.
    pub(super) fn data_dialled(&mut self, id: SessionId, serial: u64) {
        let (now, latency) = (self.now, self.latency(id));
        let Some(client) = self.clients.get(&id) else { return };
        let up = self.servers[client.server].reply_arrival(now);
        self.plan_at(up, Happening::DataConnected(id, serial));
        self.plan_at(up + latency, Happening::DataAccepted(id, serial));
    }

    pub(super) fn data_accepted(&mut self, id: SessionId, serial: u64) {
        let Some(server) = self.served.get(&id).map(|served| served.server) else { return };
        let pipes = &self.servers[server].pipes;
        let (window, shows_aborted) = (pipes.window, pipes.shows_aborted);
        let congested = pipes.congestion.is_some();
        let Some(client) = self.clients.get_mut(&id) else { return };
        // The server may never see a data connection that the client has closed in the meantime.
        if client.data(serial).is_none() && !(shows_aborted && client.last_up == serial) {
            return;
        }
        if congested {
            self.streams.insert(serial, Stream::new(id));
        }
        self.with_served(id, |served, now| {
            served.data = Some(ServedData { serial, window, in_flight: 0, finished: false });
            served.session.handle_data(DataChange::Accepted, now);
        });
    }

    pub(super) fn replace(&mut self, server: usize, tree: Tree) {
        let host = &mut self.servers[server].host;
        host.set_tree(tree);
        let tree = Arc::clone(host.tree());
        self.servers[server].seen.replaced = true;
        for served in self.served.values_mut().filter(|served| served.server == server) {
            served.session.set_tree(Arc::clone(&tree));
        }
    }

    /// Sends replies in the pieces that the pipes make of them.
    fn say(&mut self, id: SessionId, bytes: Vec<u8>) {
        let now = self.now;
        let Some(served) = self.served.get_mut(&id) else { return };
        let server = &mut self.servers[served.server];
        let at = server.reply_arrival(now);
        match server.pipes.replies {
            Replies::AsSent => self.plan_at(at, Happening::ToClient(id, bytes)),
            Replies::ByteByByte => {
                for byte in bytes {
                    self.plan_at(at, Happening::ToClient(id, vec![byte]));
                }
            }
            Replies::Glued(delay) => {
                let first = served.held.is_empty();
                served.held.extend(bytes);
                if first {
                    self.plan(delay, Happening::Flush(id));
                }
            }
        }
    }

    pub(super) fn client_gone(&mut self, id: SessionId) {
        self.streams.retain(|_, stream| stream.session != id);
        self.with_served(id, |served, now| served.session.handle_control_closed(now));
        if let Some(served) = self.served.remove(&id) {
            self.servers[served.server].host.closed(served.index);
        }
        self.deadlines.set(Party::Server(id), None);
    }

    pub(super) fn flush(&mut self, id: SessionId) {
        let Some(served) = self.served.get_mut(&id) else { return };
        let bytes = std::mem::take(&mut served.held);
        if !bytes.is_empty() {
            let at = self.servers[served.server].reply_arrival(self.now);
            self.plan_at(at, Happening::ToClient(id, bytes));
        }
    }

    /// Handles a SYN. Earlier SYNs count although their connections are accepted later.
    pub(super) fn dialled(&mut self, id: SessionId, at: usize) {
        let server = &mut self.servers[at];
        let latency = server.path.latency;
        let answered = server.reply_arrival(self.now);
        if server.host.refuses_behind(server.dialling) {
            server.seen.refused += 1;
            return self.plan_at(answered, Happening::ControlRefused(id));
        }
        server.dialling += 1;
        self.plan_at(answered, Happening::ControlConnected(id));
        self.plan_at(answered + latency, Happening::ControlAccepted(id, at));
    }

    pub(super) fn accept(&mut self, id: SessionId, server: usize) {
        let listener = &mut self.servers[server];
        listener.dialling -= 1;
        // A client that has given up in the meantime does not say so again.
        if !self.clients.contains_key(&id) {
            return;
        }
        let (index, session) = listener.host.accept(self.now);
        self.served.insert(id, Served { server, index, session, data: None, held: Vec::new() });
        self.settle_served(id);
    }

    /// Carries out what a server's session wants, until it wants nothing more.
    pub(super) fn settle_served(&mut self, id: SessionId) {
        while self.serve(id) {}
        self.deadlines.set(Party::Server(id), self.served.get(&id).and_then(Served::deadline));
    }

    /// Carries out one thing that a server's session wants. Returns whether there was one.
    fn serve(&mut self, id: SessionId) -> bool {
        let now = self.now;
        let Some(served) = self.served.get_mut(&id) else { return false };
        // Bytes that were sent before an action go before it.
        let bytes = served.session.transmit().to_vec();
        if !bytes.is_empty() {
            served.session.transmitted(bytes.len(), now);
            self.say(id, bytes);
            return true;
        }
        match served.session.poll_output() {
            Some(ServerOutput::Event(event)) => {
                let (server, index) = (served.server, served.index);
                self.servers[server].host.record(index, event);
            }
            Some(ServerOutput::Action(action)) => self.server_action(id, action),
            None => return self.send_payload(id),
        }
        true
    }

    fn server_action(&mut self, id: SessionId, action: ServerAction) {
        let now = self.now;
        let Some(served) = self.served.get_mut(&id) else { return };
        let server = &mut self.servers[served.server];
        match action {
            ServerAction::Listen => {
                let address = server.listen(served.index);
                served.session.handle_data(DataChange::Listening(address), now);
            }
            ServerAction::FinishData => {
                if let Some(data) = served.data.as_mut() {
                    data.finished = true;
                    let (serial, at) = (data.serial, server.arrival(0, now));
                    self.end_data(id, serial, End::Fin, at);
                }
            }
            ServerAction::CloseData(ending) => {
                server.ports.retain(|_, owner| *owner != served.index);
                if let Some(data) = served.data.take().filter(|data| !data.finished) {
                    let end = if ending == Ending::Fin { End::Fin } else { End::Reset };
                    let at = server.arrival(0, now);
                    self.end_data(id, data.serial, end, at);
                }
            }
            ServerAction::CloseControl(ending) => {
                let end = if ending == Ending::Fin { End::Fin } else { End::Reset };
                let at = server.reply_arrival(now);
                self.flush(id);
                self.plan_at(at, Happening::ControlEnded(id, end));
            }
        }
    }
}
