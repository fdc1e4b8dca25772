//! Data connections with congestion control.

use super::{Happening, SimTransport};
use crate::model::DataChange;
use crate::sim::tcp::{Congestion, Packet, SEGMENT, Stream};
use ftp_proto::{End, Instant, SessionId};
use std::time::Duration;

impl SimTransport {
    /// Sends a new segment, if the session has one and the window has room.
    pub(super) fn send_segment(&mut self, id: SessionId) -> bool {
        let Some(served) = self.served.get_mut(&id) else { return false };
        let room = served.room(self.now);
        let Some(data) = served.data.as_mut() else { return false };
        let serial = data.serial;
        let has_room = |stream: &&mut Stream| room > 0 && stream.has_room();
        let Some(stream) = self.streams.get_mut(&serial).filter(has_room) else { return false };
        let mut bytes = vec![0; room.min(SEGMENT)];
        let filled = served.session.fill_data(&mut bytes);
        bytes.truncate(filled);
        served.session.data_sent(filled, self.now);
        data.in_flight += filled;
        let segment = stream.push(bytes);
        self.send_packet(serial, segment);
        self.watch(serial);
        true
    }

    fn send_packet(&mut self, serial: u64, segment: u64) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&serial) else { return };
        // The server does not know yet that its client is gone, so its window fills.
        let client = self.clients.get(&stream.session);
        let at =
            client.and_then(|client| self.servers[client.server].packet_arrival(stream.len(segment), now));
        let packet = stream.send(segment, at.is_some(), now);
        if let Some(at) = at {
            self.plan_at(at, Happening::Arrived(serial, packet));
        }
    }

    /// Sends lost segments before new ones.
    fn send_lost(&mut self, serial: u64) {
        let lost = |stream: &mut Stream| stream.next_lost().filter(|_| stream.has_room());
        while let Some(segment) = self.streams.get_mut(&serial).and_then(lost) {
            self.send_packet(serial, segment);
        }
        self.watch(serial);
    }

    pub(super) fn arrived(&mut self, serial: u64, packet: Packet) {
        let now = Instant(self.now);
        let Some(stream) = self.streams.get_mut(&serial) else { return };
        let (id, bytes, ended) = (stream.session, stream.arrive(packet.segment), stream.has_ended());
        self.plan_acknowledgement(id, serial, packet);
        if !bytes.is_empty() {
            self.first_payload.entry(id).or_insert(now);
            self.with_client(id, |client| client.arrived(serial, bytes));
        }
        if ended {
            self.plan(Duration::ZERO, Happening::DataEnded(id, serial, End::Fin));
        }
    }

    fn plan_acknowledgement(&mut self, id: SessionId, serial: u64, packet: Packet) {
        let Some(client) = self.clients.get(&id) else { return };
        let server = &mut self.servers[client.server];
        let slept = server.pipes.congestion.as_mut().map_or(Duration::ZERO, Congestion::wakes_up);
        let after = server.path.latency + slept;
        self.plan(after, Happening::Acknowledged(serial, packet));
    }

    pub(super) fn acknowledged(&mut self, serial: u64, packet: Packet) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&serial) else { return };
        let id = stream.session;
        stream.acknowledge(packet, now);
        self.send_lost(serial);
        self.settle_served(id);
    }

    /// Plans what the stream does if no further acknowledgement comes.
    fn watch(&mut self, serial: u64) {
        if let Some((after, sent)) = self.streams.get(&serial).and_then(Stream::silence) {
            self.plan(after, Happening::TimedOut(serial, sent));
        }
    }

    pub(super) fn timed_out(&mut self, serial: u64, sent: u64) {
        let Some(probe) = self.streams.get_mut(&serial).map(|stream| stream.time_out(sent)) else { return };
        if let Some(segment) = probe {
            self.send_packet(serial, segment);
        }
        self.send_lost(serial);
    }

    /// Ends the server's side. The client sees that at this time, or with congestion control after it has
    /// read all bytes.
    pub(super) fn end_data(&mut self, id: SessionId, serial: u64, end: End, at: Duration) {
        match self.streams.get_mut(&serial) {
            Some(stream) if end == End::Fin => {
                stream.finish();
                if !stream.has_ended() {
                    return;
                }
            }
            Some(_) => drop(self.streams.remove(&serial)),
            None => {}
        }
        self.plan_at(at, Happening::DataEnded(id, serial, end));
    }

    /// Handles the close of the client's side.
    pub(super) fn data_closed(&mut self, id: SessionId, serial: u64) {
        self.streams.remove(&serial);
        self.with_served(id, |served, now| {
            if served.data.take_if(|data| data.serial == serial).is_some() {
                served.session.handle_data(DataChange::Closed, now);
            }
        });
    }
}
