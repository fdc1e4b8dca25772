//! The settings of the engine, made from those of the download.

use crate::checksum::Expected;
use crate::destination::DestinationSink;
use crate::engine::{self, Earlier, Fetcher, FileId, Finished, ServerSettings, Wanted};
use crate::journal::Record;
use crate::local::LocalError;
use crate::notice::DownloadNotice;
use crate::observer::Observer;
use crate::resume::FinishedFile;
use crate::settings::Settings;
use crate::source::Source;
use ftp_proto::{Arg, Config, Instant, RepresentationType};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::time::Duration;

/// Connections to one source at most, whatever the settings say: no server is known to allow more, and each may be a thread.
const MOST_CONNECTIONS: usize = 64;

/// Bytes below which a file is not split at first, unless the settings say otherwise: on a path of 100 ms a data connection
/// costs as much as a few hundred KiB at 20 Mbit/s.
const MIN_SEGMENT: u64 = 1024 * 1024;

/// Bytes below which no tail is taken from a running transfer, unless the settings say otherwise: the overlap before the tail
/// is as long.
const MIN_TAIL: u64 = 4 * 1024;

/// Returns what is on disk before the first connection: the bytes of `record`, or a finished file.
pub(super) fn earlier(
    record: Option<&Record>,
    finished: Option<FinishedFile>,
    sink: &DestinationSink,
) -> Result<Earlier, LocalError> {
    let mut earlier = match record.zip(sink.resumable()) {
        Some((record, file)) => Earlier::new(record.facts(), record.ranges(), |range| file.read(range))?,
        None => Earlier::default(),
    };
    earlier.finished = finished.map(|file| Finished { size: file.size, modified: file.modified });
    Ok(earlier)
}

/// A file as a job of the engine.
#[derive(Debug)]
pub(super) struct FileJob {
    settings: engine::Settings,
    /// The servers of the mirrors, each with the path of the file there.
    servers: Vec<(ServerSettings, Arg)>,
    /// The file, without its mirrors.
    wanted: Wanted,
}

impl FileJob {
    /// Starts an engine with the file. Its servers have the order of the sources.
    pub(super) fn start(self, now: Instant) -> (Fetcher, FileId) {
        let mut engine = Fetcher::new(self.settings, now);
        let mut mirror = |(server, path)| engine::Source { server: engine.add_server(server), path };
        let mirrors = self.servers.into_iter().map(&mut mirror).collect();
        let file = engine.add(Wanted { mirrors, ..self.wanted }, now);
        (engine, file)
    }
}

/// Makes the job of the engine for a download from `sources`.
pub(super) fn file_job(
    sources: &[Source],
    settings: &Settings,
    sink: &DestinationSink,
    earlier: Earlier,
    observer: &mut dyn Observer,
) -> FileJob {
    let named: usize = sources.iter().map(|source| source.connections).sum();
    let is_ascii = settings.representation == RepresentationType::Ascii;
    let asked = if sink.is_in_order() || is_ascii { Some(NonZeroUsize::MIN) } else { settings.connections };
    let wanted = asked.map_or_else(|| named.max(Settings::CHOSEN_CONNECTIONS), NonZeroUsize::get);
    let most = MOST_CONNECTIONS.saturating_mul(sources.len());
    if wanted > most {
        observer.notice(&DownloadNotice::ConnectionsReduced { wanted, used: most });
    }
    let server = |source: &Source| {
        let server = ServerSettings {
            name: source.server(),
            config: session_config(settings, source),
            connections: source.connections,
        };
        (server, source.path.clone())
    };
    FileJob {
        settings: engine::Settings {
            connections: at_least_one(wanted.min(most)),
            begin_with: at_least_one(asked.map_or(named, |_| wanted).min(most)),
            retries: settings.retries,
            seed: RandomState::new().hash_one(0),
        },
        servers: sources.iter().map(server).collect(),
        wanted: Wanted {
            mirrors: Vec::new(),
            min_segment: settings.min_segment.map_or(MIN_SEGMENT, Into::into),
            min_tail: settings.min_segment.map_or(MIN_TAIL, Into::into),
            in_order: sink.is_in_order(),
            representation: settings.representation,
            earlier,
            lookup: (settings.checksum == Some(Expected::Auto)).then(|| dialogue_limit(settings.timeout)),
        },
    }
}

fn at_least_one(connections: usize) -> NonZeroUsize {
    NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN)
}

/// Makes the configuration of a session with `source`.
fn session_config(settings: &Settings, source: &Source) -> Config {
    let mut config = Config::default();
    config.username = source.username.clone();
    config.password = source.password.clone();
    config.representation = settings.representation;
    config.trace = settings.wire_lines;
    config.trust_pasv_address = settings.trust_pasv_address;
    let timeouts = &mut config.timeouts;
    for timeout in
        [&mut timeouts.connect, &mut timeouts.reply, &mut timeouts.data_connect, &mut timeouts.stall]
    {
        *timeout = settings.timeout;
    }
    for timeout in [&mut timeouts.burst, &mut timeouts.completion, &mut timeouts.cut] {
        *timeout = settings.timeout.min(*timeout);
    }
    timeouts.login = dialogue_limit(settings.timeout);
    config
}

/// Returns the time limit of a dialogue each reply of which may take `timeout`. Without the limit, a server that sends a byte
/// now and then would never time out.
const fn dialogue_limit(timeout: Duration) -> Duration {
    timeout.saturating_mul(4)
}
