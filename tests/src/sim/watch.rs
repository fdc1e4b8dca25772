//! Runs a download in a world, and checks it at every step.

use super::fault::{Fault, Nature};
use super::oracle::{Oracle, Verdict};
use super::stage::{ONLY_FILE, Stage};
use super::staging::Staging;
use super::world::{Mirror, World};
use super::{Disk, Keeper, MemorySink, Random, Record, Settings, SimTransport, settings};
use crate::model::File;
use ftp_proto::{Event, Instant, Report, SessionId, Sink};
use pftp::Notice;
use pftp::drive::{Input, Surroundings, drive};
use pftp::engine::{Fetcher, FileId, ServerId};
use pftp::ranges::RangeSet;
use pftp::{DownloadError, Found};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the download of a world went.
#[derive(Debug)]
pub struct Course {
    /// The verdict on its end, unless the end is among the problems.
    pub verdict: Option<Verdict>,
    /// Everything that was wrong.
    pub problems: Vec<String>,
    /// The faults that had an effect.
    pub fired: BTreeSet<Fault>,
    /// Whether a checksum was found.
    pub found: bool,
    /// How many connections were added and logged in.
    pub added: usize,
    /// The virtual time that it took.
    pub took: Duration,
}

/// Downloads in a world, in one run and, if the world has outages, again in several. Records what happens in
/// `record`.
pub(super) fn download(world: &World, record: &Arc<Mutex<Record>>) -> Course {
    let run = Attempt { world, oracle: Oracle::new(world), keeper: None, may_start_over: false };
    let (mut course, _) = run.watched(record);
    let usual = world.faults().is_empty() && world.min_segment >= USUAL_SEGMENT;
    let most = Oracle::new(world).time_without_faults();
    if usual && course.took > most {
        course.problems.push(format!("took {:?} and not {most:?} at most", course.took));
    }
    if course.problems.is_empty() {
        in_several_runs(world, record, &mut course);
    }
    course
}

/// Downloads again, with outages.
fn in_several_runs(world: &World, record: &Arc<Mutex<Record>>, course: &mut Course) {
    let (mut all, mut seen, mut disk) = (world.clone(), world.clone(), Disk::default());
    let mut earlier: Vec<Mirror> = Vec::new();
    let may_start_over =
        !world.faults().is_empty() || world.outages.iter().any(|outage| outage.change.is_some());
    for (number, outage) in world.outages.iter().enumerate() {
        let end = Some((Instant(outage.after), outage.ending));
        let keeper = Keeper::new(disk, end, Random::new(world.seed + number as u64));
        let oracle = Oracle::after(&seen, &earlier);
        let run = Attempt { world: &seen, oracle, keeper: Some(keeper), may_start_over };
        let (now, left) = run.watched(record);
        let (took, ended) = (now.took, now.verdict.is_none());
        course.problems.extend(now.problems.into_iter().map(|problem| format!("run {number}: {problem}")));
        let Some(left) = left.filter(|_| course.problems.is_empty() && ended) else { return };
        course.fired.extend(outage.faults());
        if let Some(problem) = judge_journal(world, &left) {
            return course.problems.push(format!("run {number}: {problem}"));
        }
        earlier.extend(seen.mirrors.clone());
        all = all.later(took, outage);
        // A file that was replaced is another version from now on.
        if outage.change.is_some() {
            let old = all.versions.len() - 1;
            for mirror in earlier.iter_mut().filter(|mirror| mirror.version == 0) {
                mirror.version = old;
            }
        }
        (seen, disk) = (all.seen_after(outage), left);
    }
    if world.outages.is_empty() {
        return;
    }
    let keeper = Keeper::new(disk, None, Random::new(world.seed));
    let oracle = Oracle::after(&seen, &earlier);
    let run = Attempt { world: &seen, oracle, keeper: Some(keeper), may_start_over };
    let (last, _) = run.watched(record);
    course.problems.extend(last.problems.into_iter().map(|problem| format!("the last run: {problem}")));
}

