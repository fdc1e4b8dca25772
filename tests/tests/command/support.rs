//! Helpers of these tests.

use std::fs;
use std::ops::Range;

use rustix::process::Signal;

pub(crate) use pftp_tests::command::{Done, Pftp, Running, until};
pub(crate) use pftp_tests::loopback::Server;
pub(crate) use pftp_tests::model::{
    Behaviour, Bursts, Completion, Cut, Dialogue, Ending, File, Interruption, Login, Model, Reaction, Stats,
    Tree, Trigger, WhenFull,
};

/// The path of the file on every server.
pub(crate) const PATH: &str = "pub/data/file.bin";

/// The name of the file, there and here.
pub(crate) const NAME: &str = "file.bin";

/// The name of the part.
pub(crate) const PART: &str = "file.bin.pftp-part";

/// The name of the journal.
pub(crate) const JOURNAL: &str = "file.bin.pftp-journal";

/// Bytes in a mebibyte.
pub(crate) const MIB: u64 = 1024 * 1024;

/// A file of this size.
pub(crate) fn file(size: u64) -> File {
    File::generated(7, size)
}

/// Returns a tree with this file only.
pub(crate) fn tree(file: &File) -> Tree {
    Tree::new().with(PATH, file.clone())
}

/// Starts a server with this file and behaviour.
pub(crate) fn serve(file: &File, behaviour: Behaviour) -> Server {
    start(Model::new(tree(file)).with_behaviour(behaviour))
}

/// Starts a server of this model.
pub(crate) fn start(model: Model) -> Server {
    Server::start(model).expect("a loopback port is free")
}

/// `pftp -q` with these arguments and the URLs of the file on these servers.
pub(crate) fn pftp(args: &str, servers: &[&Server]) -> Pftp {
    let urls = servers.iter().map(|server| server.url(PATH));
    Pftp::new(["-q".to_owned()].into_iter().chain(args.split_whitespace().map(str::to_owned)).chain(urls))
}

/// The same over this transport.
pub(crate) fn over(transport: &str, args: &str, servers: &[&Server]) -> Pftp {
    pftp(&format!("--transport {transport} {args}"), servers)
}

/// Makes a test of each function over each transport.
macro_rules! over_each_transport {
    ($($case:ident)*) => {
        mod over_std {
            $(
                #[test]
                fn $case() {
                    super::$case("std");
                }
            )*
        }

        mod over_mio {
            $(
                #[test]
                fn $case() {
                    super::$case("mio");
                }
            )*
        }
    };
}
pub(crate) use over_each_transport;

/// Panics if there were more sessions than this, or a session logged in twice. There may be fewer, since the
/// file may be complete before all connections are up.
#[track_caller]
pub(crate) fn one_login_each(stats: &Stats, connections: usize) {
    assert!(stats.sessions.len() <= connections, "{} sessions", stats.sessions.len());
    assert!(stats.sessions.iter().all(|session| session.logins <= 1));
}

/// The behaviour of a server that throttles each session.
pub(crate) fn throttled(bytes_per_second: u64) -> Behaviour {
    Behaviour { bytes_per_second: Some(bytes_per_second), ..Behaviour::default() }
}

/// Runs a command to its end. The servers send no data until the condition holds, so no slow machine makes
/// the condition come too late.
#[track_caller]
pub(crate) fn run_held(
    command: Pftp,
    servers: &[&Server],
    what: &str,
    mut is_so: impl FnMut(&Running) -> bool,
) -> Done {
    servers.iter().for_each(|server| server.hold());
    let running = command.start();
    until(what, || is_so(&running) || running.has_ended());
    servers.iter().for_each(|server| server.let_go());
    running.wait()
}

/// The same, until each server has so many transfers.
#[track_caller]
pub(crate) fn run_at_work(command: Pftp, servers: &[(&Server, usize)]) -> Done {
    let at_work =
        |(server, sessions): &(&Server, usize)| server.with_stats(|stats| stats.transfers.len()) >= *sessions;
    let held: Vec<&Server> = servers.iter().map(|(server, _)| *server).collect();
    run_held(command, &held, "all are at work", |_| servers.iter().all(at_work))
}

/// The same, until these words are on standard error.
#[track_caller]
pub(crate) fn run_when_said(command: Pftp, servers: &[&Server], words: &str) -> Done {
    run_held(command, servers, words, |running| running.said().contains(words))
}

/// Runs until the journal records so many bytes, and stops. Few bytes come after them, so the download does
/// not end before, however long the disk takes.
#[track_caller]
pub(crate) fn stopped_after(args: &str, servers: &[&Server], bytes: u64) -> Done {
    let connections = args.split("-c ").nth(1).and_then(|rest| rest.split(' ').next());
    let connections: u64 =
        connections.and_then(|number| number.parse().ok()).expect("a number of connections");
    let each = Cut::silent(bytes * 3 / 2 / connections, Interruption::Stall);
    let usual: Vec<Behaviour> = servers.iter().map(|server| server.behaviour()).collect();
    for (server, usual) in servers.iter().zip(&usual) {
        server.set_behaviour(usual.clone().cutting_every(each.clone()));
    }
    let running = pftp(args, servers).start();
    let journal = running.path(JOURNAL);
    until("so much is recorded", || recorded(&fs::read(&journal).unwrap_or_default()) >= bytes);
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    assert_eq!(done.files(), [JOURNAL, PART]);
    for (server, usual) in servers.iter().zip(usual) {
        server.set_behaviour(usual);
    }
    done
}

/// Returns how many bytes a journal records.
pub(crate) fn recorded(journal: &[u8]) -> u64 {
    ranges(journal).iter().map(|range| range.end - range.start).sum()
}

fn ranges(journal: &[u8]) -> Vec<Range<u64>> {
    let json = journal.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(json) else { return Vec::new() };
    let ranges = json["done"].as_array().expect("ranges");
    let bound = |bound: &serde_json::Value| bound.as_u64().expect("an offset");
    ranges.iter().map(|range| bound(&range[0])..bound(&range[1])).collect()
}

/// Returns the tree of a file with other bytes in the middle of what the journal of this run records. A run
/// that resumes and still delivers the original bytes there has not fetched them again, however much a server
/// sends before it sees a cut.
pub(crate) fn changed_where_recorded(file: &File, done: &Done) -> Tree {
    let longest = ranges(&done.read(JOURNAL)).into_iter().max_by_key(|range| range.end - range.start);
    let longest = longest.expect("something is here");
    assert!(longest.end - longest.start > 128 * 1024, "{longest:?}: no part of it is compared");
    tree(&file.clone().with_patch((longest.start + longest.end) / 2, "other bytes"))
}
