//! One download, from its options to its end: names, signals, sessions, file, log and progress put together.

mod alone;
mod here;

use crate::checksum::{Checksum, Expected};
use crate::destination::Destination;
use crate::drive::{Input, Surroundings, drive};
use crate::exit::{Failure, Kind, Signal};
use crate::log::Log;
use crate::options::Options;
use crate::plan::{Before, Finished, Planner, Settings, Source};
use crate::progress::{Mode, Progress};
use crate::ranges::RangeSet;
use crate::recorder::Recorder;
use crate::resume::{self, ResumePolicy};
use crate::verification::{Reference, Verdict, Verification};
use crate::{cli, sources, wording};
use ftp_proto::{Config, Facts, Instant, Transport};
use ftp_transport_mio::MioTransport;
use ftp_transport_std::StdTransport;
use here::{Here, snapshot};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Connections at most when nobody says how many, unless there are more sources. All but two may be dialled at once, and a
/// server accepts no more than its backlog, which is 32 with vsftpd, before it has seen to those.
pub const MOST_CHOSEN: usize = 32;

/// Connections to one source at most, whatever is asked for: no server is known to allow more, and each is a
/// thread.
const MOST_CONNECTIONS: usize = 64;

/// Bytes below which a file is not split, unless told otherwise: on a path of 100 ms a data connection costs
/// as much as a few hundred KiB at 20 Mbit/s.
const MIN_SEGMENT: u64 = 1024 * 1024;

/// Bytes below which no tail is taken from a transfer that goes on, unless told otherwise: what is fetched in front of it, to
/// be compared, is as long.
const MIN_TAIL: u64 = 4 * 1024;

/// Does what the options say.
///
/// # Errors
/// Why there is no whole file; what there is of it has been kept.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut progress = Progress::new(Mode::choose(options.quiet), &options.name());
    let result = download(options, &mut progress);
    progress.clear();
    result
}

fn download(options: &Options, progress: &mut Progress) -> Result<(), Failure> {
    for warning in &options.warnings {
        progress.warn(warning);
    }
    let algorithms = options.checksum.as_ref().map(Expected::algorithms).unwrap_or_default();
    let destination = Destination::open(&options.output, options.representation, &algorithms)?;
    let destination = Arc::new(destination);
    let before = before(options, &destination, progress)?;
    match attempt(options, &options.sources, &destination, Start { before, over: false }, progress)? {
        Some(wrong) => alone::one_by_one(options, &destination, wrong, progress),
        None => Ok(()),
    }
}

/// Returns what earlier runs have left of the file, as far as it is of use.
fn before(options: &Options, destination: &Destination, progress: &mut Progress) -> Result<Before, Failure> {
    let Some(sink) = destination.resumable() else { return Ok(Before::default()) };
    let policy = ResumePolicy {
        fresh: options.fresh,
        overwrite: options.overwrite,
        checksum: options.checksum.as_ref().and_then(Expected::given),
        representation: options.representation,
    };
    let earlier = resume::load(sink, policy)?;
    if let Some(discarded) = &earlier.discarded {
        progress.warn(&wording::discarded(discarded));
    }
    let mut before = match earlier.record {
        Some(record) => {
            let done = record.ranges();
            progress.note(&format!("going on: {} bytes are here from an earlier run", done.len()));
            Before::new(record.facts(), done, |range| sink.read(range))?
        }
        None => Before::default(),
    };
    before.finished = earlier.finished.map(|file| Finished { size: file.size, modified: file.modified });
    Ok(before)
}

/// What a download begins with.
struct Start {
    before: Before,
    /// Whether the journal says something else, and what that names is written over.
    over: bool,
}

/// A file that does not have its checksum.
struct Wrong {
    failure: Failure,
    /// The one that it should have.
    wanted: Checksum,
    identity: Facts,
    /// What came from each mirror, as far as nobody else can have written it.
    brought: Vec<RangeSet>,
}

/// Fetches the file from these sources.
fn attempt(
    options: &Options,
    sources: &[sources::Source],
    destination: &Arc<Destination>,
    start: Start,
    progress: &mut Progress,
) -> Result<Option<Wrong>, Failure> {
    let settings = Settings { before: start.before, ..settings(options, sources, progress) };
    let job = Job { options, sources, settings, over: start.over, destination };
    match options.transport {
        cli::Transport::Std => job.run(StdTransport::new(), progress),
        cli::Transport::Mio => {
            let transport = MioTransport::new()
                .map_err(|error| Failure::new(Kind::Other, format!("cannot make an event loop: {error}")))?;
            job.run(transport, progress)
        }
    }
}

/// A download before it has a transport.
struct Job<'a> {
    options: &'a Options,
    sources: &'a [sources::Source],
    settings: Settings,
    over: bool,
    destination: &'a Arc<Destination>,
}

