//! What was fetched stays fetched: the same command again goes on, and never mixes two files.

use std::fs;
use std::thread;

use rustix::process::Signal;

use crate::support::*;

/// Runs until the journal says that so many bytes are there, and is then stopped.
#[track_caller]
fn stopped_after(args: &str, servers: &[&Server], bytes: u64) -> Done {
    let running = pftp(args, servers).start();
    let journal = running.path(JOURNAL);
    until("so much is noted", || noted(&fs::read(&journal).unwrap_or_default()) >= bytes);
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    assert_eq!(done.files(), [JOURNAL, PART]);
    done
}

/// How many bytes a journal names.
fn noted(journal: &[u8]) -> u64 {
    let json = journal.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(json) else { return 0 };
    let ranges = json["done"].as_array().expect("ranges");
    ranges.iter().map(|range| range[1].as_u64().expect("an end") - range[0].as_u64().expect("a start")).sum()
}

const SIZE: u64 = 8 * MIB;

#[test]
fn the_same_command_goes_on() {
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        let file = file(SIZE);
        let server = serve(&file, throttled(800_000));
        let done = stopped_after(args, &[&server], MIB);
        let there = noted(&done.read(JOURNAL));
        server.set_behaviour(throttled(2_000_000));
        let before = server.with_stats(Stats::payload);
        let done = pftp(args, &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
        done.expect_file(NAME, &file);
        let sent = server.stop().payload() - before;
        assert!(sent <= SIZE - there + MIB, "{sent} bytes for {}", SIZE - there);
    }
}

#[test]
fn with_other_means() {
    let file = file(SIZE);
    let [first, second] = [(); 2].map(|()| serve(&file, throttled(800_000)));
    let done = stopped_after("--transport std -c 3 --min-segment 64K", &[&first], 2 * MIB);
    drop(first);
    let there = noted(&done.read(JOURNAL));
    second.set_behaviour(throttled(2_000_000));
    let mirrors = format!("# another mirror\n{0}\n{0}\n", second.url(PATH));
    let done = Pftp::new(["-q", "--transport", "mio", "-t", "mirrors"])
        .in_dir(done.dir)
        .with_file("mirrors", mirrors)
        .run()
        .expect_code(0)
        .expect_silence();
    assert_eq!(done.files(), [NAME, "mirrors"]);
    done.expect_content(NAME, &file);
    assert!(second.stop().payload() <= SIZE - there + MIB);
}

#[test]
fn fresh_forgets() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let other = File::generated(8, SIZE);
    server.set_tree(tree(&other));
    let done = pftp("--fresh", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &other);
}

#[test]
fn a_note_says_what_is_here() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let there = noted(&done.read(JOURNAL));
    let done = Pftp::new([server.url(PATH)]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains(&format!("going on: {there} bytes are here")), "{}", done.stderr);
    assert!(done.stderr.contains(" of them from an earlier run, in "), "{}", done.stderr);
    done.expect_file(NAME, &file(SIZE));
}

/// The servers' other files, and how they are told from the first.
fn others() -> Vec<(&'static str, File)> {
    let same_time = |seed, size| File::generated(seed, size);
    let other_time = |seed, size| File::generated(seed, size).with_modified("20250101000000");
    vec![
        ("other bytes and time", other_time(8, SIZE)),
        ("other time", other_time(7, SIZE)),
        ("other bytes", same_time(8, SIZE)),
        ("longer", same_time(8, SIZE + MIB)),
        ("longer by what was appended", same_time(7, SIZE + MIB)),
        ("shorter", same_time(8, SIZE - MIB)),
        ("truncated", same_time(7, SIZE - MIB)),
        ("shorter than what is here", other_time(8, 1000)),
        ("empty", other_time(8, 0)),
    ]
}

#[test]
fn a_file_that_changed_before_the_next_run() {
    let silent = throttled(4_000_000).without("SIZE").without("MDTM").without("MLST");
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        for behaviour in [throttled(4_000_000), silent.clone()] {
            thread::scope(|scope| {
                for (what, other) in others() {
                    let behaviour = &behaviour;
                    scope.spawn(move || changes_before_the_next_run(args, behaviour, what, &other));
                }
            });
        }
    }
}

#[track_caller]
fn changes_before_the_next_run(args: &str, behaviour: &Behaviour, what: &str, other: &File) {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after(args, &[&server], MIB);
    server.set_behaviour(behaviour.clone());
    server.set_tree(tree(other));
    let done = pftp(args, &[&server]).in_dir(done.dir).run();
    assert_eq!(done.code, Some(0), "{args} {what}: {}", done.stderr);
    // Unless it is the same but for what was not told, or has only grown or shrunk, the user is told.
    let tells = done.stderr.contains("earlier run");
    assert!(tells || other.read(0..1000) == file(1000).read(0..1000), "{args} {what}: {}", done.stderr);
    done.expect_file(NAME, other);
}

#[test]
fn a_file_that_changes_while_a_run_goes_on() {
    thread::scope(|scope| {
        for (what, other) in others() {
            scope.spawn(move || changes_while_a_run_goes_on(what, &other));
        }
    });
}

