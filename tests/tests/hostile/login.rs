//! The greeting and the login.

use std::time::Duration;

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

/// A server with this greeting, and well-behaved after it.
fn greets(greeting: impl AsRef<[u8]>) -> Hostile {
    let mut bytes = greeting.as_ref().to_vec();
    bytes.extend_from_slice(b"\r\n");
    // The greeting is replaced; everything after it is as usual.
    always(Behaviour::default().when(Trigger::Accepted, Reaction::Reply(bytes)))
}

/// A server with these lines in its greeting.
fn welcomes(lines: impl IntoIterator<Item = String>) -> Hostile {
    always(Behaviour { banner: lines.into_iter().collect(), ..Behaviour::default() })
}

fn dialogue(dialogue: Dialogue) -> Behaviour {
    Behaviour { login: Login { dialogue, ..Login::default() }, ..Behaviour::default() }
}

/// Answers every command as usual, one byte at a time.
fn dripping(peer: &mut Peer, pause: Duration) -> std::io::Result<()> {
    peer.drip("220-Ready.\r\n in a moment\r\n220 Now.\r\n", pause)?;
    loop {
        let command = peer.hear()?;
        match command.split(' ').next() {
            Some("USER") => peer.drip("331 Password?\r\n", pause)?,
            Some("PASS") => peer.drip("230-In.\r\n230 Really.\r\n", pause)?,
            Some("TYPE") => peer.drip("200 Fine.\r\n", pause)?,
            _ => peer.usual(&command)?,
        }
    }
}

rows! {
    greeting_of_10_000_lines: "greets with 10,000 lines" => Fails(7, "a reply of more than 65536 bytes"),
        welcomes((0..10_000).map(|line| format!("{line:0100}")));
    greeting_of_10_000_short_lines: "greets with 10,000 lines of nothing but a code"
        => Fails(7, "a reply of more than 1024 lines"), welcomes((0..10_000).map(|_| String::new()));
    greeting_of_1_000_lines: "greets with 1,000 lines" => Whole,
        welcomes((0..1_000).map(|line| format!("line {line}")));
    greeting_without_end: "greets with lines without end, none of which is the last" => Fails(7, "a reply of more than "),
        raw(|peer| {
            peer.say("220-Hi\r\n")?;
            peer.flood("and so on\r\n")
        });
    greeting_line_without_end: "greets with a line without end" => Fails(7, "a reply of more than 65536 bytes"),
        raw(|peer| {
            peer.say("220 ")?;
            peer.flood("x")
        });
    empty_lines_without_end: "sends empty lines without end" => Fails(7, "a reply of more than 1024 lines"),
        raw(|peer| peer.flood("\r\n"));
    nul_bytes_without_end: "sends NUL without end" => Fails(7, "a reply of more than 65536 bytes"),
        raw(|peer| peer.flood("\0"));
    telnet_commands_without_end: "sends Telnet negotiation without end" => Fails(7, "within the time limit"),
        raw(|peer| peer.flood(b"\xff\xfb\x01")).in_silence();
    greetings_to_wait_without_end: "says 120 without end" => Fails(7, "preliminary replies without end"),
        raw(|peer| peer.flood("120 Soon.\r\n"));
    greetings_to_wait_now_and_then: "says 120 again and again, just in time" => Fails(7, "the login did not end within the time limit"),
        raw(|peer| loop {
            peer.say("120 Soon.\r\n")?;
            std::thread::sleep(Duration::from_millis(1200));
        }).over(&["1"]).with("--timeout 4 --retries 0");
    greeting_to_wait_and_then_one: "says 120 and then 220" => Whole,
        raw(|peer| {
            peer.say("120 Soon.\r\n")?;
            peer.serve(|_, _| Ok(false))
        });
    greetings_without_end: "greets without end" => Fails(7, "a reply to no command: 220 Hi."), raw(|peer| peer.flood("220 Hi.\r\n"));
    bytes_dripped: "sends each byte of its replies in a packet of its own" => Whole,
        raw(|peer| dripping(peer, Duration::ZERO));
    bytes_dripped_slowly: "sends a byte of its replies every 100 milliseconds" => Fails(7, "within the time limit"),
        raw(|peer| dripping(peer, Duration::from_millis(100))).in_silence();
    greeting_000: "greets with 000" => Fails(7, "not a reply: \"000 Hi.\""), greets("000 Hi.");
    greeting_666: "greets with 666" => Fails(7, "not a reply: \"666 Hi.\""), greets("666 Hi.");
    greeting_999: "greets with 999" => Fails(7, "not a reply: \"999 Hi.\""), greets("999 Hi.");
    greeting_331: "greets with 331" => Fails(7, "a reply to no command: 331 Hi."), greets("331 Hi.");
    greeting_of_another_protocol: "greets as an SSH server" => Fails(7, "not a reply: \"SSH-2.0-x\""), greets("SSH-2.0-x");
    user_answered_331_always: "answers everything 331" => Fails(7, "PASS was answered: 331 More."),
        raw(|peer| {
            peer.say("220 Hi.\r\n")?;
            loop {
                peer.hear()?;
                peer.say("331 More.\r\n")?;
            }
        });
    user_answered_332: "answers USER 332: it wants an account" => Fails(2, "USER was refused: 332 Account?"), answers("USER", "332 Account?\r\n");
    password_answered_332: "answers PASS 332: it wants an account" => Fails(2, "PASS was refused: 332 Need account"),
        always(dialogue(Dialogue::Account));
    user_answered_000: "answers USER 000" => Fails(7, "not a reply: \"000 What.\""), answers("USER", "000 What.\r\n");
    user_answered_999: "answers USER 999" => Fails(7, "not a reply: \"999 What.\""), answers("USER", "999 What.\r\n");
    user_answered_150: "answers USER 150 without end" => Fails(7, "preliminary replies without end"),
        odd(|peer, command| if command.starts_with("USER") { peer.flood("150 Wait.\r\n").map(|()| true) } else { Ok(false) });
    user_answered_226: "answers USER 226, and everything else as usual" => Whole,
        odd(|peer, command| if command.starts_with("USER") { peer.say("226 Hi.\r\n").map(|()| true) } else { Ok(false) });
    user_alone_logs_in: "logs USER in, and PASS again" => Whole, always(dialogue(Dialogue::UserOnly));
    password_refused: "refuses the password" => Fails(2, "PASS was refused: 530 No."), answers("PASS", "530 No.\r\n");
    type_refused: "refuses TYPE I" => Fails(5, "TYPE was refused: 504 No."), answers("TYPE", "504 No.\r\n");
    quit_unanswered: "never answers QUIT" => Whole,
        always(Behaviour::default().when(Trigger::every("QUIT"), Reaction::Hang));
    quit_answered_by_a_flood: "answers QUIT without end" => Whole,
        odd(|peer, command| if command == "QUIT" { peer.flood("221 Bye.\r\n").map(|()| true) } else { Ok(false) });
}
