//! Local failures: one line, code 9, and no connection to a server if the failure shows before. An older file
//! stays as it is.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::*;

const SIZE: u64 = 300_000;

/// The content of the older file.
const OLDER: &str = "an older file";

/// Panics unless the run ends with code 9 and one line on standard error that contains `says`.
#[track_caller]
fn fails(command: Pftp, says: &str) -> Done {
    told(command.run(), says)
}

#[track_caller]
fn told(done: Done, says: &str) -> Done {
    let done = done.expect_code(9);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(done.stderr.starts_with("pftp: ") && done.stderr.contains(says), "{}", done.stderr);
    assert!(!done.files().contains(&NAME.to_owned()) || done.read(NAME) == OLDER.as_bytes());
    done
}

/// Panics unless the run fails like that and an older file stays.
#[track_caller]
fn fails_beside(command: Pftp, says: &str) -> Done {
    let done = fails(command.with_file(NAME, OLDER), says);
    assert_eq!(done.read(NAME), OLDER.as_bytes());
    done
}

/// Panics unless the run fails like that and no server was dialled.
#[track_caller]
fn fails_early(args: &str, prepare: impl FnOnce(&Pftp), says: &str) -> Done {
    let server = serve(&file(SIZE), Behaviour::default());
    let command = pftp(args, &[&server]);
    prepare(&command);
    let done = fails(command, says);
    assert!(server.stop().sessions.is_empty(), "nobody is called for nothing");
    done
}

/// The command line that runs a command in a directory `small` of so many KiB, mounted with these options. An
/// older file is in it; the exit code is 99 if the file changes.
fn in_small_directory(kibibytes: u32, options: &str) -> [String; 6] {
    let script = format!(
        "mkdir small && mount -t tmpfs -o size={kibibytes}k none small && printf '{OLDER}' >small/{NAME} && \
         mount -o remount,{options} small || exit 98; \
         \"$@\"; code=$?; test \"$(cat small/{NAME})\" = '{OLDER}' || exit 99; exit $code"
    );
    ["unshare", "-rm", "sh", "-c", &script, "sh"].map(str::to_owned)
}

#[test]
fn missing_directory_fails() {
    let done =
        fails_early("-d missing", |_| (), "cannot use the directory missing: No such file or directory");
    assert!(done.files().is_empty(), "{:?}", done.files());
    fails_early("-o missing/name", |_| (), "cannot use the directory ./missing: No such file or directory");
}

#[test]
fn file_in_place_of_the_directory_fails() {
    let prepare = |command: &Pftp| fs::write(command.path("plain"), "").expect("a file");
    fails_early("-d plain", prepare, "plain");
}

