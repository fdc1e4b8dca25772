//! Servers that say one thing and do another never cause a wrong file with exit code 0.

use crate::support::*;

const SIZE: u64 = 300_000;

/// Panics unless a download from such a server fails with this code, over one connection and over several,
/// and leaves no file.
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
fn size_that_is_too_small_fails_with_code_8() {
    for error in [-1, -100_000, -(SIZE as i64)] {
        never_a_file(&Behaviour { size_error: error, ..Behaviour::default() }, 8);
    }
}

#[test]
fn size_that_is_too_small_fails_for_a_tiny_file() {
    // The whole of so small a file may be here before its size is told.
    for _ in 0..10 {
        let server = serve(&file(100), Behaviour { size_error: -10, ..Behaviour::default() });
        let done = pftp("--retries 1", &[&server]).run().expect_code(8);
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn size_that_is_too_large_fails_with_code_8() {
    for error in [1, 100_000, 1 << 28] {
        never_a_file(&Behaviour { size_error: error, ..Behaviour::default() }, 8);
    }
}

#[test]
fn ignored_rest_fails_only_over_several_connections() {
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
fn rest_ignored_by_one_of_two_mirrors_causes_no_wrong_file() {
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
fn completion_without_a_byte_fails_with_code_8() {
    never_a_file(&Behaviour::default().cutting_every(Cut::lying(0)), 8);
}

#[test]
fn transfers_without_a_byte_fail_with_code_7() {
    never_a_file(&Behaviour::default().cutting_every(Cut::told(0)), 7);
}

#[test]
fn cuts_at_the_same_place_fail_if_each_transfer_starts_over() {
    let cut = Behaviour::default().without("SIZE").without("MLST").cutting_every(Cut::told(100_000));
    for (behaviour, args) in [(cut.clone(), "-m ascii"), (cut.without("REST"), "-c 1")] {
        let server = serve(&file(SIZE), behaviour);
        let done = pftp(&format!("--retries 1 {args}"), &[&server]).run().expect_code(7);
        assert!(!done.files().contains(&NAME.to_owned()));
        assert!(server.stop().count("RETR") <= 5, "{args}");
    }
}

#[test]
fn lost_sessions_resume_without_a_size() {
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
fn bytes_before_a_426_are_kept() {
    let server = serve(&file(SIZE), Behaviour::default().cutting_every(Cut::told(100_000)));
    pftp("--retries 1 -c 1", &[&server]).run().expect_code(0).expect_file(NAME, &file(SIZE));
    let stats = server.stop();
    let offsets: Vec<u64> = stats.transfers.iter().map(|transfer| transfer.offset).collect();
    // Each further transfer begins with the last 4 KiB of the one before.
    assert_eq!(offsets, [0, 95_904, 191_808, 287_712]);
}

#[test]
fn file_comes_through_many_cuts() {
    for args in ["-c 1", "-c 4 --min-segment 16K"] {
        let server = serve(&file(SIZE), Behaviour::default().cutting_every(Cut::lying(70_000)));
        let done = pftp(&format!("--retries 1 {args}"), &[&server]).run().expect_code(0);
        done.expect_silence().expect_file(NAME, &file(SIZE));
        assert!(server.stop().logins() <= 4);
    }
}

#[test]
fn file_comes_after_a_reset_in_mid_file() {
    for args in ["-c 1", "-c 4 --min-segment 16K"] {
        let once = Cut::silent(50_000, Interruption::Reset);
        let odd = Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Cut(once));
        let server = start(Model::new(tree(&file(SIZE))).with_session(0, odd));
        let done = pftp(&format!("--timeout 5 {args}"), &[&server]).run().expect_code(0);
        done.expect_file(NAME, &file(SIZE));
    }
}

#[test]
fn file_comes_after_lost_sessions() {
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
fn completion_before_the_data_is_understood() {
    let behaviour = Behaviour { completion: Completion::BeforeData, ..Behaviour::default() };
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        let file = file(2 * MIB);
        let server = serve(&file, behaviour.clone());
        pftp(args, &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    }
}

#[test]
fn file_that_changes_during_the_download_is_never_mixed() {
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
