//! Bugs that were fixed.

use crate::support::*;

#[test]
fn refused_connection_does_not_end_a_mirror_that_others_reach() {
    let file = file(MIB);
    let server = serve(&file, Behaviour::default().with_cap(2, WhenFull::Refuse));
    pftp("-c 16 --retries 0", &[&server]).run().expect_code(0).expect_file(NAME, &file);
}

#[test]
fn bytes_of_a_mirror_that_sent_too_many_are_discarded() {
    let file = file(2 * MIB);
    // The second mirror gets the second half, sends the first again, and is found out at the end.
    let good = serve(&file, throttled(1_000_000));
    let bad = serve(&file, Behaviour { ignores_rest: true, ..Behaviour::default() });
    let done = run_at_work(pftp("-c 2", &[&good, &bad]), &[(&good, 1), (&bad, 1)]).expect_code(0);
    let done = done.expect_file(NAME, &file);
    assert!(done.stderr.contains(&bad.addr().to_string()), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn busy_moment_of_all_connections_counts_as_one_failure() {
    let file = file(MIB);
    let busy = Trigger::nth("RETR", 1);
    for reply in ["450 Busy.", "451 Try again.", "425 No data connection."] {
        let server = serve(&file, Behaviour::default().when(busy.clone(), Reaction::reply(reply)));
        let done = pftp("-c 16 --min-segment 16K --retries 1", &[&server]).run().expect_code(0);
        done.expect_silence().expect_file(NAME, &file);
        one_login_each(&server.stop(), 16);
    }
}

#[test]
fn byte_beyond_the_told_size_is_noticed() {
    for connections in [1, 2] {
        let server = serve(&file(MIB), Behaviour { size_error: -1, ..throttled(4_000_000) });
        let done = pftp(&format!("-c {connections}"), &[&server]).run().expect_code(8);
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn wrong_size_of_zero_is_noticed() {
    let server = serve(&file(MIB), Behaviour { size_error: -(MIB as i64), ..Behaviour::default() });
    for args in ["-c 1", "-c 4", "-o -"] {
        let done = pftp(args, &[&server]).run().expect_code(8);
        assert!(!done.files().contains(&NAME.to_owned()));
    }
}

#[test]
fn bytes_of_a_mirror_with_another_file_are_discarded() {
    let file = file(2 * MIB);
    let other = File::generated(8, 2 * MIB).with_modified("20240301000000");
    let late = Behaviour::default().when(Trigger::every("SIZE"), Reaction::Delay(LATE));
    let (first, odd) = (serve(&file, throttled(700_000)), serve(&other, throttled(400_000)));
    let third = serve(&file, Behaviour { bytes_per_second: Some(700_000), ..late });
    for servers in [[&first, &odd, &third], [&odd, &first, &third]] {
        let done = pftp("-c 6 --min-segment 64K", &servers).run().expect_code(0);
        let done = done.expect_file(NAME, &file);
        assert!(done.stderr.contains(&odd.addr().to_string()), "{}", done.stderr);
    }
}

/// A delay long enough for the other mirrors to send much before.
const LATE: std::time::Duration = std::time::Duration::from_millis(300);

#[test]
fn dispute_does_not_wait_for_a_mirror_without_a_connection() {
    let file = file(MIB);
    let other = file.clone().with_modified("20240301000000");
    let odd = serve(&other, throttled(1_000_000));
    let same: Vec<Server> = (0..3).map(|_| serve(&file, throttled(1_000_000))).collect();
    for servers in [[&same[0], &odd, &same[1], &same[2]], [&odd, &same[0], &same[1], &same[2]]] {
        pftp("-c 2", &servers).run().expect_code(0).expect_file(NAME, &file);
    }
}

#[test]
fn transfer_that_always_starts_over_is_no_progress() {
    let text = File::bytes("line\n".repeat(50_000));
    let server = serve(&text, Behaviour::default().cutting_every(Cut::told(100_000)));
    let done = pftp("-m ascii --retries 2", &[&server]).run().expect_code(7);
    assert!(!done.files().contains(&NAME.to_owned()));
}
