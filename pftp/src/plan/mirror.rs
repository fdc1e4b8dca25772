//! What is known of a mirror.

use super::backoff::Jitter;
use super::connection::{Ahead, Stage};
use super::error::{MirrorFailure, MirrorFault};
use super::growth::Growth;
use super::rate::Meter;
use super::renew::Renewal;
use crate::ranges::RangeSet;
use ftp_proto::{Arg, Config, Facts, Instant, SessionId};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// A server and the file on it, as the planner is told.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call the server.
    pub server: String,
    /// The file.
    pub path: Arg,
    /// Login, time limits and the rest of what its sessions are told.
    pub config: Config,
    /// Connections asked for by name; the planner may use more.
    pub connections: usize,
}

/// How the server takes the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathForm {
    /// As the argument of RETR.
    Whole,
    /// As directory and name: some servers find no file whose name holds a slash.
    Directory,
}

/// Whether new sessions may be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Its name is being resolved.
    Unresolved,
    /// They may.
    Open,
    /// It failed while no session lived. From `until` on, one session may try.
    Suspended { until: Instant },
    /// One session may try, for all.
    Trial,
    /// One session tries, for all.
    Probing,
    /// Never again.
    Dead,
}

/// What its answer about the file is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It has not answered, or does not say.
    Unknown,
    /// It has the file the download began with.
    Agrees,
    /// It has another one.
    Differs,
    /// It tells neither size nor time.
    Abstains,
}

/// How long what comes from a mirror is counted for its rate.
const FLOW_WINDOW: Duration = Duration::from_secs(1);

/// Bytes that a TCP stream begins with in flight (RFC 6928).
const INITIAL_WINDOW: u128 = 10 * 1448;

/// A mirror as it has shown itself.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) server: String,
    pub(super) path: Arg,
    pub(super) connections: usize,
    config: Config,
    /// The addresses of its name, and which one is dialled.
    addresses: Vec<SocketAddr>,
    preferred: usize,
    /// Addresses that could not be reached.
    unreachable: Vec<SocketAddr>,
    /// Whether a control connection has ever been made.
    pub(super) reached: bool,
    /// Whether a session has ever been logged in.
    pub(super) greeted: bool,
    pub(super) access: Access,
    /// Failures since the last byte of payload.
    pub(super) failures: u32,
    /// The last failure; told if the mirror is given up.
    pub(super) fault: Option<MirrorFault>,
    pub(super) form: PathForm,
    /// REST is understood, as far as is known.
    pub(super) restarts: bool,
    /// It has said that it takes no more sessions.
    pub(super) full: bool,
    pub(super) facts: Option<Facts>,
    /// What it has told of its file, and not only shown by the end of a transfer: by whichever session could last.
    pub(super) told: Facts,
    /// When a transfer of it last began.
    pub(super) started_at: Option<Instant>,
    /// When a transfer of it was last cut.
    pub(super) cut_at: Option<Instant>,
    /// When it last said what it has.
    pub(super) said_at: Option<Instant>,
    /// The session that asks whether it still has that, and since when.
    pub(super) confirming: Option<(SessionId, Instant)>,
    /// When it was called once more to be asked that, as all its sessions were lost.
    pub(super) called_at: Option<Instant>,
    pub(super) verdict: Verdict,
    /// What came from it and counts.
    pub(super) fetched: RangeSet,
    /// When an attempt last failed.
    pub(super) failed_at: Option<Instant>,
    /// Until when failures of transfers belong to the attempt that has failed.
    pub(super) rests_until: Option<Instant>,
    /// The shortest time that a connection took to be established.
    round_trip: Option<Duration>,
    /// How long the server took to answer where nothing else came from it.
    pub(super) answers_in: Option<Duration>,
    /// How long transfers took to their first byte of late.
    set_up: Option<Duration>,
    /// What comes over all its sessions, and the most bytes per second that ever did.
    pub(super) flow: Meter,
    pub(super) best_flow: u64,
    pub(super) renewal: Renewal,
    pub(super) growth: Growth,
}

