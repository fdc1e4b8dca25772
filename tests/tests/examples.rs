//! The examples of the libraries run and do what their documentation says.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};

use pftp_tests::binary::example;
use pftp_tests::loopback::Server;
use pftp_tests::model::{File, Model, Tree};
use pftp_tests::servers::{Kind, RealServer};
use tempfile::TempDir;

const KINDS: [Kind; 4] = [Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd, Kind::Pyftpdlib];

/// Returns the content of a file, chosen by a number.
fn content(number: u64) -> Vec<u8> {
    File::generated(number, 300_000 + number).read(0..u64::MAX)
}

/// Returns a directory with two files, whose content depends on the number of the server.
fn directory(server: u64) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("pub")).expect("a directory");
    for number in [2 * server, 2 * server + 1] {
        fs::write(directory.path().join(format!("pub/{number}")), content(number)).expect("a file");
    }
    directory
}

fn run(package: &str, name: &str, args: &[&str]) -> Output {
    Command::new(example(package, name)).args(args).output().expect("it starts")
}

#[track_caller]
fn expect_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn by_hand(server: SocketAddr) {
    let here = tempfile::tempdir().expect("a directory");
    let path = here.path().join("here");
    let path = path.to_str().expect("a path of text");
    let output = run("ftp-proto", "by_hand", &[&server.to_string(), "pub/0", path]);
    expect_success(&output);
    assert!(fs::read(path).expect("a file") == content(0));
    let output = run("ftp-proto", "by_hand", &[&server.to_string(), "pub/missing", path]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("550"));
}

#[test]
fn by_hand_from_servers_of_every_make() {
    let tree = directory(0);
    for kind in KINDS {
        by_hand(RealServer::start(kind, tree.path()).addr());
    }
}

#[test]
fn many_files_from_servers_of_every_make() {
    let trees: Vec<TempDir> = (0..4).map(directory).collect();
    let servers: Vec<RealServer> =
        KINDS.into_iter().zip(&trees).map(|(kind, tree)| RealServer::start(kind, tree.path())).collect();
    let here = tempfile::tempdir().expect("a directory");
    let mut args = vec![here.path().to_str().expect("a path of text").to_owned()];
    for (number, server) in servers.iter().enumerate() {
        args.push(format!("{}/pub/{}", server.addr(), 2 * number));
        args.push(format!("{}/pub/{}", server.addr(), 2 * number + 1));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = run("ftp-transport-mio", "many", &args);
    expect_success(&output);
    for number in 0..8 {
        assert!(fs::read(here.path().join(number.to_string())).expect("a file") == content(number));
    }
}

#[test]
fn many_files_but_one_that_is_missing() {
    let serve = |number: u64| {
        let tree = Tree::new().with("there", File::bytes(content(number)));
        Server::start(Model::new(tree)).expect("a free port")
    };
    let (one, gone) = (serve(1), serve(2));
    let nobody = gone.addr();
    drop(gone);
    let here = tempfile::tempdir().expect("a directory");
    let directory = here.path().to_str().expect("a path of text");
    let (missing, there) = (format!("{}/missing", one.addr()), format!("{}/there", one.addr()));
    let args = [directory, &missing, &there, &format!("{nobody}/dead")];
    let output = run("ftp-transport-mio", "many", &args);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains(&format!("{missing}: RETR: 550")), "{said}");
    assert!(said.contains(&format!("{nobody}/dead: ")), "{said}");
    assert!(fs::read(here.path().join("there")).expect("a file") == content(1));
    assert_eq!(one.stop().logins(), 1);
}

#[test]
fn download_shows_progress_and_brings_the_file() {
    let tree = Tree::new().with("pub/there", File::bytes(content(1)));
    let server = Server::start(Model::new(tree)).expect("a free port");
    let here = tempfile::tempdir().expect("a directory");
    let path = here.path().join("here");
    let path = path.to_str().expect("a path of text");
    let url = |name: &str| format!("ftp://{}/pub/{name}", server.addr());
    let output = run("pftp", "download", &[&url("there"), path]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(" bytes over "), "{said}");
    let size = content(1).len();
    assert!(said.contains(&format!("Fetched {{ size: {size}, earlier: 0, ")), "{said}");
    assert!(fs::read(path).expect("a file") == content(1));
    let output = run("pftp", "download", &[&url("missing"), path]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("was refused: 550"), "{said}");
}
