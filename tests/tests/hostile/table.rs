//! The rows of the table, and how they are run.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) use pftp_tests::command::{Done, Pftp, peak_memory};
pub(crate) use pftp_tests::loopback::Server;
pub(crate) use pftp_tests::model::{
    Behaviour, Bursts, Completion, Cut, Dialogue, File, Interruption, Login, Model, Reaction, Tree, Trigger,
};
pub(crate) use pftp_tests::raw::{Peer, Raw};

/// The path of the file on every server.
pub(crate) const PATH: &str = "pub/data/file.bin";

/// The name of the file, there and here.
pub(crate) const NAME: &str = "file.bin";

/// The size of the file, in bytes.
pub(crate) const SIZE: u64 = 300_000;

/// The most memory that a run may have resident, in KiB, whatever a server does.
const MOST_MEMORY: u64 = 64 * 1024;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The server's act, as words after "The server".
    pub(crate) does: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) server: fn() -> Hostile,
}

/// The expected end of a run.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// The whole file, and exit code 0.
    Whole,
    /// Either end, as the system decides: a reset discards bytes that were not read.
    Either(i32, &'static str),
    /// This exit code, one line that contains these words, and no file.
    Fails(i32, &'static str),
}

/// A server to start, and the arguments of the command.
pub(crate) struct Hostile {
    server: Kind,
    silent: bool,
    connections: &'static [&'static str],
    args: &'static str,
}

/// A time limit that no busy machine exceeds.
const PATIENT: &str = "--timeout 20 --retries 1";

/// A time limit that must expire, with a last attempt that must fail for the reason under test: no machine
/// may be too busy for the login.
const IMPATIENT: &str = "--timeout 2 --retries 1";

/// A time limit that must expire, although the file comes in the end: a busy machine may fail other attempts.
const FORGIVING: &str = "--timeout 1 --retries 5";

type Talk = dyn Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync;

enum Kind {
    Model(Box<Model>),
    Raw(Arc<Talk>),
}

pub(crate) fn file() -> File {
    File::generated(7, SIZE)
}

fn hostile(server: Kind) -> Hostile {
    Hostile { server, silent: false, connections: &["1", "3"], args: "" }
}

fn model() -> Model {
    Model::new(Tree::new().with(PATH, file()))
}

/// A server with this behaviour in every session.
pub(crate) fn always(behaviour: Behaviour) -> Hostile {
    hostile(Kind::Model(Box::new(model().with_behaviour(behaviour))))
}

/// A server with this behaviour in its first session.
pub(crate) fn once(behaviour: Behaviour) -> Hostile {
    hostile(Kind::Model(Box::new(model().with_session(0, behaviour))))
}

