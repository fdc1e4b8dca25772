//! Servers with a session limit.

use crate::support::*;

over_each_transport! {
    full_server_serves_one_of_sixteen
    full_server_is_dialled_until_it_has_room
    full_server_that_greets_with_421_serves_two_of_eight
    full_server_that_answers_pass_with_530_serves_two_of_eight
    full_server_that_refuses_connections_serves_two_of_eight
    full_server_that_falls_silent_serves_two_of_eight
}

const FORMS: [WhenFull; 4] = [WhenFull::Greeting, WhenFull::Password, WhenFull::Hang, WhenFull::Refuse];

/// Asks a server that serves 2 sessions for 8 connections. The server turns the others away, and `pftp`
/// notices.
#[track_caller]
fn two_are_served(transport: &str, when_full: WhenFull, args: &str) {
    let silent = when_full == WhenFull::Hang;
    let (size, args) =
        if silent { (9 * MIB, format!("{args} --timeout 2")) } else { (3 * MIB, args.to_owned()) };
    let file = file(size);
    let server = serve(&file, throttled(1_500_000).with_cap(2, when_full));
    let command = over(transport, &args, &[&server]);
    let done = if silent {
        // Served sessions must not be silent as well, since the file takes longer than the time limit.
        command.run()
    } else {
        run_held(command, &[&server], "two fetch, and others are turned away", |running| {
            let two = server.with_stats(|stats| stats.transfers.len()) >= 2;
            two && running.said().contains("takes no more connections")
        })
    };
    let done = done.expect_code(0).expect_file(NAME, &file);
    let stats = server.stop();
    assert_eq!(stats.logins(), 2);
    let served = stats.sessions.iter().filter(|session| session.payload > 0).count();
    assert_eq!(served, 2, "both that are served fetch");
    assert!(stats.sessions.len() <= 14, "no storm of connections: {}", stats.sessions.len());
    let lines: Vec<&str> = done.stderr.lines().collect();
    let [warning] = lines[..] else { panic!("not one warning: {lines:?}") };
    assert!(warning.starts_with("pftp: warning: 127.0.0.1:"), "{warning}");
    assert!(warning.contains("takes no more connections"), "{warning}");
}

fn full_server_that_greets_with_421_serves_two_of_eight(transport: &str) {
    two_are_served(transport, WhenFull::Greeting, "-c 8");
}

fn full_server_that_answers_pass_with_530_serves_two_of_eight(transport: &str) {
    two_are_served(transport, WhenFull::Password, "-c 8");
}

fn full_server_that_falls_silent_serves_two_of_eight(transport: &str) {
    two_are_served(transport, WhenFull::Hang, "-c 8");
}

fn full_server_that_refuses_connections_serves_two_of_eight(transport: &str) {
    two_are_served(transport, WhenFull::Refuse, "-c 8");
}

#[test]
fn full_server_serves_two_of_eight_without_retries() {
    for form in FORMS {
        two_are_served("std", form, "-c 8 --retries 0");
    }
}

fn full_server_serves_one_of_sixteen(transport: &str) {
    for form in [WhenFull::Greeting, WhenFull::Password, WhenFull::Refuse] {
        let file = file(MIB);
        let server = serve(&file, Behaviour::default().with_cap(1, form));
        over(transport, "-c 16 --min-segment 64K", &[&server]).run().expect_code(0).expect_file(NAME, &file);
        assert_eq!(server.stop().logins(), 1, "{form:?}");
    }
}

#[test]
fn server_that_serves_no_session_fails_the_download() {
    for form in FORMS {
        let server = serve(&file(1000), Behaviour::default().with_cap(0, form));
        let (code, limit) = if form == WhenFull::Hang { (7, "--timeout 1") } else { (1, "") };
        let done = pftp(&format!("-c 3 --retries 1 {limit}"), &[&server]).run().expect_code(code);
        assert_eq!(done.stderr.lines().count(), 1, "{form:?}: {}", done.stderr);
        assert!(done.files().is_empty());
        assert!(server.stop().sessions.len() <= 6, "{form:?}");
    }
}

fn full_server_is_dialled_until_it_has_room(transport: &str) {
    let file = file(1000);
    let full = Reaction::reply_and_close("421 Too many users.");
    let busy = Behaviour::default().when(Trigger::Accepted, full);
    let server = start(Model::new(tree(&file)).with_session(0, busy.clone()).with_session(1, busy));
    over(transport, "-c 1", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    assert_eq!(server.stop().sessions.len(), 3);
}

#[test]
fn connections_of_a_full_mirror_go_to_another() {
    let file = file(2 * MIB);
    let full = serve(&file, Behaviour::default().with_cap(0, WhenFull::Greeting));
    let open = serve(&file, throttled(2_000_000));
    let done = pftp("-c 4 --retries 1", &[&full, &open]).run().expect_code(0).expect_file(NAME, &file);
    let other = |line: &str| !line.contains(&full.addr().to_string());
    assert!(!done.stderr.lines().any(other), "{}", done.stderr);
}

#[test]
fn connections_beyond_the_maximum_are_clamped() {
    let file = file(MIB);
    let server = serve(&file, Behaviour::default());
    let done = pftp("-c 1000 --min-segment 1", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    assert!(done.stderr.starts_with("pftp: warning: 1000 connections are more than"), "{}", done.stderr);
    assert!(server.stop().peak_sessions <= 64);
}
