//! `--checksum auto`: what servers have to verify the file with, and what comes of it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use rustix::process::Signal;

use crate::support::*;

/// A server of the file at `path`, and of these files beside it.
fn beside(file: &File, others: &[(&str, &str)], behaviour: Behaviour) -> Server {
    start(Model::new(tree_of(file, others)).with_behaviour(behaviour))
}

fn tree_of(file: &File, others: &[(&str, &str)]) -> Tree {
    let with = |tree: Tree, (name, content): &(&str, &str)| {
        tree.with(format!("pub/data/{name}"), File::bytes(*content))
    };
    others.iter().fold(tree(file), with)
}

/// `pftp` with these arguments, over this transport, and not quiet: notes are part of it.
fn auto(transport: &str, args: &str, servers: &[&Server]) -> Pftp {
    let urls = servers.iter().map(|server| server.url(PATH));
    let args = format!("--checksum auto --transport {transport} {args}");
    Pftp::new(args.split_whitespace().map(str::to_owned).chain(urls))
}

/// One line says `words`.
#[track_caller]
fn says_once(done: &Done, words: &str) {
    let count = done.stderr.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count, 1, "{words:?} in {}", done.stderr);
}

/// Everything that was asked for the search.
fn searched(server: &Server) -> Vec<String> {
    let asks = |line: &&String| {
        let list = line.contains("SUMS") || line.contains("sum") || line.contains("file.bin.");
        list || ["FEAT", "HASH", "OPTS", "XMD5", "XSHA"].iter().any(|verb| line.starts_with(verb))
    };
    server.with_stats(|stats| stats.lines.iter().map(|(_, line)| line).filter(asks).cloned().collect())
}

over_each_transport! {
    what_it_is_verified_with
    what_is_wrong_never_gets_its_name
    nothing_to_verify_it_with
    what_is_of_no_use_is_told
    sums_of_bsd
    what_the_server_computes
    a_full_server
    it_is_asked_beside_the_download
    the_next_mirror_that_works
    a_stream
    a_file_that_is_here_already
    after_a_mismatch
    the_strongest_decides
    a_session_that_is_lost_behind_the_last_byte
    a_server_that_lets_nobody_in_any_more
    a_reading_that_breaks_off
    a_mirror_that_is_lost_over_the_search
    a_file_that_was_complete_before
    a_server_that_falls_silent
    a_server_that_stands_no_bursts
    a_server_that_wants_directories
    a_list_without_end
}

fn what_it_is_verified_with(transport: &str) {
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
                let server = beside(&file, &[(name, content)], Behaviour::default());
                let done = auto(transport, args, &[&server]).run().expect_code(0);
                let says = format!("verified: sha256={sha256}, as {name} on {} says", server.addr());
                says_once(&done, &says);
                assert!(!done.stderr.contains("warning"), "{}", done.stderr);
                done.expect_file(NAME, &file);
                let connections = if args == "-c 1" { 1 } else { 4 };
                one_login_each(&server.stop(), connections);
            }
        }
    }
}

fn what_is_wrong_never_gets_its_name(transport: &str) {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(MIB + 7, "x"));
    let list = format!("{} *file.bin\n", good.sha256());
    for args in ["-c 1", "-c 3 --min-segment 64K"] {
        let server = beside(&bad, &[("SHA256SUMS", &list)], Behaviour::default());
        let done = auto(transport, args, &[&server]).with_file(NAME, "older").run().expect_code(8);
        let says = format!(
            "file.bin.pftp-part has sha256={} and not sha256={}, as SHA256SUMS on {} says",
            bad.sha256(),
            good.sha256(),
            server.addr()
        );
        says_once(&done, &says);
        assert_eq!(done.files(), [NAME, JOURNAL, PART]);
        assert_eq!(done.read(NAME), b"older");
    }
}

fn nothing_to_verify_it_with(transport: &str) {
    let file = file(MIB);
    for args in ["-c 1", "-c 4 --min-segment 64K", "-q -c 1"] {
        let server = serve(&file, Behaviour::default());
        let done = auto(transport, args, &[&server]).run().expect_code(0);
        says_once(
            &done,
            "warning: there is nothing to verify the file with: no server that could be asked has a checksum of it",
        );
        done.expect_file(NAME, &file);
        assert_eq!(searched(&server).len(), 12, "asked once");
    }
}