impl Job<'_> {
    fn run<T>(self, mut transport: T, progress: &mut Progress) -> Result<Option<Wrong>, Failure>
    where
        T: Transport<Sink = Destination>,
    {
        let log = match &self.options.log {
            Some(target) => {
                let several = self.settings.connections > NonZeroUsize::MIN;
                Some(Log::open(target, several, self.over)?)
            }
            None => None,
        };
        let (sender, inputs) = channel();
        let waker = transport.waker();
        let last_word = if self.destination.resumable().is_some() { STOPPED_ON_THE_WAY } else { STOPPED };
        watch_signals(last_word, sender.clone(), Arc::clone(&waker))
            .map_err(|error| Failure::new(Kind::Other, format!("cannot watch for signals: {error}")))?;
        let mut planner = Planner::new(self.settings, transport.now());
        let mut here = Here {
            sources: self.sources,
            destination: self.destination,
            waker,
            sender,
            inputs,
            threads: BTreeMap::new(),
            log,
            recorder: recorder(self.options, self.destination, &planner)?,
            verification: verification(self.options, self.destination)?,
            next_look: Instant::ZERO,
            fitting: None,
            progress,
        };
        if self.over {
            here.retract(&planner);
        }
        let result = drive(&mut planner, &mut transport, self.destination, &mut here);
        here.flush_log();
        let (recorder, verification) = (here.recorder.take(), here.verification.take());
        let now = transport.now();
        let size = match result {
            Ok(size) => size,
            Err(error) => {
                // Nobody may be reading what a session is writing.
                transport.abandon();
                if let Some(recorder) = recorder {
                    recorder.close(&snapshot(&planner));
                }
                // Not left to its drop: the threads of sessions, which hold it too, may outlive this function.
                self.destination.discard();
                return Err(in_the_end(error.into(), self.destination));
            }
        };
        // No session may write any more when the file is made whole.
        drop(transport);
        if planner.is_here_already() {
            if let Some(recorder) = recorder {
                recorder.finish();
            }
            // What there is of it was to replace just this file.
            if let Some(sink) = self.destination.resumable() {
                sink.remove();
            }
            progress.note(&format!("{} is here already; --overwrite fetches it again", self.options.name()));
            return Ok(None);
        }
        let wrong = make_whole(self.destination, &planner, size, (recorder, verification), progress)?;
        if wrong.is_none() {
            progress.done(size);
            progress.finish(planner.from_earlier_run(), now.0);
        }
        Ok(wrong)
    }
}

/// Begins the journal, if a later run can resume with the destination.
fn recorder(
    options: &Options,
    destination: &Destination,
    planner: &Planner,
) -> Result<Option<Recorder>, Failure> {
    let Some(sink) = destination.resumable() else { return Ok(None) };
    let source = |source: &sources::Source| {
        format!("{} {}", source.server(), String::from_utf8_lossy(source.path.as_bytes()))
    };
    let sources = options.sources.iter().map(source).collect();
    Ok(Some(Recorder::start(sink, sources, planner.settled())?))
}

/// Begins the verification, if the user wants one.
fn verification(options: &Options, destination: &Destination) -> Result<Option<Verification>, Failure> {
    let Some(expected) = &options.checksum else { return Ok(None) };
    Ok(Some(Verification::start(expected, destination.resumable())?))
}

/// What a stopped download says last.
const STOPPED: &str = "stopped";

/// The same if there is something to go on with.
const STOPPED_ON_THE_WAY: &str = "stopped; run the same command again to go on";

/// Why a download has failed, now that it is known what is left of it: one that was stopped promises nothing else.
fn in_the_end(failure: Failure, destination: &Destination) -> Failure {
    let can_go_on = destination.resumable().is_some_and(|sink| sink.journal().path().exists());
    match failure.kind() {
        kind @ Kind::Interrupted(_) if !can_go_on => Failure::new(kind, STOPPED),
        _ => failure,
    }
}

