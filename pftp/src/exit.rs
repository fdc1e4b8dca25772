//! Failures: what the user reads, and the exit code that a script sees.

use ftp_proto::{Arg, Cause, Channel, Escaped, PeerFault, Reply, SessionError, Timer, Verb};
use rustix::io::Errno;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why a download ended without its file. Prints as one line that is safe to show on a terminal.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

/// The kinds of failure, in the order of how much they say: if several mirrors fail, the failure of the
/// greatest kind is the one to report.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// No connection to the server, or it would not serve us.
    Connect,
    /// Anything else, wrong use of the command line included.
    Other,
    /// A malformed URL or config, or a request that the server calls malformed.
    Syntax,
    /// The server does not implement a command.
    NotImplemented,
    /// The login failed.
    Authentication,
    /// The server does not allow it.
    NotAllowed,
    /// The server has no such file.
    NotFound,
    /// The bytes are not those of one file.
    Integrity,
    /// A file here.
    Local,
    /// Nobody reads standard output any more. There is nobody to tell, so it is not printed.
    BrokenPipe,
    /// The user stopped it.
    Interrupted(Signal),
}

/// A signal that ends the program in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Authentication => 2,
            Self::NotFound => 3,
            Self::Syntax => 4,
            Self::NotImplemented => 5,
            Self::NotAllowed => 6,
            Self::Other => 7,
            Self::Integrity => 8,
            Self::Local | Self::BrokenPipe => 9,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }

    /// What the user can do, where there is something.
    const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Authentication => Some("give another user with -n or another password with -P"),
            Self::NotAllowed => Some("another user may be allowed to: -n and -P"),
            Self::NotFound => Some("check the path: without a leading / it starts at the login directory"),
            Self::Connect
            | Self::Other
            | Self::Syntax
            | Self::NotImplemented
            | Self::Integrity
            | Self::Local
            | Self::BrokenPipe
            | Self::Interrupted(_) => None,
        }
    }
}

