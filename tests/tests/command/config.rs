//! Mirrors from a config file.

use crate::support::*;

const CONF: &str = "mirrors.conf";

fn with_config(text: &str, args: &str) -> Pftp {
    let args = ["-q", "-t", CONF].into_iter().chain(args.split_whitespace());
    Pftp::new(args).with_file(CONF, text)
}

#[test]
fn comments_ports_and_missing_logins_are_understood() {
    let file = file(2 * MIB);
    let plain = serve(&file, throttled(1_500_000));
    let login = Login::only("bob", "p@ss:w/rd");
    let locked = serve(&file, Behaviour { login, ..throttled(1_500_000) });
    let secret = locked.url(PATH).replace("//", "//bob:p%40ss%3Aw%2Frd@");
    let text = format!("# mirrors\n\n  {}\n\t# more\n{secret}\r\n", plain.url(PATH));
    let command = with_config(&text, "-c 2 --min-segment 64K");
    let done = run_at_work(command, &[(&plain, 1), (&locked, 1)]).expect_code(0).expect_silence();
    assert_eq!(done.expect_content(NAME, &file).files(), [NAME, CONF]);
    let (plain, locked) = (plain.stop(), locked.stop());
    assert_eq!((plain.logins(), locked.logins()), (1, 1));
    assert!(plain.lines_of(0).contains(&"USER anonymous"));
    assert!(plain.lines_of(0).contains(&"PASS user@localhost.localnet"));
    assert!(locked.lines_of(0).contains(&"USER bob") && locked.lines_of(0).contains(&"PASS p@ss:w/rd"));
}

#[test]
fn config_without_end_is_refused() {
    let done = Pftp::new(["-q", "-t", "/dev/zero"]).run().expect_code(4);
    assert_eq!(done.stderr, "pftp: /dev/zero: is larger than a config file may be: 1048576 bytes\n");
}

/// Each mirror costs a thread for the look-up of its name, and the work of planning grows with their number.
#[test]
fn too_many_mirrors_are_refused() {
    let server = serve(&file(1000), Behaviour::default());
    let mirrors = |count: usize| (1..=count).map(|at| server.url(&format!("{at}/{NAME}")));
    let done = with_config(&mirrors(20_000).collect::<Vec<_>>().join("\n"), "").run().expect_code(4);
    let says = "line 257: is one more URL than the 256 that may be given";
    assert_eq!(done.stderr, format!("pftp: {CONF}: {says}\n"));
    assert_eq!(done.files(), [CONF]);
    let done = Pftp::new(mirrors(257)).run().expect_code(4);
    assert_eq!(done.stderr, "pftp: 257 URLs: no more than 256 may be given\n");
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn most_mirrors_allowed_fail_in_order() {
    // The test holds the port, and no process listens at the other address.
    let listener = std::net::TcpListener::bind("127.0.0.5:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let text: String = (1..=256).map(|at| format!("ftp://127.0.0.6:{port}/{at}/{NAME}\n")).collect();
    let done = with_config(&text, "--retries 0").run().expect_code(1);
    assert_eq!(done.files(), [CONF]);
}

#[test]
fn port_option_holds_for_lines_without_a_port() {
    let file = file(1000);
    let server = serve(&file, Behaviour::default());
    let text = format!("ftp://{}/{PATH}\n", server.ip());
    let done = with_config(&text, &format!("-p {}", server.addr().port())).run().expect_code(0);
    done.expect_content(NAME, &file);
}

#[test]
fn server_named_twice_gets_two_connections() {
    let file = file(4 * MIB);
    let (once, twice) = (serve(&file, throttled(1_500_000)), serve(&file, throttled(1_500_000)));
    let text = [once.url(PATH), twice.url(PATH), twice.url(PATH)].join("\n");
    let command = with_config(&text, "-c 3 --min-segment 64K");
    run_at_work(command, &[(&once, 1), (&twice, 2)]).expect_code(0).expect_content(NAME, &file);
    assert_eq!((once.stop().logins(), twice.stop().logins()), (1, 2));
}

#[test]
fn each_line_gets_a_connection() {
    let file = file(4 * MIB);
    let server = serve(&file, throttled(1_500_000));
    let text = format!("{}\n", server.url(PATH)).repeat(6);
    let command = with_config(&text, "--min-segment 64K");
    run_at_work(command, &[(&server, 6)]).expect_code(0).expect_content(NAME, &file);
    assert!(server.stop().logins() >= 6);
}

#[test]
fn directories_may_differ() {
    let file = file(2 * MIB);
    let a = start(Model::new(Tree::new().with("/a/f", file.clone())).with_behaviour(throttled(3_000_000)));
    let b = start(Model::new(Tree::new().with("/b/c/f", file.clone())).with_behaviour(throttled(3_000_000)));
    let text = format!("{}\n{}\n", a.url("a/f"), b.url("/b/c/f"));
    let command = with_config(&text, "-c 2 --min-segment 64K");
    run_at_work(command, &[(&a, 1), (&b, 1)]).expect_code(0).expect_content("f", &file);
    assert!(a.stop().payload() > 0 && b.stop().payload() > 0);
}

#[test]
fn wrong_lines_are_refused_before_a_server_is_dialled() {
    let server = serve(&file(1000), Behaviour::default());
    let good = server.url(PATH);
    for (line, number, says) in [
        (format!("{good}\nhttp://127.0.0.1/{NAME}\n"), 2, "the scheme http is not supported"),
        (format!("{good}\n\n# x\nftp://127.0.0.1/other.bin\n"), 4, "names the file other.bin, but line 1"),
        (format!("{good}\n127.0.0.1 {PATH}\n"), 2, "is not a URL"),
        (format!("ftp://bob:hunter2@127.0.0.1:x/{NAME}\n{good}"), 1, "port"),
        (format!("{good}\nftp://127.0.0.1/{NAME}%0d%0aDELE%20x\n"), 2, "line end"),
        (format!("{good}\nftp://127.0.0.1/\n"), 2, "does not end in a file name"),
    ] {
        let done = with_config(&line, "").run().expect_code(4);
        let start = format!("pftp: {CONF}: line {number}: ");
        assert!(done.stderr.starts_with(&start) && done.stderr.contains(says), "{}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(!done.stderr.contains("hunter"), "{}", done.stderr);
        assert_eq!(done.files(), [CONF]);
    }
    for nothing in ["", "# nothing\n\n"] {
        let done = with_config(nothing, "").run().expect_code(4);
        assert!(done.stderr.contains("names no server"), "{}", done.stderr);
    }
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn missing_config_is_refused() {
    let done = Pftp::new(["-q", "-t", "missing.conf"]).run().expect_code(9);
    assert!(done.stderr.starts_with("pftp: cannot read missing.conf: "), "{}", done.stderr);
}

#[test]
fn config_beside_another_source_is_refused() {
    let server = serve(&file(1000), Behaviour::default());
    let (url, host) = (server.url(PATH), server.addr().to_string());
    for args in [&[url.as_str()][..], &["-s", &host, "-f", PATH], &["-f", PATH], &["-s", &host]] {
        let mut command = with_config(&url, "");
        for arg in args {
            command = command.arg(*arg);
        }
        let done = command.run().expect_code(7);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    }
    assert!(server.stop().sessions.is_empty());
}
