//! What the modules of these tests share.

pub(crate) use pftp_tests::command::{Done, Pftp, until};
pub(crate) use pftp_tests::loopback::Server;
pub(crate) use pftp_tests::model::{
    Behaviour, Bursts, Completion, Cut, Dialogue, Ending, File, Interruption, Login, Model, Reaction, Stats,
    Tree, Trigger, WhenFull,
};

/// Where the file is on every server.
pub(crate) const PATH: &str = "pub/data/file.bin";

/// Its name, which is that of the file here.
pub(crate) const NAME: &str = "file.bin";

/// Its name while it is being fetched.
pub(crate) const PART: &str = "file.bin.pftp-part";

/// The name of its journal.
pub(crate) const JOURNAL: &str = "file.bin.pftp-journal";

/// Bytes in a mebibyte.
pub(crate) const MIB: u64 = 1024 * 1024;

/// A file of this size.
pub(crate) fn file(size: u64) -> File {
    File::generated(7, size)
}

/// The files of a server that has only this one.
pub(crate) fn tree(file: &File) -> Tree {
    Tree::new().with(PATH, file.clone())
}

/// A server of this file that behaves so.
pub(crate) fn serve(file: &File, behaviour: Behaviour) -> Server {
    start(Model::new(tree(file)).with_behaviour(behaviour))
}

/// A server of this model.
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

/// Makes a test over each transport of each of these functions, which take its name.
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

/// There were no more sessions than these, and none logged in twice. There may be fewer: a file may be here
/// before all connections are up.
#[track_caller]
pub(crate) fn one_login_each(stats: &Stats, connections: usize) {
    assert!(stats.sessions.len() <= connections, "{} sessions", stats.sessions.len());
    assert!(stats.sessions.iter().all(|session| session.logins <= 1));
}

/// A behaviour that sends no faster than this, in each session.
pub(crate) fn throttled(bytes_per_second: u64) -> Behaviour {
    Behaviour { bytes_per_second: Some(bytes_per_second), ..Behaviour::default() }
}
