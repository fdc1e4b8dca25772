use super::*;
use crate::plan::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
use ftp_proto::{Arg, Cause, Channel, PeerFault, Reply, ReplyParser, SessionError, Timer, Verb};
use rustix::io::Errno;

fn reply(text: &str) -> Reply {
    let mut parser = ReplyParser::new(65536);
    parser.push(text.as_bytes());
    parser.push(b"\r\n");
    parser.next().unwrap().unwrap()
}

fn failure(fault: MirrorFault) -> Failure {
    Failure::from(&MirrorFailure { server: "ftp.example".to_owned(), fault })
}

fn file(text: &str) -> Failure {
    let path = Arg::new("pub/x").unwrap();
    failure(MirrorFault::Refused { path, verb: Verb::Retr, reply: reply(text) })
}

fn session(error: SessionError) -> Failure {
    failure(MirrorFault::Session(error))
}

fn refused(verb: Option<Verb>, text: &str) -> Failure {
    session(SessionError::Refused { verb, reply: reply(text) })
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
        let failure = session(error.clone());
        assert_eq!(failure.kind(), kind, "{error:?}");
        assert!(failure.to_string().starts_with("ftp.example: "), "{failure}");
    }
}

#[test]
fn no_more_descriptors_are_a_fault_here() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
        for channel in [Channel::Control, Channel::Data] {
            let cause = Cause::from(io::Error::from(errno));
            let failure = session(SessionError::Connection(channel, cause));
            assert_eq!((failure.kind(), failure.kind().code()), (Kind::Local, 9), "{errno}");
            let shown = failure.to_string();
            assert!(shown.contains(" has no more descriptors or buffers"), "{shown}");
        }
    }
    let other = SessionError::Connection(Channel::Control, Cause::from(io::Error::from(Errno::ACCESS)));
    assert_eq!(session(other).kind(), Kind::Connect);
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
    assert!(limit.to_string().ends_with("; the file system, or ulimit -f, allows no larger file"), "{limit}");
    let pipe = Failure::write("standard output", &io::Error::from(io::ErrorKind::BrokenPipe));
    assert!(pipe.is_quiet());
}

#[test]
fn faults_of_a_mirror() {
    let ended = |lied| MirrorFault::EndedEarly { at: 5, size: Some(9), reply: reply("226 done"), lied };
    for (fault, kind, message) in [
        (
            MirrorFault::UnknownHost(None),
            Kind::Connect,
            "cannot find the host: it has no address; check the server's name",
        ),
        (
            MirrorFault::UnknownHost(Some("no such name".to_owned())),
            Kind::Connect,
            "cannot find the host: no such name; check the server's name",
        ),
        (
            MirrorFault::EndsBefore { at: 5, start: 9 },
            Kind::Integrity,
            "fetching: its file ends at byte 5, before byte 9",
        ),
        (ended(true), Kind::Integrity, "fetching: the server ended the transfer at byte 5 of 9: 226 done"),
        (ended(false), Kind::Other, "fetching: the server ended the transfer at byte 5 of 9: 226 done"),
        (
            MirrorFault::SizeContradicted { shown: 5, told: 9 },
            Kind::Integrity,
            "fetching: its file ends at byte 5, but it says that it has 9",
        ),
        (
            MirrorFault::IgnoresRestart,
            Kind::Integrity,
            "sends files from their start whatever REST says; use one connection (-c 1)",
        ),
        (
            MirrorFault::CannotResume,
            Kind::Other,
            "fetching: the transfer broke off and cannot go on in the middle; fetch to a file instead",
        ),
        (MirrorFault::OtherBytes, Kind::Integrity, "its file has other bytes than that of the other mirrors"),
        (
            MirrorFault::InconsistentBytes,
            Kind::Integrity,
            "sent different bytes for the same part of the file",
        ),
        (
            MirrorFault::OtherFile,
            Kind::Integrity,
            "its file differs from that of the other mirrors (size or time)",
        ),
    ] {
        assert_eq!(fault.is_contradiction(), kind == Kind::Integrity, "{fault:?}");
        let failure = failure(fault);
        assert_eq!((failure.kind(), failure.to_string()), (kind, format!("ftp.example: {message}")));
    }
}

#[test]
fn download_without_a_mirror_fails_for_the_reason_that_says_most() {
    let of = |server: &str, fault| MirrorFailure { server: server.to_owned(), fault };
    let failures = vec![
        of("a", MirrorFault::UnknownHost(None)),
        of("b", MirrorFault::CannotResume),
        of("c", MirrorFault::CannotResume),
    ];
    let failure = Failure::from(EngineError::NoMirror(failures));
    assert!(failure.to_string().starts_with("b: "), "{failure}");
    let none = Failure::from(EngineError::NoMirror(Vec::new()));
    assert_eq!((none.kind(), none.to_string()), (Kind::Other, "there is no mirror to fetch from".to_owned()));
}

#[test]
fn mirrors_that_disagree() {
    for (difference, message) in [
        (
            Difference::Facts,
            "a and b have different files (size or time), and nothing says which is right; name only one of them",
        ),
        (
            Difference::Content,
            "a and b have files with different bytes, and nothing says which is right; name only one of them",
        ),
    ] {
        let servers = ["a", "b"].map(str::to_owned);
        let failure = Failure::from(EngineError::MirrorsDisagree { servers, difference });
        assert_eq!((failure.kind(), failure.to_string()), (Kind::Integrity, message.to_owned()));
    }
}

#[test]
fn notices() {
    let failure = MirrorFailure { server: "a".to_owned(), fault: MirrorFault::OtherFile };
    let server = "a".to_owned();
    for (notice, text) in [
        (
            Notice::MirrorDropped(failure.clone()),
            "a: its file differs from that of the other mirrors (size or time); going on without it",
        ),
        (Notice::SessionLimit { server }, "a takes no more connections; going on with fewer"),
        (
            Notice::EndNotSeen(vec![failure]),
            "a: its file differs from that of the other mirrors (size or time); all bytes had come by then, \
             but that the file ends there was not seen",
        ),
    ] {
        assert_eq!(message(&notice), Message::Warning(text.to_owned()));
    }
}
