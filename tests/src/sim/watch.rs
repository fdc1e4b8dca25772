//! A download in a world, watched at every step.

use super::fault::Fault;
use super::oracle::{Oracle, Verdict};
use super::staging::{NAME, Staging};
use super::world::World;
use super::{MemorySink, Record, SimTransport, settings};
use crate::model::File;
use ftp_proto::{Event, Instant, Report, SessionId};
use pftp::drive::{Input, Surroundings, drive};
use pftp::exit::{Failure, Kind};
use pftp::plan::{MirrorId, Planner, RangeSet, Settings};
use pftp::verify::Found;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the download of a world went.
#[derive(Debug)]
pub struct Course {
    /// What it came to, unless that is among the problems.
    pub verdict: Option<Verdict>,
    /// What was wrong with it.
    pub problems: Vec<String>,
    /// The faults that had an effect.
    pub fired: BTreeSet<Fault>,
    /// Whether a checksum was found.
    pub found: bool,
    /// The virtual time that it took.
    pub took: Duration,
}

/// Downloads in a world. What happens goes to `record`, too.
pub(super) fn download(world: &World, record: &Arc<Mutex<Record>>) -> Course {
    let sink = Arc::new(MemorySink::default());
    let mut transport = SimTransport::new(Arc::clone(&sink));
    transport.set_record(Arc::clone(record));
    let staging = Staging::new(world, &mut transport);
    let oracle = Oracle::new(world);
    let mut planner = Planner::new(settings_of(world, &staging), Instant::ZERO);
    let mut watch = Watch::new(world, &oracle, &staging, &sink, record);
    let result = drive(&mut planner, &mut transport, &mut watch);
    let took = watch.last_seen;
    watch.lock().add(format_args!("{took:?}: {result:?}"));
    let (stopped, searched, found) = (watch.stopped, watch.searched, watch.found);
    let mut problems = std::mem::take(&mut watch.problems);
    let (heard, last) = (std::mem::take(&mut watch.heard), std::mem::take(&mut watch.about_to_hear));
    problems.append(&mut watch.lock().violations);
    if !watch.open.is_empty() {
        problems.push(format!("sessions that never ended: {:?}", watch.open));
    }
    let mut verdict = None;
    if !stopped {
        let judged = match &result {
            Ok(size) => judge_size(&sink, *size).and_then(|bytes| oracle.judge_file(&bytes, &heard, &last)),
            Err(failure) => oracle.judge_failure(failure),
        };
        match judged {
            Ok(good) => verdict = Some(good),
            Err(problem) => problems.push(problem),
        }
    }
    let fired = staging.fired(world, &transport);
    problems.extend(judge_servers(world, &staging, &transport, took));
    if result.is_ok() && world.searching != searched {
        problems.push("it has ended before the search for a checksum".to_owned());
    }
    let usual = world.faults().is_empty() && world.min_segment >= USUAL_SEGMENT;
    if usual && took > oracle.time_without_faults() {
        problems.push(format!("took {took:?} and not {:?} at most", oracle.time_without_faults()));
    }
    Course { verdict, problems, fired, found, took }
}

fn judge_size(sink: &MemorySink, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = sink.contents();
    if (bytes.len() as u64) < size {
        return Err(format!("{} bytes of {size} were written", bytes.len()));
    }
    bytes.truncate(size as usize);
    Ok(bytes)
}

/// What the servers have seen that they should not.
fn judge_servers(world: &World, staging: &Staging, transport: &SimTransport, took: Duration) -> Vec<String> {
    let mut problems = Vec::new();
    let stats = || staging.addresses.iter().filter_map(|all| Some(transport.stats(*all.last()?)));
    if world.faults().is_empty() {
        let logins: u32 = stats().map(|stats| stats.logins()).sum();
        if logins > world.connections as u32 {
            problems.push(format!("{logins} logins for {} connections", world.connections));
        }
        let payload: u64 = stats().map(|stats| stats.payload()).sum();
        let transfers = stats().map(|stats| stats.transfers.len() as u64).sum::<u64>();
        if payload > 2 * world.size() + transfers * AFTER_A_CUT {
            problems.push(format!("{payload} bytes sent in {transfers} transfers"));
        }
    }
    // A minute is the least that an attempt beyond the first ones may be apart from the next.
    let attempts = world.connections as u64 + HANDFUL + took.as_secs() / 60;
    for (mirror, (stats, addresses)) in stats().zip(&staging.addresses).enumerate() {
        let refused = addresses.last().map_or(0, |address| transport.seen(*address).refused);
        let turned_away = stats.sessions.iter().filter(|session| session.full).count() as u64;
        let only_full = world.mirrors[mirror].troubles.len() == 1;
        if only_full && turned_away + u64::from(refused) > attempts {
            problems.push(format!("mirror {mirror} turned {turned_away} and {refused} sessions away"));
        }
    }
    problems
}

/// Bytes; below that, who asks for many ranges gets many.
const USUAL_SEGMENT: u64 = 16 * 1024;

/// Bytes that a server may send after a client has cut a transfer, and before its first wanted byte.
const AFTER_A_CUT: u64 = 320 * 1024;

/// Attempts at a server that takes no more, beside one for each connection.
const HANDFUL: u64 = 5;

fn settings_of(world: &World, staging: &Staging) -> Settings {
    let name = |addresses: &Vec<SocketAddr>| addresses[0];
    let servers: Vec<SocketAddr> = staging.addresses.iter().map(name).collect();
    let mut settings = settings(&servers, NAME, world.connections);
    settings.retries = world.retries;
    settings.min_segment = world.min_segment;
    settings.seed = world.seed;
    settings.search = world.searching.then_some(Duration::from_secs(120));
    settings
}

