use super::*;
use ftp_proto::{Arg, Cause, Channel, Reply, ReplyParser, SessionError, Timer, Verb};
use pftp::{Difference, DownloadNotice, EngineError, MirrorFailure, MirrorFault, Notice};

fn reply(text: &str) -> Reply {
    let mut parser = ReplyParser::new(65536);
    parser.push(text.as_bytes());
    parser.push(b"\r\n");
    parser.next().unwrap().unwrap()
}

fn mirror(fault: MirrorFault) -> MirrorFailure {
    MirrorFailure { server: "ftp.example".to_owned(), fault }
}

fn failed(error: EngineError) -> Failure {
    Failure::from(&DownloadError::Engine(error))
}

fn message(fault: MirrorFault) -> String {
    failed(EngineError::NoMirror(vec![mirror(fault)])).to_string()
}

fn refused(verb: Option<Verb>, text: &str) -> MirrorFault {
    MirrorFault::Session(SessionError::Refused { verb, reply: reply(text) })
}

fn refused_file(text: &str) -> MirrorFault {
    MirrorFault::Refused { path: Arg::new("pub/x").unwrap(), verb: Verb::Retr, reply: reply(text) }
}

#[test]
fn each_kind_has_an_exit_code() {
    for (kind, code) in [
        (ErrorKind::Connect, 1),
        (ErrorKind::Authentication, 2),
        (ErrorKind::NotFound, 3),
        (ErrorKind::Syntax, 4),
        (ErrorKind::NotImplemented, 5),
        (ErrorKind::NotAllowed, 6),
        (ErrorKind::Other, 7),
        (ErrorKind::Integrity, 8),
        (ErrorKind::Local, 9),
        (ErrorKind::BrokenPipe, 9),
    ] {
        let failure = Failure::new(kind, "x");
        assert_eq!(failure.code(), code);
        assert_eq!(ExitCode::from(&failure), ExitCode::from(code));
    }
    assert_eq!(Failure::stopped(Signal::Interrupt, false).code(), 130);
    assert_eq!(Failure::stopped(Signal::Terminate, true).code(), 143);
}

#[test]
fn message_ends_with_advice() {
    const FILE: &str = "check the path: without a leading / it starts at the login directory";
    const LOGIN: &str = "give another user with -n or another password with -P";
    const BUSY: &str = "the server is busy: try later, or with fewer connections (-c)";
    let connection = |channel, cause| MirrorFault::Session(SessionError::Connection(channel, cause));
    let short = Cause::from(io::Error::from_raw_os_error(24));
    let reset = SessionError::Connection(Channel::Control, Cause::Refused);
    for (fault, advice) in [
        (MirrorFault::UnknownHost(None), Some("check the server's name")),
        (refused_file("550 no such file"), Some(FILE)),
        (refused_file("550 Permission denied"), Some("another user may be allowed to: -n and -P")),
        (refused_file("421 Too many users"), Some(BUSY)),
        (refused(Some(Verb::Pass), "530 Login incorrect."), Some(LOGIN)),
        (refused(Some(Verb::Pass), "530 Too many users"), Some(BUSY)),
        (refused(None, "421 Too many users"), Some(BUSY)),
        (refused(None, "500 go away"), None),
        (refused(Some(Verb::Type), "530 no"), None),
        (
            MirrorFault::Session(SessionError::Timeout(Timer::Stall)),
            Some("wait longer with --timeout, or try later"),
        ),
        (connection(Channel::Control, Cause::Refused), Some("check the server's name and port")),
        (connection(Channel::Control, Cause::Reset), None),
        (connection(Channel::Data, Cause::Refused), None),
        (
            connection(Channel::Data, short),
            Some(
                "this machine or process has no more descriptors or buffers for connections: \
                 allow more (ulimit -n), or use fewer connections (-c)",
            ),
        ),
        (
            MirrorFault::Session(SessionError::OutOfStep(Box::new(reset))),
            Some("check the server's name and port"),
        ),
        (MirrorFault::IgnoresRestart, Some("use one connection (-c 1)")),
        (MirrorFault::CannotResume, Some("fetch to a file instead")),
        (MirrorFault::OtherFile, None),
    ] {
        let plain = mirror(fault.clone()).to_string();
        let advised = advice.map_or_else(|| plain.clone(), |advice| format!("{plain}; {advice}"));
        assert_eq!(message(fault), advised);
    }
}

#[test]
fn advice_for_mirrors_that_disagree() {
    let servers = ["a", "b"].map(str::to_owned);
    let failure = failed(EngineError::MirrorsDisagree { servers, difference: Difference::Facts });
    assert_eq!(
        failure.to_string(),
        "a and b have different files (size or time), and nothing says which is right; name only one of them"
    );
    let path = Arg::new("pub/x").unwrap();
    let failure = failed(EngineError::Changed { server: "a".to_owned(), path });
    assert_eq!(failure.to_string(), "a: pub/x changed while it was fetched; run the same command again");
}

#[test]
fn notice_about_a_failure_has_its_advice() {
    let failure = mirror(MirrorFault::UnknownHost(None));
    let start = "ftp.example: cannot find the host: it has no address; check the server's name; ";
    for (notice, end) in [
        (Notice::MirrorDropped(failure.clone()), "going on without it"),
        (
            Notice::EndNotSeen(vec![failure]),
            "all bytes had come by then, but that the file ends there was not seen",
        ),
    ] {
        assert_eq!(advice::notice(&DownloadNotice::Engine(notice)), format!("{start}{end}"));
    }
}

#[test]
fn message_is_one_line() {
    let name = Path::new("/tmp/a\nb\u{1b}");
    let shown = Failure::local("cannot create", name, &io::Error::other("no\r\n")).to_string();
    assert_eq!(shown, "cannot create /tmp/a\\nb\\u{1b}: no\\r\\n");
}

#[test]
fn failed_write_tells_how_to_make_room() {
    let write = |kind| of_stdout(io::Error::from(kind));
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        let full = write(kind);
        assert_eq!((full.kind(), full.is_quiet()), (Some(ErrorKind::Local), false));
        assert!(full.to_string().ends_with("; make room and run the same command again"), "{full}");
    }
    let limit = write(io::ErrorKind::FileTooLarge);
    assert!(limit.to_string().ends_with("; the file system, or ulimit -f, allows no larger file"), "{limit}");
    assert!(write(io::ErrorKind::BrokenPipe).is_quiet());
}

#[test]
fn advice_for_a_destination() {
    let path = || Path::new("d/f").to_owned();
    for (error, message) in [
        (
            LocalError::TargetIsDirectory(path()),
            "d/f: is a directory; -d takes a directory, -o the name of a file",
        ),
        (
            LocalError::TargetIsLink(path()),
            "d/f: is a symbolic link; name the file that it leads to, or -o - for standard output",
        ),
        (
            LocalError::TargetIsNotAFile(path()),
            "d/f: exists and is not a regular file; -o - writes to standard output",
        ),
        (LocalError::TemporaryIsNotAFile(path()), "d/f: is not a regular file; remove it"),
        (
            LocalError::NoRoom { path: path(), size: 10, room: 9 },
            "cannot write d/f: the file has 10 bytes, and there is room for 9; \
             make room and run the same command again",
        ),
        (LocalError::InUse(path()), "d/f: in use by another pftp"),
    ] {
        assert_eq!(Failure::from(&DownloadError::Local(error)).to_string(), message);
    }
}
