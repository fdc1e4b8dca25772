//! Work goes to where it is done soonest, at the price of data connections and of nothing else.

use crate::support::*;

over_each_transport! {
    from_a_server_in_lock_step
    from_a_server_like_proftpd
    from_a_server_like_pure_ftpd
    from_a_server_like_pyftpdlib
    from_a_server_like_vsftpd
    from_a_server_that_answers_a_cut_twice
    from_a_server_that_says_nothing_after_a_cut
    from_a_slow_mirror_by_a_quick_one
    from_a_well_behaved_server
    many_connections_of_all_speeds
}

/// A server whose first session sends slowly and whose others do not.
fn with_one_slow_session(file: &File, behaviour: Behaviour) -> Server {
    let slow = Behaviour { bytes_per_second: Some(100_000), ..behaviour.clone() };
    let behaviour = Behaviour { bytes_per_second: behaviour.bytes_per_second.or(Some(600_000)), ..behaviour };
    start(Model::new(tree(file)).with_behaviour(behaviour).with_session(0, slow))
}

/// A file of 4 MiB over 4 connections, of which one would take 10 seconds for its quarter.
#[track_caller]
fn the_slow_one_is_helped(transport: &str, behaviour: Behaviour) {
    let file = file(4 * MIB);
    let server = with_one_slow_session(&file, behaviour);
    // Every session has its part before another has done it.
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

fn from_a_well_behaved_server(transport: &str) {
    the_slow_one_is_helped(transport, Behaviour::default());
}

fn from_a_server_like_vsftpd(transport: &str) {
    the_slow_one_is_helped(transport, Behaviour::vsftpd());
}

fn from_a_server_like_proftpd(transport: &str) {
    the_slow_one_is_helped(transport, Behaviour::proftpd());
}

fn from_a_server_like_pure_ftpd(transport: &str) {
    the_slow_one_is_helped(transport, Behaviour::pure_ftpd());
}

fn from_a_server_like_pyftpdlib(transport: &str) {
    the_slow_one_is_helped(transport, Behaviour::pyftpdlib());
}

fn from_a_server_that_says_nothing_after_a_cut(transport: &str) {
    // Nobody can tell when it is ready for more, so this costs a login at times.
    let file = file(2 * MIB);
    let server = with_one_slow_session(&file, Behaviour { abandoned: Vec::new(), ..Behaviour::default() });
    over(transport, "-c 4 --min-segment 64K --timeout 1", &[&server])
        .run()
        .expect_code(0)
        .expect_file(NAME, &file);
}

fn from_a_server_that_answers_a_cut_twice(transport: &str) {
    let abandoned = b"426 Broken off.\r\n226 Done.\r\n".to_vec();
    the_slow_one_is_helped(transport, Behaviour { abandoned, ..Behaviour::default() });
}

fn from_a_server_in_lock_step(transport: &str) {
    let file = file(4 * MIB);
    let behaviour = Behaviour { bursts: Bursts::Closed, ..Behaviour::default() };
    // The first four sessions end for their burst.
    let slow = Behaviour { bytes_per_second: Some(200_000), ..behaviour.clone() };
    let server = start(Model::new(tree(&file)).with_behaviour(behaviour).with_session(4, slow));
    let command = over(transport, "-c 4 --min-segment 64K", &[&server]);
    run_at_work(command, &[(&server, 4)]).expect_code(0).expect_file(NAME, &file);
    let stats = server.stop();
    assert_eq!((stats.logins(), stats.sessions.len()), (4, 8));
    assert!(stats.transfers.len() >= 4);
}

fn from_a_slow_mirror_by_a_quick_one(transport: &str) {
    let file = file(4 * MIB);
    let slow = serve(&file, throttled(100_000));
    let quick = serve(&file, Behaviour::default());
    over(transport, "-c 4 --min-segment 64K", &[&slow, &quick]).run().expect_code(0).expect_file(NAME, &file);
    let (slow, quick) = (slow.stop(), quick.stop());
    one_login_each(&slow, 2);
    one_login_each(&quick, 2);
    assert!(slow.payload() < 2 * MIB && quick.payload() > 2 * MIB);
}

fn many_connections_of_all_speeds(transport: &str) {
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
