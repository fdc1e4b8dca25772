//! Whole files of all sizes over all numbers of connections.

use crate::support::*;

#[track_caller]
fn arrives(size: u64, args: &str) -> Stats {
    let file = file(size);
    let server = serve(&file, Behaviour::default());
    pftp(args, &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    server.stop()
}

#[test]
fn empty_file_arrives() {
    for connections in [1, 4, 16] {
        arrives(0, &format!("-c {connections}"));
    }
}

#[test]
fn file_of_one_byte_arrives() {
    for connections in [1, 4, 16] {
        arrives(1, &format!("-c {connections}"));
    }
}

#[test]
fn file_of_two_bytes_arrives_over_16_connections() {
    for connections in [1, 2, 16] {
        let stats = arrives(2, &format!("-c {connections} --min-segment 1"));
        assert!(stats.payload() < 40, "{}", stats.payload());
    }
}

#[test]
fn small_file_arrives_over_16_connections() {
    arrives(100 * 1024, "-c 16");
    arrives(100 * 1024, "-c 16 --min-segment 1K");
    arrives(100 * 1024 + 1, "-c 16 --min-segment 1");
}

#[test]
fn large_file_arrives_in_one_transfer_over_one_connection() {
    let stats = arrives(8 * MIB + 3, "-c 1");
    assert_eq!((stats.logins(), stats.sessions.len(), stats.count("RETR")), (1, 1, 1));
    assert_eq!(stats.payload(), 8 * MIB + 3);
}

#[test]
fn each_of_many_connections_logs_in_once() {
    for connections in [2, 8, 16] {
        let stats = arrives(8 * MIB + 3, &format!("-c {connections} --min-segment 64K"));
        one_login_each(&stats, connections);
    }
}

#[test]
fn number_of_connections_is_chosen_without_an_option() {
    let stats = arrives(8 * MIB, "");
    one_login_each(&stats, 8);
}

#[test]
fn older_file_is_replaced() {
    let file = file(300_000);
    let server = serve(&file, Behaviour::default());
    let old = "an older file";
    pftp("-c 2", &[&server]).with_file(NAME, old).run().expect_code(0).expect_file(NAME, &file);
    let other = pftp("-c 2 -o other.bin", &[&server]).with_file(NAME, old).run().expect_code(0);
    assert_eq!(other.files(), [NAME, "other.bin"]);
    assert_eq!(other.read(NAME), old.as_bytes());
}

#[test]
fn older_file_stays_if_the_download_fails() {
    let server = serve(&file(300_000), Behaviour { size_error: 5, ..Behaviour::default() });
    let done = pftp("-c 2 --retries 0", &[&server]).with_file(NAME, "an older file").run().expect_code(8);
    assert_eq!(done.read(NAME), b"an older file");
}

#[test]
fn leftover_part_without_a_journal_is_replaced() {
    let file = file(300_000);
    let server = serve(&file, Behaviour::default());
    let rubbish = vec![b'x'; 400_000];
    pftp("-c 2", &[&server]).with_file(PART, rubbish).run().expect_code(0).expect_file(NAME, &file);
}

#[test]
fn paths_are_relative_to_the_login_directory_or_absolute() {
    let (here, there) = (File::bytes("here"), File::bytes("there"));
    let tree = Tree::new()
        .with_login_directory("/home/user")
        .with("dir/f", here.clone())
        .with("/dir/f", there.clone())
        .with("a b;c%#", here.clone());
    let server = start(Model::new(tree));
    for (path, name, file) in [
        ("dir/f", "f", &here),
        ("/dir/f", "f", &there),
        ("%2Fdir/f", "f", &there),
        ("%2fdir%2ff", "f", &there),
        ("a%20b;c%25%23", "a b;c%#", &here),
        ("dir/f;type=i", "f", &here),
    ] {
        Pftp::new(["-q", &server.url(path)]).run().expect_code(0).expect_file(name, file);
    }
}

#[test]
fn server_and_file_are_given_as_options() {
    let file = file(1000);
    let server = serve(&file, Behaviour::default());
    let (ip, port) = (server.ip().to_string(), server.addr().port().to_string());
    for args in [
        ["-s", &ip, "-f", PATH, "-p", &port],
        ["-s", &server.addr().to_string(), "-f", PATH, "-p", "1"],
        ["-s", &format!("ftp://{}", server.addr()), "-f", "/pub/data/file.bin", "-p", "1"],
    ] {
        Pftp::new(args).arg("-q").run().expect_code(0).expect_silence().expect_file(NAME, &file);
    }
}