#[test]
fn directory_in_place_of_the_target_fails() {
    let prepare = |command: &Pftp| fs::create_dir(command.path("sub")).expect("a directory");
    fails_early("-o sub", prepare, "names a directory");
    let server = serve(&file(SIZE), Behaviour::default());
    let command = pftp("", &[&server]);
    fs::create_dir(command.path(NAME)).expect("a directory");
    let done = command.run().expect_code(9);
    assert!(done.stderr.contains("is a directory"), "{}", done.stderr);
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn directory_without_permission_fails() {
    let server = serve(&file(SIZE), Behaviour::default());
    // In a user namespace of its own, root has no privileges outside.
    let command = pftp("-d closed", &[&server]).under(["unshare", "-U"]);
    fs::create_dir(command.path("closed")).expect("a directory");
    let older = command.path("closed").join(NAME);
    fs::write(&older, OLDER).expect("a file");
    fs::set_permissions(command.path("closed"), fs::Permissions::from_mode(0o500)).expect("permissions");
    let done = fails(command, "cannot create closed/file.bin.pftp-part: Permission denied");
    assert_eq!(done.read("closed/file.bin"), OLDER.as_bytes());
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn read_only_file_system_fails() {
    let server = serve(&file(SIZE), Behaviour::default());
    let command = pftp("-d small", &[&server]).under(in_small_directory(64, "ro"));
    fails(command, "cannot create small/file.bin.pftp-part: Read-only file system");
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn disk_too_small_for_the_told_size_fails() {
    let file = file(64 * MIB);
    for transport in ["std", "mio"] {
        let server = serve(&file, throttled(100_000));
        let command = over(transport, "-d small -c 2", &[&server]).under(in_small_directory(1024, "rw"));
        fails(command, "the file has 67108864 bytes, and there is room for 1044480; make room and run");
        assert!(server.stop().payload() < MIB, "it does not take a full disk to see that");
    }
}

#[test]
fn disk_that_fills_up_fails() {
    for transport in ["std", "mio"] {
        let server = serve(&file(2 * MIB), Behaviour::default().without("SIZE").without("MLST"));
        let command = over(transport, "-d small -c 2", &[&server]).under(in_small_directory(1024, "rw"));
        fails(
            command,
            "cannot write small/file.bin.pftp-part: No space left on device (os error 28); make room",
        );
    }
}

#[test]
fn limit_on_the_size_of_files_fails() {
    for transport in ["std", "mio"] {
        let server = serve(&file(2 * MIB), Behaviour::default());
        let limited = ["sh", "-c", "ulimit -f 1024 && exec \"$@\"", "sh"];
        let command = over(transport, "-c 1", &[&server]).under(limited);
        let says =
            "cannot write ./file.bin.pftp-part: File too large (os error 27); the file system, or ulimit -f,";
        fails_beside(command, says);
    }
}

#[test]
fn link_at_the_temporary_name_is_not_followed() {
    let link = |command: &Pftp| {
        fs::write(command.path("precious"), "precious").expect("a file");
        symlink("precious", command.path(PART)).expect("a link");
    };
    let done = fails_early("", link, PART);
    assert_eq!(done.read("precious"), b"precious");
    let dangling = |command: &Pftp| symlink("elsewhere", command.path(PART)).expect("a link");
    let done = fails_early("", dangling, PART);
    assert_eq!(done.files(), [PART]);
    fails_early("", |command| fs::create_dir(command.path(PART)).expect("a directory"), PART);
    let socket = |command: &Pftp| {
        drop(std::os::unix::net::UnixListener::bind(command.path(PART)).expect("a socket"));
    };
    fails_early("", socket, PART);
    let beside = |command: &Pftp| {
        fs::write(command.path(NAME), OLDER).expect("a file");
        fs::create_dir(command.path(PART)).expect("a directory");
    };
    assert_eq!(fails_early("", beside, PART).read(NAME), OLDER.as_bytes());
}

#[test]
fn second_run_is_refused_while_the_lock_is_held() {
    let server = serve(&file(SIZE), Behaviour::default());
    let command = pftp("", &[&server]);
    let part = fs::File::create(command.path(PART)).expect("a file");
    rustix::fs::flock(&part, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    fails_beside(command, "file.bin.pftp-part: in use by another pftp");
    assert!(server.stop().sessions.is_empty());
}

/// A directory takes the place of the target while the download runs.
#[test]
fn directory_at_the_target_during_the_download_is_kept() {
    for transport in ["std", "mio"] {
        let server = serve(&file(SIZE), Behaviour::default());
        server.hold();
        let running = over(transport, "-c 1", &[&server]).start();
        let target = running.path(NAME);
        until("it has begun", || server.with_stats(|stats| !stats.transfers.is_empty()));
        fs::create_dir(&target).expect("a directory");
        server.let_go();
        let done = running.wait().expect_code(9);
        assert!(done.stderr.contains("file.bin: is a directory"), "{}", done.stderr);
        // The part is kept whole, and the next run fetches next to nothing.
        fs::remove_dir(&target).expect("a directory");
        let before = server.with_stats(Stats::payload);
        let done = over(transport, "-c 1", &[&server]).in_dir(done.dir).run().expect_code(0).expect_silence();
        done.expect_file(NAME, &file(SIZE));
        assert!(server.stop().payload() <= before + 8192, "{transport}");
    }
}

/// Another file takes the place of the part while the download runs.
#[test]
fn file_that_replaces_the_part_does_not_become_the_target() {
    let (theirs, mine) = (vec![b'x'; 300_000], file(SIZE));
    for (transport, linked) in [("std", true), ("mio", true), ("std", false), ("mio", false)] {
        let server = serve(&mine, Behaviour::default());
        server.hold();
        let running = over(transport, "-c 1", &[&server]).with_file(NAME, OLDER).start();
        let (part, other) = (running.path(PART), running.path("other"));
        fs::write(&other, &theirs).expect("a file");
        until("it has begun", || server.with_stats(|stats| !stats.transfers.is_empty()));
        if linked {
            fs::remove_file(&part).and_then(|()| symlink("other", &part)).expect("a link");
        } else {
            fs::rename(&other, &part).expect("another file");
        }
        server.let_go();
        let done = told(running.wait(), "file.bin.pftp-part: is not the file that was written any more");
        assert_eq!(done.read(NAME), OLDER.as_bytes());
        assert_eq!(done.read(PART), theirs, "it is not ours to touch");
        assert!(!done.files().contains(&JOURNAL.to_owned()), "{:?}", done.files());
        if !linked {
            // The next run does not take that file for its part.
            let done = over(transport, "", &[&server]).in_dir(done.dir).run().expect_code(0);
            done.expect_content(NAME, &mine);
        }
    }
}

#[test]
fn target_that_is_no_regular_file_is_not_replaced() {
    let link = |command: &Pftp| symlink("elsewhere", command.path("out")).expect("a link");
    let done = fails_early("-o out", link, "is a symbolic link");
    assert_eq!(done.files(), ["out"]);
    fails_early("-o /dev/null", |_| (), "not a regular file");
}

#[test]
fn log_that_cannot_be_written_fails() {
    fails_early("-l missing/log", |_| (), "cannot create missing/log: No such file or directory");
    fails_early("-l .", |_| (), "cannot create .: Is a directory");
    let beside = |command: &Pftp| fs::write(command.path(NAME), OLDER).expect("a file");
    assert_eq!(fails_early("-l .", beside, "cannot create .").read(NAME), OLDER.as_bytes());
}

#[test]
fn paths_in_messages_are_escaped() {
    let done = fails_early("-d a\u{1b}[2J\u{202e}", |_| (), "a\\u{1b}[2J\\u{202e}");
    assert!(done.stderr.trim_end().chars().all(|char| !char.is_control()), "{:?}", done.stderr);
}
