//! The planner: which bytes from which mirror, over which connection.
//!
//! A machine without I/O: reports of the transport go in, directives come out. It accounts ranges, not counts: a tail that
//! was taken over may arrive twice, harmlessly. A range that a session was given goes to another only after that session
//! has ended or finished with it, so that no late write of a broken session can undo a good one.

mod backoff;
mod confirm;
mod connection;
mod dispute;
mod end;
mod error;
mod growth;
mod identity;
mod mirror;
mod rate;
mod renew;
mod reports;
mod reserve;
mod resume;
mod seams;
mod search;
mod segment;
pub(crate) mod session_limit;
mod sessions;
mod slots;
mod steal;
mod trial;
mod work;

pub use error::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
pub use mirror::Source;
pub use resume::{Before, Finished};

use crate::lookup::Found;
use crate::ranges::RangeSet;
use backoff::Jitter;
use bytes::Bytes;
use connection::{Connection, Stage};
use dispute::Dispute;
use ftp_proto::{Config, Facts, Instant, RepresentationType, Request, RequestId, SessionId, Until};
use mirror::{Access, Mirror};
use resume::Earlier;
use seams::Seam;
use search::Search;
use slots::{Slot, allot};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What the planner is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mirrors; the first is asked for the file first.
    pub sources: Vec<Source>,
    /// Connections for the file at most, all mirrors together.
    pub connections: NonZeroUsize,
    /// How many of them are opened at once. The others are where they pay.
    pub begin_with: NonZeroUsize,
    /// Fresh attempts per mirror without progress before it is given up.
    pub retries: u32,
    /// Bytes below which the file is not split at first.
    pub min_segment: u64,
    /// Bytes below which no tail is taken from a transfer that goes on.
    pub min_tail: u64,
    /// Whether the bytes must come in order, over one connection.
    pub in_order: bool,
    /// How the file is transferred. In ASCII offsets mean nothing: one connection, from the start.
    pub representation: RepresentationType,
    /// Where jitter starts from.
    pub seed: u64,
    /// What is here already.
    pub before: Before,
    /// How long a server may be asked for a checksum of the file; `None` if it is not to be.
    pub search: Option<Duration>,
}

/// Names a mirror: its place in [`Settings::sources`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MirrorId(pub usize);

/// Names a comparison.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SeamId(pub u64);

/// What the planner wants done.
#[derive(Clone, Debug)]
pub enum Directive {
    /// Resolve the name of the mirror's server, and tell [`Planner::resolved`].
    Resolve(MirrorId),
    /// Open a session. `thread` numbers the connection for the log: from 1, and again the same for a session that takes the
    /// place of another.
    Open {
        /// The session.
        id: SessionId,
        /// Its number in the log.
        thread: usize,
        /// Where to.
        peer: SocketAddr,
        /// What it is told.
        config: Arc<Config>,
    },
    /// Give work to a session.
    Request(SessionId, RequestId, Request),
    /// Move the end of a transfer.
    Shrink(SessionId, RequestId, Until),
    /// End a session.
    Close(SessionId),
    /// Compare these bytes with those that the sink has from this offset on, and tell [`Planner::compared`].
    Compare(SeamId, u64, Bytes),
    /// This is what servers have to verify the file with: nothing if none has. May come again, and then the last one
    /// counts. If the finished file [is here already](Planner::is_here_already), and there is something, compare them and
    /// tell [`Planner::compared_finished`].
    Found(Option<Found>),
    /// Less is [settled](Planner::settled) than was: a later run has to know before anything else is fetched.
    Retract,
    /// Tell the user.
    Notice(Notice),
    /// The download is over: the size of the file, or why there is none. The last directive.
    Finish(Result<u64, EngineError>),
}

/// How long the first address of a name has for itself before the next is tried beside it (RFC 8305 §5).
const ADDRESS_HEAD_START: Duration = Duration::from_millis(250);

