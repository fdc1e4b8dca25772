//! `pftp` dials the server and no other host, whatever a server says.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

use pftp_tests::raw::Raw;

use crate::table::*;

/// Runs the command with these arguments against a server that names another host in its reply to PASV.
/// Returns how often that host was dialled. `name` makes the reply for its port. Both hosts send the file.
fn calls(args: &str, epsv: &'static str, name: fn(u16) -> String) -> usize {
    let bytes = file().read(0..SIZE);
    let trusts = !args.is_empty();
    let mut calls = 0;
    for transport in ["std", "mio"] {
        let wanted = bytes.clone();
        let other = Raw::start_at([127, 0, 0, 2], Vec::new(), move |_, peer| peer.say(&wanted));
        let other = other.expect("a free port");
        let port = other.addr().port();
        let own = Arc::new(TcpListener::bind(("127.0.0.1", port)).expect("a port of two addresses"));
        let server = Raw::start(bytes.clone(), move |_, peer| {
            let own = Arc::clone(&own);
            let mut asked = false;
            peer.serve(move |peer, command| {
                asked |= command == "PASV";
                match command.split(' ').next() {
                    Some("EPSV") => peer.say(epsv)?,
                    Some("PASV") => peer.say(format!("{}\r\n", name(port)))?,
                    // PASV came in one burst with EPSV.
                    Some("RETR") if !asked => peer.say("425 Where to?\r\n")?,
                    Some("RETR") => {
                        peer.say("150 Here it comes.\r\n")?;
                        if !trusts {
                            own.accept()?.0.write_all(&peer.wanted())?;
                        }
                        peer.say("226 That was it.\r\n")?;
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })
        });
        let server = server.expect("a free port");
        let args = format!("-q -c 1 -l log --timeout 20 --retries 0 --transport {transport} {args}");
        let words = args.split_whitespace().map(str::to_owned);
        let done = watched(Pftp::new(words.chain([server.url(PATH)])));
        assert_clean(&done, &args);
        assert_eq!(done.code, Some(0), "{args}: {}", done.stderr);
        done.expect_content(NAME, &file());
        calls += other.connections();
    }
    calls
}

const KNOWS_NO_EPSV: &str = "500 What?\r\n";

fn foreign(port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    format!("227 Entering Passive Mode (127,0,0,2,{high},{low}).")
}

#[test]
fn foreign_host_in_a_227_is_never_dialled() {
    assert_eq!(calls("", KNOWS_NO_EPSV, foreign), 0);
    let twice = |port: u16| format!("227-{}\r\n{}", &foreign(port)[4..], foreign(port));
    assert_eq!(calls("", KNOWS_NO_EPSV, twice), 0);
    let bare = |port: u16| foreign(port).replace(['(', ')'], "");
    assert_eq!(calls("", KNOWS_NO_EPSV, bare), 0);
}

#[test]
fn foreign_host_in_a_227_is_dialled_on_request() {
    assert_eq!(calls("--trust-pasv-address", "229 (|||1|)\r\n", foreign), 2, "once over each transport");
}
