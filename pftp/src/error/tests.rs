use super::*;
use crate::engine::{Difference, Notice};
use ftp_proto::{Arg, Cause, ReplyParser};
use rustix::io::Errno;

fn reply(text: &str) -> Reply {
    let mut parser = ReplyParser::new(65536);
    parser.push(text.as_bytes());
    parser.push(b"\r\n");
    parser.next().unwrap().unwrap()
}

fn failure(fault: MirrorFault) -> MirrorFailure {
    MirrorFailure { server: "ftp.example".to_owned(), fault }
}

fn refused_file(text: &str) -> MirrorFailure {
    let path = Arg::new("pub/x").unwrap();
    failure(MirrorFault::Refused { path, verb: Verb::Retr, reply: reply(text) })
}

fn ended(error: SessionError) -> MirrorFailure {
    failure(MirrorFault::Session(error))
}

fn refused_session(verb: Option<Verb>, text: &str) -> MirrorFailure {
    ended(SessionError::Refused { verb, reply: reply(text) })
}

#[test]
fn kind_of_a_refused_file_follows_from_code_and_words() {
    for (text, kind) in [
        ("550 pub/x: No such file or directory", ErrorKind::NotFound),
        ("550 Failed to open file.", ErrorKind::NotFound),
        ("550 permission-denied.txt: no such file", ErrorKind::NotFound),
        ("550 pub/x: Permission denied", ErrorKind::NotAllowed),
        ("550 Access is denied.", ErrorKind::NotAllowed),
        ("550 Operation not ALLOWED", ErrorKind::NotAllowed),
        ("550 Not enough privileges.", ErrorKind::NotAllowed),
        ("553 Prohibited file name", ErrorKind::NotAllowed),
        ("532 Need account for storing files", ErrorKind::NotAllowed),
        ("533 Command protection level denied", ErrorKind::NotAllowed),
        ("534 Request denied for policy reasons", ErrorKind::NotAllowed),
        ("500 Unknown command", ErrorKind::NotImplemented),
        ("502 Command not implemented", ErrorKind::NotImplemented),
        ("504 Parameter not implemented", ErrorKind::NotImplemented),
        ("501 Syntax error in parameters", ErrorKind::Syntax),
        ("530 Please login with USER and PASS", ErrorKind::Authentication),
        ("421 Timeout", ErrorKind::Other),
        ("450 File busy", ErrorKind::Other),
        ("599 odd", ErrorKind::Other),
    ] {
        assert_eq!(refused_file(text).fault.kind(), kind, "{text}");
    }
}

#[test]
fn kind_of_a_refused_session_follows_from_command_and_code() {
    for (verb, text, kind) in [
        (None, "421 Too many connections (10)", ErrorKind::Connect),
        (None, "530 no", ErrorKind::Connect),
        (None, "500 go away", ErrorKind::Connect),
        (Some(Verb::Pass), "530 Login incorrect.", ErrorKind::Authentication),
        (Some(Verb::Pass), "430 Invalid username or password", ErrorKind::Authentication),
        (Some(Verb::Pass), "332 Need account", ErrorKind::Authentication),
        (Some(Verb::User), "550 no", ErrorKind::Authentication),
        (Some(Verb::User), "530 This FTP server is anonymous only.", ErrorKind::Authentication),
        (Some(Verb::Pass), "530 Sorry, the maximum number of clients is connected.", ErrorKind::Connect),
        (Some(Verb::User), "500 what?", ErrorKind::NotImplemented),
        (Some(Verb::User), "501 bad name", ErrorKind::Syntax),
        (Some(Verb::Type), "504 no such type", ErrorKind::NotImplemented),
    ] {
        assert_eq!(refused_session(verb, text).fault.kind(), kind, "{verb:?} {text}");
    }
}

#[test]
fn kind_of_an_ended_session_follows_from_its_error() {
    for (error, kind) in [
        (SessionError::Timeout(Timer::Connect), ErrorKind::Connect),
        (SessionError::Timeout(Timer::Stall), ErrorKind::Other),
        (SessionError::Connection(Channel::Control, Cause::Refused), ErrorKind::Connect),
        (SessionError::Connection(Channel::Control, Cause::Ended), ErrorKind::Connect),
        (SessionError::Connection(Channel::Data, Cause::Refused), ErrorKind::Other),
        (SessionError::Peer(PeerFault::Overrun { size: 7 }), ErrorKind::Integrity),
        (SessionError::Peer(PeerFault::TooManyPreliminary), ErrorKind::Other),
        (
            SessionError::OutOfStep(Box::new(SessionError::Connection(Channel::Control, Cause::Reset))),
            ErrorKind::Connect,
        ),
        (SessionError::Quit, ErrorKind::Other),
    ] {
        let failure = ended(error.clone());
        assert_eq!(failure.fault.kind(), kind, "{error:?}");
        assert!(failure.to_string().starts_with("ftp.example: "), "{failure}");
    }
}

#[test]
fn shortage_of_sockets_is_a_local_error() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
        for channel in [Channel::Control, Channel::Data] {
            let cause = Cause::from(io::Error::from(errno));
            assert_eq!(
                ended(SessionError::Connection(channel, cause)).fault.kind(),
                ErrorKind::Local,
                "{errno}"
            );
        }
    }
    let other = SessionError::Connection(Channel::Control, Cause::from(io::Error::from(Errno::ACCESS)));
    assert_eq!(ended(other).fault.kind(), ErrorKind::Connect);
}

