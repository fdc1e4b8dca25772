//! `--checksum auto`: the lookup of a checksum on servers, and the verification with it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use rustix::process::Signal;

use crate::support::*;

/// Starts a server with `file` at [`PATH`] and these files beside it.
fn serve_with(file: &File, others: &[(&str, &str)], behaviour: Behaviour) -> Server {
    start(Model::new(tree_of(file, others)).with_behaviour(behaviour))
}

fn tree_of(file: &File, others: &[(&str, &str)]) -> Tree {
    let with = |tree: Tree, (name, content): &(&str, &str)| {
        tree.with(format!("pub/data/{name}"), File::bytes(*content))
    };
    others.iter().fold(tree(file), with)
}

/// Returns the command with these arguments, not quiet, so that it prints notes.
fn auto(transport: &str, args: &str, servers: &[&Server]) -> Pftp {
    let urls = servers.iter().map(|server| server.url(PATH));
    let args = format!("--checksum auto --transport {transport} {args}");
    Pftp::new(args.split_whitespace().map(str::to_owned).chain(urls))
}

/// Checks that one line on standard error has `words`.
#[track_caller]
fn expect_line(done: &Done, words: &str) {
    let count = done.stderr.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count, 1, "{words:?} in {}", done.stderr);
}

/// Returns the commands of the lookup.
fn lookup_commands(server: &Server) -> Vec<String> {
    let asks = |line: &&String| {
        let list = line.contains("SUMS") || line.contains("sum") || line.contains("file.bin.");
        list || ["FEAT", "HASH", "OPTS", "XMD5", "XSHA"].iter().any(|verb| line.starts_with(verb))
    };
    server.with_stats(|stats| stats.lines.iter().map(|(_, line)| line).filter(asks).cloned().collect())
}

over_each_transport! {
    published_checksum_verifies_the_file
    file_with_another_checksum_does_not_get_its_name
    missing_checksum_is_a_warning
    useless_lists_are_told_to_the_user
    sums_of_bsd_are_compared_with_the_blocks
    computed_checksum_verifies_the_file
    lookup_takes_no_session_of_a_full_server
    lookup_runs_beside_the_transfers
    next_mirror_is_asked
    stream_is_verified
    finished_file_is_verified_or_fetched_again
    run_after_a_mismatch_starts_over
    strongest_checksum_decides
    new_session_looks_up_after_the_last_byte
    refused_session_ends_the_lookup
    list_is_read_once_more
    other_mirror_is_asked_if_the_lookup_loses_one
    stopped_lookup_fetches_nothing_again
    silent_server_ends_the_lookup
    lookup_runs_in_lock_step
    lookup_runs_in_the_directory_of_the_file
    endless_list_is_not_read
}

fn published_checksum_verifies_the_file(transport: &str) {
    for size in [0, 5, 3 * MIB + 1] {
        let file = file(size);
        let sha256 = file.sha256();
        let (list, tagged) = (
            format!("{}  ./other\r\n{}  ./file.bin\r\n", "0".repeat(64), sha256.to_uppercase()),
            format!("SHA256 (file.bin) = {sha256}\n"),
        );
        for (name, content) in [
            ("file.bin.sha256", sha256.as_str()),
            ("file.bin.sha256", &tagged),
            ("SHA256SUMS", &list),
            ("CHECKSUMS", &tagged),
        ] {
            for args in ["-c 1", "-c 4 --min-segment 64K"] {
                let server = serve_with(&file, &[(name, content)], Behaviour::default());
                let done = auto(transport, args, &[&server]).run().expect_code(0);
                let message = format!("verified: sha256={sha256}, as {name} on {} says", server.addr());
                expect_line(&done, &message);
                assert!(!done.stderr.contains("warning"), "{}", done.stderr);
                done.expect_file(NAME, &file);
                let connections = if args == "-c 1" { 1 } else { 4 };
                one_login_each(&server.stop(), connections);
            }
        }
    }
}

