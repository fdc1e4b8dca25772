//! Killed at any moment: the result is exact, and little is fetched twice.

use std::fs;
use std::thread;

use rustix::process::Signal;

use crate::support::*;

/// Bytes that all connections together get in a second.
const SECOND: u64 = 2_400_000;

/// What a server may send in a transfer without any of it being noted, however soon the journal is written: what is
/// compared where the transfer begins and where it ends, and what is under way when it is cut.
const SEAMS: u64 = 2 * 4096 + 64 * 1024;

/// Numbers that look random, the same in every run.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    })
}

/// How many bytes a server has sent, and in how many transfers.
fn sent(server: &Server) -> (u64, u64) {
    server.with_stats(|stats| (stats.payload(), stats.transfers.len() as u64))
}

/// Kills it eight times, or until it is done; then lets it run to its end. Whether little was lost by it: a second of what
/// comes by a kill. The clock is the server's, which sends so much in a second: on a machine that is busy with other things
/// it, too, is slower.
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
        let noted = fs::read(dir.path().join(JOURNAL)).map_or(0, |journal| noted(&journal));
        // What was sent and is not in the journal is to be sent again.
        let again = (bytes - before.0).saturating_sub(noted.saturating_sub(there));
        lost += again.saturating_sub(SEAMS * (transfers - before.1));
        (there, kills) = (noted, kills + 1);
    }
    println!("{transport}, {connections}: {lost} bytes are lost by {kills} kills");
    command().in_dir(dir).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    let (bytes, transfers) = sent(&server);
    println!("{bytes} bytes in {transfers} transfers");
    // A single one may come at a bad moment, when the disk is busy.
    kills >= 3 && lost <= kills * SECOND && bytes <= file.size() + kills * SECOND + transfers * SEAMS
}

fn at_random_moments(transport: &str) {
    thread::scope(|scope| {
        for (seed, connections) in [(1, 1), (2, 2), (3, 6)] {
            // The disk may be busy with other things for longer than that; the file is whole all the same.
            let is_little =
                move |attempt: u64| killed_again_and_again(transport, seed + attempt, connections);
            scope.spawn(move || assert!((0..5).any(is_little), "each time too much was lost"));
        }
    });
}

over_each_transport! { at_random_moments }
