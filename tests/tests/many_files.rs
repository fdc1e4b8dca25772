//! Many files over one pool of connections: the engine without the command.

use ftp_proto::{Arg, Config, Instant, Report, RepresentationType, SessionId, TimeVal};
use pftp::Notice;
use pftp::drive::{Input, Surroundings, drive};
use pftp::engine::{Earlier, Fetcher, FileId, Finished, ServerId, ServerSettings, Settings, Source, Wanted};
use pftp_tests::model::{Behaviour, File, Model, Tree};
use pftp_tests::sim::{MemorySink, Path, SimTransport};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// The surroundings of a batch in memory.
struct Batch {
    addresses: Vec<SocketAddr>,
    sinks: Vec<Arc<MemorySink>>,
    inputs: VecDeque<Input<Infallible>>,
    notices: Vec<Notice>,
}

impl Surroundings<MemorySink> for Batch {
    type Error = Infallible;

    fn resolve(&mut self, id: ServerId) {
        self.inputs.push_back(Input::Resolved(id, Ok(vec![self.addresses[id.0]])));
    }

    fn input(&mut self) -> Option<Input<Infallible>> {
        self.inputs.pop_front()
    }

    fn sink(&mut self, file: FileId) -> Arc<MemorySink> {
        Arc::clone(&self.sinks[file.0])
    }

    fn opened(&mut self, _id: SessionId, _connection: usize) {}

    fn report(&mut self, _report: &Report<Infallible>) -> Result<(), Infallible> {
        Ok(())
    }