fn file_with_another_checksum_does_not_get_its_name(transport: &str) {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(MIB + 7, "x"));
    let list = format!("{} *file.bin\n", good.sha256());
    for args in ["-c 1", "-c 3 --min-segment 64K"] {
        let server = serve_with(&bad, &[("SHA256SUMS", &list)], Behaviour::default());
        let done = auto(transport, args, &[&server]).with_file(NAME, "older").run().expect_code(8);
        let message = format!(
            "file.bin.pftp-part has sha256={} and not sha256={}, as SHA256SUMS on {} says",
            bad.sha256(),
            good.sha256(),
            server.addr()
        );
        expect_line(&done, &message);
        assert_eq!(done.files(), [NAME, JOURNAL, PART]);
        assert_eq!(done.read(NAME), b"older");
    }
}

fn missing_checksum_is_a_warning(transport: &str) {
    let file = file(MIB);
    for args in ["-c 1", "-c 4 --min-segment 64K", "-q -c 1"] {
        let server = serve(&file, Behaviour::default());
        let done = auto(transport, args, &[&server]).run().expect_code(0);
        expect_line(
            &done,
            "warning: there is nothing to verify the file with: no server that could be asked has a checksum of it",
        );
        done.expect_file(NAME, &file);
        assert_eq!(lookup_commands(&server).len(), 12, "one survey");
    }
}

fn useless_lists_are_told_to_the_user(transport: &str) {
    let file = file(MIB);
    let other = format!("{}  other.bin\n", "0".repeat(64));
    let sha256 = format!("{}  file.bin\n", file.sha256());
    let others = [
        ("file.bin.sha512", "<html>Not found</html>"),
        ("file.bin.sha256", other.as_str()),
        ("SHA512SUMS", "\x1b[2J\n\0\n"),
        ("sha256sum.txt", &sha256),
        ("SHA256SUMS", &other),
    ];
    let server = serve_with(&file, &others, Behaviour::default());
    let done = auto(transport, "-c 2 --min-segment 64K", &[&server]).run().expect_code(0);
    let host = server.addr();
    for message in [
        "file.bin.sha512 has no checksum in it",
        "SHA512SUMS has no checksum in it",
        "file.bin.sha256 is for another file, other.bin",
    ] {
        expect_line(&done, &format!("warning: {host}: {message}"));
    }
    expect_line(&done, &format!("pftp: {host}: SHA256SUMS does not list the file"));
    expect_line(&done, "verified: sha256=");
    done.expect_file(NAME, &file);
    // The list without the file is a note, which -q leaves out.
    let done = auto(transport, "-q -c 2 --min-segment 64K", &[&server]).run().expect_code(0);
    let warnings = done.stderr.lines().filter(|line| line.contains("warning: ")).count();
    assert_eq!((warnings, done.stderr.lines().count()), (3, 3), "{}", done.stderr);
}

/// Ensembl has such lists.
fn sums_of_bsd_are_compared_with_the_blocks(transport: &str) {
    let file = file(MIB + 1);
    let add = |sum: u16, byte: &u8| sum.rotate_right(1).wrapping_add(u16::from(*byte));
    let sum = file.read(0..file.size()).iter().fold(0, add);
    for (sum, blocks, code) in [(sum, 1025, 0), (sum, 1024, 8), (sum ^ 1, 1025, 8)] {
        let list = format!("00001     1 README\n{sum:05} {blocks:5} file.bin\n");
        let server = serve_with(&file, &[("CHECKSUMS", &list)], Behaviour::default());
        let done = auto(transport, "-c 2 --min-segment 64K", &[&server]).run().expect_code(code);
        let message = format!("sum={sum:05} and {blocks} KiB, as CHECKSUMS on {} says", server.addr());
        expect_line(&done, &format!("{message}; that is weak evidence"));
        if code == 0 {
            done.expect_file(NAME, &file);
        } else {
            assert_eq!(done.files(), [JOURNAL, PART]);
        }
        let given = pftp(&format!("--checksum sum={sum}"), &[&server]).run();
        assert_eq!(given.code, Some(if blocks == 1025 { code } else { 0 }), "{}", given.stderr);
    }
}