impl Failure {
    /// A failure with its message: what was tried, on which server or file, and what came of it.
    #[must_use]
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        Self { kind, message: Escaped(message.as_ref().as_bytes()).to_string() }
    }

    /// Wrong use of the command line.
    #[must_use]
    pub fn usage(message: impl Display) -> Self {
        Self::new(Kind::Other, format!("{message} (pftp --help tells more)"))
    }

    /// Something failed on a local file: `action` is what, as in "cannot create".
    #[must_use]
    pub fn local(action: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Kind::Local, format!("{action} {}: {error}", path.display()))
    }

    /// A write of the file failed; `name` says where to. A broken pipe is a kind of its own.
    #[must_use]
    pub fn write(name: impl Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::BrokenPipe, format!("{name}: {error}"));
        }
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => MAKE_ROOM,
            io::ErrorKind::FileTooLarge => "; the file system, or ulimit -f, allows no larger file",
            _ => "",
        };
        Self::new(Kind::Local, format!("cannot write {name}: {error}{advice}"))
    }

    /// The server refused a command about the file `path`.
    #[must_use]
    pub fn refused(server: &str, path: &Arg, verb: Verb, reply: &Reply) -> Self {
        let kind = kind_of(reply);
        let advice = if is_full(reply) { Some(FULL) } else { kind.advice() };
        Self::with_advice(
            kind,
            &format!("{server}: fetching {path}: {verb} was refused: {}", words(reply)),
            advice,
        )
    }

    /// A session with the server ended.
    #[must_use]
    pub fn session(server: &str, error: &SessionError) -> Self {
        match error {
            SessionError::Refused { verb, reply } => Self::session_refused(server, *verb, reply),
            SessionError::OutOfStep(inner) => Self::session(server, inner),
            SessionError::Timeout(timer) => {
                let kind = if *timer == Timer::Connect { Kind::Connect } else { Kind::Other };
                let message = format!("{server}: {}: {error}", attempt(kind));
                Self::with_advice(kind, &message, Some("wait longer with --timeout, or try later"))
            }
            SessionError::Connection(_, cause) if is_short_of_sockets(error) => {
                // What the server did so far does not matter, and no other server would help.
                let text = io::Error::from_raw_os_error(number_of(*cause));
                Self::new(Kind::Local, format!("{server}: connecting: {text}; {FEWER}"))
            }
            SessionError::Connection(Channel::Control, cause) => {
                let nobody = matches!(cause, Cause::Refused | Cause::Unreachable);
                let advice = nobody.then_some("check the server's name and port");
                Self::with_advice(Kind::Connect, &format!("{server}: connecting: {cause}"), advice)
            }
            SessionError::Peer(PeerFault::Overrun { .. }) => {
                Self::new(Kind::Integrity, format!("{server}: fetching: {error}"))
            }
            SessionError::Peer(PeerFault::Unexpected(verb, reply)) => {
                Self::new(Kind::Other, format!("{server}: {verb} was answered: {}", words(reply)))
            }
            SessionError::Peer(PeerFault::Unsolicited(reply)) => {
                Self::new(Kind::Other, format!("{server}: a reply to no command: {}", words(reply)))
            }
            SessionError::Connection(..) | SessionError::Peer(_) | SessionError::Quit | _ => {
                Self::new(Kind::Other, format!("{server}: fetching: {error}"))
            }
        }
    }

    fn session_refused(server: &str, verb: Option<Verb>, reply: &Reply) -> Self {
        let said = words(reply);
        let Some(verb) = verb else {
            let advice = is_full(reply).then_some(FULL);
            return Self::with_advice(Kind::Connect, &format!("{server}: connecting: {said}"), advice);
        };
        let login = matches!(verb, Verb::User | Verb::Pass | Verb::Acct);
        if login && is_full(reply) {
            return Self::with_advice(Kind::Connect, &format!("{server}: logging in: {said}"), Some(FULL));
        }
        let mut kind = kind_of(reply);
        if login && !matches!(kind, Kind::Syntax | Kind::NotImplemented) {
            kind = Kind::Authentication;
        }
        let step = if login { "logging in" } else { "setting up the session" };
        let message = format!("{server}: {step}: {verb} was refused: {said}");
        Self::with_advice(kind, &message, if login { kind.advice() } else { None })
    }

    fn with_advice(kind: Kind, message: &str, advice: Option<&str>) -> Self {
        match advice {
            Some(advice) => Self::new(kind, format!("{message}; {advice}")),
            None => Self::new(kind, message),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether to print nothing.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self.kind, Kind::BrokenPipe)
    }

    /// Of two failures the one that says more; `self` if they say as much.
    #[must_use]
    pub fn or_more_telling(self, other: Self) -> Self {
        if other.kind > self.kind { other } else { self }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.kind.code())
    }
}

/// What to do about a full disk.
pub(crate) const MAKE_ROOM: &str = "; make room and run the same command again";

const FULL: &str = "the server is busy: try later, or with fewer connections (-c)";

const FEWER: &str = "this machine or process has no more descriptors or buffers for connections: \
                     allow more (ulimit -n), or use fewer connections (-c)";

/// Whether no connection could be opened for lack of something here: descriptors of this process or of all, or buffers.
#[must_use]
pub fn is_short_of_sockets(error: &SessionError) -> bool {
    const SHORT: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    let SessionError::Connection(_, cause) = error else { return false };
    SHORT.iter().any(|errno| errno.raw_os_error() == number_of(*cause))
}

/// The number that the operating system gives to it; 0 if none is kept.
const fn number_of(cause: Cause) -> i32 {
    if let Cause::Other(number) = cause { number } else { 0 }
}

const fn attempt(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Connect) { "connecting" } else { "fetching" }
}

/// Whether a refusal says that the server serves as many as it will.
#[must_use]
pub fn is_full(reply: &Reply) -> bool {
    let code = reply.code().get();
    code == 421 || reply.mentions(&["too many", "maximum", "limit"]) && matches!(code, 400..=499 | 500 | 530)
}

/// What a refusal means for a file (RFC 959 §4.2.2).
fn kind_of(reply: &Reply) -> Kind {
    match reply.code().get() {
        530 | 430 | 331 | 332 => Kind::Authentication,
        // Several servers quote the file name, which may hold any word: a clear "not there" goes first.
        550 if reply.mentions(&["no such", "not found", "not exist", "cannot find"]) => Kind::NotFound,
        550 if reply.mentions(&["permission", "denied", "not allowed", "not permitted", "privilege"]) => {
            Kind::NotAllowed
        }
        550 => Kind::NotFound,
        532..=534 | 553 => Kind::NotAllowed,
        501 => Kind::Syntax,
        500 | 502 | 504 => Kind::NotImplemented,
        _ => Kind::Other,
    }
}