impl Mirror {
    /// A mirror nothing is known of.
    pub(super) fn new(source: Source) -> Self {
        Self {
            server: source.server,
            path: source.path,
            connections: source.connections,
            config: source.config,
            addresses: Vec::new(),
            preferred: 0,
            unreachable: Vec::new(),
            reached: false,
            greeted: false,
            access: Access::Unresolved,
            failures: 0,
            fault: None,
            form: PathForm::Whole,
            restarts: true,
            full: false,
            facts: None,
            told: Facts::default(),
            started_at: None,
            cut_at: None,
            said_at: None,
            confirming: None,
            called_at: None,
            verdict: Verdict::Unknown,
            fetched: RangeSet::new(),
            failed_at: None,
            rests_until: None,
            round_trip: None,
            answers_in: None,
            set_up: None,
            flow: Meter::new(FLOW_WINDOW),
            best_flow: 0,
            renewal: Renewal::default(),
            growth: Growth::default(),
        }
    }

    pub(super) const fn is_alive(&self) -> bool {
        !matches!(self.access, Access::Dead)
    }

    /// Until when no session may be opened.
    pub(super) const fn suspended_until(&self) -> Option<Instant> {
        match self.access {
            Access::Suspended { until } => Some(until),
            Access::Unresolved | Access::Open | Access::Trial | Access::Probing | Access::Dead => None,
        }
    }

    pub(super) fn resolved(&mut self, addresses: Vec<SocketAddr>) {
        if self.access == Access::Unresolved {
            self.addresses = in_turn(addresses);
            self.access = Access::Open;
        }
    }

    /// The address to dial.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.addresses.get(self.preferred).copied()
    }

    /// The address to dial beside `tried`, if there is one.
    pub(super) fn next_address(&self, tried: &[SocketAddr]) -> Option<SocketAddr> {
        self.addresses.iter().find(|address| !tried.contains(address)).copied()
    }

    /// `address` answers: it is the one to dial from now on.
    pub(super) fn answered(&mut self, address: SocketAddr, took: Duration) {
        if let Some(at) = self.addresses.iter().position(|known| *known == address) {
            self.preferred = at;
        }
        self.unreachable.clear();
        self.round_trip = Some(self.round_trip.map_or(took, |known| known.min(took)));
    }

    /// `address` cannot be reached. Whether another one is left to dial instead.
    pub(super) fn passes_over(&mut self, address: SocketAddr) -> bool {
        if !self.unreachable.contains(&address) {
            self.unreachable.push(address);
        }
        let left = self.addresses.iter().position(|address| !self.unreachable.contains(address));
        self.preferred = left.unwrap_or(self.preferred);
        left.is_some()
    }

    /// What a new session is told.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::new(self.config.clone())
    }

    /// From now on one command at a time.
    pub(super) const fn set_lock_step(&mut self) {
        self.config.pipeline = NonZeroUsize::MIN;
    }

    /// From now on PASV.
    pub(super) const fn set_plain_passive(&mut self) {
        self.config.epsv = false;
    }

    /// A transfer has brought its first byte, that long after it was asked for.
    pub(super) fn delivered_after(&mut self, took: Duration) {
        self.set_up = Some(self.set_up.map_or(took, |known| known.saturating_add(took) / 2));
    }

    /// The same of one whose first byte was not waited for: it takes so long, or longer. One that has lost a packet or two says
    /// little of the others.
    pub(super) fn delivers_not_before(&mut self, took: Duration) {
        let usual = self.first_byte_time();
        if took > usual {
            self.delivered_after(took.min(usual.saturating_mul(4)));
        }
    }

    /// The shortest time that a connection took to be established; a guess until one was.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(Duration::from_millis(100))
    }

    /// So many round trips, but at least that time.
    pub(super) fn span(&self, (round_trips, least): (u32, Duration)) -> Duration {
        self.round_trip().saturating_mul(round_trips).max(least)
    }

    /// How long a further range on a live session takes to its first byte: as long as the last ones did, and at least
    /// three round trips.
    pub(super) fn first_byte_time(&self) -> Duration {
        let least = self.round_trip().saturating_mul(3);
        self.set_up.map_or(least, |known| known.max(least))
    }

    /// How much longer that takes for a session that is not logged in yet: two round trips, as its commands leave together.
    pub(super) fn login_time(&self, stage: Stage) -> Duration {
        let round_trips = if stage == Stage::Ready { 0 } else { 2 };
        self.round_trip().saturating_mul(round_trips)
    }

    /// How much less that is on a session that has a data connection ahead: neither EPSV nor that is waited for. `None` if it is
    /// on its way.
    pub(super) fn spared(&self, ahead: Ahead) -> Option<Duration> {
        match ahead {
            Ahead::None => Some(Duration::ZERO),
            Ahead::Asked(..) => None,
            Ahead::Ready(_) => Some(self.round_trip().saturating_mul(2)),
        }
    }

    /// How long a further range takes until it flows at `rate` bytes per second: after its `first_byte` a round trip for
    /// each doubling of TCP's slow start, but two, as something comes meanwhile.
    pub(super) fn set_up_time(&self, first_byte: Duration, rate: u64) -> Duration {
        let round_trip = self.round_trip();
        let in_flight = u128::from(rate).saturating_mul(round_trip.as_millis()) / 1000 / INITIAL_WINDOW;
        let doublings = u128::BITS.saturating_sub(in_flight.leading_zeros());
        first_byte.saturating_add(round_trip.saturating_mul(doublings.saturating_sub(2)))
    }

    /// So many bytes have come over one of its sessions.
    pub(super) fn received(&mut self, bytes: u64, now: Instant) {
        self.flow.add(bytes, now);
        self.best_flow = self.best_flow.max(self.flow.measured(now).unwrap_or(0));
    }

    /// An attempt that began then has failed: how many have since the last byte of payload. What began before the last
    /// failure, or fails right after it, belongs to the same attempt.
    pub(super) fn count_failure(&mut self, began: Instant, jitter: &mut Jitter, now: Instant) -> u32 {
        let later = self.failed_at.is_none_or(|at| at < began);
        if later && self.rests_until.is_none_or(|until| until <= now) {
            self.failed_at = Some(now);
            self.failures = self.failures.saturating_add(1);
            self.rests_until = Some(now + jitter.wait(self.failures));
        }
        self.failures
    }

    /// Returns the last failure with the name of the server.
    pub(super) fn failure(&self) -> Option<MirrorFailure> {
        let fault = self.fault.clone()?;
        Some(MirrorFailure { server: self.server.clone(), fault })
    }

    /// What a session is to ask for.
    pub(super) fn path_in(&self, form: PathForm) -> Option<Arg> {
        match form {
            PathForm::Whole => Some(self.path.clone()),
            PathForm::Directory => self.split_path().map(|(_, name)| name),
        }
    }

    /// The path as directory and name, if it has both.
    pub(super) fn split_path(&self) -> Option<(Arg, Arg)> {
        let bytes = self.path.as_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/')?;
        let (directory, name) = (bytes.get(..slash.max(1))?, bytes.get(slash.saturating_add(1)..)?);
        Some((Arg::new(directory.to_vec()).ok()?, Arg::new(name.to_vec()).ok()?))
    }

    /// Whether `facts` say that this is not the file that `known` describes. What one of them does not say, does not count.
    pub(super) fn contradict(known: &Facts, facts: &Facts) -> bool {
        let differ = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a != b);
        let times = known.modify.zip(facts.modify);
        // Some servers give fractions of a second and others do not.
        differ(known.size, facts.size) || times.is_some_and(|(a, b)| a.unix_seconds() != b.unix_seconds())
    }
}