fn computed_checksum_verifies_the_file(transport: &str) {
    let file = file(MIB);
    let answer = format!("213 SHA-256 0-{} {} pub/data/file.bin", file.size(), file.sha256());
    let wrong = format!("213 SHA-256 0-{} {} pub/data/file.bin", file.size(), "0".repeat(64));
    for (answer, code) in [(answer, 0), (wrong, 8)] {
        let features = "211-Features:\r\n HASH MD5*;SHA-256\r\n XMD5\r\n211 End";
        let behaviour = Behaviour::default()
            .when(Trigger::every("FEAT"), Reaction::reply(features))
            .when(Trigger::line("OPTS HASH SHA-256"), Reaction::reply("200 SHA-256"))
            .when(Trigger::every("HASH"), Reaction::reply(&answer));
        let server = serve_with(&file, &[], behaviour);
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        expect_line(&done, "as HASH on ");
        assert!(
            lookup_commands(&server)
                .ends_with(&["OPTS HASH SHA-256".to_owned(), "HASH pub/data/file.bin".to_owned()])
        );
        if code == 0 {
            done.expect_file(NAME, &file);
        } else {
            assert_eq!(done.files(), [JOURNAL, PART]);
        }
    }
}

fn lookup_takes_no_session_of_a_full_server(transport: &str) {
    let file = file(4 * MIB);
    for (sessions, when_full) in [(1, WhenFull::Greeting), (2, WhenFull::Password), (2, WhenFull::Refuse)] {
        let behaviour = throttled(16_000_000).with_cap(sessions, when_full);
        let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
        let done = auto(transport, "-c 4 --min-segment 64K", &[&server]).run().expect_code(0);
        expect_line(&done, "verified: ");
        done.expect_file(NAME, &file);
        let stats = server.stop();
        assert!(stats.logins() as usize <= sessions && stats.peak_sessions <= 4, "{stats:?}");
    }
}

/// The server ends a transfer if a command comes meanwhile.
fn lookup_runs_beside_the_transfers(transport: &str) {
    let file = file(4 * MIB);
    let behaviour = Behaviour { bytes_per_second: Some(1_000_000), ..Behaviour::pyftpdlib() };
    let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    let read = |stats: &Stats| stats.transfers.iter().any(|transfer| transfer.path.ends_with(".sha256"));
    // The server has sent no byte of the file until then.
    let is_read = |_: &Running| server.with_stats(read);
    let command = auto(transport, "-c 3 --min-segment 64K", &[&server]);
    let done = run_held(command, &[&server], "the checksum is read", is_read).expect_code(0);
    expect_line(&done, "verified: ");
    done.expect_file(NAME, &file);
    one_login_each(&server.stop(), 3);
}

