//! A server that repeats the password does not get it into a log or onto a terminal.

use std::fs;

use pftp_tests::command::until;
use pftp_tests::raw::Raw;

use crate::table::*;

const SECRET: &str = "correct-horse";

/// A password that looks like the code of a reply.
const DIGITS: &str = "22612345";

/// A server that repeats the password in all it says from then on, and at last refuses the command `refuses`.
fn parrot(refuses: &'static str) -> Raw {
    Raw::start(file().read(0..SIZE), move |_, peer| {
        let mut heard = String::new();
        peer.serve(|peer, command| {
            let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
            if verb == "PASS" {
                heard = argument.to_owned();
            }
            if verb == refuses {
                peer.say(format!(
                    "530-{heard}{heard}\r\n{heard}\r\n {heard}\r\n530 no \"{heard}\" here\r\n"
                ))?;
                return Ok(true);
            }
            match verb {
                "PASS" => peer.say(format!("230-In with {heard}\r\n{heard}\r\n230 {heard}\r\n"))?,
                "TYPE" => peer.say(format!("200 {heard}\r\n"))?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    })
    .expect("a free port")
}

#[track_caller]
fn keeps(command: Pftp, secret: &str, code: i32) {
    let done = watched(command);
    assert_clean(&done, "a parrot");
    assert_eq!(done.code, Some(code), "{}", done.stderr);
    let log = String::from_utf8(done.read("log")).expect("a log in UTF-8");
    for text in [&done.stderr, &log] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(log.contains("C->S: PASS ***"), "{log}");
    assert!(log.contains("S->C: ***\n") && !log.contains(&format!("C->S: PASS {}", &secret[..1])), "{log}");
}

fn command(transport: &str, args: &str, url: &str) -> Pftp {
    let fixed = format!("-q -l log -c 1 --retries 0 --timeout 20 --transport {transport} {args}");
    Pftp::new(fixed.split_whitespace().map(str::to_owned).chain([url.to_owned()]))
}

#[test]
fn repeated_password_is_masked() {
    stays_secret(SECRET);
}

#[test]
fn repeated_password_of_digits_is_masked() {
    stays_secret(DIGITS);
}

#[track_caller]
fn stays_secret(secret: &str) {
    for transport in ["std", "mio"] {
        for (refuses, code) in [("", 0), ("PASS", 2), ("RETR", 2), ("EPSV", 0)] {
            let server = parrot(refuses);
            let url = server.url(PATH);
            let named = url.replace("ftp://", "ftp://alice@");
            let with_password = url.replace("ftp://", &format!("ftp://alice:{secret}@"));
            let ends = |command| keeps(command, secret, code);
            ends(command(transport, &format!("-n alice -P {secret}"), &url));
            ends(command(transport, "", &with_password));
            let file = format!("{secret}\n# not a comment\n");
            ends(command(transport, "--password-file secret", &named).with_file("secret", file));
            ends(command(transport, "", &named).with_env("PFTP_PASSWORD", secret));
        }
    }
}

#[test]
fn password_from_a_file_is_not_on_the_command_line() {
    let server = Raw::start(Vec::new(), |_, peer| {
        peer.say("220 Ready.\r\n")?;
        peer.hang()
    })
    .expect("a free port");
    let url = server.url(PATH).replace("ftp://", "ftp://alice@");
    let running = command("mio", "--password-file secret", &url).with_file("secret", SECRET).start();
    until("it has called", || server.connections() > 0);
    let title = fs::read(format!("/proc/{}/cmdline", running.pid().as_raw_nonzero())).expect("a process");
    assert!(title.starts_with(pftp_tests::binary::pftp().as_os_str().as_encoded_bytes()));
    assert!(!title.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}

/// No source of text can smuggle a command in, and no server is dialled.
#[test]
fn line_ends_are_refused_in_every_source() {
    let server = Raw::start(Vec::new(), |_, peer| peer.serve(|_, _| Ok(false))).expect("a free port");
    let host = server.addr().to_string();
    for end in ["\r\nDELE x", "\n", "\r"] {
        let escaped = end.replace('\r', "%0D").replace('\n', "%0a");
        let url = |text: &str| text.replace("HOST", &host).replace("END", &escaped);
        let urls = [
            "ftp://HOST/aENDb",
            "ftp://aENDb@HOST/f",
            "ftp://a:bEND@HOST/f",
            "ftp://HOST/d%00e",
            "ftp://HOST/dEND/f",
        ];
        for text in urls.map(url) {
            refused(Pftp::new(["-q", &text]));
            refused(Pftp::new(["-q", "-t", "conf"]).with_file("conf", format!("ftp://{host}/f\n{text}\n")));
        }
        refused(Pftp::new(["-q", "-s", &host, "-f", &format!("a{end}b")]));
        refused(Pftp::new(["-q", "-s", &host, "-f", "f", "-n", &format!("a{end}b")]));
        refused(Pftp::new(["-q", "-s", &host, "-f", "f", "-n", "a", "-P", &format!("a{end}b")]));
        refused(Pftp::new(["-q", "-s", &format!("{host}{end}"), "-f", "f"]));
        let named = format!("ftp://a@{host}/f");
        refused(Pftp::new(["-q", &named]).with_env("PFTP_PASSWORD", format!("a{end}b")));
    }
    refused(Pftp::new(["-q", "--password-file", "p", &format!("ftp://a@{host}/f")]).with_file("p", "a\rb\n"));
    refused(Pftp::new(["-q", "--password-file", "p", &format!("ftp://a@{host}/f")]).with_file("p", "a\0b\n"));
    assert_eq!(server.connections(), 0);
}

#[track_caller]
fn refused(command: Pftp) {
    let done = command.run().expect_code(4);
    assert_eq!(done.stderr.lines().count(), 1, "{:?}", done.stderr);
    assert!(done.stderr.trim_end().chars().all(|c| !c.is_control()), "{:?}", done.stderr);
}

/// The name of the file here is the last part of its name there, and nothing else of it.
#[test]
fn remote_names_stay_in_the_directory() {
    let server =
        Raw::start(file().read(0..SIZE), |_, peer| peer.serve(|_, _| Ok(false))).expect("a free port");
    for (path, name) in [
        ("../../a", "a"),
        ("%2Fetc%2Fpasswd", "passwd"),
        ("/etc/./b", "b"),
        ("..%2F..%2Fc", "c"),
        ("d/..%5Ce", "..\\e"),
        ("-f", "-f"),
        ("...", "..."),
    ] {
        let done = Pftp::new(["-q", &server.url(path)]).run().expect_code(0);
        assert_eq!(done.files(), [name]);
    }
    for path in ["", "..", "a/..", "a/.", "%2E%2E", "a%2F..", "a/", "%2F"] {
        refused(Pftp::new(["-q", &server.url(path)]));
    }
}

/// Telnet's IAC is doubled on its way to the server.
#[test]
fn telnet_commands_cannot_be_sent() {
    let server = Raw::start(file().read(0..SIZE), |_, peer| {
        peer.serve(|peer, command| {
            let is_retr = command.starts_with("RETR");
            // Bytes that are not UTF-8 are passed like this: twice the bytes that the URL has once.
            if is_retr && command != "RETR a\u{fffd}\u{fffd}\u{fffd}b" {
                peer.say("550 No such file.\r\n")?;
                return Ok(true);
            }
            Ok(false)
        })
    })
    .expect("a free port");
    let done = Pftp::new(["-q", "-o", "out", &server.url("a%FF%F4b")]).run().expect_code(0);
    done.expect_file("out", &file());
}
