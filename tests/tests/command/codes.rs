//! Every exit code, with the one line that tells the user what happened and where.

use std::fs::OpenOptions;

use crate::support::*;

/// Panics unless the run ends with this code and one line on standard error, which begins with `start` and
/// contains `says`.
#[track_caller]
fn fails(command: Pftp, code: i32, start: &str, says: &str) {
    let done = command.run().expect_code(code);
    let lines: Vec<&str> = done.stderr.lines().collect();
    let [line] = lines[..] else { panic!("not one line: {lines:?}") };
    let start = format!("pftp: {start}");
    assert!(line.starts_with(&start) && line.contains(says), "{line}");
    assert!(done.stdout.is_empty());
    assert!(!done.files().contains(&NAME.to_owned()), "{:?}", done.files());
}

/// The same for a server with this behaviour, which the line names.
#[track_caller]
fn server_fails(behaviour: Behaviour, args: &str, code: i32, says: &str) {
    let server = serve(&file(300_000), behaviour);
    fails(pftp(args, &[&server]), code, &format!("{}: ", server.addr()), says);
}

fn answering(verb: &str, reply: &str) -> Behaviour {
    Behaviour::default().when(Trigger::every(verb), Reaction::reply(reply))
}

#[test]
fn code_1_if_no_server_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.5:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = format!("127.0.0.6:{port}");
    let command = Pftp::new(["-q", "-c", "4", &format!("ftp://{server}/f")]);
    fails(command, 1, &server, "connecting: connection refused");
}

#[test]
fn code_1_if_the_host_is_unknown() {
    let command = Pftp::new(["-q", "ftp://no-such-host.invalid/f"]);
    fails(command, 1, "no-such-host.invalid: ", "cannot find the host");
}

#[test]
fn code_1_if_the_server_turns_the_client_away() {
    let refusal = Reaction::reply_and_close("421 Closed for today.");
    let behaviour = Behaviour::default().when(Trigger::Accepted, refusal);
    server_fails(behaviour, "--retries 0", 1, "connecting: 421 Closed for today.");
    let refusal = Reaction::reply_and_close("530 Not you.");
    let behaviour = Behaviour::default().when(Trigger::Accepted, refusal);
    server_fails(behaviour, "", 1, "connecting: 530 Not you.");
}

#[test]
fn code_1_if_the_server_hangs_up() {
    for reaction in [Reaction::Close, Reaction::Reset] {
        let behaviour = Behaviour::default().when(Trigger::Accepted, reaction);
        server_fails(behaviour, "--retries 1", 1, "connecting: connection ");
    }
}

#[test]
fn code_2_if_the_password_is_wrong() {
    let login = Login::only("bob", "secret");
    let behaviour = Behaviour { login, ..Behaviour::default() };
    for args in ["", "-c 1", "-n bob -P wrong"] {
        server_fails(behaviour.clone(), args, 2, "PASS was refused: 530 Login incorrect.; give another user");
    }
    let server = serve(&file(1000), behaviour);
    pftp("-n bob -P secret", &[&server]).run().expect_code(0).expect_file(NAME, &file(1000));
    assert!(server.stop().sessions.len() <= 4);
}

#[test]
fn code_2_after_one_login() {
    let behaviour = Behaviour { login: Login::only("bob", "secret"), ..Behaviour::default() };
    let server = serve(&file(1000), behaviour);
    pftp("-c 3", &[&server]).run().expect_code(2);
    assert!(server.stop().sessions.len() <= 3, "a wrong password is not tried again");
}

#[test]
fn code_2_if_the_server_wants_an_account() {
    let login = Login { dialogue: Dialogue::Account, ..Login::default() };
    server_fails(Behaviour { login, ..Behaviour::default() }, "", 2, "PASS was refused: 332");
}

#[test]
fn code_3_if_the_file_does_not_exist() {
    let server = serve(&file(10), Behaviour::default());
    let command = Pftp::new(["-q", &server.url("pub/none/missing.bin")]);
    let start = format!("{}: fetching pub/none/missing.bin: RETR was refused: 550 ", server.addr());
    fails(command, 3, &start, "check the path");
    assert!(server.stop().logins() <= 4);
}

#[test]
fn code_4_if_the_request_is_malformed() {
    for (url, says) in [
        ("ftp://host/", "does not end in a file name"),
        ("ftp:///f", "host"),
        ("ftp://host/a%0d%0aDELE%20b", "line end"),
        ("http://host/f", "the scheme http is not supported"),
        ("host/f", "is not a URL"),
        ("ftp://host:99999/f", "port"),
    ] {
        fails(Pftp::new(["-q", url]), 4, "the URL: ", says);
    }
    server_fails(answering("RETR", "501 What?"), "", 4, "RETR was refused: 501 What?");
}

