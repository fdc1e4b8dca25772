//! The real servers themselves: each starts, serves, refuses and stops as the other tests need.
//!
//! The client is a few lines on `std::net`, so these tests use nothing that they would test.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pftp_tests::servers::{Kind, Options, PASSWORD, Process, RealServer, USER};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(300);

/// Set for [`left_behind`]: the server to start, and the directory that it serves.
const LEAVE: &str = "PFTP_TESTS_LEAVE_SERVER";

struct Client {
    control: BufReader<TcpStream>,
}

impl Client {
    /// Connects without reading the greeting.
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        Self { control: BufReader::new(stream) }
    }

    /// Connects and reads the greeting.
    fn greeted(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr);
        let greeting = client.reply();
        assert!(greeting.starts_with("220"), "{greeting}");
        client
    }

    fn logged_in(addr: SocketAddr, user: &str, password: &str) -> Self {
        let mut client = Self::greeted(addr);
        let reply = client.login(user, password);
        assert!(reply.starts_with("230"), "{user}: {reply}");
        let reply = client.command("TYPE I");
        assert!(reply.starts_with("200"), "{reply}");
        client
    }

    /// Returns the last line of a reply; an empty text if the server closed the connection.
    fn reply(&mut self) -> String {
        let mut first = String::new();
        self.control.read_line(&mut first).expect("a reply");
        let mut line = first.clone();
        while first.as_bytes().get(3) == Some(&b'-')
            && !(line.get(..3) == first.get(..3) && line.as_bytes().get(3) == Some(&b' '))
        {
            line.clear();
            assert_ne!(self.control.read_line(&mut line).expect("a reply"), 0, "hung up in a reply");
        }
        line
    }

    fn command(&mut self, command: &str) -> String {
        self.control.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("a command is sent");
        self.reply()
    }

    /// Returns the reply to PASS; a server may log the user in before that.
    fn login(&mut self, user: &str, password: &str) -> String {
        let reply = self.command(&format!("USER {user}"));
        assert!(reply.starts_with("331") || reply.starts_with("230"), "{reply}");
        self.command(&format!("PASS {password}"))
    }

    /// Opens the data connection for the next command.
    fn data(&mut self) -> TcpStream {
        let reply = self.command("EPSV");
        let port = reply.strip_prefix("229").and_then(|text| text.split('|').nth(3)?.parse::<u16>().ok());
        let port = port.unwrap_or_else(|| panic!("EPSV: {reply}"));
        let host = self.control.get_ref().peer_addr().expect("connected").ip();
        let data = TcpStream::connect_timeout(&(host, port).into(), DEADLINE).expect("a data connection");
        data.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        data
    }

    fn retrieve(&mut self, path: &str) -> Vec<u8> {
        let mut data = self.data();
        let reply = self.command(&format!("RETR {path}"));
        assert!(reply.starts_with("150") || reply.starts_with("125"), "{reply}");
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).expect("the file");
        drop(data);
        let reply = self.reply();
        assert!(reply.starts_with("226"), "{reply}");
        bytes
    }
}

/// Returns a directory with two small files, closed to other users as temporary directories are.
fn tree() -> TempDir {
    let tree = tempfile::tempdir().expect("a directory");
    fs::create_dir(tree.path().join("deep")).expect("a directory");
    fs::write(tree.path().join("small.bin"), small()).expect("a file");
    fs::write(tree.path().join("deep/er file.txt"), "in a directory\n").expect("a file");
    tree
}

/// Returns every byte, line ends among them, in an odd number.
fn small() -> Vec<u8> {
    (0..=255u8).cycle().take(70_001).collect()
}

fn anonymous_reads_a_file(kind: Kind) {
    let tree = tree();
    let server = RealServer::start(kind, tree.path());
    assert_eq!(server.kind(), kind);
    reads_a_file(&server, "anonymous", "user@localhost.localnet");
}

fn user_reads_a_file(kind: Kind) {
    let tree = tree();
    let server = RealServer::start(kind, tree.path());
    reads_a_file(&server, USER, PASSWORD);
}

fn reads_a_file(server: &RealServer, user: &str, password: &str) {
    let mut client = Client::logged_in(server.addr(), user, password);
    for path in ["small.bin", "/small.bin"] {
        assert_eq!(client.command(&format!("SIZE {path}")), "213 70001\r\n", "{}", server.log());
        assert!(client.retrieve(path) == small(), "{path} differs\n{}", server.log());
    }
    assert_eq!(client.retrieve("/deep/er file.txt"), b"in a directory\n");
    assert!(client.command("SIZE missing").starts_with("550"));
    assert!(client.command("DELE small.bin").starts_with('5'), "read only");
    assert!(client.command("QUIT").starts_with("221"));
}

fn wrong_password_is_refused(kind: Kind) {
    let tree = tree();
    let server = RealServer::start(kind, tree.path());
    let reply = Client::greeted(server.addr()).login(USER, "s3cret");
    assert!(reply.starts_with("530"), "{reply}\n{}", server.log());
}

