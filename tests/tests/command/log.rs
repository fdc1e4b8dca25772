//! The log: every line exchanged, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::*;

/// Returns the log with the ports of data connections masked.
fn masked(log: &[u8]) -> String {
    let log = String::from_utf8(log.to_vec()).expect("a log in UTF-8");
    let mask = |line: &str| match line.split_once("(|||") {
        Some((start, _)) => format!("{start}(|||PORT|)\n"),
        None => format!("{line}\n"),
    };
    log.lines().map(mask).collect()
}

const ONE_CONNECTION: &str = "\
S->C: 220 model FTP server ready.
C->S: USER anonymous
C->S: PASS ***
C->S: TYPE I
C->S: SIZE pub/data/file.bin
C->S: MDTM pub/data/file.bin
C->S: EPSV
C->S: RETR pub/data/file.bin
S->C: 331 Please specify the password.
S->C: 230 Login successful.
S->C: 200 Switching to Binary mode.
S->C: 213 300000
S->C: 213 20240229123456
S->C: 229 Entering Extended Passive Mode (|||PORT|)
S->C: 150 Opening BINARY mode data connection for /pub/data/file.bin (300000 bytes).
S->C: 226 Transfer complete.
C->S: QUIT
";

#[test]
fn log_of_one_connection_goes_to_a_file() {
    let file = file(300_000);
    let server = serve(&file, Behaviour::default());
    let done = pftp("-c 1 -l the.log", &[&server]).with_file("the.log", "old lines").run().expect_code(0);
    assert_eq!(masked(&done.read("the.log")), ONE_CONNECTION);
    assert!(done.stdout.is_empty());
    assert_eq!(done.expect_content(NAME, &file).files(), [NAME, "the.log"]);
}

#[test]
fn log_of_one_connection_goes_to_standard_output() {
    let file = file(300_000);
    let server = serve(&file, Behaviour::default());
    let done = pftp("-c 1 -l -", &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    assert_eq!(masked(&done.stdout), ONE_CONNECTION);
}

#[test]
fn log_of_one_connection_in_lock_step() {
    let server = serve(&file(300_000), Behaviour { bursts: Bursts::Closed, ..Behaviour::default() });
    let done = pftp("-c 1 -l -", &[&server]).run().expect_code(0);
    let log = String::from_utf8_lossy(&done.stdout);
    let lines: Vec<&str> = log.lines().skip_while(|line| !line.starts_with("C->S: RETR")).skip(1).collect();
    let (sent, received) = ("C->S: ", "S->C: ");
    let up_to_retr = lines.iter().position(|line| line.starts_with("C->S: RETR")).expect("a second RETR");
    for pair in lines[..=up_to_retr].windows(2) {
        assert!(pair[0].starts_with(sent) != pair[1].starts_with(sent), "in turn: {pair:?}");
        assert!(pair[0].starts_with(received) != pair[1].starts_with(received), "in turn: {pair:?}");
    }
}

#[test]
fn log_of_several_connections_numbers_them() {
    let server = serve(&file(3 * MIB), throttled(1_500_000));
    let command = pftp("-c 3 --min-segment 64K -l -", &[&server]);
    let done = run_at_work(command, &[(&server, 3)]).expect_code(0).expect_silence();
    let log = String::from_utf8(done.stdout).expect("a log in UTF-8");
    for thread in 1..=3 {
        let start = format!("Thread {thread}: ");
        let lines: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix(&start)).collect();
        let head = ["S->C: 220 model FTP server ready.", "C->S: USER anonymous", "C->S: PASS ***"];
        assert_eq!(lines[..3], head);
        assert!(lines.iter().all(|line| line.starts_with("C->S: ") || line.starts_with("S->C: ")));
        assert_eq!(lines.last(), Some(&"C->S: QUIT"));
    }
    assert!(log.lines().all(|line| ["1", "2", "3"].contains(&&line["Thread ".len()..][..1])), "{log}");
}

#[test]
fn connection_keeps_its_number_after_a_redial() {
    let odd = Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Close);
    let model = Model::new(tree(&file(MIB))).with_behaviour(throttled(700_000));
    let model = model.with_session(0, odd.clone()).with_session(1, odd);
    let server = start(model);
    let command = pftp("-c 2 --min-segment 64K -l -", &[&server]);
    let all = |_: &Running| server.with_stats(Stats::logins) == 4;
    let done = run_held(command, &[&server], "two and two in their place have logged in", all).expect_code(0);
    let log = String::from_utf8(done.stdout).expect("a log in UTF-8");
    assert!(
        log.lines().all(|line| line.starts_with("Thread 1: ") || line.starts_with("Thread 2: ")),
        "{log}"
    );
    assert_eq!(log.matches("220 model FTP server ready.").count(), 4);
}

