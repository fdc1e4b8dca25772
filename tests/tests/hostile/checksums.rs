//! Replies to a client that looks up a checksum.

use std::io::{self, Write as _};

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

const AUTO: &str = "--checksum auto";

/// A server with a sidecar, the size that the server tells, and the bytes that it sends.
fn sidecar(size: &'static str, send: fn(&mut Peer) -> io::Result<()>) -> Hostile {
    asked(move |peer, command| match command.split_once(".bin.").map(|(start, _)| start) {
        Some(start) if command.ends_with(".sha256") => {
            if start.starts_with("SIZE") {
                return peer.say(format!("213 {size}\r\n"));
            }
            send(peer)?;
            peer.say("226 That was it.\r\n")
        }
        _ => peer.say("550 No.\r\n"),
    })
}

/// A server that answers every command about a checksum like this.
fn asked(answer: impl Fn(&mut Peer, &str) -> io::Result<()> + Send + Sync + 'static) -> Hostile {
    odd(move |peer, command| {
        let asks = ["FEAT", "OPTS", "HASH", "XMD5"].iter().any(|verb| command.starts_with(verb));
        let usual = !asks && (!command.contains("pub/") || command.ends_with("file.bin"));
        if !usual {
            answer(peer, command)?;
        }
        Ok(!usual)
    })
    .with(AUTO)
}

/// A server that claims to compute checksums, and answers like this when it is asked for one.
fn computes(answer: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Hostile {
    asked(move |peer, command| match command.split(' ').next() {
        Some("FEAT") => peer.say("211-F\r\n HASH SHA-256*\r\n211 End\r\n"),
        Some("HASH") => answer(peer),
        _ => peer.say("550 No.\r\n"),
    })
}

/// Sends these bytes as a file.
fn send(peer: &mut Peer, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut data = peer.data()?;
    peer.say("150 Here it comes.\r\n")?;
    data.write_all(bytes.as_ref())
}

/// Sends these bytes again and again, until the client closes the connection, maybe at once.
fn pour(peer: &mut Peer, bytes: &[u8]) -> io::Result<()> {
    let mut data = peer.data()?;
    peer.say("150 Here it comes.\r\n")?;
    while data.write_all(bytes).is_ok() {}
    Ok(())
}

rows! {
    checksum_of_another_file: "has a sidecar with another checksum" => Fails(8, "as file.bin.sha256 on "),
        sidecar("64", |peer| send(peer, "0".repeat(64)));
    checksums_with_controls: "has a sidecar for a file with ESC and bidirectional controls in its name" => Whole,
        sidecar("100", |peer| send(peer, format!("{}  \x1b[2J\u{202e}\r\u{7}\n", "0".repeat(64))));
    checksums_of_no_kind: "has a sidecar of bytes" => Whole,
        sidecar("1000", |peer| send(peer, [0xff, 0, b'(', b')', b'\\'].repeat(200)));
    checksums_without_end: "sends a sidecar without end" => Whole,
        sidecar("64", |peer| pour(peer, &b"0123456789abcdef0123456789abcdef  other\n".repeat(100)));
    checksum_line_without_end: "sends a sidecar that is one line without end" => Whole,
        sidecar("64", |peer| pour(peer, &[b'0'; 4096]));
    checksums_dripped: "sends a sidecar byte by byte" => Whole,
        sidecar("1000000", |peer| {
            let mut data = peer.data()?;
            peer.say("150 Here it comes.\r\n")?;
            while data.write_all(b"0").is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Ok(())
        }).in_silence();
    checksums_as_large_as_can_be: "says that a sidecar has 2^63 - 1 bytes" => Whole,
        sidecar("9223372036854775807", |peer| send(peer, "never asked for"));
    checksums_promised: "says that there is a sidecar, and refuses it in words with controls" => Whole,
        asked(|peer, command| {
            if command.starts_with("RETR") {
                return peer.say("550 \x1b[2J\r\n");
            }
            peer.say("213 64\r\n")
        });
    checksums_never_told: "says nothing more when it is asked for checksums" => Whole,
        asked(|peer, _| peer.hang()).in_silence();
    checksums_end_the_session: "ends the session when it is asked for checksums" => Whole,
        asked(|_, _| Err(io::ErrorKind::Other.into()));
    features_flood: "answers FEAT without end" => Whole,
        asked(|peer, _| peer.say("211-F\r\n").and_then(|()| peer.flood(" X\r\n")));
    hash_with_controls: "answers HASH with controls" => Whole, computes(|peer| peer.say("213 \x1b]0;owned\x07\r\n"));
    hash_of_something_else: "answers HASH with the hash of a part" => Whole,
        computes(|peer| peer.say(format!("213 SHA-256 0-1000 {} f\r\n", "0".repeat(64))));
    hash_of_another_file: "answers HASH with another hash" => Fails(8, "as HASH on "),
        computes(|peer| peer.say(format!("213 SHA-256 0-299999 {} f\r\n", "0".repeat(64))));
    hash_never: "never answers HASH" => Whole, computes(Peer::hang).in_silence();
}
