//! `--checksum` with a given checksum: a file that does not have it never gets the final name.

use std::fs::OpenOptions;

use rustix::process::Signal;

use crate::support::*;

/// Returns the option with the checksum of `file`.
fn checksum_of(file: &File) -> String {
    format!("--checksum sha256={}", file.sha256())
}

#[test]
fn file_with_the_checksum_gets_its_name() {
    for size in [0, 1, 8 * MIB + 3] {
        let file = file(size);
        for args in ["-c 1", "-c 4 --min-segment 64K", "-o -"] {
            let server = serve(&file, throttled(8_000_000));
            let done = pftp(&format!("{args} {}", checksum_of(&file)), &[&server])
                .run()
                .expect_code(0)
                .expect_silence();
            if args == "-o -" {
                assert!(done.stdout == file.read(0..size));
            } else {
                done.expect_file(NAME, &file);
            }
        }
    }
}

#[test]
fn file_with_another_checksum_does_not_get_its_name() {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(MIB + 7, "x"));
    let server = serve(&bad, Behaviour::default());
    let done = pftp(&checksum_of(&good), &[&server]).with_file(NAME, "older").run().expect_code(8);
    let message = format!("file.bin.pftp-part has sha256={} and not sha256={}", bad.sha256(), good.sha256());
    assert!(done.stderr.contains(&message), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert_eq!(
        (done.files(), done.read(NAME)),
        (vec![NAME.into(), JOURNAL.into(), PART.into()], b"older".to_vec())
    );
    // The next run starts over, because the bytes are known to be wrong.
    let done = pftp(&checksum_of(&good), &[&server]).in_dir(done.dir).run().expect_code(8);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    // A run without a checksum does not use the wrong bytes either.
    server.set_tree(tree(&good));
    let before = server.with_stats(Stats::payload);
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    done.expect_file(NAME, &good);
    assert!(server.stop().payload() >= before + good.size());
}

/// No comparison shows the wrong byte, so pftp fetches the file from one mirror after the other until it has its checksum.
fn wrong_byte_of_one_mirror_is_replaced(transport: &str) {
    let good = file(4 * MIB);
    // The wrong byte is in the half that the bad mirror sends, or in both halves.
    let bad = |bad_at: u64| good.clone().with_patch((1 + 2 * bad_at) * MIB + 7, "x");
    for (bad_at, bad) in [(0, bad(0)), (1, bad(1)), (0, bad(0).with_patch(3 * MIB + 7, "x"))] {
        // On a busy machine the good mirror may send both halves.
        let shown =
            (0..20).any(|_| wrong_byte_came_and_was_replaced(transport, &good, &bad, bad_at as usize));
        assert!(shown, "the bad mirror never sent its wrong byte");
    }
}

/// Downloads from a good and a bad mirror. Returns whether the wrong byte came at first.
fn wrong_byte_came_and_was_replaced(transport: &str, good: &File, bad: &File, bad_at: usize) -> bool {
    let options = format!("-c 2 --min-segment 64K {} -l the.log", checksum_of(good));
    let servers = [0, 1].map(|at| serve(if at == bad_at { bad } else { good }, throttled(2_000_000)));
    let all = [&servers[0], &servers[1]];
    let done = over(transport, &options, &all).with_file(NAME, "older").run();
    if done.code == Some(8) && done.stderr.contains("nothing says which is right") {
        // The wrong byte was in an overlap of two transfers.
        return false;
    }
    let done = done.expect_code(0);
    assert_eq!(done.files(), [NAME, "the.log"]);
    let done = done.expect_content(NAME, good);
    if done.stderr.is_empty() {
        return false;
    }
    let [mismatch, success] = done.stderr.lines().collect::<Vec<_>>()[..] else { panic!("{}", done.stderr) };
    assert!(mismatch.starts_with("pftp: warning: ") && mismatch.contains(" has sha256="), "{mismatch}");
    let message = format!("the file of {} has the checksum", servers[1 - bad_at].addr());
    assert!(success.contains(&message), "{success}");
    let stats = servers.map(Server::stop);
    let retrieved: usize = stats.iter().map(|stats| stats.count("RETR")).sum();
    assert_eq!(String::from_utf8_lossy(&done.read("the.log")).matches("C->S: RETR ").count(), retrieved);
    let sent: u64 = stats.iter().map(Stats::payload).sum();
    // The whole file, then the half of the bad mirror from the good one, and before that perhaps the half of the good mirror
    // from the bad one.
    assert!(sent < 3 * good.size(), "{sent}");
    true
}

/// The mirrors have no right file, neither alone nor together.
fn wrong_bytes_of_all_mirrors_fail_the_download(transport: &str) {
    // If an overlap has a wrong byte, the mirrors disagree before the file is whole.
    let shown = (0..20).any(|_| wrong_files_have_no_checksum(transport));
    assert!(shown, "every download had a wrong byte in an overlap");
}

/// Downloads from three bad mirrors. Returns whether the overlaps agreed.
fn wrong_files_have_no_checksum(transport: &str) -> bool {
    let good = file(2 * MIB);
    let servers = [1, 2, 3].map(|at| {
        // Each third has one wrong byte.
        let wrong = [0, 700_000, 1_400_000].map(|third| third + at * 100_000);
        serve(
            &wrong.into_iter().fold(good.clone(), |file, at| file.with_patch(at, "x")),
            throttled(2_000_000),
        )
    });
    let all: Vec<&Server> = servers.iter().collect();
    let options = format!("-c 3 --min-segment 64K {}", checksum_of(&good));
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
    // The next run starts over, because the bytes are known to be wrong.
    servers[1].set_tree(tree(&good));
    let done = over(transport, &options, &all).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("did not have its checksum; starting over"), "{}", done.stderr);
    done.expect_file(NAME, &good);
    true
}