fn password_can_be_set(kind: Kind) {
    let tree = tree();
    let options = Options { password: "an other%one".into(), ..Options::default() };
    let server = RealServer::with(kind, tree.path(), &options);
    Client::logged_in(server.addr(), USER, "an other%one");
    let reply = Client::greeted(server.addr()).login(USER, PASSWORD);
    assert!(reply.starts_with("530"), "{reply}\n{}", server.log());
}

fn clients_can_be_limited(kind: Kind) {
    let tree = tree();
    let both = [
        Options { max_per_ip: Some(2), ..Options::default() },
        Options { max_clients: Some(2), ..Options::default() },
    ];
    for options in both {
        let server = RealServer::with(kind, tree.path(), &options);
        let _first = Client::logged_in(server.addr(), "anonymous", "a@b");
        let _second = Client::logged_in(server.addr(), "anonymous", "a@b");
        let mut third = Client::connect(server.addr());
        let mut reply = third.reply();
        if reply.starts_with("220") {
            reply = third.login("anonymous", "a@b");
        }
        assert!(
            reply.starts_with("421") || reply.starts_with("530"),
            "{options:?}: {reply}\n{}",
            server.log()
        );
    }
}

fn rate_can_be_limited(kind: Kind) {
    let tree = tree();
    let options = Options { rate: Some(1 << 20), ..Options::default() };
    let server = RealServer::with(kind, tree.path(), &options);
    for (user, password) in [("anonymous", "a@b"), (USER, PASSWORD)] {
        let mut client = Client::logged_in(server.addr(), user, password);
        assert!(client.retrieve("small.bin") == small(), "{}", server.log());
    }
}

fn stop_leaves_no_process(kind: Kind) {
    let tree = tree();
    let mut server = RealServer::start(kind, tree.path());
    let mut client = Client::logged_in(server.addr(), "anonymous", "a@b");
    let processes = server.processes();
    assert!(processes.len() >= 2, "{processes:?}");
    server.stop();
    for process in &processes {
        assert!(!Process::runs(process.id(), process.started()), "{process:?} is left of {processes:?}");
    }
    assert!(server.processes().is_empty());
    // The server closes the connection with a reset or without.
    let mut rest = Vec::new();
    let _ = client.control.read_to_end(&mut rest);
    assert!(TcpStream::connect(server.addr()).is_err(), "something still listens");
}

/// A killed test process cannot clean up.
fn killed_test_leaves_no_process(kind: Kind) {
    let tree = tree();
    let temporary = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "left_behind", "--ignored", "--nocapture"])
        .env(LEAVE, format!("{kind:?} {}", tree.path().display()))
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test that starts a server");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut processes = Vec::new();
    for line in output.lines() {
        let line = line.expect("text");
        if let Some((_, process)) = line.split_once("process ") {
            let (id, started) = process.split_once(' ').expect("two numbers");
            processes.push((id.parse().expect("an id"), started.parse().expect("a time")));
        } else if line.ends_with("that is all") {
            break;
        }
    }
    assert!(processes.len() >= 2 && processes.iter().all(|&(id, started)| Process::runs(id, started)));
    child.kill().expect("killed");
    child.wait().expect("gone");
    let deadline = Instant::now() + DEADLINE;
    while processes.iter().any(|&(id, started)| Process::runs(id, started)) {
        assert!(Instant::now() < deadline, "still there: {processes:?}");
        std::thread::yield_now();
    }
}

/// Starts a server, prints its processes, and waits to be killed.
#[test]
#[ignore = "called by the test that a killed test leaves no process"]
fn left_behind() {
    let Ok(what) = std::env::var(LEAVE) else { return };
    let (kind, root) = what.split_once(' ').expect("a server and a directory");
    let kind = Kind::ALL.into_iter().find(|one| format!("{one:?}") == kind).expect("a server");
    let server = RealServer::start(kind, Path::new(root));
    let _client = Client::logged_in(server.addr(), "anonymous", "a@b");
    for process in server.processes() {
        println!("\nprocess {} {}", process.id(), process.started());
    }
    println!("that is all");
    loop {
        std::thread::park();
    }
}

macro_rules! for_every_server {
    ($($test:ident)*) => {
        for_every_server!(@ vsftpd Vsftpd $($test)*);
        for_every_server!(@ proftpd ProFtpd $($test)*);
        for_every_server!(@ pure_ftpd PureFtpd $($test)*);
        for_every_server!(@ pyftpdlib Pyftpdlib $($test)*);
    };
    (@ $module:ident $kind:ident $($test:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test(super::Kind::$kind);
                }
            )*
        }
    };
}

for_every_server! {
    anonymous_reads_a_file
    user_reads_a_file
    wrong_password_is_refused
    password_can_be_set
    clients_can_be_limited
    rate_can_be_limited
    stop_leaves_no_process
    killed_test_leaves_no_process
}