fn next_mirror_is_asked(transport: &str) {
    let file = file(2 * MIB);
    let missing = start(Model::new(Tree::new()));
    let without = serve(&file, Behaviour::default());
    let with = serve_with(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    for args in ["-c 3 --min-segment 64K", "-c 8 --min-segment 16K"] {
        let done = auto(transport, args, &[&missing, &without, &with]).run().expect_code(0);
        expect_line(&done, &format!("as file.bin.sha256 on {} says", with.addr()));
        assert!(!done.stderr.contains("nothing to verify"), "{}", done.stderr);
        done.expect_file(NAME, &file);
    }
    // The mirror that answers first is asked first, which may be either of the others.
    assert!(lookup_commands(&missing).is_empty());
}

fn stream_is_verified(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    for (sha256, code) in [(right, 0), (wrong, 8)] {
        let server = serve_with(&file, &[("file.bin.sha256", &sha256)], Behaviour::default());
        let done = auto(transport, "-o -", &[&server]).run().expect_code(code);
        assert!(done.stdout == file.read(0..file.size()), "standard output is the file");
        expect_line(&done, "as file.bin.sha256 on ");
        one_login_each(&server.stop(), 1);
    }
}

fn finished_file_is_verified_or_fetched_again(transport: &str) {
    let file = file(2 * MIB);
    let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    let done = auto(transport, "-c 2", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    let fetched = |stats: &Stats| {
        let of_file = |line: &&(usize, String)| line.1 == format!("RETR {PATH}");
        stats.lines.iter().filter(of_file).count()
    };
    let before = server.with_stats(fetched);
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert_eq!(server.with_stats(fetched), before, "the file was here");
    expect_line(&done, "is here already");
    expect_line(&done, "verified: ");
    let done = done.expect_file(NAME, &file);
    // Size and time of the spoilt file stay the same.
    let path = done.dir.path().join(NAME);
    let modified = path.metadata().and_then(|facts| facts.modified()).expect("a time");
    let spoilt = OpenOptions::new().write(true).open(&path).expect("the file");
    spoilt.write_all_at(b"spoilt", MIB).expect("it can be written");
    spoilt.set_modified(modified).expect("its time can be set");
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    expect_line(&done, "warning: ");
    expect_line(&done, "is here already, but has sha256=");
    expect_line(&done, "verified: ");
    let done = done.expect_file(NAME, &file);
    // Without a checksum, size and time decide.
    server.set_tree(tree(&file));
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    expect_line(&done, "nothing to verify");
    expect_line(&done, "is here already;");
    done.expect_file(NAME, &file);
}

fn run_after_a_mismatch_starts_over(transport: &str) {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(7, "x"));
    let sha256 = good.sha256();
    let server = serve_with(&bad, &[("file.bin.sha256", &sha256)], Behaviour::default());
    let done = auto(transport, "", &[&server]).run().expect_code(8);
    server.set_tree(tree_of(&good, &[("file.bin.sha256", &sha256)]));
    let done = auto(transport, "", &[&server]).in_dir(done.dir).run().expect_code(0);
    expect_line(&done, "did not have its checksum; starting over");
    expect_line(&done, "verified: ");
    done.expect_file(NAME, &good);
}

fn strongest_checksum_decides(transport: &str) {
    let file = file(MIB);
    let (md5, sha512) = ("0".repeat(32), "0".repeat(128));
    for (others, code) in [
        ([("file.bin.sha256", file.sha256()), ("file.bin.sha512", sha512)], 8),
        ([("file.bin.md5", md5), ("SHA256SUMS", format!("{}  file.bin\n", file.sha256()))], 0),
    ] {
        let others = others.each_ref().map(|(name, content)| (*name, content.as_str()));
        let server = serve_with(&file, &others, Behaviour::default());
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        expect_line(&done, &format!("as {} on ", others[1].0));
        assert_eq!(done.files().contains(&NAME.to_owned()), code == 0);
    }
}

/// Replies of a session up to the end of its first transfer.
const WITH_THE_FILE: u32 = 9;

fn new_session_looks_up_after_the_last_byte(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    let goodbye = Reaction::reply_and_close("421 Bye.");
    for (sha256, reaction, code) in
        [(&right, Reaction::Close, 0), (&wrong, Reaction::Close, 8), (&right, goodbye, 0)]
    {
        let closes_after_file = Behaviour::default().when(Trigger::Replies(WITH_THE_FILE), reaction);
        let tree = tree_of(&file, &[("file.bin.sha256", sha256)]);
        for args in ["-c 1", "-o -"] {
            let server = start(Model::new(tree.clone()).with_session(0, closes_after_file.clone()));
            let done = auto(transport, args, &[&server]).run().expect_code(code);
            expect_line(&done, "as file.bin.sha256 on ");
            let stats = server.stop();
            let asked = |at: usize| stats.lines.iter().any(|(of, line)| *of == at && line == "FEAT");
            assert_eq!((stats.sessions.len(), asked(0), asked(1)), (2, false, true), "{args}");
            let files = stats.transfers.iter().filter(|transfer| transfer.path.ends_with(NAME)).count();
            assert_eq!(files, 1, "{args}");
        }
    }
}

/// The file is whole, so the lookup is given up.
fn refused_session_ends_the_lookup(transport: &str) {
    let file = file(MIB);
    let tree = tree_of(&file, &[("file.bin.sha256", &file.sha256())]);
    let closes_after_file = Behaviour::default().when(Trigger::Replies(WITH_THE_FILE), Reaction::Close);
    let closes = Behaviour::default().when(Trigger::Accepted, Reaction::Close);
    let full = Behaviour::default().when(Trigger::Accepted, Reaction::reply_and_close("421 Too many users."));
    let forbids = Behaviour::default().when(Trigger::every("PASS"), Reaction::reply("530 Not any more."));
    for behaviour in [closes_after_file.clone(), closes, full, forbids] {
        let server = start(
            Model::new(tree.clone()).with_behaviour(behaviour).with_session(0, closes_after_file.clone()),
        );
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        expect_line(&done, "nothing to verify");
        done.expect_file(NAME, &file);
        let sessions = server.stop().sessions.len();
        assert!((2..=6).contains(&sessions), "{sessions} sessions");
    }
}

fn list_is_read_once_more(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    let sidecar = Trigger::line("RETR pub/data/file.bin.sha256");
    let dies = Reaction::Cut(Cut::silent(3, Interruption::Die));
    let [told, later] = [Reaction::Cut(Cut::told(3)), Reaction::reply("450 Busy.")];
    for (sha256, code) in [(&right, 0), (&wrong, 8)] {
        let tree = tree_of(&file, &[("file.bin.sha256", sha256)]);
        // The session ends with the transfer, or stays.
        let once = Behaviour::default().when(sidecar.clone(), dies.clone());
        let server = start(Model::new(tree.clone()).with_session(0, once));
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        expect_line(&done, "as file.bin.sha256 on ");
        assert_eq!(server.stop().sessions.len(), 2);
        for reaction in [&told, &later] {
            let once = Behaviour::default().when(Trigger::nth("RETR", 2), reaction.clone());
            let server = start(Model::new(tree.clone()).with_behaviour(once));
            let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
            expect_line(&done, "as file.bin.sha256 on ");
            assert_eq!(server.stop().sessions.len(), 1);
        }
    }
    for reaction in [dies, told, later] {
        let behaviour = Behaviour::default().when(sidecar.clone(), reaction);
        let server = serve_with(&file, &[("file.bin.sha256", &right)], behaviour);
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        expect_line(&done, "file.bin.sha256 cannot be read: ");
        expect_line(&done, "nothing to verify");
        done.expect_file(NAME, &file);
        let asked = lookup_commands(&server).iter().filter(|line| line.starts_with("RETR")).count();
        assert_eq!(asked, 2);
    }
}

fn other_mirror_is_asked_if_the_lookup_loses_one(transport: &str) {
    let file = file(2 * MIB);
    let with = serve_with(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    let closes = Behaviour::default().when(Trigger::Accepted, Reaction::Close);
    let leaves = Behaviour::default().when(Trigger::every("FEAT"), Reaction::Close);
    let model = Model::new(tree(&file)).with_behaviour(closes);
    let lost = start(model.with_session(0, leaves.clone()).with_session(1, leaves));
    let done = auto(transport, "-c 4 --min-segment 64K", &[&lost, &with]).run().expect_code(0);
    expect_line(&done, &format!("as file.bin.sha256 on {} says", with.addr()));
    done.expect_file(NAME, &file);
}

/// The first run is stopped during the lookup.
fn stopped_lookup_fetches_nothing_again(transport: &str) {
    let file = file(2 * MIB);
    let silent = Behaviour::default().when(Trigger::every("FEAT"), Reaction::Hang);
    let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], silent);
    let running = auto(transport, "-c 1", &[&server]).start();
    until("the server is asked", || !lookup_commands(&server).is_empty());
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    assert_eq!(done.files(), [JOURNAL, PART]);
    server.set_behaviour(Behaviour::default());
    let before = server.with_stats(Stats::payload);
    let done = auto(transport, "-c 1", &[&server]).in_dir(done.dir).run().expect_code(0);
    expect_line(&done, "verified: ");
    done.expect_file(NAME, &file);
    let again = server.with_stats(Stats::payload) - before;
    assert!(again < 64 * 1024, "{again} bytes came again");
}

