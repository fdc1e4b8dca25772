//! Killed at any moment, `pftp` delivers an exact file and fetches few bytes twice.

use std::fs;
use std::thread;

use rustix::process::Signal;

use crate::support::*;

/// Bytes per second of all connections together.
const SECOND: u64 = 2_400_000;

/// Bytes of a transfer that no journal record can name, however often the journal is written: overlaps at its
/// start and end, and bytes in flight when it is cut.
const SEAMS: u64 = 2 * 4096 + 64 * 1024;

/// Returns numbers that look random and are the same in every run.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    })
}

/// Returns how many bytes a server has sent, and in how many transfers.
fn sent(server: &Server) -> (u64, u64) {
    server.with_stats(|stats| (stats.payload(), stats.transfers.len() as u64))
}

/// Kills the command eight times, or until it is done; then runs it to its end. Returns whether few bytes
/// were lost: a second of traffic a kill. The server is the clock, since it sends a fixed number of bytes per
/// second: on a busy machine it is slower, too.
#[track_caller]
fn killed_again_and_again(transport: &str, seed: u64, connections: u64) -> bool {
    let file = file(16 * MIB);
    let server = serve(&file, throttled(SECOND / connections));
    let command = || over(transport, &format!("-c {connections} --min-segment 64K"), &[&server]);
    let (mut dir, mut there) = (tempfile::tempdir().expect("a directory"), 0);
    let (mut kills, mut lost) = (0, 0);
    for random in random(seed).take(8) {
        let before = sent(&server);
        let running = command().in_dir(dir).start();
        let target = running.path(NAME);
        let enough = before.0 + random % (2 * SECOND);
        until("it is time to kill", || running.has_ended() || sent(&server).0 >= enough);
        running.signal(Signal::KILL);
        let done = running.wait();
        let done_before = target.exists();
        dir = done.dir;
        if done_before {
            break;
        }
        let (bytes, transfers) = sent(&server);
        let noted = fs::read(dir.path().join(JOURNAL)).map_or(0, |journal| recorded(&journal));
        // Bytes that were sent and are not in the journal are sent again.
        let again = (bytes - before.0).saturating_sub(noted.saturating_sub(there));
        lost += again.saturating_sub(SEAMS * (transfers - before.1));
        (there, kills) = (noted, kills + 1);
    }
    println!("{transport}, {connections}: {lost} bytes are lost by {kills} kills");
    command().in_dir(dir).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    let (bytes, transfers) = sent(&server);
    println!("{bytes} bytes in {transfers} transfers");
    // A single kill may come while the disk is busy.
    kills >= 3 && lost <= kills * SECOND && bytes <= file.size() + kills * SECOND + transfers * SEAMS
}

fn killed_at_random_moments_it_resumes_exactly(transport: &str) {
    thread::scope(|scope| {
        for (seed, connections) in [(1, 1), (2, 2), (3, 6)] {
            // The disk may be busy for longer than that; the file is exact all the same.
            let is_little =
                move |attempt: u64| killed_again_and_again(transport, seed + attempt, connections);
            scope.spawn(move || assert!((0..5).any(is_little), "each time too much was lost"));
        }
    });
}

over_each_transport! { killed_at_random_moments_it_resumes_exactly }