/// The addresses with the families in turn, as the resolver ranks them within each (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut turns = Vec::with_capacity(one.len().saturating_add(other.len()));
    let (mut one, mut other) = (one.drain(..), other.drain(..));
    loop {
        let before = turns.len();
        turns.extend(one.next());
        turns.extend(other.next());
        if turns.len() == before {
            return turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that took 20 seconds made all others be waited for as long.
    #[test]
    fn a_straggler_says_little_of_the_others() {
        let path = Arg::new(&b"file"[..]).unwrap();
        let source = Source { server: String::new(), path, config: Config::default(), connections: 1 };
        let mut mirror = Mirror::new(source);
        let usual = mirror.first_byte_time();
        mirror.delivers_not_before(usual / 2);
        assert_eq!(mirror.first_byte_time(), usual);
        mirror.delivers_not_before(Duration::from_secs(20));
        assert_eq!(mirror.first_byte_time(), usual * 4);
    }

    #[test]
    fn families_take_turns() {
        let parse =
            |text: &str| -> Vec<SocketAddr> { text.split(' ').map(|one| one.parse().unwrap()).collect() };
        let turns = in_turn(parse("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1"));
        assert_eq!(turns, parse("[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"));
        assert_eq!(in_turn(Vec::new()), []);
    }
}