#[test]
fn code_5_if_a_command_is_not_implemented() {
    for refusal in ["502 No RETR here.", "504 Not for that."] {
        server_fails(answering("RETR", refusal), "", 5, &format!("RETR was refused: {refusal}"));
    }
    server_fails(answering("RETR", "500 RETR not understood"), "", 5, "RETR was refused: 500");
    server_fails(answering("TYPE", "504 No such type."), "", 5, "TYPE was refused: 504 No such type.");
    server_fails(answering("EPSV", "502 No.").without("PASV"), "", 5, "PASV was refused: 500");
}

#[test]
fn code_6_if_the_server_forbids_it() {
    server_fails(answering("RETR", "550 Permission denied."), "", 6, "550 Permission denied.; another user");
    server_fails(answering("RETR", "553 Not that one."), "-c 1", 6, "553 Not that one.");
}

#[test]
fn code_7_if_the_command_line_is_wrong() {
    for args in [
        &["-q"][..],
        &["-q", "-s", "host"],
        &["-q", "--bogus", "ftp://host/f"],
        &["-q", "-c", "0", "ftp://host/f"],
        &["-q", "-o", "-", "-l", "-", "ftp://host/f"],
    ] {
        fails(Pftp::new(args.iter().copied()), 7, "", "(pftp --help tells more)");
    }
}

#[test]
fn code_7_for_other_failures() {
    server_fails(answering("RETR", "450 Busy."), "--retries 1", 7, "RETR was refused: 450 Busy.");
    server_fails(answering("RETR", "451 Broken."), "--retries 0 -c 1", 7, "RETR was refused: 451 Broken.");
    let stalls = Behaviour::default().when(Trigger::every("RETR"), Reaction::Hang);
    server_fails(stalls, "--retries 0 --timeout 1", 7, "within the time limit");
    let nonsense = Behaviour::default().when(Trigger::Accepted, Reaction::Reply(b"hello\r\n".to_vec()));
    server_fails(nonsense, "--retries 0", 7, "");
}

#[test]
fn code_8_if_mirrors_have_different_files() {
    let behaviour = Behaviour { size_error: 100, ..Behaviour::default() };
    server_fails(behaviour, "--retries 1 -c 1", 8, "the server ended the transfer at byte 300000 of 300100");
}

#[test]
fn code_9_if_the_directory_is_missing() {
    let server = serve(&file(10), Behaviour::default());
    for args in ["-d missing", "-o missing/name", "-o .", "-o /dev/null"] {
        fails(pftp(args, &[&server]), 9, "", "");
    }
    fails(pftp("-l missing/log", &[&server]), 9, "cannot create missing/log: ", "");
    assert!(server.stop().sessions.is_empty(), "nobody is bothered for it");
}

#[test]
fn code_9_if_the_disk_is_full() {
    let server = serve(&file(300_000), Behaviour::default());
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let command = pftp("-o -", &[&server]).with_stdout(full);
    fails(command, 9, "cannot write standard output: ", "make room");
}

#[test]
fn help_and_version_exit_with_code_0() {
    for (option, says) in [("-h", "Usage"), ("--help", "Exit codes"), ("-v", "pftp ")] {
        let done = Pftp::new([option]).run().expect_code(0).expect_silence();
        assert!(String::from_utf8_lossy(&done.stdout).contains(says));
    }
}

#[test]
fn words_of_a_server_reach_the_terminal_escaped() {
    let evil = "550 \x1b[2J\x07\u{9b}31mgone\x7f";
    let done = pftp("-c 1", &[&serve(&file(10), answering("RETR", evil))]).run().expect_code(3);
    assert!(done.stderr.trim_end().chars().all(|char| !char.is_control()), "{:?}", done.stderr);
    assert!(done.stderr.contains("\\u{1b}[2J"), "{}", done.stderr);
    let many = "550-one\r\n 550 two\r\n550 three";
    let done = pftp("-c 1", &[&serve(&file(10), answering("RETR", many))]).run().expect_code(3);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    // Warnings are no way to the terminal either.
    let (evil, good) = (serve(&file(10), answering("RETR", evil)), serve(&file(10), Behaviour::default()));
    let done = pftp("-c 2", &[&evil, &good]).run().expect_code(0);
    assert!(done.stderr.lines().flat_map(str::chars).all(|char| !char.is_control()), "{:?}", done.stderr);
}