/// Says what is wrong with a journal in a world whose servers sent only right bytes.
fn judge_journal(world: &World, left: &Disk) -> Option<String> {
    let doubtful = |mirror: &Mirror| {
        let lies = |fault: Fault| matches!(fault.nature(), Nature::Lying | Nature::Other);
        mirror.version != 0 || mirror.troubles.iter().any(|trouble| lies(trouble.fault))
    };
    if world.mirrors.iter().any(doubtful) || world.outages.iter().any(|outage| outage.change.is_some()) {
        return None;
    }
    let right = |range: &Range<u64>| {
        let there = left.bytes().get(range.start as usize..range.end as usize);
        there.is_some_and(|there| there == world.versions[0].read(range.clone()))
    };
    let wrong = left.recorded().iter().find(|range| !right(range))?;
    Some(format!("the journal names {wrong:?}, which is not on disk"))
}

/// A run of a download.
struct Attempt<'w> {
    world: &'w World,
    oracle: Oracle<'w>,
    /// Writes the journal, if there is one.
    keeper: Option<Keeper>,
    /// Whether the bytes of an earlier run may be of no use.
    may_start_over: bool,
}

impl Attempt<'_> {
    /// Runs to the end. Returns the disk that it leaves if it was ended from outside; there is no verdict
    /// then.
    fn watched(mut self, record: &Arc<Mutex<Record>>) -> (Course, Option<Disk>) {
        let (world, oracle) = (self.world, &self.oracle);
        let sink = Arc::new(MemorySink::default());
        let mut transport = SimTransport::new(Arc::clone(&sink));
        transport.set_record(Arc::clone(record));
        let staging = Staging::new(world, &mut transport);
        let mut settings = settings_of(world, &staging);
        let mut watch = Watch::new(world, oracle, &staging, &sink, record);
        if let Some(keeper) = self.keeper.take() {
            let Ok(()) = sink.write_at(0, keeper.disk().bytes());
            settings.earlier = keeper.disk().earlier();
            watch.written = keeper.disk().recorded();
            watch.stage.keeper = Some(keeper);
        }
        let (mut engine, file) = settings.start(Instant::ZERO);
        let results = drive(&mut engine, &mut transport, &mut watch);
        let result = results.and_then(|mut results| results.take(file).map_err(DownloadError::from));
        let took = watch.last_seen;
        watch.lock().add(format_args!("{took:?}: {result:?}"));
        let keeper = watch.stage.keeper.take().filter(|keeper| keeper.was_ended() && result.is_err());
        let left = keeper.map(|keeper| keeper.left(&engine.status(file), &sink));
        let (lookup_ended, found, added) = (watch.lookup_ended, watch.found, watch.added.len());
        let mut problems = std::mem::take(&mut watch.problems);
        let (heard, last) = (std::mem::take(&mut watch.heard), std::mem::take(&mut watch.about_to_hear));
        problems.append(&mut watch.lock().violations);
        if !watch.open.is_empty() {
            problems.push(format!("sessions that never ended: {:?}", watch.open));
        }
        let mut verdict = None;
        if !watch.stopped && left.is_none() {
            let judged = match &result {
                Ok(size) => {
                    judge_size(&sink, *size).and_then(|bytes| oracle.judge_file(&bytes, &heard, &last))
                }
                Err(failure) => oracle.judge_failure(failure),
            };
            match judged {
                Ok(good) => verdict = Some(good),
                Err(problem) => problems.push(problem),
            }
        }
        let fired = staging.fired(world, &transport);
        problems.extend(judge_servers(&self, &staging, &transport, took));
        if result.is_ok() && world.looks_up != lookup_ended {
            problems.push("it has ended before the search for a checksum".to_owned());
        }
        (Course { verdict, problems, fired, found, added, took }, left)
    }
}

