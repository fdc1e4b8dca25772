//! The same command resumes after an interruption, and never mixes two files.

use std::fs;

use rustix::process::Signal;

use crate::support::*;

const SIZE: u64 = 8 * MIB;

#[test]
fn same_command_resumes() {
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        let file = file(SIZE);
        let server = serve(&file, throttled(800_000));
        let done = stopped_after(args, &[&server], MIB);
        server.set_behaviour(throttled(2_000_000));
        server.set_tree(changed_where_recorded(&file, &done));
        let done = pftp(args, &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
        done.expect_file(NAME, &file);
    }
}

#[test]
fn other_connections_and_mirrors_resume() {
    let file = file(SIZE);
    let [first, second] = [(); 2].map(|()| serve(&file, throttled(800_000)));
    let done = stopped_after("--transport std -c 3 --min-segment 64K", &[&first], 2 * MIB);
    drop(first);
    second.set_behaviour(throttled(2_000_000));
    second.set_tree(changed_where_recorded(&file, &done));
    let mirrors = format!("# another mirror\n{0}\n{0}\n", second.url(PATH));
    let done = Pftp::new(["-q", "--transport", "mio", "-t", "mirrors"])
        .in_dir(done.dir)
        .with_file("mirrors", mirrors)
        .run()
        .expect_code(0)
        .expect_silence();
    assert_eq!(done.files(), [NAME, "mirrors"]);
    done.expect_content(NAME, &file);
}

#[test]
fn option_fresh_starts_over() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let other = File::generated(8, SIZE);
    server.set_tree(tree(&other));
    let done = pftp("--fresh", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &other);
}

#[test]
fn note_says_how_much_is_here() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let there = recorded(&done.read(JOURNAL));
    let done = Pftp::new([server.url(PATH)]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains(&format!("going on: {there} bytes are here")), "{}", done.stderr);
    assert!(done.stderr.contains(" of them from an earlier run, in "), "{}", done.stderr);
    done.expect_file(NAME, &file(SIZE));
}

#[test]
fn unusable_journal_is_moved_aside() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    for (spoil, says) in [
        ("my diary\n", "is not a journal of pftp"),
        ("pftp journal 9 00000000\n{}\n", "is of another version of pftp"),
        ("pftp journal 1 00000000\n{}\n", "is damaged"),
        ("", "is not a journal of pftp"),
    ] {
        let rubbish = vec![0x5a; SIZE as usize];
        let done =
            pftp("", &[&server]).with_file(PART, &rubbish).with_file(JOURNAL, spoil).run().expect_code(0);
        assert!(done.stderr.contains(says), "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1);
        let aside = format!("{JOURNAL}-unusable");
        assert_eq!(done.files(), [NAME.to_owned(), aside.clone()]);
        assert_eq!(done.read(&aside), spoil.as_bytes());
        done.expect_content(NAME, &file(SIZE));
    }
}

/// A failure before the first byte removes nothing.
#[test]
fn part_outlives_a_failure() {
    let server = serve(&file(SIZE), Behaviour::default());
    let aside = format!("{JOURNAL}-unusable");
    let command = pftp("", &[&server]).with_file(PART, "what came").with_file(JOURNAL, "my diary\n");
    fs::create_dir(command.path(&aside)).expect("a directory");
    let done = command.run().expect_code(9);
    assert!(done.stderr.contains("cannot rename ./file.bin.pftp-journal: "), "{}", done.stderr);
    assert_eq!(done.files(), [JOURNAL.to_owned(), aside, PART.to_owned()]);
    assert_eq!((done.read(PART), done.read(JOURNAL)), (b"what came".to_vec(), b"my diary\n".to_vec()));
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn truncated_part_is_noticed() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let part = fs::OpenOptions::new().write(true).open(done.dir.path().join(PART)).expect("the part");
    part.set_len(1000).expect("it can be cut");
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("names bytes that"), "{}", done.stderr);
    done.expect_content(NAME, &file(SIZE));
}

#[test]
fn mirror_that_has_changed_is_left_out() {
    let file = file(SIZE);
    for changed_first in [true, false] {
        let [one, other, third] = [(); 3].map(|()| serve(&file, throttled(1_000_000)));
        let done = stopped_after("-c 3", &[&one, &other, &third], MIB);
        let changed = if changed_first { &one } else { &third };
        changed.set_tree(tree(&File::generated(8, SIZE).with_modified("20250101000000")));
        let done = pftp("-c 3", &[&one, &other, &third]).in_dir(done.dir).run().expect_code(0);
        assert!(done.stderr.contains("its file differs"), "{}", done.stderr);
        assert!(!done.stderr.contains("starting over"), "{}", done.stderr);
        done.expect_file(NAME, &file);
    }
}

