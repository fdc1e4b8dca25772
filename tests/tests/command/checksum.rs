//! `--checksum`: what does not have it never gets the final name.

use std::fs::OpenOptions;

use rustix::process::Signal;

use crate::support::*;

/// The option for this file.
fn of(file: &File) -> String {
    format!("--checksum sha256={}", file.sha256())
}

#[test]
fn a_file_that_has_it() {
    for size in [0, 1, 8 * MIB + 3] {
        let file = file(size);
        for args in ["-c 1", "-c 4 --min-segment 64K", "-o -"] {
            let server = serve(&file, throttled(8_000_000));
            let done =
                pftp(&format!("{args} {}", of(&file)), &[&server]).run().expect_code(0).expect_silence();
            if args == "-o -" {
                assert!(done.stdout == file.read(0..size));
            } else {
                done.expect_file(NAME, &file);
            }
        }
    }
}

#[test]
fn a_file_that_has_another() {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(MIB + 7, "x"));
    let server = serve(&bad, Behaviour::default());
    let done = pftp(&of(&good), &[&server]).with_file(NAME, "older").run().expect_code(8);
    let says = format!("file.bin.pftp-part has sha256={} and not sha256={}", bad.sha256(), good.sha256());
    assert!(done.stderr.contains(&says), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert_eq!(
        (done.files(), done.read(NAME)),
        (vec![NAME.into(), JOURNAL.into(), PART.into()], b"older".to_vec())
    );
    // As long as the file is the same, so is the end.
    let done = pftp(&of(&good), &[&server]).in_dir(done.dir).run().expect_code(8);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    // And whoever does not ask for a checksum does not get what was found to be wrong.
    server.set_tree(tree(&good));
    let before = server.with_stats(Stats::payload);
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    done.expect_file(NAME, &good);
    assert!(server.stop().payload() >= before + good.size());
}

/// One of the mirrors has a wrong byte where nothing meets: each is asked alone, until the file has its checksum.
fn one_mirror_has_a_wrong_byte(transport: &str) {
    let good = file(4 * MIB);
    // In the half that the bad one brings, or in both.
    let bad = |bad_at: u64| good.clone().with_patch((1 + 2 * bad_at) * MIB + 7, "x");
    for (bad_at, bad) in [(0, bad(0)), (1, bad(1)), (0, bad(0).with_patch(3 * MIB + 7, "x"))] {
        // On a busy machine the good one may bring that half, too.
        let shown = (0..20).any(|_| one_alone_has_it(transport, &good, &bad, bad_at as usize));
        assert!(shown, "the bad mirror never brought its wrong byte");
    }
}

/// Whether the wrong byte came at first.
fn one_alone_has_it(transport: &str, good: &File, bad: &File, bad_at: usize) -> bool {
    let options = format!("-c 2 --min-segment 64K {} -l the.log", of(good));
    let servers = [0, 1].map(|at| serve(if at == bad_at { bad } else { good }, throttled(2_000_000)));
    let all = [&servers[0], &servers[1]];
    let done = over(transport, &options, &all).with_file(NAME, "older").run();
    if done.code == Some(8) && done.stderr.contains("nothing says which is right") {
        // The wrong byte was where two transfers met.
        return false;
    }
    let done = done.expect_code(0);
    assert_eq!(done.files(), [NAME, "the.log"]);
    let done = done.expect_content(NAME, good);
    if done.stderr.is_empty() {
        return false;
    }
    let [why, who] = done.stderr.lines().collect::<Vec<_>>()[..] else { panic!("{}", done.stderr) };
    assert!(why.starts_with("pftp: warning: ") && why.contains(" has sha256="), "{why}");
    let says = format!("the file of {} has the checksum", servers[1 - bad_at].addr());
    assert!(who.contains(&says), "{who}");
    let stats = servers.map(Server::stop);
    let retrieved: usize = stats.iter().map(|stats| stats.count("RETR")).sum();
    assert_eq!(String::from_utf8_lossy(&done.read("the.log")).matches("C->S: RETR ").count(), retrieved);
    let sent: u64 = stats.iter().map(Stats::payload).sum();
    // All of it, what the bad one had brought from the good one, and before that maybe the other way round.
    assert!(sent < 3 * good.size(), "{sent}");
    true
}

/// No mirror has the file, and what they bring together is not it, wherever it is cut.
fn all_mirrors_have_a_wrong_byte(transport: &str) {
    // Where a cut comes to lie next to a wrong byte, the mirrors disagree before there is a file.
    let shown = (0..20).any(|_| a_file_that_nobody_has(transport));
    assert!(shown, "the mirrors never agreed where they met");
}

/// Whether the mirrors agreed where they met.
fn a_file_that_nobody_has(transport: &str) -> bool {
    let good = file(2 * MIB);
    let servers = [1, 2, 3].map(|at| {
        // One in each third.
        let wrong = [0, 700_000, 1_400_000].map(|third| third + at * 100_000);
        serve(
            &wrong.into_iter().fold(good.clone(), |file, at| file.with_patch(at, "x")),
            throttled(2_000_000),
        )
    });
    let all: Vec<&Server> = servers.iter().collect();
    let options = format!("-c 3 --min-segment 64K {}", of(&good));
    let done = over(transport, &options, &all).with_file(NAME, "older").run().expect_code(8);
    assert_eq!(
        (done.files(), done.read(NAME)),
        (vec![NAME.into(), JOURNAL.into(), PART.into()], b"older".to_vec())
    );
    let last = done.stderr.lines().last().unwrap_or_default();
    if last.contains("nothing says which is right") {
        return false;
    }
    assert!(last.contains(" has sha256=") && last.contains(" and not sha256="), "{}", done.stderr);
    // What is here is known to be wrong.
    servers[1].set_tree(tree(&good));
    let done = over(transport, &options, &all).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    done.expect_file(NAME, &good);
    true
}

