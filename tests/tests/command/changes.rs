//! The file on the server changes between two runs or during the second one. `pftp` fetches the old or the
//! new file, or says so by its exit code; it never mixes them.

use std::thread;

use crate::support::*;

const SIZE: u64 = 4 * MIB;

/// The files that replace the first one, and how they differ from it.
fn others() -> Vec<(&'static str, File)> {
    let same_time = |seed, size| File::generated(seed, size);
    let other_time = |seed, size| File::generated(seed, size).with_modified("20250101000000");
    vec![
        ("other bytes and time", other_time(8, SIZE)),
        ("other time", other_time(7, SIZE)),
        ("one other byte, and other time", other_time(7, SIZE).with_patch(SIZE - MIB / 2, "x")),
        ("other bytes", same_time(8, SIZE)),
        ("longer", same_time(8, SIZE + MIB)),
        ("longer by what was appended", same_time(7, SIZE + MIB)),
        ("shorter", same_time(8, SIZE - MIB)),
        ("truncated", same_time(7, SIZE - MIB)),
        ("shorter than what is here", other_time(8, 1000)),
        ("empty", other_time(8, 0)),
    ]
}

/// The trees of a server that no longer has the file.
fn missing_files() -> [(&'static str, Tree); 2] {
    [("gone", Tree::new()), ("a directory", Tree::new().with(format!("{PATH}/inside"), file(10)))]
}

/// A run that was stopped when the journal recorded 1 MiB of the file.
fn stopped(transport: &str, args: &str, server: &Server) -> Done {
    stopped_after(&format!("--transport {transport} {args}"), &[server], MIB)
}

fn file_changes_before_the_next_run(transport: &str) {
    let silent = throttled(4_000_000).without("SIZE").without("MDTM").without("MLST");
    for args in ["-c 1", "-c 4 --min-segment 64K"] {
        for behaviour in [throttled(4_000_000), silent.clone()] {
            thread::scope(|scope| {
                for (what, other) in others() {
                    let behaviour = &behaviour;
                    scope.spawn(move || changes_before(transport, args, behaviour, (what, &other)));
                }
            });
        }
    }
}

#[track_caller]
fn changes_before(transport: &str, args: &str, behaviour: &Behaviour, (what, other): (&str, &File)) {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = stopped(transport, args, &server);
    server.set_behaviour(behaviour.clone());
    server.set_tree(tree(other));
    let done = over(transport, args, &[&server]).in_dir(done.dir).run();
    assert_eq!(done.code, Some(0), "{args} {what}: {}", done.stderr);
    // The user is told, unless the server tells nothing that differs, or only the size has changed.
    let tells = done.stderr.contains("earlier run");
    assert!(tells || other.read(0..1000) == file(1000).read(0..1000), "{args} {what}: {}", done.stderr);
    done.expect_file(NAME, other);
}

/// The fate of the sessions at the change: they stay, so running transfers deliver the old file; or they
/// are lost, and new sessions see the new file.
const ENDINGS: [Option<Ending>; 3] = [None, Some(Ending::Fin), Some(Ending::Reset)];

/// Resumes for a while before the file changes.
fn resumed_with_change(transport: &str, server: &Server, change: Tree, ending: Option<Ending>) -> Done {
    let done = stopped(transport, "-c 2", server);
    let before = server.with_stats(Stats::payload);
    let running = over(transport, "-c 2 --min-segment 64K", &[server]).in_dir(done.dir).start();
    until("it goes on", || server.with_stats(Stats::payload) > before + MIB / 2);
    server.set_tree(change);
    if let Some(ending) = ending {
        server.close_sessions(ending);
    }
    running.wait()
}

fn file_changes_during_the_next_run(transport: &str) {
    for ending in ENDINGS {
        thread::scope(|scope| {
            for (what, other) in others() {
                scope.spawn(move || changes_in_the_middle(transport, ending, (what, &other)));
            }
        });
    }
}

#[track_caller]
fn changes_in_the_middle(transport: &str, ending: Option<Ending>, (what, other): (&str, &File)) {
    let server = serve(&file(SIZE), throttled(1_600_000));
    let done = resumed_with_change(transport, &server, tree(other), ending);
    if done.code == Some(0) {
        let got = done.read(NAME);
        let whole = [&file(SIZE), other].iter().any(|file| got == file.read(0..u64::MAX));
        assert!(whole, "{what} {ending:?}: a mixed file; {}", done.stderr);
        assert_eq!(done.files(), [NAME], "{what}");
    } else {
        assert_eq!(done.code, Some(8), "{what} {ending:?}: {}", done.stderr);
        assert!(!done.files().contains(&NAME.to_owned()), "{what}: {}", done.stderr);
        over(transport, "-c 3", &[&server]).in_dir(done.dir).run().expect_code(0).expect_file(NAME, other);
    }
}

fn file_is_gone_and_comes_back(transport: &str) {
    for (what, nothing) in missing_files() {
        let server = serve(&file(SIZE), throttled(1_600_000));
        let done = stopped(transport, "-c 2", &server);
        let back = changed_where_recorded(&file(SIZE), &done);
        server.set_tree(nothing);
        let done = over(transport, "-c 2", &[&server]).in_dir(done.dir).run();
        assert_eq!((done.code, done.files()), (Some(3), vec![JOURNAL.into(), PART.into()]), "{what}");
        // The third run resumes.
        server.set_tree(back);
        let done = over(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
        done.expect_file(NAME, &file(SIZE));
    }
}

fn file_is_gone_during_the_next_run(transport: &str) {
    for ending in ENDINGS {
        for (what, nothing) in missing_files() {
            let server = serve(&file(SIZE), throttled(1_600_000));
            let done = resumed_with_change(transport, &server, nothing, ending);
            if done.code == Some(0) {
                done.expect_file(NAME, &file(SIZE));
                continue;
            }
            assert_eq!(done.code, Some(3), "{what} {ending:?}: {}", done.stderr);
            assert_eq!(done.files(), [JOURNAL, PART], "{what}");
            server.set_tree(tree(&file(SIZE)));
            let done = over(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
            done.expect_silence().expect_file(NAME, &file(SIZE));
        }
    }
}

over_each_transport! {
    file_changes_before_the_next_run
    file_changes_during_the_next_run
    file_is_gone_and_comes_back
    file_is_gone_during_the_next_run
}
