//! The sessions of a loop, with their places, queues and deadlines.

use crate::socket::TcpSocket;
use ftp_proto::conduit::{Conduit, Driver, Turn};
use ftp_proto::{Cause, Channel, Instant, SessionId, Sink};
use mio::{Registry, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// The place of a session in the loop; free again when the session has ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place(usize);

/// The token of the waker.
pub(crate) const WAKER: Token = Token(0);

impl Place {
    /// The token of a socket of the session.
    const fn token(self, channel: Channel) -> Token {
        let channel = match channel {
            Channel::Control => 1,
            Channel::Data => 2,
        };
        Token(self.0.wrapping_mul(2).wrapping_add(channel))
    }

    /// The socket that `token` stands for; `None` for the waker.
    pub(crate) const fn of(token: Token) -> Option<(Self, Channel)> {
        match token.0.checked_sub(1) {
            None => None,
            Some(number) if number % 2 == 0 => Some((Self(number / 2), Channel::Control)),
            Some(number) => Some((Self(number / 2), Channel::Data)),
        }
    }
}

/// A session in the loop.
pub(crate) struct Entry<S: Sink + ?Sized> {
    pub(crate) id: SessionId,
    pub(crate) conduit: Conduit<S, TcpSocket>,
    control: Readiness,
    data: Readiness,
    /// The deadline in the list; never later than the deadline of the session.
    listed: Option<Instant>,
}

/// The readiness of a socket: mio reports each change once.
#[derive(Clone, Copy, Default)]
struct Readiness {
    /// The socket became ready, and has not been read to its end since.
    ready: bool,
    /// A short read does not show that everything has been read: the connection has ended, and the rest is to be read
    /// up to the end; or there are urgent data, before which a read stops.
    unsure: bool,
    /// The socket is in the queue.
    queued: bool,
}

impl<S: Sink + ?Sized> Entry<S> {
    const fn readiness(&mut self, channel: Channel) -> &mut Readiness {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        }
    }
}

/// All sessions of a loop.
pub(crate) struct Sessions<S: Sink + ?Sized> {
    places: Vec<Option<Entry<S>>>,
    free: Vec<Place>,
    by_id: BTreeMap<SessionId, Place>,
    deadlines: BTreeSet<(Instant, Place)>,
    turns: VecDeque<(Place, Channel)>,
}