#[track_caller]
fn changes_while_a_run_goes_on(what: &str, other: &File) {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let before = server.with_stats(Stats::payload);
    let running = pftp("-c 2 --min-segment 64K", &[&server]).in_dir(done.dir).start();
    until("it goes on", || server.with_stats(Stats::payload) > before + MIB);
    server.set_tree(tree(other));
    let done = running.wait();
    if done.code == Some(0) {
        // All transfers had begun before.
        done.expect_file(NAME, &file(SIZE));
    } else {
        assert!(!done.files().contains(&NAME.to_owned()), "{what}: {}", done.stderr);
        pftp("-c 3", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, other);
    }
}

#[test]
fn a_file_that_is_gone_and_comes_back() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let there = noted(&done.read(JOURNAL));
    for gone in [Tree::new(), Tree::new().with(format!("{PATH}/inside"), file(10))] {
        server.set_tree(gone);
    }
    server.set_tree(Tree::new());
    let done = pftp("-c 2", &[&server]).in_dir(done.dir).run().expect_code(3);
    assert_eq!(done.files(), [JOURNAL, PART]);
    server.set_tree(Tree::new().with(format!("{PATH}/inside"), file(10)));
    let done = pftp("-c 2", &[&server]).in_dir(done.dir).run();
    assert!(!matches!(done.code, Some(0)), "a directory");
    assert_eq!(done.files(), [JOURNAL, PART]);
    server.set_tree(tree(&file(SIZE)));
    let before = server.with_stats(Stats::payload);
    let done = pftp("-c 2", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &file(SIZE));
    assert!(server.stop().payload() - before <= SIZE - there + MIB);
}

#[test]
fn a_journal_that_is_of_no_use() {
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

#[test]
fn a_temporary_file_that_was_cut_short() {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped_after("-c 2", &[&server], MIB);
    let part = fs::OpenOptions::new().write(true).open(done.dir.path().join(PART)).expect("the part");
    part.set_len(1000).expect("it can be cut");
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert!(done.stderr.contains("names bytes that"), "{}", done.stderr);
    done.expect_content(NAME, &file(SIZE));
}

#[test]
fn one_of_two_mirrors_has_changed() {
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
fn a_finished_file_is_left_alone() {
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
    // Of another time it is another file.
    let other = File::generated(8, MIB).with_modified("20250101000000");
    server.set_tree(tree(&other));
    let done = pftp("", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &other);
    // Who does not tell the time does not say that it is the same.
    server.set_behaviour(Behaviour::default().without("MDTM").without("MLST"));
    let sent = server.with_stats(Stats::payload);
    pftp("", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, &other);
    assert!(server.stop().payload() > sent);
}

#[test]
fn the_time_of_the_file_is_that_of_the_server() {
    use std::os::unix::fs::MetadataExt;
    for (told, seconds) in [("20240229123456", 1_709_210_096), ("19650101000000", -157_766_400)] {
        let server = serve(&file(1000).with_modified(told), Behaviour::default());
        let done = pftp("", &[&server]).run().expect_code(0);
        let facts = fs::metadata(done.dir.path().join(NAME)).expect("the file");
        assert_eq!(facts.mtime(), seconds);
    }
}

#[test]
fn two_runs_at_once() {
    let server = serve(&file(SIZE), throttled(1_600_000));
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
    pftp("", &[&server])
        .in_dir(done.dir)
        .run()
        .expect_code(0)
        .expect_silence()
        .expect_file(NAME, &file(SIZE));
}

/// Numbers that look random, the same in every run.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    })
}

#[test]
fn killed_again_and_again() {
    const RATE: u64 = 1_000_000;
    let file = file(2 * SIZE);
    for (seed, args) in [(1, "-c 1"), (2, "-c 2 --min-segment 64K"), (3, "-c 6 --min-segment 64K")] {
        let server = serve(&file, throttled(RATE));
        let connections: u64 = args[3..4].parse().expect("a number");
        // So much comes in about four seconds.
        let lost = 4 * RATE * connections;
        let (mut dir, mut kills) = (tempfile::tempdir().expect("a directory"), 0);
        for random in random(seed).take(8) {
            let before = server.with_stats(Stats::payload);
            let running = pftp(args, &[&server]).in_dir(dir).start();
            let target = running.path(NAME);
            let enough = before + random % (2 * RATE * connections);
            until("it is time to kill", || target.exists() || server.with_stats(Stats::payload) >= enough);
            running.signal(Signal::KILL);
            let done = running.wait();
            kills += 1;
            dir = done.dir;
            let sent = server.with_stats(Stats::payload);
            assert!(sent <= file.size() + kills * lost, "{sent} bytes after {kills} kills");
            if target.exists() {
                break;
            }
        }
        pftp(args, &[&server]).in_dir(dir).run().expect_code(0).expect_silence().expect_file(NAME, &file);
        let sent = server.stop().payload();
        println!("{args}: {sent} bytes of {} after {kills} kills", file.size());
        assert!(sent <= file.size() + kills * lost, "{sent} bytes after {kills} kills");
    }
}

#[test]
fn a_journal_that_cannot_be_written() {
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