fn what_is_of_no_use_is_told(transport: &str) {
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
    let server = beside(&file, &others, Behaviour::default());
    let done = auto(transport, "-c 2 --min-segment 64K", &[&server]).run().expect_code(0);
    let host = server.addr();
    for said in [
        "file.bin.sha512 has no checksum in it",
        "SHA512SUMS has no checksum in it",
        "file.bin.sha256 is for another file, other.bin",
    ] {
        says_once(&done, &format!("warning: {host}: {said}"));
    }
    says_once(&done, &format!("pftp: {host}: SHA256SUMS does not list the file"));
    says_once(&done, "verified: sha256=");
    done.expect_file(NAME, &file);
    // That is no more than a note.
    let done = auto(transport, "-q -c 2 --min-segment 64K", &[&server]).run().expect_code(0);
    let warnings = done.stderr.lines().filter(|line| line.contains("warning: ")).count();
    assert_eq!((warnings, done.stderr.lines().count()), (3, 3), "{}", done.stderr);
}

/// As Ensembl has them.
fn sums_of_bsd(transport: &str) {
    let file = file(MIB + 1);
    let add = |sum: u16, byte: &u8| sum.rotate_right(1).wrapping_add(u16::from(*byte));
    let sum = file.read(0..file.size()).iter().fold(0, add);
    for (sum, blocks, code) in [(sum, 1025, 0), (sum, 1024, 8), (sum ^ 1, 1025, 8)] {
        let list = format!("00001     1 README\n{sum:05} {blocks:5} file.bin\n");
        let server = beside(&file, &[("CHECKSUMS", &list)], Behaviour::default());
        let done = auto(transport, "-c 2 --min-segment 64K", &[&server]).run().expect_code(code);
        let says = format!("sum={sum:05} and {blocks} KiB, as CHECKSUMS on {} says", server.addr());
        says_once(&done, &format!("{says}; that is weak evidence"));
        if code == 0 {
            done.expect_file(NAME, &file);
        } else {
            assert_eq!(done.files(), [JOURNAL, PART]);
        }
        let given = pftp(&format!("--checksum sum={sum}"), &[&server]).run();
        assert_eq!(given.code, Some(if blocks == 1025 { code } else { 0 }), "{}", given.stderr);
    }
}

fn what_the_server_computes(transport: &str) {
    let file = file(MIB);
    let answer = format!("213 SHA-256 0-{} {} pub/data/file.bin", file.size(), file.sha256());
    let wrong = format!("213 SHA-256 0-{} {} pub/data/file.bin", file.size(), "0".repeat(64));
    for (answer, code) in [(answer, 0), (wrong, 8)] {
        let features = "211-Features:\r\n HASH MD5*;SHA-256\r\n XMD5\r\n211 End";
        let behaviour = Behaviour::default()
            .when(Trigger::every("FEAT"), Reaction::reply(features))
            .when(Trigger::line("OPTS HASH SHA-256"), Reaction::reply("200 SHA-256"))
            .when(Trigger::every("HASH"), Reaction::reply(&answer));
        let server = beside(&file, &[], behaviour);
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        says_once(&done, "as HASH on ");
        assert!(
            searched(&server)
                .ends_with(&["OPTS HASH SHA-256".to_owned(), "HASH pub/data/file.bin".to_owned()])
        );
        if code == 0 {
            done.expect_file(NAME, &file);
        } else {
            assert_eq!(done.files(), [JOURNAL, PART]);
        }
    }
}