impl<S: Sink + ?Sized> Sessions<S> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            turns: VecDeque::new(),
        }
    }

    pub(crate) fn insert(&mut self, id: SessionId, conduit: Conduit<S, TcpSocket>) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            Place(self.places.len().saturating_sub(1))
        });
        let (control, data) = Default::default();
        if let Some(entry) = self.places.get_mut(place.0) {
            *entry = Some(Entry { id, conduit, control, data, listed: None });
        }
        self.by_id.insert(id, place);
        place
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let Some(entry) = self.places.get_mut(place.0).and_then(Option::take) else { return };
        self.by_id.remove(&entry.id);
        if let Some(due) = entry.listed {
            self.deadlines.remove(&(due, place));
        }
        self.free.push(place);
    }

    pub(crate) fn place(&self, id: SessionId) -> Option<Place> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.by_id.keys().copied()
    }

    pub(crate) fn get(&mut self, place: Place) -> Option<&mut Entry<S>> {
        self.places.get_mut(place.0)?.as_mut()
    }

    /// A socket became ready; `unsure` if its connection has ended or there are urgent data.
    pub(crate) fn mark(&mut self, place: Place, channel: Channel, unsure: bool) {
        if let Some(entry) = self.get(place) {
            let readiness = entry.readiness(channel);
            readiness.ready = true;
            readiness.unsure |= unsure;
        }
    }

    /// A socket has had its turn. A read that did not fill the buffer has taken all there was, and mio reports what
    /// comes later. An end that came before is not reported again, and urgent data stop a read early.
    pub(crate) fn turned(&mut self, place: Place, channel: Channel, turn: Turn) {
        if let Some(entry) = self.get(place) {
            let readiness = entry.readiness(channel);
            readiness.ready = match turn {
                Turn::Drained => false,
                Turn::Short => readiness.unsure,
                Turn::More => true,
            };
        }
    }

    /// Queues the sockets of a session that are ready and of interest, and lists its deadline.
    pub(crate) fn enlist(&mut self, place: Place) {
        for channel in [Channel::Control, Channel::Data] {
            let Some(entry) = self.get(place) else { return };
            if entry.conduit.socket(channel).is_none() {
                entry.readiness(channel).unsure = false;
            }
            let wanted = entry.conduit.interest(channel).is_some_and(|wants| wants.read || wants.write);
            let readiness = entry.readiness(channel);
            if wanted && readiness.ready && !std::mem::replace(&mut readiness.queued, true) {
                self.turns.push_back((place, channel));
            }
        }
        let Some(entry) = self.get(place) else { return };
        let due = entry.conduit.poll_timeout();
        let listed = entry.listed;
        // Most deadlines move away. The session is asked again when the listed deadline comes.
        if due == listed || matches!((listed, due), (Some(listed), Some(due)) if listed < due) {
            return;
        }
        entry.listed = due;
        if let Some(listed) = listed {
            self.deadlines.remove(&(listed, place));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, place));
        }
    }

    /// Takes the next socket from the queue.
    pub(crate) fn next_turn(&mut self) -> Option<(Place, Channel)> {
        loop {
            let (place, channel) = self.turns.pop_front()?;
            // The session may have ended, and its place been given to another one.
            if let Some(entry) = self.get(place)
                && std::mem::take(&mut entry.readiness(channel).queued)
            {
                return Some((place, channel));
            }
        }
    }

    /// The number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The number of sockets in the queue.
    pub(crate) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// The earliest deadline in the list.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Takes the next session whose listed deadline has come from the list.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<Place> {
        let (due, place) = *self.deadlines.first()?;
        if due > now {
            return None;
        }
        self.deadlines.pop_first();
        if let Some(entry) = self.get(place) {
            entry.listed = None;
        }
        Some(place)
    }
}

/// Makes the sockets of a session, and registers them.
pub(crate) struct Sockets<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) place: Place,
}

impl Driver for Sockets<'_> {
    type Socket = TcpSocket;

    fn connect(&mut self, channel: Channel, address: SocketAddr) -> Result<TcpSocket, Cause> {
        TcpSocket::connect(channel, address, self.registry, self.place.token(channel))
    }

    fn discard(&mut self, _channel: Channel, socket: TcpSocket) {
        socket.deregister(self.registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftp_proto::{Config, Route};
    use std::convert::Infallible;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    struct Nowhere;

    impl Sink for Nowhere {
        type Error = Infallible;

        fn write_at(&self, _: u64, _: &[u8]) -> Result<(), Infallible> {
            Ok(())
        }
    }

    #[test]
    fn session_that_quits_has_no_deadline() {
        let id = SessionId(1);
        let route = Route::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 21)));
        let conduit = Conduit::new(id, route, Arc::new(Config::default()), Instant::ZERO);
        let mut sessions = Sessions::<Nowhere>::new();
        let place = sessions.insert(id, conduit);
        sessions.enlist(place);
        assert!(sessions.next_deadline().is_some());
        sessions.get(place).unwrap().conduit.quit(Instant::ZERO);
        sessions.enlist(place);
        assert_eq!(sessions.next_deadline(), None);
    }

    #[test]
    fn tokens_name_sockets() {
        assert_eq!(Place::of(WAKER), None);
        for place in [Place(0), Place(1), Place(70_000)] {
            for channel in [Channel::Control, Channel::Data] {
                assert_eq!(Place::of(place.token(channel)), Some((place, channel)));
            }
        }
    }
}