/// All `size` bytes are here: verifies them, and gives the file its name.
fn make_whole(
    destination: &Destination,
    planner: &Planner,
    size: u64,
    (recorder, verification): (Option<Recorder>, Option<Verification>),
    progress: &mut Progress,
) -> Result<Option<Wrong>, Failure> {
    let streamed = |algorithm| destination.streamed_checksum(algorithm);
    let verdict = verification.and_then(|verification| verification.conclude(size, streamed));
    if let Some(Verdict { reference, result }) = verdict {
        if let Err(error) = result {
            let failure = wording::verify_failure(&destination.place(), &reference, &error);
            let Some(recorder) = recorder else { return Err(failure) };
            if failure.kind() != Kind::Integrity {
                // It could not be read, and may be what it is to be.
                recorder.close(&snapshot(planner));
                return Err(failure);
            }
            let wanted = reference.checksum().clone();
            recorder.close_mismatched(&snapshot(planner), &wanted);
            let (identity, brought) = (planner.identity().clone(), planner.brought());
            return Ok(Some(Wrong { failure, wanted, identity, brought }));
        }
        if let Reference::Found(found) = &reference {
            progress.note(&format!("verified: {}", wording::found(found)));
        }
    }
    let recorder = recorder.inspect(Recorder::flush);
    let settled = destination.settle(size, planner.identity().modify);
    let is_settled = settled.is_ok();
    let named = settled.and_then(|()| destination.publish());
    match recorder {
        // All of it is on disk and has no name: the next run has nothing to fetch.
        Some(recorder) if is_settled && named.is_err() => recorder.close(&snapshot(planner)),
        Some(recorder) => recorder.finish(),
        None => {}
    }
    if let Err(error) = named {
        destination.discard();
        return Err(error.into());
    }
    Ok(None)
}

fn settings(options: &Options, sources: &[sources::Source], progress: &mut Progress) -> Settings {
    let named: usize = sources.iter().map(|source| source.connections).sum();
    let wanted = options.connections.map_or_else(|| named.max(MOST_CHOSEN), NonZeroUsize::get);
    let most = MOST_CONNECTIONS.saturating_mul(sources.len());
    if wanted > most {
        progress.warn(&format!("{wanted} connections are more than servers allow; using {most}"));
    }
    let source = |source: &sources::Source| Source {
        server: source.server(),
        path: source.path.clone(),
        config: config(options, source),
        connections: source.connections,
    };
    Settings {
        sources: sources.iter().map(source).collect(),
        connections: at_least_one(wanted.min(most)),
        begin_with: at_least_one(options.connections.map_or(named, |_| wanted).min(most)),
        retries: options.retries,
        min_segment: options.min_segment.map_or(MIN_SEGMENT, Into::into),
        min_tail: options.min_segment.map_or(MIN_TAIL, Into::into),
        in_order: options.output == crate::options::Output::Stdout,
        representation: options.representation,
        seed: RandomState::new().hash_one(0),
        before: Before::default(),
        search: (options.checksum == Some(Expected::Auto)).then(|| whole(options.timeout)),
    }
}

fn at_least_one(connections: usize) -> NonZeroUsize {
    NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN)
}

/// What a session with `source` is told.
fn config(options: &Options, source: &sources::Source) -> Config {
    let mut config = Config::default();
    config.username = source.username.clone();
    config.password = source.password.clone();
    config.representation = options.representation;
    config.trace = options.log.is_some();
    config.trust_pasv_address = options.trust_pasv_address;
    let timeouts = &mut config.timeouts;
    for patience in
        [&mut timeouts.connect, &mut timeouts.reply, &mut timeouts.data_connect, &mut timeouts.stall]
    {
        *patience = options.timeout;
    }
    for patience in [&mut timeouts.burst, &mut timeouts.completion, &mut timeouts.cut] {
        *patience = options.timeout.min(*patience);
    }
    timeouts.login = whole(options.timeout);
    config
}

/// How long a dialogue may take as a whole, each reply of which may take so long: not for ever, drip by drip.
const fn whole(timeout: Duration) -> Duration {
    timeout.saturating_mul(4)
}

/// How long an orderly end may take after a signal.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Ends the download in order at the first signal, and the program at once at the second.
fn watch_signals(last_word: &'static str, inputs: Sender<Input<Failure>>, wake: Waker) -> io::Result<()> {
    for (signal, code) in [(SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)] {
        let seen = Arc::new(AtomicBool::new(false));
        let code = i32::from(Kind::Interrupted(code).code());
        signal_hook::flag::register_conditional_shutdown(signal, code, seen.clone())?;
        signal_hook::flag::register(signal, seen)?;
    }
    // A file that grows past `ulimit -f` is an error to tell, and not the end of the program.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        let signal = if signal == SIGINT { Signal::Interrupt } else { Signal::Terminate };
        let failure = Failure::new(Kind::Interrupted(signal), last_word);
        let last_word = format!("pftp: {failure}\n");
        // Fails when the download is over.
        let _ = inputs.send(Input::Stop(failure));
        wake();
        std::thread::sleep(STOP_WITHIN);
        // A write that nobody takes holds it up: a full pipe, a file system that does not answer.
        let _ = io::stderr().write_all(last_word.as_bytes());
        std::process::exit(Kind::Interrupted(signal).code().into());
    })?;
    Ok(())
}

/// What wakes the transport.
type Waker = Arc<dyn Fn() + Send + Sync>;

#[cfg(test)]
mod tests;