/// The search takes no session from a download, and no login of its own.
fn a_full_server(transport: &str) {
    let file = file(4 * MIB);
    for (sessions, when_full) in [(1, WhenFull::Greeting), (2, WhenFull::Password), (2, WhenFull::Refuse)] {
        let behaviour = throttled(16_000_000).with_cap(sessions, when_full);
        let server = beside(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
        let done = auto(transport, "-c 4 --min-segment 64K", &[&server]).run().expect_code(0);
        says_once(&done, "verified: ");
        done.expect_file(NAME, &file);
        let stats = server.stop();
        assert!(stats.logins() as usize <= sessions && stats.peak_sessions <= 4, "{stats:?}");
    }
}

/// With several connections the checksum is known long before the end, and nothing was sent during a transfer.
fn it_is_asked_beside_the_download(transport: &str) {
    let file = file(4 * MIB);
    let behaviour = Behaviour { bytes_per_second: Some(1_000_000), ..Behaviour::pyftpdlib() };
    let server = beside(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    let read = |stats: &Stats| stats.transfers.iter().any(|transfer| transfer.path.ends_with(".sha256"));
    // None of the file has been sent by then.
    let is_read = |_: &Running| server.with_stats(read);
    let command = auto(transport, "-c 3 --min-segment 64K", &[&server]);
    let done = run_held(command, &[&server], "the checksum is read", is_read).expect_code(0);
    says_once(&done, "verified: ");
    done.expect_file(NAME, &file);
    one_login_each(&server.stop(), 3);
}

fn the_next_mirror_that_works(transport: &str) {
    let file = file(2 * MIB);
    let missing = start(Model::new(Tree::new()));
    let without = serve(&file, Behaviour::default());
    let with = beside(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    for args in ["-c 3 --min-segment 64K", "-c 8 --min-segment 16K"] {
        let done = auto(transport, args, &[&missing, &without, &with]).run().expect_code(0);
        says_once(&done, &format!("as file.bin.sha256 on {} says", with.addr()));
        assert!(!done.stderr.contains("nothing to verify"), "{}", done.stderr);
        done.expect_file(NAME, &file);
    }
    // Which of the other two is asked first is a matter of who answers first.
    assert!(searched(&missing).is_empty());
}

fn a_stream(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    for (sha256, code) in [(right, 0), (wrong, 8)] {
        let server = beside(&file, &[("file.bin.sha256", &sha256)], Behaviour::default());
        let done = auto(transport, "-o -", &[&server]).run().expect_code(code);
        assert!(done.stdout == file.read(0..file.size()), "nothing but the file, and all of it");
        says_once(&done, "as file.bin.sha256 on ");
        one_login_each(&server.stop(), 1);
    }
}

fn a_file_that_is_here_already(transport: &str) {
    let file = file(2 * MIB);
    let server = beside(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    let done = auto(transport, "-c 2", &[&server]).run().expect_code(0).expect_file(NAME, &file);
    let fetched = |stats: &Stats| {
        let of_file = |line: &&(usize, String)| line.1 == format!("RETR {PATH}");
        stats.lines.iter().filter(of_file).count()
    };
    let before = server.with_stats(fetched);
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    assert_eq!(server.with_stats(fetched), before, "it was here");
    says_once(&done, "is here already");
    says_once(&done, "verified: ");
    let done = done.expect_file(NAME, &file);
    // It was spoilt, and nobody can tell by size and time.
    let path = done.dir.path().join(NAME);
    let modified = path.metadata().and_then(|facts| facts.modified()).expect("a time");
    let spoilt = OpenOptions::new().write(true).open(&path).expect("the file");
    spoilt.write_all_at(b"spoilt", MIB).expect("it can be written");
    spoilt.set_modified(modified).expect("its time can be set");
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    says_once(&done, "warning: ");
    says_once(&done, "is here already, but has sha256=");
    says_once(&done, "verified: ");
    let done = done.expect_file(NAME, &file);
    // Where there is nothing to compare with, size and time are all there is.
    server.set_tree(tree(&file));
    let done = auto(transport, "-c 2", &[&server]).in_dir(done.dir).run().expect_code(0);
    says_once(&done, "nothing to verify");
    says_once(&done, "is here already;");
    done.expect_file(NAME, &file);
}

fn after_a_mismatch(transport: &str) {
    let (good, bad) = (file(2 * MIB), file(2 * MIB).with_patch(7, "x"));
    let sha256 = good.sha256();
    let server = beside(&bad, &[("file.bin.sha256", &sha256)], Behaviour::default());
    let done = auto(transport, "", &[&server]).run().expect_code(8);
    server.set_tree(tree_of(&good, &[("file.bin.sha256", &sha256)]));
    let done = auto(transport, "", &[&server]).in_dir(done.dir).run().expect_code(0);
    says_once(&done, "did not have its checksum; starting over");
    says_once(&done, "verified: ");
    done.expect_file(NAME, &good);
}

fn the_strongest_decides(transport: &str) {
    let file = file(MIB);
    let (md5, sha512) = ("0".repeat(32), "0".repeat(128));
    for (others, code) in [
        ([("file.bin.sha256", file.sha256()), ("file.bin.sha512", sha512)], 8),
        ([("file.bin.md5", md5), ("SHA256SUMS", format!("{}  file.bin\n", file.sha256()))], 0),
    ] {
        let others = others.each_ref().map(|(name, content)| (*name, content.as_str()));
        let server = beside(&file, &others, Behaviour::default());
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        says_once(&done, &format!("as {} on ", others[1].0));
        assert_eq!(done.files().contains(&NAME.to_owned()), code == 0);
    }
}

/// How many replies a session has sent with the last one to the first transfer, if nothing is unusual.
const WITH_THE_FILE: u32 = 9;

fn a_session_that_is_lost_behind_the_last_byte(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    let goodbye = Reaction::reply_and_close("421 Bye.");
    for (sha256, reaction, code) in
        [(&right, Reaction::Close, 0), (&wrong, Reaction::Close, 8), (&right, goodbye, 0)]
    {
        let hangs_up = Behaviour::default().when(Trigger::Replies(WITH_THE_FILE), reaction);
        let tree = tree_of(&file, &[("file.bin.sha256", sha256)]);
        for args in ["-c 1", "-o -"] {
            let server = start(Model::new(tree.clone()).with_session(0, hangs_up.clone()));
            let done = auto(transport, args, &[&server]).run().expect_code(code);
            says_once(&done, "as file.bin.sha256 on ");
            let stats = server.stop();
            let asked = |at: usize| stats.lines.iter().any(|(of, line)| *of == at && line == "FEAT");
            assert_eq!((stats.sessions.len(), asked(0), asked(1)), (2, false, true), "{args}");
            let files = stats.transfers.iter().filter(|transfer| transfer.path.ends_with(NAME)).count();
            assert_eq!(files, 1, "{args}");
        }
    }
}

/// The file is there, and nobody waits for ever.
fn a_server_that_lets_nobody_in_any_more(transport: &str) {
    let file = file(MIB);
    let tree = tree_of(&file, &[("file.bin.sha256", &file.sha256())]);
    let hangs_up = Behaviour::default().when(Trigger::Replies(WITH_THE_FILE), Reaction::Close);
    let closes = Behaviour::default().when(Trigger::Accepted, Reaction::Close);
    let full = Behaviour::default().when(Trigger::Accepted, Reaction::reply_and_close("421 Too many users."));
    let forbids = Behaviour::default().when(Trigger::every("PASS"), Reaction::reply("530 Not any more."));
    for behaviour in [hangs_up.clone(), closes, full, forbids] {
        let server =
            start(Model::new(tree.clone()).with_behaviour(behaviour).with_session(0, hangs_up.clone()));
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        says_once(&done, "nothing to verify");
        done.expect_file(NAME, &file);
        let sessions = server.stop().sessions.len();
        assert!((2..=6).contains(&sessions), "{sessions} sessions");
    }
}

fn a_reading_that_breaks_off(transport: &str) {
    let file = file(MIB);
    let (right, wrong) = (file.sha256(), "0".repeat(64));
    let sidecar = Trigger::line("RETR pub/data/file.bin.sha256");
    let dies = Reaction::Cut(Cut::silent(3, Interruption::Die));
    let [told, later] = [Reaction::Cut(Cut::told(3)), Reaction::reply("450 Busy.")];
    for (sha256, code) in [(&right, 0), (&wrong, 8)] {
        let tree = tree_of(&file, &[("file.bin.sha256", sha256)]);
        // With its session, and without.
        let once = Behaviour::default().when(sidecar.clone(), dies.clone());
        let server = start(Model::new(tree.clone()).with_session(0, once));
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
        says_once(&done, "as file.bin.sha256 on ");
        assert_eq!(server.stop().sessions.len(), 2);
        for reaction in [&told, &later] {
            let once = Behaviour::default().when(Trigger::nth("RETR", 2), reaction.clone());
            let server = start(Model::new(tree.clone()).with_behaviour(once));
            let done = auto(transport, "-c 1", &[&server]).run().expect_code(code);
            says_once(&done, "as file.bin.sha256 on ");
            assert_eq!(server.stop().sessions.len(), 1);
        }
    }
    for reaction in [dies, told, later] {
        let behaviour = Behaviour::default().when(sidecar.clone(), reaction);
        let server = beside(&file, &[("file.bin.sha256", &right)], behaviour);
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        says_once(&done, "file.bin.sha256 cannot be read: ");
        says_once(&done, "nothing to verify");
        done.expect_file(NAME, &file);
        let asked = searched(&server).iter().filter(|line| line.starts_with("RETR")).count();
        assert_eq!(asked, 2);
    }
}

fn a_mirror_that_is_lost_over_the_search(transport: &str) {
    let file = file(2 * MIB);
    let with = beside(&file, &[("file.bin.sha256", &file.sha256())], Behaviour::default());
    let closes = Behaviour::default().when(Trigger::Accepted, Reaction::Close);
    let leaves = Behaviour::default().when(Trigger::every("FEAT"), Reaction::Close);
    let model = Model::new(tree(&file)).with_behaviour(closes);
    let lost = start(model.with_session(0, leaves.clone()).with_session(1, leaves));
    let done = auto(transport, "-c 4 --min-segment 64K", &[&lost, &with]).run().expect_code(0);
    says_once(&done, &format!("as file.bin.sha256 on {} says", with.addr()));
    done.expect_file(NAME, &file);
}

/// Stopped while it was asked for a checksum, and not fetched again for that.
fn a_file_that_was_complete_before(transport: &str) {
    let file = file(2 * MIB);
    let silent = Behaviour::default().when(Trigger::every("FEAT"), Reaction::Hang);
    let server = beside(&file, &[("file.bin.sha256", &file.sha256())], silent);
    let running = auto(transport, "-c 1", &[&server]).start();
    until("it is asked", || !searched(&server).is_empty());
    running.signal(Signal::TERM);
    let done = running.wait().expect_code(143);
    assert_eq!(done.files(), [JOURNAL, PART]);
    server.set_behaviour(Behaviour::default());
    let before = server.with_stats(Stats::payload);
    let done = auto(transport, "-c 1", &[&server]).in_dir(done.dir).run().expect_code(0);
    says_once(&done, "verified: ");
    done.expect_file(NAME, &file);
    let again = server.with_stats(Stats::payload) - before;
    assert!(again < 64 * 1024, "{again} bytes came again");
}

/// Whatever becomes of the search, the file is there.
fn a_server_that_falls_silent(transport: &str) {
    let file = file(MIB);
    let beside_it = [("file.bin.sha256", file.sha256())];
    let beside_it: Vec<(&str, &str)> = beside_it.iter().map(|(name, sum)| (*name, sum.as_str())).collect();
    for reaction in [Reaction::Close, Reaction::Hang, Reaction::Cut(Cut::silent(3, Interruption::Stall))] {
        let trigger = Trigger::line("RETR pub/data/file.bin.sha256");
        let server = beside(&file, &beside_it, Behaviour::default().when(trigger, reaction));
        let done = auto(transport, "-c 1 --timeout 1", &[&server]).run().expect_code(0);
        says_once(&done, "nothing to verify");
        done.expect_file(NAME, &file);
    }
    let server =
        beside(&file, &beside_it, Behaviour::default().when(Trigger::every("FEAT"), Reaction::Close));
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    says_once(&done, "nothing to verify");
    done.expect_file(NAME, &file);
}

fn a_server_that_stands_no_bursts(transport: &str) {
    let file = file(MIB);
    let behaviour = Behaviour { bursts: Bursts::Closed, ..Behaviour::default() };
    let server = beside(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    says_once(&done, "verified: ");
    done.expect_file(NAME, &file);
}

fn a_server_that_wants_directories(transport: &str) {
    let file = file(MIB);
    let behaviour = Behaviour { refuses_paths: true, ..Behaviour::default() };
    let server = beside(&file, &[("file.bin.sha256", &file.sha256())], behaviour);
    for args in ["-c 1", "-c 3 --min-segment 64K"] {
        let done = auto(transport, args, &[&server]).run().expect_code(0);
        says_once(&done, "verified: ");
        done.expect_file(NAME, &file);
    }
}

fn a_list_without_end(transport: &str) {
    let file = file(MIB);
    let endless = File::generated(1, 1 << 40);
    for behaviour in [Behaviour::default(), Behaviour::default().without("SIZE")] {
        let model = Model::new(tree(&file).with("pub/data/SHA256SUMS", endless.clone()));
        let server = start(model.with_behaviour(behaviour));
        let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
        says_once(&done, "SHA256SUMS is too large to be read for a checksum");
        says_once(&done, "nothing to verify");
        done.expect_file(NAME, &file);
    }
    // Most of what lists of large directories have are other files.
    let mut list = String::new();
    for at in 0..100_000 {
        let _ = writeln!(list, "{at:064x}  ./dir/file-{at}");
    }
    let _ = writeln!(list, "{}  ./file.bin", file.sha256());
    let server = beside(&file, &[("SHA256SUMS", &list)], Behaviour::default());
    let done = auto(transport, "-c 1", &[&server]).run().expect_code(0);
    says_once(&done, "as SHA256SUMS on ");
    done.expect_file(NAME, &file);
}

#[test]
fn it_is_for_the_bytes_on_the_server() {
    let server = serve(&file(1), Behaviour::default());
    let done = pftp("--checksum auto -m ascii", &[&server]).run().expect_code(7);
    assert!(done.stderr.contains("ascii mode"), "{}", done.stderr);
    assert!(server.stop().sessions.is_empty());
}
