//! `--checksum`: what does not have it never gets the final name.

use std::fs::OpenOptions;

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