#[test]
fn sentence_names_server_attempt_and_reply() {
    assert_eq!(
        refused_file("550 no\x1b[2J such file").to_string(),
        "ftp.example: fetching pub/x: RETR was refused: 550 no\\u{1b}[2J such file"
    );
    assert_eq!(
        refused_session(Some(Verb::Pass), "530 Login incorrect.").to_string(),
        "ftp.example: logging in: PASS was refused: 530 Login incorrect."
    );
    assert_eq!(
        refused_session(None, "421 Too many users").to_string(),
        "ftp.example: connecting: 421 Too many users"
    );
    let long = refused_file(&format!("550 {}", "blah ".repeat(1000))).to_string();
    assert!(long.len() < 500 && long.contains("..."), "{long}");
}

#[test]
fn each_fault_of_a_mirror_has_a_kind_and_a_sentence() {
    let ended = |lied| MirrorFault::EndedEarly { at: 5, size: Some(9), reply: reply("226 done"), lied };
    for (fault, kind, message) in [
        (MirrorFault::UnknownHost(None), ErrorKind::Connect, "cannot find the host: it has no address"),
        (
            MirrorFault::UnknownHost(Some("no such name".to_owned())),
            ErrorKind::Connect,
            "cannot find the host: no such name",
        ),
        (
            MirrorFault::EndsBefore { at: 5, start: 9 },
            ErrorKind::Integrity,
            "fetching: its file ends at byte 5, before byte 9",
        ),
        (
            ended(true),
            ErrorKind::Integrity,
            "fetching: the server ended the transfer at byte 5 of 9: 226 done",
        ),
        (ended(false), ErrorKind::Other, "fetching: the server ended the transfer at byte 5 of 9: 226 done"),
        (
            MirrorFault::SizeContradicted { shown: 5, told: 9 },
            ErrorKind::Integrity,
            "fetching: its file ends at byte 5, but it says that it has 9",
        ),
        (
            MirrorFault::IgnoresRestart,
            ErrorKind::Integrity,
            "sends files from their start whatever REST says",
        ),
        (
            MirrorFault::CannotResume,
            ErrorKind::Other,
            "fetching: the transfer broke off and cannot go on in the middle",
        ),
        (
            MirrorFault::OtherBytes,
            ErrorKind::Integrity,
            "its file has other bytes than that of the other mirrors",
        ),
        (
            MirrorFault::InconsistentBytes,
            ErrorKind::Integrity,
            "sent different bytes for the same part of the file",
        ),
        (
            MirrorFault::OtherFile,
            ErrorKind::Integrity,
            "its file differs from that of the other mirrors (size or time)",
        ),
    ] {
        assert_eq!(fault.is_contradiction(), kind == ErrorKind::Integrity, "{fault:?}");
        let failure = failure(fault);
        assert_eq!((failure.fault.kind(), failure.to_string()), (kind, format!("ftp.example: {message}")));
    }
}

#[test]
fn download_without_a_mirror_fails_for_the_reason_that_says_most() {
    let of = |server: &str, fault| MirrorFailure { server: server.to_owned(), fault };
    let failures = vec![
        of("a", MirrorFault::UnknownHost(None)),
        of("b", MirrorFault::CannotResume),
        of("c", MirrorFault::CannotResume),
        of("d", MirrorFault::UnknownHost(None)),
    ];
    assert_eq!(MirrorFailure::most_telling(&failures).map(|failure| &failure.server[..]), Some("b"));
    let error = EngineError::NoMirror(failures);
    assert!(error.to_string().starts_with("b: "), "{error}");
    let none = EngineError::NoMirror(Vec::new());
    assert_eq!(
        (none.kind(), none.to_string()),
        (ErrorKind::Other, "there is no mirror to fetch from".to_owned())
    );
}

#[test]
fn kinds_are_in_the_order_of_how_much_they_say() {
    let order = [
        ErrorKind::Connect,
        ErrorKind::Other,
        ErrorKind::Syntax,
        ErrorKind::NotImplemented,
        ErrorKind::Authentication,
        ErrorKind::NotAllowed,
        ErrorKind::NotFound,
        ErrorKind::Integrity,
        ErrorKind::Local,
        ErrorKind::BrokenPipe,
        ErrorKind::Cancelled,
    ];
    assert!(order.is_sorted());
}

#[test]
fn mirrors_that_disagree() {
    for (difference, message) in [
        (Difference::Facts, "a and b have different files (size or time), and nothing says which is right"),
        (Difference::Content, "a and b have files with different bytes, and nothing says which is right"),
    ] {
        let servers = ["a", "b"].map(str::to_owned);
        let failure = EngineError::MirrorsDisagree { servers, difference };
        assert_eq!((failure.kind(), failure.to_string()), (ErrorKind::Integrity, message.to_owned()));
    }
}

#[test]
fn notice_has_a_sentence() {
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
        assert_eq!((notice.is_warning(), notice.to_string()), (true, text.to_owned()));
    }
}
