//! Several mirrors, some of which are of no use.

use std::net::{Ipv4Addr, TcpListener};

use crate::support::*;

/// Returns a listener that keeps a port, and an address with that port at which no process listens.
fn dead_port() -> (TcpListener, String) {
    // The listener is bound to another loopback address, so this port of 127.0.0.9 stays free.
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 8), 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    (listener, format!("127.0.0.9:{port}"))
}

/// Panics unless the only line on standard error is a warning that names the server and says this.
#[track_caller]
fn warns(done: &Done, server: &str, says: &str) {
    let lines: Vec<&str> = done.stderr.lines().collect();
    let [line] = lines[..] else { panic!("not one line: {lines:?}") };
    assert!(line.starts_with(&format!("pftp: warning: {server}: ")) && line.contains(says), "{line}");
}

/// Panics unless a good mirror delivers the file although this one, named first or last, is of no use.
#[track_caller]
fn assert_left_out(useless: Behaviour, args: &str, says: &str) {
    let file = file(2 * MIB);
    for first in [true, false] {
        let (bad, good) = (serve(&file, useless.clone()), serve(&file, Behaviour::default()));
        let servers = if first { [&bad, &good] } else { [&good, &bad] };
        let done = run_when_said(pftp(args, &servers), &[&good], says).expect_code(0);
        let done = done.expect_file(NAME, &file);
        warns(&done, &bad.addr().to_string(), says);
        assert!(good.stop().logins() <= 4);
    }
}

#[test]
fn mirror_that_refuses_connections_is_left_out() {
    let file = file(2 * MIB);
    let good = serve(&file, Behaviour::default());
    let (_port, dead) = dead_port();
    for first in [true, false] {
        let mut urls = [format!("ftp://{dead}/{PATH}"), good.url(PATH)];
        if !first {
            urls.reverse();
        }
        let command = Pftp::new(["-q", "-c", "4"]).arg(&urls[0]).arg(&urls[1]);
        let done = run_when_said(command, &[&good], "connection refused");
        let done = done.expect_code(0).expect_file(NAME, &file);
        warns(&done, &dead, "connection refused");
    }
}

#[test]
fn mirror_without_the_file_is_left_out() {
    let file = file(2 * MIB);
    for first in [true, false] {
        let empty = start(Model::new(Tree::new().with("pub/data/other", File::bytes(""))));
        let good = serve(&file, Behaviour::default());
        let servers = if first { [&empty, &good] } else { [&good, &empty] };
        let says = "550 Failed to open file.";
        let done = run_when_said(pftp("-c 4", &servers), &[&good], says).expect_code(0);
        warns(&done.expect_file(NAME, &file), &empty.addr().to_string(), says);
    }
}

#[test]
fn mirror_with_another_password_is_left_out() {
    let login = Login::only("bob", "secret");
    assert_left_out(Behaviour { login, ..Behaviour::default() }, "-c 4", "530 Login incorrect.");
}

#[test]
fn mirror_that_stalls_in_mid_file_is_left_out() {
    let stalls = Behaviour::default().cutting_every(Cut::silent(50_000, Interruption::Stall));
    let file = file(2 * MIB);
    for first in [true, false] {
        // The good mirror is so slow that the time limit of the other expires meanwhile. With more
        // connections the sessions would help each other before that.
        let (bad, good) = (serve(&file, stalls.clone()), serve(&file, throttled(300_000)));
        let servers = if first { [&bad, &good] } else { [&good, &bad] };
        let done = pftp("-c 2 --timeout 2 --retries 0 --min-segment 64K", &servers).run().expect_code(0);
        warns(&done.expect_file(NAME, &file), &bad.addr().to_string(), "no data within the time limit");
        assert!(good.stop().logins() <= 4);
    }
}

#[test]
fn mirror_that_ends_transfers_in_mid_file_is_left_out() {
    let cuts = Behaviour::default().cutting_every(Cut::lying(50_000));
    assert_left_out(cuts, "-c 4 --retries 0 --min-segment 64K", "the server ended the transfer at byte");
}

#[test]
fn mirror_that_never_sends_is_left_out() {
    let cuts = Behaviour::default().cutting_every(Cut::told(0));
    assert_left_out(cuts, "-c 4 --retries 0 --min-segment 64K", "the server ended the transfer at byte");
}

#[test]
fn mirror_that_hangs_up_at_every_retr_is_left_out() {
    let hangs_up = Behaviour::default().when(Trigger::every("RETR"), Reaction::Close);
    assert_left_out(hangs_up, "-c 4 --retries 0", "connection closed by the server");
}

#[test]
fn mirror_that_breaks_off_now_and_then_is_used() {
    let file = file(2 * MIB);
    for cut in [Cut::told(50_000), Cut::lying(50_000), Cut::silent(50_000, Interruption::Reset)] {
        let bad = serve(&file, Behaviour::default().cutting_every(cut));
        let good = serve(&file, throttled(1_000_000));
        let command = pftp("-c 4 --min-segment 64K", &[&bad, &good]);
        let some = |_: &Running| bad.with_stats(Stats::payload) > 50_000;
        let done = run_held(command, &[&good], "it is used", some);
        done.expect_code(0).expect_file(NAME, &file);
        assert!(bad.stop().payload() > 50_000);
    }
}