    fn same(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, Infallible> {
        Ok(self.sinks[file.0].read(offset, bytes.len()).is_some_and(|there| there == bytes))
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    fn progress(&mut self, _engine: &Fetcher, now: Instant) -> Option<Instant> {
        (!self.inputs.is_empty()).then_some(now)
    }
}

/// Files of 0 bytes to 3 MiB, most of them small.
fn files(count: u64) -> Vec<File> {
    let size = |number: u64| match number % 10 {
        0 => 0,
        9 => (1 << 20) + number * 40_000,
        _ => number * number * 97 % 60_000,
    };
    (0..count).map(|number| File::generated(number, size(number))).collect()
}

/// The path of a file; every third one is in another directory.
fn path(number: usize) -> String {
    let directory = if number % 3 == 2 { "other" } else { "pub" };
    format!("{directory}/file-{number}")
}

struct Done {
    results: Vec<Result<u64, pftp::EngineError>>,
    logins: Vec<u32>,
    notices: Vec<Notice>,
    exact: Vec<bool>,
}

/// Files to fetch over so many connections from servers that have them.
struct Job {
    files: Vec<File>,
    round_trips: Vec<u64>,
    connections: usize,
    /// Servers, each with a file that it lacks.
    missing: Vec<(usize, usize)>,
    /// Servers, each with a file of which it has another one.
    others: Vec<(usize, usize)>,
    /// Files that are here already.
    finished: Vec<usize>,
    behaviour: Behaviour,
}

impl Job {
    /// All files come from servers that have them all and behave well.
    fn new(files: Vec<File>, round_trips: &[u64], connections: usize) -> Self {
        Self {
            files,
            round_trips: round_trips.to_vec(),
            connections,
            missing: Vec::new(),
            others: Vec::new(),
            finished: Vec::new(),
            behaviour: Behaviour::default(),
        }
    }

    fn earlier(&self, number: usize) -> Earlier {
        let mut earlier = Earlier::default();
        earlier.finished = self.finished.contains(&number).then(|| {
            let file = &self.files[number];
            let modified = TimeVal::parse(file.modified().as_bytes()).expect("a time");
            Finished { size: file.size(), modified: modified.unix_seconds() }
        });
        earlier
    }

    fn run(self) -> Done {
        let mut transport = SimTransport::new(Arc::default());
        let addresses: Vec<SocketAddr> = self
            .round_trips
            .iter()
            .enumerate()
            .map(|(server, round_trip)| {
                let tree = self.files.iter().enumerate().fold(Tree::new(), |tree, (number, file)| {
                    let of = |list: &[(usize, usize)]| list.contains(&(server, number));
                    match (of(&self.missing), of(&self.others)) {
                        (true, _) => tree,
                        (_, true) => tree.with(path(number), File::generated(1000, file.size() + 7)),
                        _ => tree.with(path(number), file.clone()),
                    }
                });
                let limit = Path { bytes_per_second: Some(4 << 20), ..Path::of_round_trip(*round_trip) };
                transport.add(Model::new(tree).with_behaviour(self.behaviour.clone()), limit)
            })
            .collect();
        let connections = NonZeroUsize::new(self.connections).expect("at least one connection");
        let settings = Settings { connections, begin_with: connections, retries: 3, seed: 1 };
        let mut engine = Fetcher::new(settings, Instant::ZERO);
        let servers: Vec<ServerId> = addresses
            .iter()
            .map(|address| {
                let (name, config) = (address.to_string(), Config::default());
                engine.add_server(ServerSettings { name, config, connections: 1 })
            })
            .collect();
        let ids: Vec<FileId> = (0..self.files.len())
            .map(|number| {
                let path = Arg::new(path(number)).expect("a path");
                let mirrors = servers.iter().map(|server| Source { server: *server, path: path.clone() });
                let wanted = Wanted {
                    mirrors: mirrors.collect(),
                    min_segment: 64 << 10,
                    min_tail: 4 << 10,
                    in_order: false,
                    representation: RepresentationType::Image,
                    earlier: self.earlier(number),
                    lookup: None,
                };
                engine.add(wanted, Instant::ZERO)
            })
            .collect();
        let sinks: Vec<Arc<MemorySink>> = self.files.iter().map(|_| Arc::default()).collect();
        let mut batch = Batch { addresses, sinks, inputs: VecDeque::new(), notices: Vec::new() };
        let Ok(mut results) = drive(&mut engine, &mut transport, &mut batch);
        Done {
            results: ids.iter().map(|id| results.take(*id)).collect(),
            logins: batch.addresses.iter().map(|address| transport.stats(*address).logins()).collect(),
            notices: batch.notices,
            exact: batch.sinks.iter().zip(&self.files).map(|(sink, file)| sink.holds(file)).collect(),
        }
    }
}

#[test]
fn fifty_files_come_over_six_sessions_that_log_in_once() {
    let files = files(50);
    let sizes: Vec<u64> = files.iter().map(File::size).collect();
    let done = Job::new(files, &[40, 60], 6).run();
    for (number, result) in done.results.iter().enumerate() {
        assert_eq!(*result, Ok(sizes[number]), "file {number}");
        assert!(done.exact[number], "the bytes of file {number} are wrong");
    }
    assert_eq!(done.logins.iter().sum::<u32>(), 6, "one login for each session: {:?}", done.logins);
    assert!(done.notices.is_empty(), "{:?}", done.notices);
}

#[test]
fn first_file_that_is_missing_fails_alone() {
    let files = files(20);
    let missing = vec![(0, 0), (1, 0), (0, 3)];
    let done = Job { missing, ..Job::new(files, &[40, 40], 4) }.run();
    for (number, result) in done.results.iter().enumerate() {
        assert_eq!(result.is_ok(), number != 0, "file {number}: {result:?}");
        assert!(number == 0 || done.exact[number], "the bytes of file {number} are wrong");
    }
}

#[test]
fn files_of_different_servers_come_over_one_connection() {
    let files = files(12);
    let missing = (0..12).map(|number| (number % 2, number)).collect();
    let done = Job { missing, ..Job::new(files, &[40, 60], 1) }.run();
    for (number, result) in done.results.iter().enumerate() {
        assert!(result.is_ok() && done.exact[number], "file {number}: {result:?}");
    }
}

#[test]
fn files_of_two_directories_come_from_a_server_that_takes_no_slash() {
    let behaviour = Behaviour { refuses_paths: true, ..Behaviour::default() };
    let done = Job { behaviour, ..Job::new(files(12), &[40], 3) }.run();
    for (number, result) in done.results.iter().enumerate() {
        assert!(result.is_ok() && done.exact[number], "file {number}: {result:?}");
    }
}

#[test]
fn missing_file_fails_alone() {
    let files = files(20);
    let missing = vec![(0, 7), (1, 7), (0, 3)];
    let done = Job { missing, ..Job::new(files, &[40, 40], 4) }.run();
    for (number, result) in done.results.iter().enumerate() {
        let exists = number != 7;
        assert_eq!(result.is_ok(), exists, "file {number}: {result:?}");
        assert_eq!(done.exact[number], exists, "file {number}");
    }
}

#[test]
fn missing_directory_fails_alone_over_the_only_connection() {
    let behaviour = Behaviour { refuses_paths: true, ..Behaviour::default() };
    let missing = (0..12).filter(|number| number % 3 == 2).map(|number| (0, number)).collect();
    let done = Job { behaviour, missing, ..Job::new(files(12), &[40], 1) }.run();
    for (number, result) in done.results.iter().enumerate() {
        let exists = number % 3 != 2;
        assert_eq!(result.is_ok(), exists, "file {number}: {result:?}");
        assert_eq!(done.exact[number], exists, "file {number}");
    }
}

#[test]
fn mirror_with_another_file_is_dropped_for_that_file_alone() {
    let mut files = files(20);
    files[0] = File::generated(77, 4 << 20);
    let done = Job { others: vec![(1, 0)], ..Job::new(files, &[40, 40, 40], 6) }.run();
    for (number, result) in done.results.iter().enumerate() {
        assert!(result.is_ok() && done.exact[number], "file {number}: {result:?}");
    }
    assert!(matches!(done.notices[..], [Notice::MirrorDropped(_)]), "{:?}", done.notices);
    assert_eq!(done.logins, [2, 2, 2], "the sessions of the dropped mirror fetch other files");
}

#[test]
fn finished_files_in_the_middle_of_a_batch_are_not_fetched_again() {
    let files = files(12);
    let sizes: Vec<u64> = files.iter().map(File::size).collect();
    let done = Job { finished: vec![0, 5, 9], ..Job::new(files, &[40], 3) }.run();
    for (number, result) in done.results.iter().enumerate() {
        assert_eq!(*result, Ok(sizes[number]), "file {number}");
        // No byte of a finished file is written; file 0 has none.
        assert_eq!(done.exact[number], !matches!(number, 5 | 9), "file {number}");
    }
}
