//! The file on the server changes between two runs, or while the second one goes on: it is fetched as it was or as it is,
//! or the exit code says so, and never a mixed file with code 0.

use std::thread;

use crate::support::*;

const SIZE: u64 = 4 * MIB;

/// The servers' other files, and how they are told from the first.
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

/// What a server has that does not have the file any more.
fn nothings() -> [(&'static str, Tree); 2] {
    [("gone", Tree::new()), ("a directory", Tree::new().with(format!("{PATH}/inside"), file(10)))]
}

/// A run that has been stopped when 1 MiB of the file was noted.
fn stopped(transport: &str, args: &str, server: &Server) -> Done {
    stopped_after(&format!("--transport {transport} {args}"), &[server], MIB)
}

fn before_the_next_run(transport: &str) {
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
    // Unless it is the same but for what was not told, or has only grown or shrunk, the user is told.
    let tells = done.stderr.contains("earlier run");
    assert!(tells || other.read(0..1000) == file(1000).read(0..1000), "{args} {what}: {}", done.stderr);
    done.expect_file(NAME, other);
}

/// What happens beside the change: nothing, so that the transfers that run bring the file as it was; or the sessions are
/// lost, and those in their place see it as it is.
const ENDINGS: [Option<Ending>; 3] = [None, Some(Ending::Fin), Some(Ending::Reset)];

/// The second run goes on for a while before the file changes.
fn going_on(transport: &str, server: &Server, change: Tree, ending: Option<Ending>) -> Done {
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

fn while_the_next_run_goes_on(transport: &str) {
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
    let done = going_on(transport, &server, tree(other), ending);
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

fn it_is_gone_and_comes_back(transport: &str) {
    for (what, nothing) in nothings() {
        let server = serve(&file(SIZE), throttled(1_600_000));
        let done = stopped(transport, "-c 2", &server);
        let back = changed_where_noted(&file(SIZE), &done);
        server.set_tree(nothing);
        let done = over(transport, "-c 2", &[&server]).in_dir(done.dir).run();
        assert_eq!((done.code, done.files()), (Some(3), vec![JOURNAL.into(), PART.into()]), "{what}");
        // It goes on.
        server.set_tree(back);
        let done = over(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
        done.expect_file(NAME, &file(SIZE));
    }
}

fn it_is_gone_while_the_next_run_goes_on(transport: &str) {
    for ending in ENDINGS {
        for (what, nothing) in nothings() {
            let server = serve(&file(SIZE), throttled(1_600_000));
            let done = going_on(transport, &server, nothing, ending);
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
    before_the_next_run
    while_the_next_run_goes_on
    it_is_gone_and_comes_back
    it_is_gone_while_the_next_run_goes_on
}