/// The server's words, not its whole welcome page.
fn words(reply: &Reply) -> String {
    const LONGEST: usize = 300;
    let text = reply.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).map(|start| format!("{start}...")).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftp_proto::ReplyParser;

    fn reply(text: &str) -> Reply {
        let mut parser = ReplyParser::new(65536);
        parser.push(text.as_bytes());
        parser.push(b"\r\n");
        parser.next().unwrap().unwrap()
    }

    fn file(text: &str) -> Failure {
        Failure::refused("ftp.example", &Arg::new("pub/x").unwrap(), Verb::Retr, &reply(text))
    }

    fn refused(verb: Option<Verb>, text: &str) -> Failure {
        Failure::session("ftp.example", &SessionError::Refused { verb, reply: reply(text) })
    }

    #[test]
    fn a_code_for_each_kind() {
        for (kind, code) in [
            (Kind::Connect, 1),
            (Kind::Authentication, 2),
            (Kind::NotFound, 3),
            (Kind::Syntax, 4),
            (Kind::NotImplemented, 5),
            (Kind::NotAllowed, 6),
            (Kind::Other, 7),
            (Kind::Integrity, 8),
            (Kind::Local, 9),
            (Kind::Interrupted(Signal::Interrupt), 130),
            (Kind::Interrupted(Signal::Terminate), 143),
        ] {
            let failure = Failure::new(kind, "x");
            assert_eq!(failure.kind().code(), code);
            assert_eq!(ExitCode::from(&failure), ExitCode::from(code));
        }
    }

    #[test]
    fn refusals_of_a_file() {
        for (text, kind) in [
            ("550 pub/x: No such file or directory", Kind::NotFound),
            ("550 Failed to open file.", Kind::NotFound),
            ("550 permission-denied.txt: no such file", Kind::NotFound),
            ("550 pub/x: Permission denied", Kind::NotAllowed),
            ("550 Access is denied.", Kind::NotAllowed),
            ("550 Operation not ALLOWED", Kind::NotAllowed),
            ("550 Not enough privileges.", Kind::NotAllowed),
            ("553 Prohibited file name", Kind::NotAllowed),
            ("532 Need account for storing files", Kind::NotAllowed),
            ("533 Command protection level denied", Kind::NotAllowed),
            ("534 Request denied for policy reasons", Kind::NotAllowed),
            ("500 Unknown command", Kind::NotImplemented),
            ("502 Command not implemented", Kind::NotImplemented),
            ("504 Parameter not implemented", Kind::NotImplemented),
            ("501 Syntax error in parameters", Kind::Syntax),
            ("530 Please login with USER and PASS", Kind::Authentication),
            ("421 Timeout", Kind::Other),
            ("450 File busy", Kind::Other),
            ("599 odd", Kind::Other),
        ] {
            assert_eq!(file(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn refusals_of_a_session() {
        for (verb, text, kind) in [
            (None, "421 Too many connections (10)", Kind::Connect),
            (None, "530 no", Kind::Connect),
            (None, "500 go away", Kind::Connect),
            (Some(Verb::Pass), "530 Login incorrect.", Kind::Authentication),
            (Some(Verb::Pass), "430 Invalid username or password", Kind::Authentication),
            (Some(Verb::Pass), "332 Need account", Kind::Authentication),
            (Some(Verb::User), "550 no", Kind::Authentication),
            (Some(Verb::User), "530 This FTP server is anonymous only.", Kind::Authentication),
            (Some(Verb::Pass), "530 Sorry, the maximum number of clients is connected.", Kind::Connect),
            (Some(Verb::User), "500 what?", Kind::NotImplemented),
            (Some(Verb::User), "501 bad name", Kind::Syntax),
            (Some(Verb::Type), "504 no such type", Kind::NotImplemented),
        ] {
            assert_eq!(refused(verb, text).kind(), kind, "{verb:?} {text}");
        }
    }

    #[test]
    fn ends_of_a_session() {
        for (error, kind) in [
            (SessionError::Timeout(Timer::Connect), Kind::Connect),
            (SessionError::Timeout(Timer::Stall), Kind::Other),
            (SessionError::Connection(Channel::Control, Cause::Refused), Kind::Connect),
            (SessionError::Connection(Channel::Control, Cause::Ended), Kind::Connect),
            (SessionError::Connection(Channel::Data, Cause::Refused), Kind::Other),
            (SessionError::Peer(PeerFault::Overrun { size: 7 }), Kind::Integrity),
            (SessionError::Peer(PeerFault::TooManyPreliminary), Kind::Other),
            (
                SessionError::OutOfStep(Box::new(SessionError::Connection(Channel::Control, Cause::Reset))),
                Kind::Connect,
            ),
            (SessionError::Quit, Kind::Other),
        ] {
            let failure = Failure::session("ftp.example", &error);
            assert_eq!(failure.kind(), kind, "{error:?}");
            assert!(failure.to_string().starts_with("ftp.example: "), "{failure}");
        }
    }

    #[test]
    fn no_more_descriptors_are_a_fault_here() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
            for channel in [Channel::Control, Channel::Data] {
                let cause = Cause::from(io::Error::from(errno));
                let failure = Failure::session("ftp.example", &SessionError::Connection(channel, cause));
                assert_eq!((failure.kind(), failure.kind().code()), (Kind::Local, 9), "{errno}");
                let shown = failure.to_string();
                assert!(shown.contains(" has no more descriptors or buffers"), "{shown}");
            }
        }
        let other = SessionError::Connection(Channel::Control, Cause::from(io::Error::from(Errno::ACCESS)));
        assert_eq!(Failure::session("ftp.example", &other).kind(), Kind::Connect);
    }

    #[test]
    fn a_message_tells_who_what_and_what_to_do() {
        assert_eq!(
            file("550 no\x1b[2J such file").to_string(),
            "ftp.example: fetching pub/x: RETR was refused: 550 no\\u{1b}[2J such file; \
             check the path: without a leading / it starts at the login directory"
        );
        assert_eq!(
            refused(Some(Verb::Pass), "530 Login incorrect.").to_string(),
            "ftp.example: logging in: PASS was refused: 530 Login incorrect.; \
             give another user with -n or another password with -P"
        );
        assert_eq!(
            refused(None, "421 Too many users").to_string(),
            "ftp.example: connecting: 421 Too many users; \
             the server is busy: try later, or with fewer connections (-c)"
        );
        let long = file(&format!("550 {}", "blah ".repeat(1000))).to_string();
        assert!(long.len() < 500 && long.contains("..."), "{long}");
    }

    #[test]
    fn a_message_is_one_line() {
        let name = Path::new("/tmp/a\nb\u{1b}");
        let shown = Failure::local("cannot create", name, &io::Error::other("no\r\n")).to_string();
        assert_eq!(shown, "cannot create /tmp/a\\nb\\u{1b}: no\\r\\n");
    }

    #[test]
    fn the_failure_that_says_most_wins() {
        let order = [
            Kind::Connect,
            Kind::Other,
            Kind::Syntax,
            Kind::NotImplemented,
            Kind::Authentication,
            Kind::NotAllowed,
            Kind::NotFound,
            Kind::Integrity,
            Kind::Local,
        ];
        assert!(order.is_sorted());
        let first = Failure::new(Kind::Connect, "1").or_more_telling(Failure::new(Kind::Connect, "2"));
        assert_eq!(first.to_string(), "1");
        let most = first.or_more_telling(Failure::new(Kind::NotFound, "3"));
        assert_eq!(most.or_more_telling(Failure::new(Kind::Authentication, "4")).to_string(), "3");
    }

    #[test]
    fn writes() {
        let full = Failure::write("a", &io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((full.kind(), full.is_quiet()), (Kind::Local, false));
        assert!(full.to_string().contains("make room"));
        let quota = Failure::write("a", &io::Error::from(io::ErrorKind::QuotaExceeded));
        assert_eq!(quota.kind(), Kind::Local);
        assert!(quota.to_string().ends_with("; make room and run the same command again"), "{quota}");
        let limit = Failure::write("a", &io::Error::from(io::ErrorKind::FileTooLarge));
        assert!(
            limit.to_string().ends_with("; the file system, or ulimit -f, allows no larger file"),
            "{limit}"
        );
        let pipe = Failure::write("standard output", &io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(pipe.is_quiet());
    }
}
