//! The client's ends of the connections.

use super::{Happening, SimTransport};
use crate::sim::client::ClientData;
use crate::sim::deadlines::Party;
use ftp_proto::{Action, Channel, Event, Instant, LinkOutput, Report, SessionId, Transport};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

impl SimTransport {
    /// Carries out what a link wants, until it wants nothing more.
    pub(super) fn settle_client(&mut self, id: SessionId) {
        while self.carry_out(id) {}
        let due = self.clients.get(&id).and_then(|client| client.link.poll_timeout());
        self.deadlines.set(Party::Client(id), due.map(|due| due.0));
    }

    /// Carries out one thing that a link wants. Returns whether there was one.
    fn carry_out(&mut self, id: SessionId) -> bool {
        let now = Instant(self.now);
        let latency = self.latency(id);
        let Some(client) = self.clients.get_mut(&id) else { return false };
        if let Some(output) = client.link.poll_output() {
            self.client_output(id, output);
            return true;
        }
        let bytes = client.link.poll_transmit(Channel::Control).to_vec();
        if client.connected && !bytes.is_empty() {
            client.link.handle_transmitted(Channel::Control, bytes.len(), now);
            self.plan(latency, Happening::ToServer(id, bytes));
            return true;
        }
        let serial = client.data.as_ref().map(|data| data.serial).unwrap_or_default();
        match client.read(now) {
            // The client closes its side when the server has closed its own.
            Some(0) => self.plan(latency, Happening::DataClosed(id, serial)),
            Some(len) => self.plan(latency, Happening::Read(id, serial, len)),
            None => return false,
        }
        true
    }

    fn client_output(&mut self, id: SessionId, output: LinkOutput<Infallible>) {
        let latency = self.latency(id);
        match output {
            LinkOutput::Action(Action::Connect(peer)) => self.dial_data(id, peer),
            LinkOutput::Action(Action::Close(channel)) => self.close(id, channel, latency),
            LinkOutput::Action(_) => {}
            LinkOutput::Written(request, range) => {
                self.reports.push_back(Report::Written(id, request, range));
            }
            LinkOutput::Overlap(request, offset, bytes) => {
                self.reports.push_back(Report::Overlap(id, request, offset, bytes));
            }
            LinkOutput::Content(request, bytes) => {
                self.reports.push_back(Report::Content(id, request, bytes));
            }
            LinkOutput::SinkFailed(_, error) => match error {},
            LinkOutput::Event(event) => {
                if matches!(event, Event::Closed(_)) {
                    let client = self.clients.remove(&id);
                    if let Some(after) = client.and_then(|mut client| client.link.poll_output()) {
                        self.recording().violation(format!("{id:?} says {after:?} after its end"));
                    }
                }
                self.events.push((self.now(), id, event.clone()));
                self.reports.push_back(Report::Event(id, event));
            }
            other => self.recording().violation(format!("{id:?} says {other:?}")),
        }
    }

    fn close(&mut self, id: SessionId, channel: Channel, latency: Duration) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match channel {
            Channel::Data => {
                if let Some(data) = client.data.take() {
                    self.plan(latency, Happening::DataClosed(id, data.serial));
                }
            }
            Channel::Control => {
                let rest = client.link.poll_transmit(Channel::Control).to_vec();
                if std::mem::take(&mut client.connected) && !rest.is_empty() {
                    self.plan(latency, Happening::ToServer(id, rest));
                }
                self.plan(latency, Happening::ClientGone(id));
            }
        }
    }

    /// A connection is up for the client after a round trip, and accepted half a round trip later.
    fn dial_data(&mut self, id: SessionId, peer: SocketAddr) {
        let latency = self.latency(id);
        self.serial += 1;
        let serial = self.serial;
        let Some(client) = self.clients.get_mut(&id) else { return };
        let earlier = client.data.replace(ClientData::dialling(serial));
        let listens = self.servers[client.server].ports.remove(&peer.port()).is_some();
        if earlier.is_some() {
            self.recording().violation(format!("{id:?} has two data connections"));
        }
        if listens {
            self.plan(latency, Happening::DataDialled(id, serial));
        } else {
            self.plan(latency * 2, Happening::DataRefused(id, serial));
        }
    }
}