/// See the [module](self).
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    mirrors: Vec<Mirror>,
    slots: Vec<Slot>,
    connections: BTreeMap<SessionId, Connection>,
    last_session: u64,
    /// The size of the file, once it is known.
    size: Option<u64>,
    /// What is known of the file beside its bytes: what all mirrors that are fetched from agree on.
    identity: Facts,
    done: RangeSet,
    /// The greatest length of `done` so far: what is fetched once more is no progress.
    most_done: u64,
    /// Ranges that no session is fetching.
    todo: VecDeque<Range<u64>>,
    /// What is still to be compared.
    seams: BTreeMap<SeamId, Seam>,
    /// Those that showed no difference, as long as what they were compared with counts.
    agreed_seams: BTreeMap<SeamId, Seam>,
    last_seam: u64,
    /// What earlier runs have left.
    earlier: Earlier,
    /// Whether a server has ended a transfer where the file ends.
    end_proven: bool,
    /// How many transfers have begun.
    transfers: u64,
    /// Since when everything is here.
    complete_since: Option<Instant>,
    /// The vote on a seam that two mirrors have different bytes for.
    dispute: Option<Dispute>,
    /// The search for a checksum, if there is to be one.
    search: Option<Search>,
    jitter: Jitter,
    directives: VecDeque<Directive>,
    /// When to look again whether a transfer has become slow enough to help it.
    look_again: Option<Instant>,
    /// When the planner was last told something.
    now: Instant,
    finished: bool,
    /// Whether that was told: no directive follows.
    over: bool,
}