#[test]
fn failure_that_says_most_is_reported() {
    let file = file(1000);
    let (_port, dead) = dead_port();
    let login = Login::only("bob", "secret");
    let locked = serve(&file, Behaviour { login, ..Behaviour::default() });
    let empty = start(Model::new(Tree::new()));
    let full = serve(&file, Behaviour::default().with_cap(0, WhenFull::Greeting));
    let dead = format!("ftp://{dead}/{PATH}");
    let run = |urls: &[&str], code: i32, names: &Server| {
        let done = Pftp::new(["-q", "--retries", "0"].iter().chain(urls)).run().expect_code(code);
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("pftp: {}: ", names.addr())), "{}", done.stderr);
        assert!(done.files().is_empty());
    };
    let [locked_url, empty_url, full_url] = [&locked, &empty, &full].map(|server| server.url(PATH));
    run(&[&full_url, &dead], 1, &full);
    run(&[&full_url, &locked_url], 2, &locked);
    run(&[&locked_url, &dead], 2, &locked);
    run(&[&dead, &empty_url, &locked_url], 3, &empty);
    run(&[&empty_url, &locked_url, &full_url], 3, &empty);
}

/// Both mirrors tell their facts before either sends data.
#[track_caller]
fn fails_as_mirrors_disagree(one: &File, other: &File, args: &str) {
    let (one, other) = (serve(one, throttled(2_000_000)), serve(other, throttled(2_000_000)));
    for servers in [[&one, &other], [&other, &one]] {
        let done = run_held(pftp(args, &servers), &servers, "it has ended", |_| false).expect_code(8);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        for server in servers {
            assert!(done.stderr.contains(&server.addr().to_string()), "{}", done.stderr);
        }
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn two_mirrors_with_different_sizes_fail() {
    for args in ["-c 2 --min-segment 64K", "-c 8 --min-segment 64K", "-c 2"] {
        fails_as_mirrors_disagree(&file(2 * MIB), &file(3 * MIB), args);
    }
}

#[test]
fn two_mirrors_with_different_times_fail() {
    let new = file(2 * MIB).with_modified("20240301000000");
    fails_as_mirrors_disagree(&file(2 * MIB), &new, "-c 4 --min-segment 64K");
}

/// Three mirrors, of which the one with index `odd` has another file.
#[track_caller]
fn two_of_three(odd: usize, other: &File, args: &str) {
    let file = file(2 * MIB);
    let servers: Vec<Server> =
        (0..3).map(|at| serve(if at == odd { other } else { &file }, throttled(1_000_000))).collect();
    let all: Vec<&Server> = servers.iter().collect();
    let done = run_when_said(pftp(args, &all), &all, "differs").expect_code(0).expect_file(NAME, &file);
    warns(&done, &servers[odd].addr().to_string(), "differs");
}

#[test]
fn one_of_three_mirrors_with_another_size_is_outvoted() {
    for odd in 0..3 {
        two_of_three(odd, &file(2 * MIB + 100_000), "-c 6 --min-segment 64K");
        two_of_three(odd, &file(MIB), "-c 3 --min-segment 64K");
    }
}

#[test]
fn one_of_three_mirrors_with_other_time_and_content_is_outvoted() {
    for odd in 0..3 {
        let other = File::generated(8, 2 * MIB).with_modified("20240301000000");
        two_of_three(odd, &other, "-c 6 --min-segment 64K");
    }
}

#[test]
fn one_of_three_mirrors_is_outvoted_over_fewer_connections() {
    for odd in 0..2 {
        let other = File::generated(8, 2 * MIB).with_modified("20240301000000");
        two_of_three(odd, &other, "-c 2 --min-segment 64K");
    }
}

#[test]
fn mirror_that_tells_nothing_has_no_vote() {
    let slow = || throttled(500_000);
    let silent = slow().without("SIZE").without("MLST").without("MDTM");
    let file = file(2 * MIB);
    let other = file.clone().with_modified("20240301000000");
    let (a, b) = (serve(&file, slow()), serve(&other, slow()));
    let silent = serve(&file, silent);
    let all = [&a, &b, &silent];
    run_held(pftp("-c 3 --min-segment 64K", &all), &all, "it has ended", |_| false).expect_code(8);
}

#[test]
fn all_mirrors_deliver() {
    let file = file(4 * MIB + 1);
    let servers: Vec<Server> = (0..4).map(|_| serve(&file, throttled(700_000))).collect();
    let all: Vec<&Server> = servers.iter().collect();
    let at_work: Vec<(&Server, usize)> = all.iter().map(|server| (*server, 1)).collect();
    let done = run_at_work(pftp("-c 8 --min-segment 64K", &all), &at_work).expect_code(0);
    done.expect_silence().expect_file(NAME, &file);
    for server in servers {
        let stats = server.stop();
        one_login_each(&stats, 2);
        assert!(stats.payload() > 0);
    }
}

#[test]
fn more_mirrors_than_connections_deliver() {
    let file = file(MIB);
    let servers: Vec<Server> = (0..3).map(|_| serve(&file, throttled(2_000_000))).collect();
    let all: Vec<&Server> = servers.iter().collect();
    pftp("-c 2 --min-segment 64K", &all).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    let logins: u32 = servers.into_iter().map(|server| server.stop().logins()).sum();
    assert!(logins <= 2, "{logins}");
}
