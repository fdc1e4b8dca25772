use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpStream};

use super::*;
use crate::model::{Cut, File, Interruption, Trigger, WhenFull};

/// A client by hand.
struct Client {
    control: BufReader<TcpStream>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        Self { control: BufReader::new(TcpStream::connect(server.addr()).expect("the server listens")) }
    }

    fn logged_in(server: &Server) -> Self {
        let mut client = Self::connect(server);
        client.send("USER anonymous\r\nPASS x\r\nTYPE I\r\n");
        assert_eq!(client.codes(4), ["220", "331", "230", "200"]);
        client
    }

    fn send(&mut self, commands: &str) {
        self.control.get_mut().write_all(commands.as_bytes()).expect("the control connection is open");
    }

    /// The next line; empty at the end of the control connection.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.control.read_line(&mut line).expect("the control connection is not reset");
        line
    }

    fn codes(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line().chars().take(3).collect()).collect()
    }

    /// EPSV, and a connection to the port it names.
    fn data(&mut self) -> TcpStream {
        self.send("EPSV\r\n");
        let line = self.line();
        let port = line.split('|').nth(3).expect("a 229").parse().expect("a port");
        let ip = self.control.get_ref().peer_addr().expect("it is connected").ip();
        TcpStream::connect((ip, port)).expect("the server listens for data")
    }
}

fn read_all(mut data: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).expect("the data connection ends in order");
    bytes
}

fn big_file() -> File {
    File::generated(5, 20_000_000)
}

fn start(behaviour: Behaviour) -> Server {
    let tree = Tree::new().with("/big", big_file());
    Server::start(Model::new(tree).with_behaviour(behaviour)).expect("a loopback port is free")
}

#[test]
fn a_range_is_served_by_hand() {
    let server = start(Behaviour::default());
    let mut client = Client::logged_in(&server);
    let data = client.data();
    client.send("REST 12345\r\nRETR big\r\n");
    assert_eq!(client.codes(2), ["350", "150"]);
    assert!(read_all(data) == big_file().read(12_345..20_000_000));
    client.send("QUIT\r\n");
    assert_eq!(client.codes(2), ["226", "221"]);
    assert_eq!(client.line(), "");
    drop(client);
    let stats = server.stop();
    assert_eq!((stats.payload(), stats.logins(), stats.data_connections()), (20_000_000 - 12_345, 1, 1));
    assert_eq!(stats.count("RETR"), 1);
    assert_eq!(stats.open_sessions(), 0);
}

#[test]
fn a_cut_by_the_client_leaves_the_session_usable() {
    for (behaviour, code) in
        [(Behaviour::vsftpd(), "426"), (Behaviour::proftpd(), "426"), (Behaviour::pure_ftpd(), "150")]
    {
        let server = start(behaviour);
        let mut client = Client::connect(&server);
        client.send("USER anonymous\r\nPASS x\r\n");
        client.codes(3);
        let mut data = client.data();
        client.send("RETR /big\r\n");
        data.read_exact(&mut [0; 1000]).expect("the data comes");
        drop(data);
        while !client.line().starts_with("150 ") {}
        assert_eq!(client.codes(1), [code]);
        let data = client.data();
        client.send("REST 19999990\r\nRETR /big\r\n");
        assert_eq!(read_all(data), big_file().read(19_999_990..20_000_000));
    }
}

#[test]
fn proftpd_completes_when_the_client_has_closed() {
    let server = start(Behaviour::proftpd());
    let mut client = Client::logged_in(&server);
    let mut data = client.data();
    client.send("REST 19999990\r\nRETR /big\r\n");
    assert_eq!(client.codes(2), ["350", "150"]);
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).expect("the data ends while our side is open");
    assert_eq!(bytes.len(), 10);
    drop(data);
    assert_eq!(client.codes(1), ["226"]);
}