fn judge_size(sink: &MemorySink, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = sink.contents();
    if (bytes.len() as u64) < size {
        return Err(format!("{} bytes of {size} were written", bytes.len()));
    }
    bytes.truncate(size as usize);
    Ok(bytes)
}

/// Says what the servers saw and should not have seen.
fn judge_servers(
    run: &Attempt<'_>,
    staging: &Staging,
    transport: &SimTransport,
    took: Duration,
) -> Vec<String> {
    let world = run.world;
    let mut problems = Vec::new();
    let stats = || staging.addresses.iter().filter_map(|all| Some(transport.stats(*all.last()?)));
    // A run that starts over closes all sessions, so their bytes in flight are lost.
    if world.faults().is_empty() && !run.may_start_over {
        let logins: u32 = stats().map(|stats| stats.logins()).sum();
        let most = most_logins(world, took);
        if u64::from(logins) > most {
            problems.push(format!("{logins} logins for {} connections, {most} at most", world.connections));
        }
        let payload: u64 = stats().map(|stats| stats.payload()).sum();
        let transfers = stats().map(|stats| stats.transfers.len() as u64).sum::<u64>();
        if payload > 2 * world.size() + transfers * AFTER_A_CUT {
            problems.push(format!("{payload} bytes sent in {transfers} transfers"));
        }
    }
    // Attempts beyond the first ones are at least a minute apart.
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

/// Returns the most logins of a download without faults: one a connection. Added connections that do not pay
/// are closed, and others are added later: at another mirror at once, at the same one after a wait, or when
/// the rate has dropped.
fn most_logins(world: &World, took: Duration) -> u64 {
    let (most, first) = (world.connections as u64, world.begin_with() as u64);
    let waits = (took.as_millis() / GROWTH_WAIT.as_millis()) as u64;
    let trials = if world.growing { world.mirrors.len() as u64 + waits } else { 1 };
    first + (most - first) * trials
}

/// The least time between two trials at a mirror where added connections did not pay.
const GROWTH_WAIT: Duration = Duration::from_millis(500);

/// A client whose ranges may be shorter sends more requests, in bytes.
const USUAL_SEGMENT: u64 = 16 * 1024;

/// The most bytes that a server sends after a cut and before the first wanted byte.
const AFTER_A_CUT: u64 = 320 * 1024;

/// Attempts at a full server beyond one a connection.
const HANDFUL: u64 = 5;

fn settings_of(world: &World, staging: &Staging) -> Settings {
    // A server is called by its first address; the stage resolves the others.
    let names: Vec<_> = staging.addresses.iter().map(|addresses| vec![addresses[0]]).collect();
    let mut settings = settings(&names, world.connections);
    settings.begin_with = NonZeroUsize::new(world.begin_with()).expect("at least one connection");
    settings.retries = world.retries;
    settings.min_segment = world.min_segment;
    settings.min_tail = world.min_segment.min(settings.min_tail);
    settings.seed = world.seed;
    settings.lookup = world.looks_up.then_some(Duration::from_secs(120));
    settings
}

/// Watches a download.
struct Watch<'w> {
    world: &'w World,
    oracle: &'w Oracle<'w>,
    staging: &'w Staging,
    sink: Arc<MemorySink>,
    record: &'w Arc<Mutex<Record>>,
    stage: Stage,
    open: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    /// Sessions of added connections with their connection numbers, and the numbers of those that logged in.
    beyond: BTreeMap<SessionId, usize>,
    added: BTreeSet<usize>,
    written: RangeSet,
    /// The mirrors that have told their facts, and those whose facts the engine has yet to handle.
    heard: BTreeSet<usize>,
    about_to_hear: Vec<usize>,
    problems: Vec<String>,
    /// Whether the end of the lookup was reported.
    lookup_ended: bool,
    /// Whether a checksum was found.
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
            stage: Stage::new(staging.addresses.clone(), Arc::clone(sink)),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            beyond: BTreeMap::new(),
            added: BTreeSet::new(),
            written: RangeSet::new(),
            heard: BTreeSet::new(),
            about_to_hear: Vec::new(),
            problems: Vec::new(),
            lookup_ended: false,
            found: false,
            stopped: false,
            limit: oracle.time_limit(),
            last_seen: Duration::ZERO,
        }
    }

    fn lock(&self) -> MutexGuard<'w, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a problem, and stops the download.
    fn problem(&mut self, problem: String) {
        self.lock().add(format_args!("PROBLEM: {problem}"));
        self.problems.push(problem);
        if !std::mem::replace(&mut self.stopped, true) {
            self.stage.stop();
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
        // A second address may be dialled beside the first.
        let several = self.staging.addresses.iter().filter(|addresses| addresses.len() > 1).count();
        let most = self.world.connections + several;
        if self.open.len() > most {
            self.problem(format!("{} sessions are open, and not {most} at most", self.open.len()));
        }
    }
}