/// The file gets its name without a checksum.
fn silent_server_ends_the_lookup(transport: &str) {
    let file = file(MIB);
    let beside_it = [("file.bin.sha256", file.sha256())];
    let beside_it: Vec<(&str, &str)> = beside_it.iter().map(|(name, sum)| (*name, sum.as_str())).collect();
    for reaction in [Reaction::Close, Reaction::Hang, Reaction::Cut(Cut::silent(3, Interruption::Stall))] {
        let trigger = Trigger::line("RETR pub/data/file.bin.sha256");
        let server = serve_with(&file, &beside_it, Behaviour::default().when(trigger, reaction));
        let done = auto(transport, "-c 1 --timeout 1", &[&server]).run().expect_code(0);
        expect_line(&done, "nothing to verify");
        done.expect_file(NAME, &file);
    }
    let server =
        serve_with(&file, &beside_it, Behaviour::default().when(Trigger::every("FEAT"), Reaction::Close));
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    expect_line(&done, "nothing to verify");
    done.expect_file(NAME, &file);
}

fn lookup_runs_in_lock_step(transport: &str) {
    let file = file(MIB);
    let behaviour = Behaviour { bursts: Bursts::Closed, ..Behaviour::default() };
    let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    expect_line(&done, "verified: ");
    done.expect_file(NAME, &file);
}

