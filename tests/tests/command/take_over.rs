//! Ranges move to the session that fetches them soonest; this costs data connections and nothing else.

use crate::support::*;

over_each_transport! {
    slow_session_is_helped_in_lock_step
    slow_session_is_helped_on_a_server_like_proftpd
    slow_session_is_helped_on_a_server_like_pure_ftpd
    slow_session_is_helped_on_a_server_like_pyftpdlib
    slow_session_is_helped_on_a_server_like_vsftpd
    slow_session_is_helped_on_a_server_that_answers_a_cut_twice
    slow_session_is_helped_on_a_server_silent_after_a_cut
    fast_mirror_helps_a_slow_one
    slow_session_is_helped_on_a_well_behaved_server
    connections_of_all_speeds_deliver
}

/// A server whose first session is slow.
fn with_one_slow_session(file: &File, behaviour: Behaviour) -> Server {
    let slow = Behaviour { bytes_per_second: Some(100_000), ..behaviour.clone() };
    let behaviour = Behaviour { bytes_per_second: behaviour.bytes_per_second.or(Some(600_000)), ..behaviour };
    start(Model::new(tree(file)).with_behaviour(behaviour).with_session(0, slow))
}

/// A file of 4 MiB over 4 connections, one of which would need 10 seconds for its quarter.
#[track_caller]
fn slow_session_is_helped(transport: &str, behaviour: Behaviour) {
    let file = file(4 * MIB);
    let server = with_one_slow_session(&file, behaviour);
    // Every session has its range before another has finished its own.
    let command = over(transport, "-c 4 --min-segment 64K", &[&server]);
    run_at_work(command, &[(&server, 4)]).expect_code(0).expect_silence().expect_file(NAME, &file);
    let stats = server.stop();
    assert_eq!((stats.logins(), stats.sessions.len()), (4, 4), "a take-over costs no login");
    let slow: Vec<u64> = offsets(&stats, |session| session == 0);
    let quick: Vec<u64> = offsets(&stats, |session| session != 0);
    assert!(quick.len() > 3, "the others took over: {:?}", stats.transfers);
    let slow_start = *slow.first().expect("the slow one has begun");
    let inside = |offset: &&u64| (slow_start + 1..slow_start + MIB).contains(*offset);
    assert!(quick.iter().filter(inside).count() >= 1, "they took what was its: {:?}", stats.transfers);
    assert!(stats.sessions[0].payload < MIB, "it did not have to send all of its quarter");
    assert!(stats.sessions.iter().all(|session| session.data_connections >= 1));
    assert_eq!(stats.count("ABOR"), 0);
}

fn offsets(stats: &Stats, of: impl Fn(usize) -> bool) -> Vec<u64> {
    let transfers = stats.transfers.iter().filter(|transfer| of(transfer.session));
    transfers.map(|transfer| transfer.offset).collect()
}

fn slow_session_is_helped_on_a_well_behaved_server(transport: &str) {
    slow_session_is_helped(transport, Behaviour::default());
}

fn slow_session_is_helped_on_a_server_like_vsftpd(transport: &str) {
    slow_session_is_helped(transport, Behaviour::vsftpd());
}

fn slow_session_is_helped_on_a_server_like_proftpd(transport: &str) {
    slow_session_is_helped(transport, Behaviour::proftpd());
}

fn slow_session_is_helped_on_a_server_like_pure_ftpd(transport: &str) {
    slow_session_is_helped(transport, Behaviour::pure_ftpd());
}

fn slow_session_is_helped_on_a_server_like_pyftpdlib(transport: &str) {
    slow_session_is_helped(transport, Behaviour::pyftpdlib());
}

fn slow_session_is_helped_on_a_server_silent_after_a_cut(transport: &str) {
    // The client cannot tell when this server is ready for a command, so a cut costs a login at times.
    let file = file(2 * MIB);
    let server = with_one_slow_session(&file, Behaviour { abandoned: Vec::new(), ..Behaviour::default() });
    over(transport, "-c 4 --min-segment 64K --timeout 1", &[&server])
        .run()
        .expect_code(0)
        .expect_file(NAME, &file);
}

fn slow_session_is_helped_on_a_server_that_answers_a_cut_twice(transport: &str) {
    let abandoned = b"426 Broken off.\r\n226 Done.\r\n".to_vec();
    slow_session_is_helped(transport, Behaviour { abandoned, ..Behaviour::default() });
}

fn slow_session_is_helped_in_lock_step(transport: &str) {
    let file = file(4 * MIB);
    let behaviour = Behaviour { bursts: Bursts::Closed, ..Behaviour::default() };
    // The first four sessions end because of their burst.
    let slow = Behaviour { bytes_per_second: Some(200_000), ..behaviour.clone() };
    let server = start(Model::new(tree(&file)).with_behaviour(behaviour).with_session(4, slow));
    let command = over(transport, "-c 4 --min-segment 64K", &[&server]);
    run_at_work(command, &[(&server, 4)]).expect_code(0).expect_file(NAME, &file);
    let stats = server.stop();
    assert_eq!((stats.logins(), stats.sessions.len()), (4, 8));
    assert!(stats.transfers.len() >= 4);
}

fn fast_mirror_helps_a_slow_one(transport: &str) {
    let file = file(4 * MIB);
    let slow = serve(&file, throttled(100_000));
    let quick = serve(&file, Behaviour::default());
    over(transport, "-c 4 --min-segment 64K", &[&slow, &quick]).run().expect_code(0).expect_file(NAME, &file);
    let (slow, quick) = (slow.stop(), quick.stop());
    one_login_each(&slow, 2);
    one_login_each(&quick, 2);
    assert!(slow.payload() < 2 * MIB && quick.payload() > 2 * MIB);
}

fn connections_of_all_speeds_deliver(transport: &str) {
    let file = file(8 * MIB + 3);
    let mut model = Model::new(tree(&file));
    for session in 0..16 {
        model = model.with_session(session, throttled(100_000 << (session % 6)));
    }
    let server = start(model);
    let command = over(transport, "-c 16 --min-segment 16K", &[&server]);
    run_at_work(command, &[(&server, 16)]).expect_code(0).expect_file(NAME, &file);
    let stats = server.stop();
    one_login_each(&stats, 16);
    assert!(stats.transfers.len() > 16);
}