#[test]
fn password_is_masked_in_the_log() {
    let login = Login::only("bob", "hunter2");
    let server = serve(&file(1000), Behaviour { login, ..Behaviour::default() });
    for (args, code) in [("-n bob -P hunter2", 0), ("-n bob -P hunter3", 2)] {
        let done = pftp(&format!("{args} -l -"), &[&server]).run().expect_code(code);
        let log = String::from_utf8_lossy(&done.stdout);
        assert!(log.contains("C->S: PASS ***") && !log.contains("hunter"), "{log}");
        assert!(!done.stderr.contains("hunter"), "{}", done.stderr);
    }
    let done = Pftp::new(["-q", "-l", "-"]).arg(server.url(PATH).replace("//", "//bob:hunter2@")).run();
    assert!(!String::from_utf8_lossy(&done.expect_code(0).stdout).contains("hunter"));
}

#[test]
fn log_of_a_failed_run_is_whole() {
    let server = serve(&file(1000), Behaviour::default());
    let done = Pftp::new(["-q", "-c", "1", "-l", "the.log", &server.url("missing")]).run().expect_code(3);
    let log = masked(&done.read("the.log"));
    assert!(
        log.contains("C->S: RETR missing\n") && log.contains("S->C: 550 Failed to open file.\n"),
        "{log}"
    );
    assert!(log.ends_with("C->S: QUIT\n"), "{log}");
}

#[test]
fn long_reply_is_logged_line_by_line_and_escaped() {
    let banner = vec!["one".to_owned(), " two \x1b[2J".to_owned(), "three".to_owned()];
    let server = serve(&file(1000), Behaviour { banner, ..Behaviour::default() });
    let done = pftp("-c 1 -l -", &[&server]).run().expect_code(0);
    let log = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(log.starts_with("S->C: 220-one\nS->C: 220- two \\u{1b}[2J\nS->C: 220 three\nC->S: "), "{log}");
}

/// The refusal comes before any file is touched and any server is dialled.
#[test]
fn log_does_not_replace_the_target_or_its_temporary_files() {
    const OLDER: &str = "an older file";
    const TARGET: &str = "is where the file goes; give the log another name";
    const TEMPORARY: &str = "pftp keeps its unfinished files under such names";
    let server = serve(&file(1000), Behaviour::default());
    for (args, log, says) in [
        ("", NAME, TARGET),
        ("-m ascii", NAME, TARGET),
        ("-o other.name", "other.name", TARGET),
        ("", "./here/./file.bin", TARGET),
        ("-d here", "to-file", TARGET),
        ("", "to-part", TEMPORARY),
        ("", PART, TEMPORARY),
        ("", JOURNAL, TEMPORARY),
        ("-o -", "another.pftp-part", TEMPORARY),
    ] {
        let command = pftp(&format!("{args} -l {log}"), &[&server]);
        for (link, to) in [("here", "."), ("to-file", "here/file.bin"), ("to-part", PART)] {
            symlink(to, command.path(link)).expect("a link");
        }
        let done = command.run().expect_code(7);
        assert_eq!(done.stderr, format!("pftp: -l {log}: {says}\n"), "{args}");
        assert_eq!(done.files(), ["here", "to-file", "to-part"]);
    }
    for name in [NAME, PART, JOURNAL] {
        let command = pftp("-l the.log", &[&server]).with_file(name, OLDER);
        fs::hard_link(command.path(name), command.path("the.log")).expect("a link");
        let done = command.run().expect_code(7);
        assert_eq!(done.stderr, format!("pftp: -l the.log: {TARGET}\n"));
        assert_eq!(done.read(name), OLDER.as_bytes());
    }
    assert!(server.stop().sessions.is_empty());
}

/// Regression: the log emptied a list of mirrors, or a password file.
#[test]
fn log_does_not_replace_the_config_or_the_password_file() {
    let server = serve(&file(1000), Behaviour::default());
    let config = server.url(NAME);
    for (args, name, text) in [
        (["-t", "mirrors"], "mirrors", config.as_str()),
        (["-t", "mirrors"], "link", config.as_str()),
        (["--password-file", "secret"], "secret", "a secret\n"),
    ] {
        let urls = (args[0] != "-t").then_some(config.as_str());
        let command = Pftp::new(args.into_iter().chain(["-l", name]).chain(urls)).with_file(args[1], text);
        symlink(args[1], command.path("link")).expect("a link");
        let done = command.run().expect_code(7);
        let why = format!("is {}, which is read; give the log another name", args[1]);
        assert_eq!(done.stderr, format!("pftp: -l {name}: {why}\n"));
        assert_eq!(done.read(args[1]), text.as_bytes());
    }
    assert!(server.stop().sessions.is_empty());
}
