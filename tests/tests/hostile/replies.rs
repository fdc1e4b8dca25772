//! Replies that are malformed, too long, too many, or full of bytes that harm terminals and logs.

use crate::table::Outcome::{Fails, Whole};
use crate::table::*;

/// A server that has these words in every reply with words of its own, and sends the file.
fn talks(words: &'static [u8]) -> Hostile {
    odd(move |peer, command| {
        let code = match command.split(' ').next() {
            Some("USER") => "331",
            Some("PASS") => "230",
            Some("TYPE") => "200",
            Some("REST") => return peer.usual(command).and_then(|()| peer.say("")).map(|()| true),
            _ => return Ok(false),
        };
        let reply =
            [code.as_bytes(), b"-", words, b"\r\n ", words, b"\r\n", code.as_bytes(), b" ", words, b"\r\n"];
        peer.say(reply.concat())?;
        Ok(true)
    })
}

/// A server that refuses the file with these words.
fn refuses(words: &[u8]) -> Hostile {
    always(answering("RETR", [b"550 ", words, b"\r\n"].concat()))
}

/// A server that answers this command with these bytes, without end.
fn floods(verb: &'static str, start: &'static str, bytes: &'static str) -> Hostile {
    odd(move |peer, command| {
        if !command.starts_with(verb) {
            return Ok(false);
        }
        peer.say(start)?;
        peer.flood(bytes).map(|()| true)
    })
}

/// Returns a reply of many lines.
fn lines(first: &str, line: &str, last: &str) -> String {
    format!("{first}\r\n{}{last}\r\n", format!("{line}\r\n").repeat(10_000))
}

/// A server without SIZE, which answers MLST like this; the client sends MLST before the file.
fn lists(reply: String) -> Hostile {
    always(Behaviour { bursts: Bursts::Closed, ..answering("MLST", reply).without("SIZE") })
}

rows! {
    words_with_nul: "has NUL in its replies" => Whole, talks(b"a\0b");
    words_with_escape_sequences: "has ESC and other controls in its replies" => Whole,
        talks(b"\x1b[2J\x1b]0;owned\x07\x08\x7f\x0b\x0c");
    words_with_c1_controls: "has C1 controls in its replies, as UTF-8 and as bytes" => Whole,
        talks(b"\xc2\x9b31m\x9b31m\xc2\x85");
    words_that_run_backwards: "has bidirectional controls in its replies" => Whole,
        talks("\u{202e}txt.exe\u{2066}\u{200f}\u{61c}".as_bytes());
    words_that_are_not_utf8: "has bytes in its replies that are not UTF-8" => Whole, talks(b"\xff\xff\xfe\xc3\x28\xe2\x82");
    words_with_telnet_commands: "has IAC in its replies" => Whole, talks(b"\xff\xff\xff\xfb\x01\xff\xf4");
    words_with_a_bare_cr: "has a bare CR in its replies, and a command behind it" => Whole, talks(b"x\rC->S: DELE y");
    words_with_a_bare_lf: "has a bare LF in its replies, and a command behind it" => Fails(7, "not a reply: \"C->S: DELE y\""), talks(b"x\nC->S: DELE y");
    words_that_look_like_the_log: "has lines of a log in its replies" => Fails(7, "not a reply: \" C->S: QUIT\""), talks(b"C->S: DELE y\r\n C->S: QUIT");
    lines_that_end_in_lf: "ends its lines in LF alone" => Whole,
        raw(|peer| {
            peer.say("220 Hi.\n")?;
            loop {
                match peer.hear()?.as_str() {
                    "TYPE I" => peer.say("200 Fine.\n")?,
                    command => peer.usual(command)?,
                }
            }
        });
    refusal_with_escape_sequences: "refuses the file with ESC in its words" => Fails(3, "550 no\\u{1b}[2J\\u{7}"),
        refuses(b"no\x1b[2J\x07");
    refusal_with_telnet_and_nul: "refuses the file with IAC and NUL in its words" => Fails(3, "550 a\\xffb\\u{0}c"),
        refuses(b"a\xff\xffb\0c");
    refusal_with_a_bare_cr: "refuses the file with a bare CR in its words" => Fails(3, "550 a\\rpftp: all is well"),
        refuses(b"a\rpftp: all is well");
    refusal_that_runs_backwards: "refuses the file with bidirectional controls in its words" => Fails(3, "550 \\u{202e}gnp"),
        refuses("\u{202e}gnp".as_bytes());
    refusal_of_many_lines: "refuses the file in 1,000 lines" => Fails(3, "550 no / no / no"),
        always(answering("RETR", format!("{}550 no\r\n", "550-no\r\n".repeat(999))));
    retr_answered_000: "answers RETR 000" => Fails(7, "not a reply: \"000 no\""), answers("RETR", "000 no\r\n");
    retr_answered_666: "answers RETR 666" => Fails(7, "not a reply: \"666 no\""), answers("RETR", "666 no\r\n");
    retr_answered_999: "answers RETR 999" => Fails(7, "not a reply: \"999 no\""), answers("RETR", "999 no\r\n");
    retr_answered_331: "answers RETR 331" => Fails(7, "RETR was answered: 331 no"), answers("RETR", "331 no\r\n");
    retr_answered_599: "answers RETR 599" => Fails(7, "RETR was refused: 599 no"), answers("RETR", "599 no\r\n");
    type_answered_without_a_code: "answers TYPE without a code" => Fails(7, "not a reply: \"Fine.\""), answers("TYPE", "Fine.\r\n");
    type_answered_by_half_a_code: "answers TYPE with two digits" => Fails(7, "not a reply: \"20\""), answers("TYPE", "20\r\n");
    type_answered_by_a_code_alone: "answers TYPE with a code and nothing else" => Whole, answers("TYPE", "200\r\n");
    type_answered_twice: "answers TYPE twice" => Fails(7, ""), answers("TYPE", "200 Fine.\r\n200 Fine.\r\n");
    type_answered_without_end: "answers TYPE without end" => Fails(7, ""), floods("TYPE", "", "200 Fine.\r\n");
    mark_without_end: "answers RETR 150 without end" => Fails(7, "preliminary replies without end"), floods("RETR", "", "150 Wait.\r\n");
    retr_line_without_end: "answers RETR with a line without end" => Fails(7, "a reply of more than 65536 bytes"),
        floods("RETR", "150 ", "x");
    retr_lines_without_end: "answers RETR with lines without end" => Fails(7, "a reply of more than 65536 bytes"),
        floods("RETR", "150-\r\n", "and so on and so on and so on and so on and so on and so on and so on\r\n");
    size_of_10_000_lines: "answers SIZE in 10,000 lines" => Fails(7, "a reply of more than "),
        always(answering("SIZE", lines("213-", " 300000", "213 300000")));
    mlst_of_10_000_lines: "handles one command at a time, knows no SIZE, and answers MLST in 10,000 lines" => Fails(7, "a reply of more than "),
        lists(lines("250-", " Size=300000; x", "250 End"));
    mlst_of_100_lines: "handles one command at a time, knows no SIZE, and answers MLST in 100 lines" => Fails(7, "MLST was answered with more than 64 lines"),
        lists(format!("250-\r\n{}250 End\r\n", " x=y; z\r\n".repeat(98)));
}
