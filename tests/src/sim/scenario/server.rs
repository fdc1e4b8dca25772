//! The servers of a scenario, and the paths to them.

use super::FILE_PATH;
use crate::model::{Behaviour, Cut, File, Interruption, Model, Tree, WhenFull};
use crate::sim::{Congestion, Path, Pipes, SimTransport};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

/// The round trip to a server whose scenario names none, in milliseconds.
const USUAL_ROUND_TRIP_MS: u64 = 40;

/// A server and the path to it.
#[derive(Clone, Debug)]
pub struct SimServer {
    file: Option<File>,
    others: Vec<(&'static str, File)>,
    has_no_file: bool,
    behaviour: Behaviour,
    sessions: Vec<(usize, Behaviour)>,
    path: Path,
    losses: Option<u64>,
    is_black_hole: bool,
    pub(super) addresses: Vec<Address>,
}

/// An address of a server's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// The server's own.
    Own,
    /// An address at which nothing ever answers.
    BlackHole,
    /// An address that refuses connections.
    Refused,
    /// The address of the server with this index.
    OfServer(usize),
}

impl Default for SimServer {
    fn default() -> Self {
        Self::new()
    }
}

impl SimServer {
    /// A well-behaved server with the scenario's file, 40 ms away, on a path without a limit.
    pub fn new() -> Self {
        Self {
            file: None,
            others: Vec::new(),
            has_no_file: false,
            behaviour: Behaviour::default(),
            sessions: Vec::new(),
            path: Path::of_round_trip(USUAL_ROUND_TRIP_MS),
            losses: None,
            is_black_hole: false,
            addresses: vec![Address::Own],
        }
    }

    /// A server that never answers a SYN.
    pub fn black_hole() -> Self {
        Self { is_black_hole: true, ..Self::new() }
    }

    /// A server that refuses every connection.
    pub fn refusing() -> Self {
        Self::new().session_limit(0, WhenFull::Refuse)
    }

    /// Sets how all sessions behave.
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// Changes how all sessions behave.
    pub fn with(mut self, change: impl FnOnce(Behaviour) -> Behaviour) -> Self {
        self.behaviour = change(self.behaviour);
        self
    }

    /// Sets how the session with this number behaves, from 0 in the order in which the server accepts them.
    pub fn session(self, number: usize, behaviour: Behaviour) -> Self {
        self.sessions(number..number + 1, &behaviour)
    }

    /// Sets how the sessions with these numbers behave.
    pub fn sessions(mut self, numbers: Range<usize>, behaviour: &Behaviour) -> Self {
        self.sessions.extend(numbers.map(|number| (number, behaviour.clone())));
        self
    }

    /// Throttles each session to so many bytes per second.
    pub fn session_rate(self, bytes_per_second: u64) -> Self {
        self.with(|behaviour| Behaviour { bytes_per_second: Some(bytes_per_second), ..behaviour })
    }

    /// Serves at most `sessions` sessions at a time.
    pub fn session_limit(self, sessions: usize, when_full: WhenFull) -> Self {
        self.with(|behaviour| behaviour.with_cap(sessions, when_full))
    }

    /// Interrupts every transfer of one session after so many bytes.
    pub fn interrupting(self, session: usize, after: u64, how: Interruption) -> Self {
        let behaviour = self.behaviour_of(session).cutting_every(Cut::silent(after, how));
        self.session(session, behaviour)
    }

    /// Serves another file than the scenario's, under the same name.
    pub fn serving(mut self, file: File) -> Self {
        self.file = Some(file);
        self
    }

    /// Serves a further file.
    pub fn with_file(mut self, path: &'static str, file: File) -> Self {
        self.others.push((path, file));
        self
    }

    /// Serves no file at all.
    pub fn without_file(mut self) -> Self {
        self.has_no_file = true;
        self
    }

    /// Sets the round trip of the path.
    pub fn round_trip_ms(mut self, millis: u64) -> Self {
        self.path.latency = Duration::from_micros(millis * 500);
        self
    }

    /// Limits the path to so many bytes per second, all connections together.
    pub fn path_rate(mut self, bytes_per_second: u64) -> Self {
        self.path.bytes_per_second = Some(bytes_per_second);
        self
    }

    /// Limits the path to so many megabits per second, all connections together.
    pub fn path_megabits(self, megabits: u64) -> Self {
        self.path_rate(megabits * 1_000_000 / 8)
    }

    /// Puts TCP's congestion control on the path, which loses so many packets of a million at random.
    pub fn congested(mut self, losses: u64) -> Self {
        self.losses = Some(losses);
        self
    }

    /// Sets the addresses that the server's name has, in the resolver's order.
    pub fn at(mut self, addresses: impl Into<Vec<Address>>) -> Self {
        self.addresses = addresses.into();
        self
    }

    /// Returns how the session with this number behaves.
    pub fn behaviour_of(&self, session: usize) -> Behaviour {
        let own = self.sessions.iter().rev().find(|(number, _)| *number == session);
        own.map_or(&self.behaviour, |(_, behaviour)| behaviour).clone()
    }

    /// Returns the round trip of the path.
    pub fn round_trip(&self) -> Duration {
        self.path.latency * 2
    }

    /// Returns how many packets of a million the path loses, if it has TCP's congestion control.
    pub fn losses(&self) -> Option<u64> {
        self.losses
    }

    /// Whether the server serves every session at the first attempt, and all of them alike.
    pub fn is_well_behaved(&self) -> bool {
        let bytes_per_second = self.behaviour.bytes_per_second;
        self.behaviour == Behaviour { bytes_per_second, ..Behaviour::default() }
            && self.sessions.iter().all(|(_, behaviour)| behaviour.on.is_empty())
            && !self.is_black_hole
    }

    pub(super) fn add_to(&self, transport: &mut SimTransport, file: &File, seed: u64) -> SocketAddr {
        if self.is_black_hole {
            return transport.black_hole();
        }
        let mut tree = Tree::new();
        if !self.has_no_file {
            tree = tree.with(FILE_PATH, self.file.as_ref().unwrap_or(file).clone());
        }
        for (path, file) in &self.others {
            tree = tree.with(path, file.clone());
        }
        let model = Model::new(tree).with_behaviour(self.behaviour.clone());
        let sessions = self.sessions.iter();
        let model =
            sessions.fold(model, |model, (number, behaviour)| model.with_session(*number, behaviour.clone()));
        let address = transport.add(model, self.path);
        if let Some(losses) = self.losses {
            transport.set_pipes(address, Pipes::congested(Congestion::of_losses(losses, seed)));
        }
        address
    }
}