impl Surroundings<MemorySink> for Watch<'_> {
    type Error = DownloadError;

    fn resolve(&mut self, id: ServerId) {
        self.stage.resolve(id);
    }

    fn input(&mut self) -> Option<Input<DownloadError>> {
        self.stage.input()
    }

    fn sink(&mut self, file: FileId) -> Arc<MemorySink> {
        self.stage.sink(file)
    }

    fn opened(&mut self, id: SessionId, thread: usize) {
        // The connections of the beginning have the numbers from 1 on.
        if thread > self.world.begin_with() {
            self.beyond.insert(id, thread);
        }
        if !self.open.insert(id) || self.ended.contains(&id) {
            self.problem(format!("{id:?} is opened twice"));
        }
    }

    fn report(&mut self, report: &Report<Infallible>) -> Result<(), DownloadError> {
        let id = report.session();
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
            Report::Event(_, Event::Ready(_)) => self.added.extend(self.beyond.get(&id)),
            Report::Written(_, _, range) => self.check_written(id, range),
            _ => {}
        }
        Ok(())
    }

    fn same(&mut self, _file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, DownloadError> {
        let there = self.sink.read(offset, bytes.len());
        if !self.written.contains(&(offset..offset + bytes.len() as u64)) {
            self.problem(format!("{} bytes at {offset} are compared before they are written", bytes.len()));
        }
        let same = there.is_some_and(|there| there == bytes);
        self.lock().add(format_args!("{} bytes at {offset} compared: {same}", bytes.len()));
        Ok(same)
    }

    fn found(&mut self, _file: FileId, found: Option<Found>, _is_here_already: bool) -> bool {
        self.lock().add(format_args!("found: {found:?}"));
        (self.lookup_ended, self.found) = (true, found.is_some());
        let is_of = |found: &Found| {
            let of = |file: &File| found.checksum.to_string() == format!("sha256={}", file.sha256());
            self.world.versions.iter().any(of)
        };
        if !found.as_ref().is_none_or(is_of) || !self.world.looks_up {
            self.problem(format!("nobody has said that: {found:?}"));
        }
        true
    }

    fn retract(&mut self, file: FileId, engine: &Fetcher) {
        self.lock().add(format_args!("retracted; settled: {:?}", engine.status(file).settled()));
        self.stage.retract(file, engine);
    }

    fn notice(&mut self, notice: Notice) {
        if notice.is_warning() {
            self.lock().add(format_args!("warning: {notice}"));
        }
    }

    fn progress(&mut self, engine: &Fetcher, now: Instant) -> Option<Instant> {
        self.last_seen = now.0;
        self.heard.extend(self.about_to_hear.drain(..));
        if let Some(range) =
            engine.status(ONLY_FILE).done().iter().find(|range| !self.written.contains(range))
        {
            self.problem(format!("{range:?} is called done and was not written"));
        }
        self.check_sessions();
        if now.0 > self.limit && !self.stopped {
            self.problem(format!("it takes longer than {:?}", self.limit));
        }
        self.stage.progress(engine, now)
    }
}