/// All mirrors have the same file, so pftp does not fetch the whole file from each.
fn wrong_checksum_of_equal_mirrors_is_no_fault_of_a_mirror(transport: &str) {
    let good = file(2 * MIB);
    let servers = [(); 4].map(|()| serve(&good, throttled(1_000_000)));
    let all: Vec<&Server> = servers.iter().collect();
    let wrong = "-c 4 --min-segment 64K --checksum crc32=00000000";
    let done = over(transport, wrong, &all).run().expect_code(8);
    assert_eq!(done.files(), [JOURNAL, PART]);
    let sent: u64 = servers.into_iter().map(|server| server.stop().payload()).sum();
    assert!(sent < 3 * good.size(), "{sent}");
}

fn download_resumes_while_one_mirror_after_the_other_is_tried(transport: &str) {
    let good = file(4 * MIB);
    let bad = good.clone().with_patch(MIB + 7, "x").with_patch(3 * MIB + 7, "x");
    let servers = [&good, &bad].map(|file| serve(file, throttled(2_000_000)));
    let options = format!("-c 2 --min-segment 64K {}", checksum_of(&good));
    for signal in [Signal::KILL, Signal::TERM] {
        let sent = || servers.iter().map(|server| server.with_stats(Stats::payload)).sum::<u64>();
        let before = sent();
        let running = over(transport, &options, &[&servers[0], &servers[1]]).start();
        // If no mirror sends wrong bytes, or an overlap has one, the download ends before.
        until("the file is fetched again", || sent() > before + good.size() + MIB / 2 || running.has_ended());
        running.signal(signal);
        let dir = running.wait().dir;
        let done = over(transport, &options, &[&servers[0], &servers[1]]).in_dir(dir).run();
        if done.code == Some(8) && done.stderr.contains("nothing says which is right") {
            // A wrong byte was in an overlap of two transfers.
            assert!(!done.files().contains(&NAME.to_owned()), "{}", done.stderr);
            continue;
        }
        done.expect_code(0).expect_file(NAME, &good);
    }
}

over_each_transport! {
    wrong_byte_of_one_mirror_is_replaced
    wrong_bytes_of_all_mirrors_fail_the_download
    wrong_checksum_of_equal_mirrors_is_no_fault_of_a_mirror
    download_resumes_while_one_mirror_after_the_other_is_tried
}

#[test]
fn corrected_checksum_fetches_nothing_again() {
    let file = file(2 * MIB);
    let server = serve(&file, Behaviour::default());
    let wrong = "--checksum md5=00000000000000000000000000000000";
    let done = pftp(wrong, &[&server]).run().expect_code(8);
    let before = server.with_stats(Stats::payload);
    let done = pftp(&checksum_of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &file);
    assert!(server.stop().payload() < before + MIB, "the bytes were here");
}

#[test]
fn wrong_stream_is_an_error() {
    let server = serve(&file(MIB), Behaviour::default());
    let done = pftp("-o - --checksum crc32=00000000", &[&server]).run().expect_code(8);
    assert!(done.stderr.contains("standard output has crc32="), "{}", done.stderr);
}

#[test]
fn spoilt_finished_file_is_fetched_again() {
    let file = file(2 * MIB);
    let server = serve(&file, Behaviour::default());
    let done = pftp(&checksum_of(&file), &[&server]).run().expect_code(0).expect_file(NAME, &file);
    let sent = server.with_stats(Stats::payload);
    let done =
        pftp(&checksum_of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
    assert_eq!(server.with_stats(Stats::payload), sent, "the file was here");
    let path = done.dir.path().join(NAME);
    let modified = path.metadata().and_then(|facts| facts.modified()).expect("a time");
    let spoilt = OpenOptions::new().write(true).open(&path).expect("the file");
    std::os::unix::fs::FileExt::write_all_at(&spoilt, b"spoilt", MIB).expect("it can be written");
    spoilt.set_modified(modified).expect("its time can be set");
    pftp(&checksum_of(&file), &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
}

#[test]
fn bytes_that_are_written_twice_are_hashed_anew() {
    // The first session is slow, so the other sessions fetch the rest of its range once more.
    let file = file(4 * MIB);
    let slow = throttled(100_000);
    let model = Model::new(tree(&file)).with_behaviour(throttled(4_000_000)).with_session(0, slow);
    let server = start(model);
    pftp(&format!("-c 4 --min-segment 16K {}", checksum_of(&file)), &[&server])
        .run()
        .expect_code(0)
        .expect_silence()
        .expect_file(NAME, &file);
}

#[test]
fn malformed_checksum_is_wrong_use() {
    for (args, message) in [
        ("--checksum 900150983cd24fb0d6963f7d28e17f72", "not ALG=HEX"),
        ("--checksum md5=12", "md5 has 32 hexadecimal digits"),
        ("-m ascii --checksum crc32=00000000", "ascii mode"),
    ] {
        let server = serve(&file(1), Behaviour::default());
        let done = pftp(args, &[&server]).run().expect_code(7);
        assert!(done.stderr.contains(message), "{}", done.stderr);
        assert!(server.stop().sessions.is_empty());
    }
}
