//! Stopped by a signal: soon, in order, and with what there is kept.

use rustix::process::Signal;

use crate::support::*;

const BOTH: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// A server that sends a part of the file and then nothing.
fn stalling(file: &File) -> Server {
    serve(file, Behaviour::default().cutting_every(Cut::silent(200_000, Interruption::Stall)))
}

#[test]
fn in_mid_file() {
    for (signal, code) in BOTH {
        let server = stalling(&file(8 * MIB));
        let old = "an older file";
        let running = pftp("-c 1", &[&server]).with_file(NAME, old).start();
        let part = running.path(PART);
        until("a part is there", || std::fs::metadata(&part).is_ok_and(|part| part.len() >= 200_000));
        assert_eq!(std::fs::read(running.path(NAME)).expect("the older file"), old.as_bytes());
        running.signal(signal);
        let done = running.wait().expect_code(code);
        assert_eq!(done.files(), [NAME, JOURNAL, PART]);
        assert_eq!(done.read(NAME), old.as_bytes());
        assert!(done.read(PART).starts_with(&file(8 * MIB).read(0..200_000)));
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert_eq!(done.stderr, "pftp: stopped; run the same command again to go on\n");
    }
}

#[test]
fn then_the_next_run_brings_the_file() {
    let server = stalling(&file(MIB));
    let running = pftp("-c 2 --min-segment 64K", &[&server]).start();
    let part = running.path(PART);
    until("a part is there", || std::fs::metadata(&part).is_ok_and(|part| part.len() >= 200_000));
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    server.set_behaviour(Behaviour::default());
    let done = pftp("-c 2 --min-segment 64K", &[&server]).in_dir(done.dir).run();
    done.expect_code(0).expect_file(NAME, &file(MIB));
}

#[test]
fn before_a_byte_has_come() {
    for (signal, code) in BOTH {
        let hangs = Behaviour::default().when(Trigger::every("USER"), Reaction::Hang);
        let server = serve(&file(1000), hangs);
        let running = pftp("-c 2", &[&server]).start();
        until("it has logged in", || server.with_stats(|stats| stats.count("USER") == 2));
        running.signal(signal);
        let done = running.wait().expect_code(code);
        assert!(done.files().is_empty(), "{:?}", done.files());
        assert_eq!(done.stderr, "pftp: stopped\n", "there is nothing to go on with");
    }
}

#[test]
fn while_nobody_reads_standard_output() {
    for (signal, code) in BOTH {
        let server = serve(&file(64 * MIB), Behaviour::default());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let running = pftp("-o -", &[&server]).with_stdout(writer).start();
        // The server has sent more than a pipe holds, so whoever writes to it waits.
        until("the pipe is full", || server.with_stats(|stats| stats.payload() > MIB));
        running.signal(signal);
        running.wait().expect_code(code);
        drop(reader);
    }
}

#[test]
fn sessions_are_ended_in_order() {
    // With a part of a file and its journal to close, and with nothing to do but to end.
    for (options, sessions) in [("-c 3 --min-segment 64K", 3), ("-c 1 -o -", 1)] {
        let server = stalling(&file(8 * MIB));
        let running = pftp(options, &[&server]).start();
        until("all are at work", || server.with_stats(|stats| stats.transfers.len() == sessions));
        running.signal(Signal::INT);
        running.wait().expect_code(130);
        until("the server has seen their ends", || server.with_stats(|stats| stats.open_sessions() == 0));
        let stats = server.stop();
        assert_eq!(stats.count("QUIT"), sessions, "{options}: {:?}", stats.lines);
    }
}

/// The last word of a run that ends in order, or a second after its signal at the latest.
const LAST_WORD: &str = "pftp: stopped";

#[test]
fn a_second_signal_ends_it_at_once() {
    let at_once = |(signal, code)| {
        let server = serve(&file(64 * MIB), Behaviour::default());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let running = pftp("-o -", &[&server]).with_stdout(writer).start();
        // As nobody takes what it writes, it cannot end in order.
        until("the pipe is full", || server.with_stats(|stats| stats.payload() > MIB));
        // Until it has ended: two signals that come too close together are one.
        until("it has ended", || {
            running.signal(signal);
            running.has_ended()
        });
        let done = running.wait().expect_code(code);
        drop(reader);
        !done.stderr.contains(LAST_WORD)
    };
    for both in BOTH {
        // On a machine that is busy with other things the second signal may come late, and nothing is left to be ended.
        assert!(
            (0..10).any(|_| at_once(both)),
            "{both:?}: each time it took the time that the first one gives"
        );
    }
}