#[test]
fn a_reset_is_a_reset() {
    let cut = Cut::silent(100, Interruption::Reset);
    let server = start(Behaviour::default().cutting_every(cut));
    let mut client = Client::logged_in(&server);
    let mut data = client.data();
    client.send("RETR /big\r\n");
    let error = data.read_to_end(&mut Vec::new()).expect_err("the data connection is reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_full_server_refuses_and_serves_again() {
    let server = start(Behaviour::default().with_cap(1, WhenFull::Refuse));
    let mut first = Client::logged_in(&server);
    let error = TcpStream::connect(server.addr()).expect_err("the server is full");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    first.send("QUIT\r\n");
    assert_eq!(first.codes(1), ["221"]);
    assert_eq!(first.line(), "");
    // The listener is back soon after the end, which a client sees by trying.
    let again = std::iter::repeat_with(|| TcpStream::connect(server.addr())).find_map(Result::ok);
    assert!(again.is_some());
}

#[test]
fn the_last_reply_reaches_a_client_that_talks_on() {
    let refusal = crate::model::Reaction::reply_and_close("421 Go away.");
    for _ in 0..50 {
        let server = start(Behaviour::default().when(Trigger::Accepted, refusal.clone()));
        let mut client = Client::connect(&server);
        client.send("USER anonymous\r\n");
        client.send("PASS x\r\n");
        assert_eq!(client.line(), "421 Go away.\r\n");
        assert_eq!(client.line(), "");
    }
}

#[test]
fn many_sessions_are_served_at_once() {
    let server = start(Behaviour::default());
    let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(&server)).collect();
    for client in &mut clients {
        client.send("USER ftp\r\nPASS x\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.codes(3), ["220", "331", "230"]);
    }
    let open: Vec<TcpStream> = clients.iter_mut().map(Client::data).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("REST {}\r\nRETR /big\r\n", 19_990_000 - number));
    }
    for (number, data) in open.into_iter().enumerate() {
        assert_eq!(read_all(data).len(), 10_000 + number);
    }
    server.with_stats(|stats| {
        assert_eq!((stats.peak_sessions, stats.logins(), stats.data_connections()), (300, 300, 300));
    });
}

#[test]
fn a_throttled_transfer_arrives_whole() {
    let server = start(Behaviour { bytes_per_second: Some(50_000_000), ..Behaviour::default() });
    let mut client = Client::logged_in(&server);
    let data = client.data();
    client.send("REST 15000000\r\nRETR /big\r\n");
    assert!(read_all(data) == big_file().read(15_000_000..20_000_000));
}

#[test]
fn data_are_held_back_and_let_go() {
    for behaviour in
        [Behaviour::default(), Behaviour { bytes_per_second: Some(50_000_000), ..Behaviour::default() }]
    {
        let server = start(behaviour);
        server.hold();
        let mut client = Client::logged_in(&server);
        let data = client.data();
        client.send("REST 19000000\r\nRETR big\r\n");
        assert_eq!(client.codes(2), ["350", "150"]);
        let mut other = Client::logged_in(&server);
        other.send("SIZE /big\r\n");
        assert_eq!(other.line(), "213 20000000\r\n");
        assert_eq!(server.stats().payload(), 0);
        server.let_go();
        assert!(read_all(data) == big_file().read(19_000_000..20_000_000));
    }
}

#[test]
fn files_change_and_sessions_are_closed_on_demand() {
    let server = start(Behaviour::default());
    let mut client = Client::logged_in(&server);
    server.set_tree(Tree::new().with("/big", File::bytes("small")));
    client.send("SIZE /big\r\n");
    assert_eq!(client.line(), "213 5\r\n");
    server.close_sessions(Ending::Fin);
    assert_eq!(client.line(), "");
    assert_eq!(Client::logged_in(&server).codes(0).len(), 0);
}

#[test]
fn ipv6_and_other_loopback_addresses() {
    let tree = Tree::new().with("/f", File::bytes("abc"));
    let v4 =
        Server::start_at((Ipv4Addr::new(127, 0, 0, 2), 0), Model::new(tree.clone())).expect("a port is free");
    assert!(v4.url("f").starts_with("ftp://127.0.0.2:"));
    let mut servers = vec![v4];
    // A machine may be without IPv6.
    servers.extend(Server::start_at((Ipv6Addr::LOCALHOST, 0), Model::new(tree.clone())));
    for server in &servers {
        let mut client = Client::logged_in(server);
        let data = client.data();
        client.send("RETR /f\r\n");
        assert_eq!(read_all(data), b"abc");
    }
    assert!(Server::start_at((Ipv4Addr::UNSPECIFIED, 0), Model::new(tree)).is_err());
}
