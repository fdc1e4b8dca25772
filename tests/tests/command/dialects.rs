//! Servers that lack a command, or expect a command in another form.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use crate::support::*;

#[track_caller]
fn arrives(size: u64, behaviour: Behaviour, args: &str) -> (Done, Stats) {
    let file = file(size);
    let server = serve(&file, behaviour);
    let done = pftp(args, &[&server]).run().expect_code(0).expect_file(NAME, &file);
    (done, server.stop())
}

#[test]
fn pasv_follows_a_refused_epsv() {
    for refusal in ["500 What?", "502 Not here.", "501 No.", "522 Only (2).", "425 No."] {
        let behaviour = Behaviour::default().when(Trigger::every("EPSV"), Reaction::reply(refusal));
        let (_, stats) = arrives(2 * MIB, behaviour, "-c 3 --min-segment 64K");
        one_login_each(&stats, 3);
        assert!(stats.count("PASV") >= 1, "{refusal}");
        let epsv = |session| stats.lines_of(session).iter().filter(|line| **line == "EPSV").count();
        assert!((0..3).all(|session| epsv(session) <= 1), "{refusal}: asked once a session");
    }
}

#[test]
fn host_in_a_227_is_ignored() {
    let host = Ipv4Addr::new(127, 0, 0, 2);
    let behaviour = Behaviour { passive_host: Some(host), ..Behaviour::default() }.without("EPSV");
    arrives(300_000, behaviour, "-c 2 --min-segment 64K");
    // The same, with a listener at the very port that the reply names.
    let listener = TcpListener::bind((host, 0)).expect("a port of 127.0.0.2 is free");
    listener.set_nonblocking(true).expect("a listener that does not wait");
    let [high, low] = listener.local_addr().expect("an address").port().to_be_bytes();
    let lure = Reaction::reply(&format!("227 Entering Passive Mode (127,0,0,2,{high},{low})."));
    let behaviour = Behaviour::default().without("EPSV").when(Trigger::every("PASV"), lure);
    let server = serve(&file(1000), behaviour);
    pftp("--timeout 1 --retries 0", &[&server]).run().expect_code(7);
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn mlst_tells_the_size_if_size_is_unknown() {
    let (_, stats) = arrives(2 * MIB, Behaviour::default().without("SIZE"), "-c 3 --min-segment 64K");
    assert!(stats.count("MLST") >= 1);
}

#[test]
fn file_of_unknown_size_comes_over_one_connection() {
    let behaviour = Behaviour::default().without("SIZE").without("MLST");
    for (size, args) in [(2 * MIB, "-c 3 --min-segment 64K"), (0, "-c 3"), (70_000, "-c 1")] {
        let (_, stats) = arrives(size, behaviour.clone(), args);
        assert_eq!((stats.payload(), stats.transfers.len()), (size, 1));
    }
    let (_, stats) = arrives(70_000, behaviour.without("MDTM"), "-c 3");
    assert_eq!(stats.transfers.len(), 1);
}

#[test]
fn file_without_a_time_comes() {
    let file = file(2 * MIB);
    let server = serve(&file, Behaviour::default().without("MDTM"));
    let command = pftp("-c 3 --min-segment 64K", &[&server]);
    run_at_work(command, &[(&server, 3)]).expect_code(0).expect_file(NAME, &file);
}

fn without_rest() -> Behaviour {
    Behaviour::default().without("REST")
}

#[test]
fn file_comes_whole_if_rest_is_unknown() {
    let (done, stats) = arrives(2 * MIB, without_rest(), "-c 1");
    assert_eq!((done.stderr.as_str(), stats.payload()), ("", 2 * MIB));
    // The other connections ask for their ranges while the first transfer runs.
    let file = file(2 * MIB);
    let server = serve(&file, without_rest());
    let command = pftp("-c 4 --min-segment 64K", &[&server]);
    let done = run_when_said(command, &[&server], "the whole").expect_code(0).expect_file(NAME, &file);
    let stats = server.stop();
    assert!(stats.transfers.iter().all(|transfer| transfer.offset == 0));
    one_login_each(&stats, 4);
    assert_eq!(done.stderr.lines().count(), 1, "one warning: {}", done.stderr);
    assert!(done.stderr.contains("the whole"), "{}", done.stderr);
}

#[test]
fn mirror_without_rest_beside_one_with_rest() {
    let file = file(3 * MIB);
    for odd_first in [true, false] {
        let odd = serve(&file, Behaviour { bytes_per_second: Some(1_000_000), ..without_rest() });
        let good = serve(&file, throttled(2_000_000));
        let servers = if odd_first { [&odd, &good] } else { [&good, &odd] };
        pftp("-c 4 --min-segment 64K", &servers).run().expect_code(0).expect_file(NAME, &file);
        let (odd, good) = (odd.stop(), good.stop());
        assert!(odd.transfers.iter().all(|transfer| transfer.offset == 0), "{:?}", odd.transfers);
        one_login_each(&odd, 2);
        one_login_each(&good, 2);
    }
}

#[test]
fn directory_is_changed_if_paths_are_refused() {
    let file = file(2 * MIB);
    let behaviour = Behaviour { refuses_paths: true, ..Behaviour::default() };
    let server = serve(&file, behaviour);
    let absolute = format!("/{PATH}");
    for path in [PATH, &absolute] {
        for args in [&["-q", "-c", "1"][..], &["-q", "-c", "4", "--min-segment", "64K"]] {
            let before = server.stats().logins();
            let done = Pftp::new(args.iter().copied()).arg(server.url(path)).run();
            done.expect_code(0).expect_silence().expect_file(NAME, &file);
            let connections = args[2].parse::<u32>().expect("a number");
            assert!(server.stats().logins() - before <= connections, "the fallback costs no login");
        }
    }
    let missing = Pftp::new(["-q", &server.url("pub/data/missing")]).run().expect_code(3);
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
    let nowhere = Pftp::new(["-q", &server.url("nowhere/file.bin")]).run().expect_code(3);
    assert!(nowhere.stderr.contains("nowhere/file.bin: RETR was refused"), "{}", nowhere.stderr);
}

#[test]
fn name_without_a_directory_has_no_fallback() {
    let server = serve(&file(10), Behaviour::default());
    Pftp::new(["-q", &server.url("missing")]).run().expect_code(3);
    assert_eq!(server.stop().count("CWD"), 0);
}

#[test]
fn common_servers_deliver() {
    for behaviour in [
        Behaviour::vsftpd(),
        Behaviour::proftpd(),
        Behaviour::pure_ftpd(),
        Behaviour::pyftpdlib(),
        Behaviour { banner: vec!["one".into(), "220 two".into(), "three".into()], ..Behaviour::default() },
        Behaviour::default().when(Trigger::Accepted, Reaction::Insert(b"120 soon\r\n".to_vec())),
    ] {
        let (done, stats) = arrives(3 * MIB, behaviour, "-c 3 --min-segment 64K");
        assert_eq!(done.stderr, "");
        one_login_each(&stats, 3);
    }
}

#[test]
fn ipv6_address_is_dialled() {
    let file = file(MIB);
    // A machine may lack IPv6.
    let Ok(server) = Server::start_at((Ipv6Addr::LOCALHOST, 0), Model::new(tree(&file))) else { return };
    pftp("-c 2 --min-segment 64K", &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &file);
    assert_eq!(server.stop().count("PASV"), 0);
}

#[test]
fn one_answering_address_of_a_name_is_enough() {
    let file = file(MIB);
    let server = serve(&file, Behaviour::default());
    let url = server.url(PATH).replace("127.0.0.1", "localhost");
    let done = Pftp::new(["-q", "-c", "2", "--min-segment", "64K", &url]).run();
    done.expect_code(0).expect_silence().expect_file(NAME, &file);
    one_login_each(&server.stop(), 2);
}