fn lookup_runs_in_the_directory_of_the_file(transport: &str) {
    let file = file(MIB);
    let behaviour = Behaviour { refuses_paths: true, ..Behaviour::default() };
    let server = serve_with(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    for args in ["-c 1", "-c 3 --min-segment 64K"] {
        let done = auto(transport, args, &[&server]).run().expect_code(0);
        expect_line(&done, "verified: ");
        done.expect_file(NAME, &file);
    }
}

fn endless_list_is_not_read(transport: &str) {
    let file = file(MIB);
    let endless = File::generated(1, 1 << 40);
    for behaviour in [Behaviour::default(), Behaviour::default().without("SIZE")] {
        let model = Model::new(tree(&file).with("pub/data/SHA256SUMS", endless.clone()));
        let server = start(model.with_behaviour(behaviour));
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        expect_line(&done, "SHA256SUMS is too large to be read for a checksum");
        expect_line(&done, "nothing to verify");
        done.expect_file(NAME, &file);
    }
    // A list of a large directory has many other files.
    let mut list = String::new();
    for at in 0..100_000 {
        let _ = writeln!(list, "{at:064x}  ./dir/file-{at}");
    }
    let _ = writeln!(list, "{}  ./file.bin", file.sha256());
    let server = serve_with(&file, &[("SHA256SUMS", &list)], Behaviour::default());
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    expect_line(&done, "as SHA256SUMS on ");
    done.expect_file(NAME, &file);
}

#[test]
fn lookup_and_ascii_mode_exclude_each_other() {
    let server = serve(&file(1), Behaviour::default());
    let done = pftp("--checksum auto -m ascii", &[&server]).run().expect_code(7);
    assert!(done.stderr.contains("ascii mode"), "{}", done.stderr);
    assert!(server.stop().sessions.is_empty());
}
