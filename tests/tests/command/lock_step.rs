//! Servers that mishandle pipelined commands are served in lock step.

use std::thread;

use crate::support::*;

over_each_transport! {
    server_that_keeps_one_command_of_each_burst_is_served
    well_behaved_server_gets_one_burst
    lock_step_of_one_of_several_mirrors
    lock_step_over_one_connection
    lock_step_over_several_connections
}

const KINDS: [Bursts; 3] = [Bursts::RestDropped, Bursts::SecondRefused, Bursts::Closed];

/// The time limit of the run. Only a lost command is noticed by a timeout, which must be longer than any
/// other step.
fn limit(bursts: Bursts) -> &'static str {
    if bursts == Bursts::RestDropped { "--timeout 3" } else { "" }
}

fn server(file: &File, bursts: Bursts) -> Server {
    serve(file, Behaviour { bursts, ..Behaviour::default() })
}

/// Panics unless every command of the session up to its first RETR came after the reply to the one before.
#[track_caller]
fn is_in_lock_step(stats: &Stats, session: usize) {
    let lines = stats.lines_of(session);
    let retr = lines.iter().position(|line| line.starts_with("RETR")).expect("a RETR");
    assert_eq!(stats.sessions[session].turns_to_data as usize, retr + 1, "{lines:?}");
    assert!(stats.sessions[session].reads as usize >= lines.len() - 1, "{lines:?}");
}

fn lock_step_over_one_connection(transport: &str) {
    for bursts in KINDS {
        let file = file(300_000);
        let server = server(&file, bursts);
        let done = over(transport, &format!("-c 1 {}", limit(bursts)), &[&server]).run();
        done.expect_code(0).expect_silence().expect_file(NAME, &file);
        let stats = server.stop();
        assert_eq!((stats.sessions.len(), stats.logins()), (2, 1), "{bursts:?}");
        is_in_lock_step(&stats, 1);
    }
}

#[track_caller]
fn serves_several_connections(transport: &str, bursts: Bursts) {
    let file = file(3 * MIB);
    let server = serve(&file, Behaviour { bursts, ..throttled(1_500_000) });
    let args = format!("-c 3 --min-segment 64K {}", limit(bursts));
    let done = over(transport, &args, &[&server]).run();
    done.expect_code(0).expect_silence().expect_file(NAME, &file);
    let stats = server.stop();
    assert!(stats.logins() <= 3, "{bursts:?}: {}", stats.logins());
    one_login_each(&stats, 6);
    for session in 0..stats.sessions.len() {
        if stats.sessions[session].payload > 0 {
            is_in_lock_step(&stats, session);
        }
    }
}

#[track_caller]
fn serves_beside_a_well_behaved_one(transport: &str, bursts: Bursts) {
    // The server with the burst gets a range; with a timeout, that takes a while.
    let by_clock = bursts == Bursts::RestDropped;
    let file = file(if by_clock { 10 * MIB } else { 3 * MIB });
    let odd = serve(&file, Behaviour { bursts, ..throttled(1_500_000) });
    let plain = serve(&file, throttled(1_500_000));
    let command = over(transport, &format!("-c 2 --min-segment 64K {}", limit(bursts)), &[&odd, &plain]);
    let done = if by_clock { command.run() } else { run_at_work(command, &[(&odd, 1), (&plain, 1)]) };
    done.expect_code(0).expect_silence().expect_file(NAME, &file);
    let (odd, plain) = (odd.stop(), plain.stop());
    assert_eq!((odd.logins(), plain.logins(), plain.sessions.len()), (1, 1, 1), "{bursts:?}");
    assert!(plain.sessions[0].turns_to_data <= 2, "the other still gets its commands in a burst");
    let served = odd.sessions.iter().position(|session| session.payload > 0).expect("some data of it");
    is_in_lock_step(&odd, served);
}

fn lock_step_over_several_connections(transport: &str) {
    serves_several_connections(transport, Bursts::SecondRefused);
    serves_several_connections(transport, Bursts::Closed);
}

fn lock_step_of_one_of_several_mirrors(transport: &str) {
    serves_beside_a_well_behaved_one(transport, Bursts::SecondRefused);
    serves_beside_a_well_behaved_one(transport, Bursts::Closed);
}

fn server_that_keeps_one_command_of_each_burst_is_served(transport: &str) {
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                serves_several_connections(transport, Bursts::RestDropped);
                serves_beside_a_well_behaved_one(transport, Bursts::RestDropped);
            });
        }
    });
}

fn well_behaved_server_gets_one_burst(transport: &str) {
    let file = file(300_000);
    let server = serve(&file, Behaviour::default());
    over(transport, "-c 1", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    assert_eq!(server.stop().sessions[0].turns_to_data, 1);
}
