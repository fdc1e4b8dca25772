//! Servers that say one thing and do another: never a wrong file and a good end.

use crate::support::*;

const SIZE: u64 = 300_000;

/// Whoever is served so fails with this code, over one connection and over several, and gets no file.
#[track_caller]
fn never_a_file(behaviour: &Behaviour, code: i32) {
    for args in ["-c 1", "-c 4 --min-segment 16K", "-c 4"] {
        let server = serve(&file(SIZE), behaviour.clone());
        let done = pftp(&format!("--retries 1 {args}"), &[&server]).run().expect_code(code);
        assert_eq!(done.stderr.lines().count(), 1, "{args}: {}", done.stderr);
        assert!(done.stderr.starts_with(&format!("pftp: {}: ", server.addr())), "{}", done.stderr);
        assert!(!done.files().contains(&NAME.to_owned()), "{args}");
    }
}

#[test]
fn a_size_that_is_too_small() {
    for error in [-1, -100_000, -(SIZE as i64)] {
        never_a_file(&Behaviour { size_error: error, ..Behaviour::default() }, 8);
    }
}

#[test]
fn a_size_that_is_too_small_of_a_tiny_file() {
    // So tiny that all of it may be here before its size is.
    for _ in 0..10 {
        let server = serve(&file(100), Behaviour { size_error: -10, ..Behaviour::default() });
        let done = pftp("--retries 1", &[&server]).run().expect_code(8);
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn a_size_that_is_too_large() {
    for error in [1, 100_000, 1 << 28] {
        never_a_file(&Behaviour { size_error: error, ..Behaviour::default() }, 8);
    }
}

#[test]
fn restart_accepted_and_ignored() {
    let ignores = Behaviour { ignores_rest: true, ..Behaviour::default() };
    let server = serve(&file(SIZE), ignores.clone());
    pftp("-c 1", &[&server]).run().expect_code(0).expect_file(NAME, &file(SIZE));
    for args in ["-c 4 --min-segment 16K", "-c 2 --min-segment 1"] {
        let server = serve(&file(SIZE), ignores.clone());
        let done = pftp(args, &[&server]).run().expect_code(8);
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn restart_ignored_by_one_of_two_mirrors() {
    let file = file(2 * MIB);
    let ignores = Behaviour { ignores_rest: true, ..throttled(4_000_000) };
    for first in [true, false] {
        let (bad, good) = (serve(&file, ignores.clone()), serve(&file, throttled(4_000_000)));
        let servers = if first { [&bad, &good] } else { [&good, &bad] };
        let done = pftp("-c 4 --min-segment 64K", &servers).run();
        match done.code {
            Some(0) => drop(done.expect_file(NAME, &file)),
            _ => assert!(!done.expect_code(8).files().contains(&NAME.to_owned())),
        }
    }
}

#[test]
fn completion_before_the_last_byte_and_never_another() {
    never_a_file(&Behaviour::default().cutting_every(Cut::lying(0)), 8);
}

#[test]
fn data_that_ends_each_time_before_a_byte() {
    never_a_file(&Behaviour::default().cutting_every(Cut::told(0)), 7);
}

#[test]
fn cut_each_time_at_the_same_place_and_always_from_the_start() {
    let cut = Behaviour::default().without("SIZE").without("MLST").cutting_every(Cut::told(100_000));
    for (behaviour, args) in [(cut.clone(), "-m ascii"), (cut.without("REST"), "-c 1")] {
        let server = serve(&file(SIZE), behaviour);
        let done = pftp(&format!("--retries 1 {args}"), &[&server]).run().expect_code(7);
        assert!(!done.files().contains(&NAME.to_owned()));
        assert!(server.stop().count("RETR") <= 5, "{args}");
    }
}

#[test]
fn sessions_cut_off_without_a_size_to_go_by() {
    let file = file(2 * MIB);
    let behaviour = Behaviour::default().without("SIZE").without("MLST");
    let server = serve(&file, Behaviour { bytes_per_second: Some(2_000_000), ..behaviour.clone() });
    let running = pftp("-c 2", &[&server]).start();
    until("half of it is there", || server.with_stats(|stats| stats.payload() > MIB));
    server.set_behaviour(behaviour);
    server.close_sessions(Ending::Fin);
    running.wait().expect_code(0).expect_file(NAME, &file);
    let last = server.stop().transfers.last().cloned();
    assert!(last.is_some_and(|last| last.offset > 0), "it went on and did not start over");
}

#[test]
fn what_came_before_a_426_is_kept() {
    let server = serve(&file(SIZE), Behaviour::default().cutting_every(Cut::told(100_000)));
    pftp("--retries 1 -c 1", &[&server]).run().expect_code(0).expect_file(NAME, &file(SIZE));
    let stats = server.stop();
    let offsets: Vec<u64> = stats.transfers.iter().map(|transfer| transfer.offset).collect();
    // Each begins with 4 KiB of what the one before had last.
    assert_eq!(offsets, [0, 95_904, 191_808, 287_712]);
}

#[test]
fn cut_again_and_again_it_arrives_all_the_same() {
    for args in ["-c 1", "-c 4 --min-segment 16K"] {
        let server = serve(&file(SIZE), Behaviour::default().cutting_every(Cut::lying(70_000)));
        let done = pftp(&format!("--retries 1 {args}"), &[&server]).run().expect_code(0);
        done.expect_silence().expect_file(NAME, &file(SIZE));
        assert!(server.stop().logins() <= 4);
    }
}

#[test]
fn reset_once_in_mid_file() {
    for args in ["-c 1", "-c 4 --min-segment 16K"] {
        let once = Cut::silent(50_000, Interruption::Reset);
        let odd = Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Cut(once));
        let server = start(Model::new(tree(&file(SIZE))).with_session(0, odd));
        let done = pftp(&format!("--timeout 5 {args}"), &[&server]).run().expect_code(0);
        done.expect_file(NAME, &file(SIZE));
    }
}

#[test]
fn sessions_cut_off_in_mid_file() {
    for ending in [Ending::Fin, Ending::Reset] {
        let file = file(2 * MIB);
        let server = serve(&file, throttled(1_000_000));
        let running = pftp("-c 2 --min-segment 64K", &[&server]).start();
        until("half of it is there", || server.with_stats(|stats| stats.payload() > MIB));
        server.set_behaviour(Behaviour::default());
        server.close_sessions(ending);
        running.wait().expect_code(0).expect_file(NAME, &file);
        assert!(server.stop().logins() <= 4, "two sessions and two in their place");
    }
}

#[test]
fn completion_before_the_data() {
    let behaviour = Behaviour { completion: Completion::BeforeData, ..Behaviour::default() };
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        let file = file(2 * MIB);
        let server = serve(&file, behaviour.clone());
        pftp(args, &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    }
}

#[test]
fn a_file_that_changes_while_it_is_fetched() {
    let old = file(2 * MIB);
    let new = File::generated(9, 2 * MIB).with_modified("20250101000000");
    let server = serve(&old, throttled(1_000_000));
    let running = pftp("-c 2 --min-segment 64K", &[&server]).start();
    until("half of it is there", || server.with_stats(|stats| stats.payload() > MIB));
    server.set_tree(tree(&new));
    server.set_behaviour(Behaviour::default());
    server.close_sessions(Ending::Fin);
    let done = running.wait();
    match done.code {
        Some(0) => drop(done.expect_file(NAME, &new)),
        _ => assert!(!done.expect_code(8).files().contains(&NAME.to_owned())),
    }
}