/// A server with this dialog in every session.
pub(crate) fn raw(talk: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Hostile {
    hostile(Kind::Raw(Arc::new(move |_, peer| talk(peer))))
}

/// A server whose replies are as usual unless `answer` sends one and returns true.
pub(crate) fn odd(answer: impl Fn(&mut Peer, &str) -> io::Result<bool> + Send + Sync + 'static) -> Hostile {
    raw(move |peer| peer.serve(&answer))
}

/// A server with this reply to this command.
pub(crate) fn answers(verb: &str, reply: &str) -> Hostile {
    always(answering(verb, reply))
}

/// The behaviour of a server with this reply to this command.
pub(crate) fn answering(verb: &str, reply: impl AsRef<[u8]>) -> Behaviour {
    Behaviour::default().when(Trigger::every(verb), Reaction::Reply(reply.as_ref().to_vec()))
}

impl Hostile {
    /// The end is noticed by a timeout.
    pub(crate) fn in_silence(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The row runs over these numbers of connections only.
    pub(crate) fn over(mut self, connections: &'static [&'static str]) -> Self {
        self.connections = connections;
        self
    }

    /// Adds arguments of the command.
    pub(crate) fn with(mut self, args: &'static str) -> Self {
        self.args = args;
        self
    }

    fn start(self) -> Standing {
        match self.server {
            Kind::Model(model) => Standing::Model(Server::start(*model).expect("a free port")),
            Kind::Raw(talk) => {
                let bytes = file().read(0..SIZE);
                Standing::Raw(
                    Raw::start(bytes, move |session, peer| talk(session, peer)).expect("a free port"),
                )
            }
        }
    }
}

enum Standing {
    Model(Server),
    Raw(Raw),
}

impl Standing {
    fn url(&self) -> String {
        match self {
            Self::Model(server) => server.url(PATH),
            Self::Raw(server) => server.url(PATH),
        }
    }
}

impl Row {
    /// Runs the row over one connection and over several, unless the row names the numbers.
    pub(crate) fn run(&self, transport: &str) {
        for connections in (self.server)().connections {
            let hostile = (self.server)();
            let patience = match self.outcome {
                _ if !hostile.silent => PATIENT,
                Outcome::Whole => FORGIVING,
                Outcome::Either(..) | Outcome::Fails(..) => IMPATIENT,
            };
            let args = format!("{patience} -c {connections} --min-segment 16K {}", hostile.args);
            let server = hostile.start();
            let words = format!("-q -l log --transport {transport} {args}");
            let words = words.split_whitespace().map(str::to_owned);
            self.judge(watched(Pftp::new(words.chain([server.url()]))), &args);
        }
    }

    fn judge(&self, done: Done, args: &str) {
        let which = format!("{} ({args})", self.name);
        assert_clean(&done, &which);
        let stderr = done.stderr.clone();
        let (code, says) = match self.outcome {
            Outcome::Whole => (0, ""),
            Outcome::Either(..) if done.code == Some(0) => (0, ""),
            Outcome::Either(code, says) | Outcome::Fails(code, says) => (code, says),
        };
        assert_eq!(done.code, Some(code), "{which}: {stderr}");
        if code == 0 {
            assert_eq!(done.files(), [NAME, "log"], "{which}: {stderr}");
            done.expect_content(NAME, &file());
            return;
        }
        let lines: Vec<&str> = stderr.lines().collect();
        let Some((last, warnings)) = lines.split_last() else { panic!("{which}: not a word") };
        assert!(last.starts_with("pftp: ") && last.contains(says), "{which}: {stderr}");
        assert!(warnings.iter().all(|line| line.starts_with("pftp: warning: ")), "{which}: {stderr}");
        assert!(!done.files().contains(&NAME.to_owned()), "{which}: {:?}", done.files());
    }
}

/// How often a process is looked at: sending it more than it may hold takes longer.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs the command to its end, and panics if it takes more memory than it may.
pub(crate) fn watched(command: Pftp) -> Done {
    let running = command.start();
    let pid = running.pid();
    let (done, peak) = thread::scope(|scope| {
        let look = scope.spawn(move || {
            // The peak of a process only grows, so the last look counts.
            let mut peak = None;
            while let Some(now) = peak_memory(pid) {
                peak = Some(now);
                thread::sleep(LOOK_EVERY);
            }
            peak
        });
        (running.wait(), look.join().expect("a look"))
    });
    // A process that is gone before its first look had no time to grow.
    let peak = peak.unwrap_or_default();
    assert!(peak < MOST_MEMORY, "{peak} KiB; {}", done.stderr);
    done
}

/// Panics if a server could have forged anything on the terminal or in the log.
pub(crate) fn assert_clean(done: &Done, which: &str) {
    let harmless = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control() && !is_bidirectional(c));
    assert!(harmless(&done.stderr), "{which}: {:?}", done.stderr);
    assert!(done.stdout.is_empty(), "{which}");
    let log = String::from_utf8(done.read("log")).expect("a log in UTF-8");
    assert!(harmless(&log), "{which}: {log:?}");
    for line in log.lines() {
        let line = line
            .split_once(": ")
            .filter(|(thread, _)| thread.starts_with("Thread "))
            .map_or(line, |(_, line)| line);
        let sent = line.strip_prefix("C->S: ").map(|command| command.split(' ').next().unwrap_or_default());
        let known = sent.is_some_and(|verb| COMMANDS.contains(&verb));
        assert!(known || line.starts_with("S->C: "), "{which}: {line:?}");
    }
}

/// All commands that `pftp` sends.
const COMMANDS: [&str; 22] = [
    "USER", "PASS", "ACCT", "TYPE", "SIZE", "MDTM", "MLST", "EPSV", "PASV", "REST", "RETR", "CWD", "QUIT",
    "FEAT", "NOOP", "OPTS", "HASH", "XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512",
];

fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes rows of the table, and a test of each row over each transport.
macro_rules! rows {
    ($($name:ident: $does:literal => $outcome:expr, $server:expr;)*) => {
        /// This section of the table.
        pub(crate) const ROWS: &[$crate::table::Row] = &[$($crate::table::Row {
            name: stringify!($name),
            does: $does,
            outcome: $outcome,
            server: || $server,
        }),*];

        mod over_std {
            $(
                #[test]
                fn $name() {
                    $crate::pool::check(stringify!($name), "std");
                }
            )*
        }

        mod over_mio {
            $(
                #[test]
                fn $name() {
                    $crate::pool::check(stringify!($name), "mio");
                }
            )*
        }
    };
}
pub(crate) use rows;