#[test]
fn finished_file_is_fetched_again_only_if_it_differs() {
    let file = file(MIB);
    let server = serve(&file, Behaviour::default());
    let done = pftp("", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    let sent = server.with_stats(Stats::payload);
    let done = Pftp::new([server.url(PATH)]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("is here already"), "{}", done.stderr);
    assert_eq!(server.with_stats(Stats::payload), sent, "nothing was sent");
    let done = done.expect_file(NAME, &file);
    let done = pftp("--overwrite", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
    assert!(server.with_stats(Stats::payload) > sent);
    // A file with another time is another file.
    let other = File::generated(8, MIB).with_modified("20250101000000");
    server.set_tree(tree(&other));
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &other);
    // A server without a time does not say that the file is the same.
    server.set_behaviour(Behaviour::default().without("MDTM").without("MLST"));
    let sent = server.with_stats(Stats::payload);
    pftp("", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &other);
    assert!(server.stop().payload() > sent);
}

#[test]
fn finished_file_beside_a_part_is_not_fetched_again() {
    let file = file(SIZE);
    let server = serve(&file, throttled(8_000_000));
    let done = pftp("-c 2", &[&server]).run().expect_code(0);
    // The download does not end, however long the disk takes.
    server.set_behaviour(Behaviour::default().cutting_every(Cut::silent(MIB, Interruption::Stall)));
    let running = pftp("-c 2 --overwrite", &[&server]).in_dir(done.dir).start();
    let journal = running.path(JOURNAL);
    until("so much is recorded", || recorded(&fs::read(&journal).unwrap_or_default()) >= MIB);
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    assert_eq!(done.files(), [NAME, JOURNAL, PART]);
    let sent = server.with_stats(Stats::payload);
    pftp("", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &file);
    assert_eq!(server.stop().payload(), sent, "nothing was sent");
}

#[test]
fn file_gets_the_time_of_the_server() {
    use std::os::unix::fs::MetadataExt;
    for (told, seconds) in [("20240229123456", 1_709_210_096), ("19650101000000", -157_766_400)] {
        let server = serve(&file(1000).with_modified(told), Behaviour::default());
        let done = pftp("", &[&server]).run().expect_code(0);
        let facts = fs::metadata(done.dir.path().join(NAME)).expect("the file");
        assert_eq!(facts.mtime(), seconds);
    }
}

#[test]
fn second_run_of_the_same_file_is_refused() {
    // The first run does not end.
    let stalls = Behaviour::default().cutting_every(Cut::silent(MIB, Interruption::Stall));
    let server = serve(&file(SIZE), stalls);
    let running = pftp("-c 2", &[&server]).start();
    let journal = running.path(JOURNAL);
    until("it has begun", || journal.exists());
    let dir = journal.parent().expect("a directory").to_owned();
    let second = pftp("", &[&server]).arg("-d").arg(&dir).run().expect_code(9);
    assert!(second.stderr.contains("in use by another pftp"), "{}", second.stderr);
    running.signal(Signal::KILL);
    let done = running.wait();
    assert_eq!((done.code, done.files()), (None, vec![JOURNAL.to_owned(), PART.to_owned()]));
    // The lock of a dead process is no obstacle.
    server.set_behaviour(Behaviour::default());
    pftp("", &[&server])
        .in_dir(done.dir)
        .run()
        .expect_code(0)
        .expect_silence()
        .expect_file(NAME, &file(SIZE));
}

#[test]
fn journal_that_cannot_be_written_is_a_warning() {
    let dir = tempfile::tempdir().expect("a directory");
    let in_the_way = format!("{JOURNAL}-new");
    fs::create_dir(dir.path().join(&in_the_way)).expect("a directory");
    let server = serve(&file(SIZE), throttled(2_000_000));
    let done = pftp("-c 1", &[&server]).in_dir(dir).with_file(NAME, "older").run().expect_code(0);
    assert_eq!(done.stderr.lines().count(), 1, "told once: {}", done.stderr);
    assert!(done.stderr.contains("cannot write ./file.bin.pftp-journal: "), "{}", done.stderr);
    assert_eq!(done.files(), [NAME.to_owned(), in_the_way]);
    done.expect_content(NAME, &file(SIZE));
}