/// All mirrors have the same file: not all of them are asked for all of it.
fn the_checksum_is_wrong_and_the_mirrors_agree(transport: &str) {
    let good = file(2 * MIB);
    let servers = [(); 4].map(|()| serve(&good, throttled(1_000_000)));
    let all: Vec<&Server> = servers.iter().collect();
    let wrong = "-c 4 --min-segment 64K --checksum crc32=00000000";
    let done = over(transport, wrong, &all).run().expect_code(8);
    assert_eq!(done.files(), [JOURNAL, PART]);
    let sent: u64 = servers.into_iter().map(|server| server.stop().payload()).sum();
    assert!(sent < 3 * good.size(), "{sent}");
}

/// It is stopped while it asks one mirror alone, and goes on.
fn stopped_while_one_mirror_is_asked(transport: &str) {
    let good = file(4 * MIB);
    let bad = good.clone().with_patch(MIB + 7, "x").with_patch(3 * MIB + 7, "x");
    let servers = [&good, &bad].map(|file| serve(file, throttled(2_000_000)));
    let options = format!("-c 2 --min-segment 64K {}", of(&good));
    for signal in [Signal::KILL, Signal::TERM] {
        let sent = || servers.iter().map(|server| server.with_stats(Stats::payload)).sum::<u64>();
        let before = sent();
        let running = over(transport, &options, &[&servers[0], &servers[1]]).start();
        // If the wrong bytes come from nobody, or are where two transfers meet, it ends without that.
        until("it fetches the file again", || sent() > before + good.size() + MIB / 2 || running.has_ended());
        running.signal(signal);
        let dir = running.wait().dir;
        let done = over(transport, &options, &[&servers[0], &servers[1]]).in_dir(dir).run();
        if done.code == Some(8) && done.stderr.contains("nothing says which is right") {
            // A wrong byte was where two transfers met.
            assert!(!done.files().contains(&NAME.to_owned()), "{}", done.stderr);
            continue;
        }
        done.expect_code(0).expect_file(NAME, &good);
    }
}

over_each_transport! {
    one_mirror_has_a_wrong_byte
    all_mirrors_have_a_wrong_byte
    the_checksum_is_wrong_and_the_mirrors_agree
    stopped_while_one_mirror_is_asked
}

#[test]
fn a_wrong_checksum_that_is_put_right() {
    let file = file(2 * MIB);
    let server = serve(&file, Behaviour::default());
    let wrong = "--checksum md5=00000000000000000000000000000000";
    let done = pftp(wrong, &[&server]).run().expect_code(8);
    let before = server.with_stats(Stats::payload);
    let done = pftp(&of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &file);
    assert!(server.stop().payload() < before + MIB, "it was there");
}

#[test]
fn the_stream_was_wrong() {
    let server = serve(&file(MIB), Behaviour::default());
    let done = pftp("-o - --checksum crc32=00000000", &[&server]).run().expect_code(8);
    assert!(done.stderr.contains("standard output has crc32="), "{}", done.stderr);
}

#[test]
fn a_finished_file_that_was_spoilt() {
    let file = file(2 * MIB);
    let server = serve(&file, Behaviour::default());
    let done = pftp(&of(&file), &[&server]).run().expect_code(0).expect_file(NAME, &file);
    let sent = server.with_stats(Stats::payload);
    let done = pftp(&of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
    assert_eq!(server.with_stats(Stats::payload), sent, "it was here");
    let path = done.dir.path().join(NAME);
    let modified = path.metadata().and_then(|facts| facts.modified()).expect("a time");
    let spoilt = OpenOptions::new().write(true).open(&path).expect("the file");
    std::os::unix::fs::FileExt::write_all_at(&spoilt, b"spoilt", MIB).expect("it can be written");
    spoilt.set_modified(modified).expect("its time can be set");
    pftp(&of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
}

#[test]
fn what_was_fetched_twice_is_hashed_as_it_is() {
    // One session is slow, so that the others take over from it and fetch what is left of it once more.
    let file = file(4 * MIB);
    let slow = throttled(100_000);
    let model = Model::new(tree(&file)).with_behaviour(throttled(4_000_000)).with_session(0, slow);
    let server = start(model);
    pftp(&format!("-c 4 --min-segment 16K {}", of(&file)), &[&server])
        .run()
        .expect_code(0)
        .expect_silence()
        .expect_file(NAME, &file);
}

#[test]
fn what_is_no_checksum() {
    for (args, says) in [
        ("--checksum 900150983cd24fb0d6963f7d28e17f72", "not ALG=HEX"),
        ("--checksum md5=12", "md5 has 32 hexadecimal digits"),
        ("-m ascii --checksum crc32=00000000", "ascii mode"),
    ] {
        let server = serve(&file(1), Behaviour::default());
        let done = pftp(args, &[&server]).run().expect_code(7);
        assert!(done.stderr.contains(says), "{}", done.stderr);
        assert!(server.stop().sessions.is_empty());
    }
}
