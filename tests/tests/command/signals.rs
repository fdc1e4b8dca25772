//! A signal ends a run soon, in order, and keeps what was fetched.

use rustix::process::Signal;

use crate::support::*;

const BOTH: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

/// A server that sends a part of the file and then nothing.
fn stalling(file: &File) -> Server {
    serve(file, Behaviour::default().cutting_every(Cut::silent(200_000, Interruption::Stall)))
}

#[test]
fn signal_in_mid_file_keeps_the_part() {
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
fn next_run_after_a_signal_delivers_the_file() {
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
fn signal_before_the_first_byte() {
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
fn signal_while_standard_output_is_not_read() {
    for (signal, code) in BOTH {
        let server = serve(&file(64 * MIB), Behaviour::default());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let running = pftp("-o -", &[&server]).with_stdout(writer).start();
        // The server has sent more than a pipe holds, so the writer waits.
        until("the pipe is full", || server.with_stats(|stats| stats.payload() > MIB));
        running.signal(signal);
        running.wait().expect_code(code);
        drop(reader);
    }
}

#[test]
fn sessions_end_with_quit_after_a_signal() {
    // Once with a part and a journal to close, and once with nothing to close.
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

/// The last line of a run that ends in order, or at the latest a second after its signal.
const LAST_WORD: &str = "pftp: stopped";

#[test]
fn second_signal_ends_the_run_at_once() {
    let at_once = |(signal, code)| {
        let server = serve(&file(64 * MIB), Behaviour::default());
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let running = pftp("-o -", &[&server]).with_stdout(writer).start();
        // The run cannot end in order, since no process reads its output.
        until("the pipe is full", || server.with_stats(|stats| stats.payload() > MIB));
        // The signal is sent until the run has ended, since two signals in quick succession count as one.
        until("it has ended", || {
            running.signal(signal);
            running.has_ended()
        });
        let done = running.wait().expect_code(code);
        drop(reader);
        !done.stderr.contains(LAST_WORD)
    };
    for both in BOTH {
        // On a busy machine the second signal may come when nothing is left to end.
        assert!(
            (0..10).any(|_| at_once(both)),
            "{both:?}: each time it took the time that the first one gives"
        );
    }
}
