//! A server that repeats the password gets it into no log and onto no terminal.

use std::fs;

use pftp_tests::raw::Raw;

use crate::table::*;

const SECRET: &str = "correct-horse";

/// A server that repeats the password in everything that it says from then on, and refuses in the end what `refuses` says.
fn parrot(refuses: &'static str) -> Raw {
    Raw::start(file().read(0..SIZE), move |_, peer| {
        let mut heard = String::new();
        peer.serve(|peer, command| {
            let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
            if verb == "PASS" {
                heard = argument.to_owned();
            }
            if verb == refuses {
                peer.say(format!("530-{heard}{heard}\r\n {heard}\r\n530 no \"{heard}\" here\r\n"))?;
                return Ok(true);
            }
            match verb {
                "PASS" => peer.say(format!("230-In with {heard}\r\n230 {heard}\r\n"))?,
                "TYPE" => peer.say(format!("200 {heard}\r\n"))?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    })
    .expect("a free port")
}

#[track_caller]
fn keeps(command: Pftp, code: i32) {
    let done = watched(command);
    assert_clean(&done, "a parrot");
    assert_eq!(done.code, Some(code), "{}", done.stderr);
    let log = String::from_utf8(done.read("log")).expect("a log in UTF-8");
    for text in [&done.stderr, &log] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(log.contains("C->S: PASS ***"), "{log}");
    assert!(log.contains("***\n") && !log.contains("C->S: PASS c"), "{log}");
}

fn command(transport: &str, args: &str, url: &str) -> Pftp {
    let fixed = format!("-q -l log -c 1 --retries 0 --timeout 2 --transport {transport} {args}");
    Pftp::new(fixed.split_whitespace().map(str::to_owned).chain([url.to_owned()]))
}

#[test]
fn a_password_that_is_repeated_is_masked() {
    for transport in ["std", "mio"] {
        for (refuses, code) in [("", 0), ("PASS", 2), ("RETR", 2), ("EPSV", 0)] {
            let server = parrot(refuses);
            let url = server.url(PATH);
            let named = url.replace("ftp://", "ftp://alice@");
            let with_password = url.replace("ftp://", &format!("ftp://alice:{SECRET}@"));
            keeps(command(transport, &format!("-n alice -P {SECRET}"), &url), code);
            keeps(command(transport, "", &with_password), code);
            let file = format!("{SECRET}\n# not a comment\n");
            keeps(command(transport, "--password-file secret", &named).with_file("secret", file), code);
            keeps(command(transport, "", &named).with_env("PFTP_PASSWORD", SECRET), code);
        }
    }
}

#[test]
fn a_password_off_the_command_line_is_not_on_it() {
    let server = Raw::start(Vec::new(), |_, peer| {
        peer.say("220 Ready.\r\n")?;
        peer.hang()
    })
    .expect("a free port");
    let url = server.url(PATH).replace("ftp://", "ftp://alice@");
    let running =
        command("mio", "--password-file secret --timeout 60", &url).with_file("secret", SECRET).start();
    let title = fs::read(format!("/proc/{}/cmdline", running.pid().as_raw_nonzero())).expect("a process");
    assert!(title.starts_with(pftp_tests::binary::pftp().as_os_str().as_encoded_bytes()));
    assert!(!title.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}