impl Planner {
    /// A planner at the start of a download.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let mirrors: Vec<Mirror> = settings.sources.iter().cloned().map(Mirror::new).collect();
        let wanted = if Self::is_single(&settings) { 1 } else { settings.begin_with.get() };
        let asked: Vec<usize> = mirrors.iter().map(|mirror| mirror.connections).collect();
        let slots = allot(&asked, wanted).into_iter().map(Slot::new).collect();
        let mut planner = Self {
            jitter: Jitter::new(settings.seed),
            search: settings.search.map(Search::new),
            settings,
            mirrors,
            slots,
            connections: BTreeMap::new(),
            last_session: 0,
            size: None,
            identity: Facts::default(),
            done: RangeSet::new(),
            most_done: 0,
            todo: VecDeque::new(),
            seams: BTreeMap::new(),
            agreed_seams: BTreeMap::new(),
            last_seam: 0,
            earlier: Earlier::default(),
            end_proven: false,
            transfers: 0,
            complete_since: None,
            dispute: None,
            directives: VecDeque::new(),
            look_again: None,
            now,
            finished: false,
            over: false,
        };
        planner.take_up();
        for mirror in 0..planner.mirrors.len() {
            planner.directives.push_back(Directive::Resolve(MirrorId(mirror)));
        }
        planner.plan(now);
        planner
    }

    const fn is_single(settings: &Settings) -> bool {
        settings.in_order || matches!(settings.representation, RepresentationType::Ascii)
    }

    /// The addresses of a mirror's server, or why there are none.
    pub fn resolved(&mut self, id: MirrorId, found: Result<Vec<SocketAddr>, String>, now: Instant) {
        let Some(mirror) = self.mirrors.get_mut(id.0).filter(|_| !self.finished) else { return };
        match found {
            Ok(addresses) if !addresses.is_empty() => mirror.resolved(addresses),
            Ok(_) => self.give_up(id.0, MirrorFault::UnknownHost(None)),
            Err(error) => self.give_up(id.0, MirrorFault::UnknownHost(Some(error))),
        }
        self.plan(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.plan(now);
    }

    /// Ends the download for a reason that the caller knows: no [`Directive::Finish`] follows.
    pub const fn stop(&mut self) {
        self.finished = true;
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Directive> {
        if self.over {
            return None;
        }
        let directive = self.directives.pop_front();
        // What ended the download may have gone on to draw conclusions, and late reports do.
        self.over = match &directive {
            Some(directive) => matches!(directive, Directive::Finish(_)),
            None => self.finished,
        };
        directive
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| slot.retry_at);
        let mirrors = self.mirrors.iter().filter_map(Mirror::suspended_until);
        let rests = self.connections.values().filter_map(|connection| connection.rest_until);
        let hedges = self.connections.values().filter_map(|connection| self.hedge_due(connection));
        let due = slots.chain(mirrors).chain(rests).chain(hedges).chain(self.trials_due());
        due.chain(self.look_again)
            .chain(self.search_due())
            .chain(self.confirmation_due())
            .chain(self.probing_due())
            .min()
    }

    /// What has come.
    #[must_use]
    pub const fn done(&self) -> &RangeSet {
        &self.done
    }

    /// The size of the file in bytes, once it is known.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many sessions are fetching.
    #[must_use]
    pub fn active(&self) -> usize {
        self.connections
            .values()
            .filter(|connection| connection.segment.is_some() && connection.stage == Stage::Ready)
            .count()
    }

    /// How many connections the job has.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.slots.len()
    }

    /// Draws all conclusions from the state: opens what can be opened, gives work to who has none.
    fn plan(&mut self, now: Instant) {
        if self.finished {
            return;
        }
        self.now = now;
        self.expire(now);
        // A mirror that is found out leaves work and connections to others.
        self.compare_seams();
        self.compare_heads();
        self.judge();
        self.hear_outgrown();
        self.forget_end_in_ascii();
        self.grow(now);
        self.open_sessions(now);
        self.end_beaten(now);
        self.dismiss_withdrawn();
        self.look_for_checksum(now);
        self.hand_out(now);
        self.absorb(now);
        self.confirm(now);
        self.conclude();
    }

    /// Lifts what was imposed until now.
    fn expire(&mut self, now: Instant) {
        let due = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        self.probe_full(now);
        self.limit_search(now);
        for slot in self.slots.iter_mut().filter(|slot| due(slot.retry_at)) {
            slot.retry_at = None;
            slot.parked = false;
        }
        for mirror in self.mirrors.iter_mut().filter(|mirror| due(mirror.suspended_until())) {
            mirror.access = Access::Trial;
        }
        for connection in self.connections.values_mut().filter(|connection| due(connection.rest_until)) {
            connection.rest_until = None;
        }
    }

    /// Whether everything is here, or nothing more can be done.
    fn conclude(&mut self) {
        if self.finished {
            return;
        }
        if let Some(size) = self.finished_before() {
            if !self.waits_for_search() {
                self.finish(Ok(size));
            }
            return;
        }
        if let Some(size) = self.size.filter(|_| self.is_complete()) {
            if !self.waits_for_search() && !self.awaits_confirmation() {
                self.finish(Ok(size));
            }
            return;
        }
        self.fail_without_mirrors();
    }

    /// Whether everything is here, and nothing of it is in doubt.
    fn is_complete(&self) -> bool {
        self.size.is_some_and(|size| self.done.contains(&(0..size)))
            && self.end_proven
            && self.is_compared()
            && !self.may_be_spoiled()
    }

    /// Whether nothing that has come is in doubt.
    fn is_compared(&self) -> bool {
        !self.is_disputed()
            && !(0..self.mirrors.len()).any(|at| self.has_outgrown(at))
            && self.seams.is_empty()
            && self.are_heads_settled()
    }

    /// Whether a session that is to fetch no more may have written what has not been reported yet.
    fn may_be_spoiled(&self) -> bool {
        let untrusted = |at: usize| self.mirrors.get(at).is_none_or(|mirror| !mirror.is_alive());
        self.connections
            .values()
            .any(|connection| connection.segment.is_some() && untrusted(connection.mirror))
    }

    /// Ends the download if no mirror is left.
    fn fail_without_mirrors(&mut self) {
        if self.mirrors.iter().any(Mirror::is_alive) {
            return;
        }
        if let Some(size) = self.size.filter(|_| self.does_without_end()) {
            if !self.waits_for_search() {
                self.warn_of_unseen_end();
                self.finish(Ok(size));
            }
            return;
        }
        self.finish(Err(EngineError::NoMirror(self.failures())));
    }

    /// Returns why each mirror failed, in the order of the sources.
    fn failures(&self) -> Vec<MirrorFailure> {
        self.mirrors.iter().filter_map(Mirror::failure).collect()
    }

    fn finish(&mut self, result: Result<u64, EngineError>) {
        if !std::mem::replace(&mut self.finished, true) {
            self.directives.push_back(Directive::Finish(result));
        }
    }

    fn notify(&mut self, notice: Notice) {
        self.directives.push_back(Directive::Notice(notice));
    }
}