/// What watches.
struct Watch<'w> {
    world: &'w World,
    oracle: &'w Oracle<'w>,
    staging: &'w Staging,
    sink: Arc<MemorySink>,
    record: &'w Arc<Mutex<Record>>,
    inputs: VecDeque<Input>,
    open: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    written: RangeSet,
    /// The mirrors that have told of their files, and of those the planner has not yet been told of.
    heard: BTreeSet<usize>,
    about_to_hear: Vec<usize>,
    problems: Vec<String>,
    /// Whether the end of the search for a checksum was told.
    searched: bool,
    /// Whether one was found.
    found: bool,
    stopped: bool,
    limit: Duration,
    last_seen: Duration,
}

impl<'w> Watch<'w> {
    fn new(
        world: &'w World,
        oracle: &'w Oracle<'w>,
        staging: &'w Staging,
        sink: &Arc<MemorySink>,
        record: &'w Arc<Mutex<Record>>,
    ) -> Self {
        Self {
            world,
            oracle,
            staging,
            sink: Arc::clone(sink),
            record,
            inputs: VecDeque::new(),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            written: RangeSet::new(),
            heard: BTreeSet::new(),
            about_to_hear: Vec::new(),
            problems: Vec::new(),
            searched: false,
            found: false,
            stopped: false,
            limit: oracle.time_limit(),
            last_seen: Duration::ZERO,
        }
    }

    fn lock(&self) -> MutexGuard<'w, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a problem, and ends the download for it.
    fn problem(&mut self, problem: String) {
        self.lock().add(format_args!("PROBLEM: {problem}"));
        self.problems.push(problem);
        if !std::mem::replace(&mut self.stopped, true) {
            self.inputs.push_back(Input::Stop(Failure::new(Kind::Other, "the simulation has seen enough")));
        }
    }

    fn mirror_of(&self, id: SessionId) -> Option<usize> {
        let peer = self.lock().peers.get(&id).copied();
        peer.and_then(|peer| self.staging.mirror_at(peer))
    }

    fn check_written(&mut self, id: SessionId, range: &Range<u64>) {
        self.written.insert(range.clone());
        let Some(mirror) = self.mirror_of(id) else { return };
        let bytes = self.sink.read(range.start, (range.end - range.start) as usize);
        if !bytes.is_some_and(|bytes| self.oracle.may_have_sent(mirror, range.start, &bytes)) {
            self.problem(format!("{id:?} wrote to {range:?} what its mirror {mirror} does not have there"));
        }
    }

    fn check_sessions(&mut self) {
        // A second address may be tried beside the first.
        let several = self.staging.addresses.iter().filter(|addresses| addresses.len() > 1).count();
        let most = self.world.connections + several;
        if self.open.len() > most {
            self.problem(format!("{} sessions are open, and not {most} at most", self.open.len()));
        }
    }
}

impl Surroundings<Infallible> for Watch<'_> {
    fn resolve(&mut self, id: MirrorId) {
        let found = self.staging.addresses.get(id.0).cloned().unwrap_or_default();
        self.inputs.push_back(Input::Resolved(id, Ok(found)));
    }

    fn input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    fn opened(&mut self, id: SessionId, _thread: usize) {
        if !self.open.insert(id) || self.ended.contains(&id) {
            self.problem(format!("{id:?} is opened twice"));
        }
    }

    fn report(&mut self, report: &Report<Infallible>) -> Result<(), Failure> {
        let id = match report {
            Report::Event(id, _)
            | Report::Written(id, _)
            | Report::Lead(id, ..)
            | Report::Content(id, ..) => *id,
            Report::Sink(_, error) => match *error {},
        };
        if self.ended.contains(&id) {
            self.problem(format!("after the end of {id:?}: {report:?}"));
        }
        match report {
            Report::Event(_, Event::Closed(_)) => {
                self.open.remove(&id);
                self.ended.insert(id);
            }
            Report::Event(_, Event::Facts(_, facts)) if facts.size.is_some() || facts.modify.is_some() => {
                self.about_to_hear.extend(self.mirror_of(id));
            }
            Report::Written(_, range) => self.check_written(id, range),
            _ => {}
        }
        Ok(())
    }

    fn same(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        let there = self.sink.read(offset, bytes.len());
        if !self.written.contains(&(offset..offset + bytes.len() as u64)) {
            self.problem(format!("{} bytes at {offset} are compared before they are written", bytes.len()));
        }
        let same = there.is_some_and(|there| there == bytes);
        self.lock().add(format_args!("{} bytes at {offset} compared: {same}", bytes.len()));
        Ok(same)
    }

    fn found(&mut self, found: Option<Found>, _is_here_already: bool) -> bool {
        self.lock().add(format_args!("found: {found:?}"));
        (self.searched, self.found) = (true, found.is_some());
        let is_of = |found: &Found| {
            let of = |file: &File| found.checksum.to_string() == format!("sha256={}", file.sha256());
            self.world.versions.iter().any(of)
        };
        if !found.as_ref().is_none_or(is_of) || !self.world.searching {
            self.problem(format!("nobody has said that: {found:?}"));
        }
        true
    }

    fn warn(&mut self, message: &str) {
        self.lock().add(format_args!("warning: {message}"));
    }

    fn progress(&mut self, planner: &Planner, now: Instant) -> Option<Instant> {
        self.last_seen = now.0;
        self.heard.extend(self.about_to_hear.drain(..));
        if let Some(range) = planner.done().iter().find(|range| !self.written.contains(range)) {
            self.problem(format!("{range:?} is called done and was not written"));
        }
        self.check_sessions();
        if now.0 > self.limit && !self.stopped {
            self.problem(format!("it takes longer than {:?}", self.limit));
        }
        (!self.inputs.is_empty()).then_some(now)
    }
}
