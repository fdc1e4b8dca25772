use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::collection::vec as vec_of;
use proptest::prelude::*;

type Outcome = (Vec<Reply>, Option<ReplyError>);

/// Returns all replies of `stream`, pushed in pieces of the lengths that `pieces` repeats.
fn parse(limit: usize, stream: &[u8], pieces: &[usize]) -> Outcome {
    parse_with(ReplyParser::new(limit), stream, pieces)
}

fn parse_with(mut parser: ReplyParser, stream: &[u8], pieces: &[usize]) -> Outcome {
    let mut replies = Vec::new();
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at((*piece).clamp(1, rest.len().max(1)).min(rest.len()));
        parser.push(now);
        rest = later;
        loop {
            match parser.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (replies, None)
}

fn whole(stream: &[u8]) -> Outcome {
    let outcome = parse(4096, stream, &[usize::MAX]);
    assert_eq!(parse(4096, stream, &[1]), outcome, "byte by byte");
    outcome
}

/// Returns the code and the raw lines of the only reply in `stream`.
fn one(stream: &[u8]) -> (u16, Vec<Vec<u8>>) {
    let (replies, error) = whole(stream);
    assert_eq!((replies.len(), error), (1, None), "{stream:?}");
    (replies[0].code().get(), replies[0].raw_lines().map(Vec::from).collect())
}

#[test]
fn greetings_of_real_servers() {
    for (stream, code, lines) in [
        (&b"220 (vsFTPd 3.0.3)\r\n"[..], 220, 1),
        (b"220 ProFTPD Server (Debian) [::ffff:127.0.0.1]\r\n", 220, 1),
        (b"220 pyftpdlib 2.2.0 ready.\r\n", 220, 1),
        (b"220-Microsoft FTP Service\r\n220 Welcome\r\n", 220, 2),
        (b"220 ftp.example.org FTP server (Version wu-2.6.2(1) Mon Dec 3 2001) ready.\r\n", 220, 1),
        (
            b"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n\
            220-You are user number 1 of 50 allowed.\r\n\
            220-Local time is now 10:00. Server port: 21.\r\n\
            220 You will be disconnected after 15 minutes of inactivity.\r\n",
            220,
            4,
        ),
        (b"230-Welcome\r\n    hand-made art\r\n\r\n 230 indented\r\n230 Login ok\r\n", 230, 5),
    ] {
        let (got, raw) = one(stream);
        assert_eq!((got, raw.len()), (code, lines));
    }
}

#[test]
fn reply_may_have_no_text_and_bare_line_feeds() {
    assert_eq!(one(b"200\r\n"), (200, vec![b"200".to_vec()]));
    assert_eq!(one(b"200\n"), (200, vec![b"200".to_vec()]));
    assert_eq!(one(b"200 \n"), (200, vec![b"200 ".to_vec()]));
    assert_eq!(one(b"211-\na\n211\n"), (211, vec![b"211-".to_vec(), b"a".to_vec(), b"211".to_vec()]));
}

#[test]
fn text_is_any_bytes() {
    assert_eq!(one(b"250 \xe9\xff\0\r \x80\r\n").1, [b"250 \xe9\xff\0\r \x80"]);
}

#[test]
fn only_its_own_code_and_a_space_end_a_multi_line_reply() {
    let stream = b"211-first\r\n211-again\r\n212 other\r\n 211 indented\r\n2110 long\r\n211end\r\n\r\n\
        211\ttab\r\n99\r\n211 last\r\n200 next\r\n";
    let (replies, error) = whole(stream);
    assert_eq!(error, None);
    assert_eq!(replies.iter().map(|reply| reply.raw_lines().count()).collect::<Vec<_>>(), [10, 1]);
}

#[test]
fn empty_lines_before_a_reply_are_skipped() {
    assert_eq!(one(b"\r\n\n\r\n226 done\r\n").1, [b"226 done"]);
    let mut parser = ReplyParser::new(64);
    parser.push(b"234 go on\r\n\r\n");
    assert!(parser.next().unwrap().is_some());
    assert_eq!(parser.remainder(), b"\r\n");
    assert_eq!(parser.next(), Ok(None));
    assert_eq!(parser.remainder(), b"");
}

#[test]
fn bytes_that_are_no_reply_are_an_error_that_stays() {
    for line in [
        "SSH-2.0-OpenSSH_9.2",
        "20",
        "099 low",
        "600 high",
        "200.dot",
        "2000 long",
        " 200 late",
        "+OK",
        "２００",
    ] {
        let stream = format!("220 hello\r\n{line}\r\n200 ok\r\n");
        let (replies, error) = whole(stream.as_bytes());
        assert_eq!(replies.len(), 1);
        assert_eq!(error, Some(ReplyError::Malformed { line: Bytes::copy_from_slice(line.as_bytes()) }));
    }
    let mut parser = ReplyParser::new(4096);
    parser.push(&[b'x'; 100]);
    assert_eq!(parser.next(), Ok(None));
    parser.push(b"\r\n200 ok\r\n");
    let error = parser.next().unwrap_err();
    assert_eq!(error, ReplyError::Malformed { line: Bytes::from_static(&[b'x'; 64]) });
    parser.push(&[b'2'; 100_000]);
    assert_eq!(parser.next(), Err(error));
    assert_eq!((parser.remainder(), parser.buffer.capacity()), (&b""[..], 0));
}

#[test]
fn errors_show_no_control_characters() {
    let error = ReplyError::Malformed { line: Bytes::from_static(b"\x1b[2J\xff") };
    assert_eq!(error.to_string(), "not a reply: \"\\u{1b}[2J\\xff\"");
    assert_eq!(ReplyError::TooLong { limit: 10 }.to_string(), "a reply of more than 10 bytes");
}

#[test]
fn limit_counts_the_reply_and_not_the_line() {
    let too_long = Some(ReplyError::TooLong { limit: 10 });
    for (stream, replies, error) in [
        (&b"200 4567\r\n200 4567\r\n"[..], 2, &None),
        (b"200 45678\r\n", 0, &too_long),
        (b"200-\r\n200\r\n", 0, &too_long),
        (b"200-\n200 \n", 1, &None),
        (b"20000000000", 0, &too_long),
        (b"2000000000", 0, &None),
        // The line is malformed as well, but a reader of single bytes finds that later.
        (b"garbage and more\r\n", 0, &too_long),
        (b"\r\n\r\n\r\n\r\n\r\n\r\n200 ok\r\n", 1, &None),
        (b"200 4567\xff\xfb\x01\xff\xfd\x18\r\n", 1, &None),
        (b"200 456\xff\xff\r\n", 1, &None),
        (b"200 4567\xff\xff\r\n", 0, &too_long),
    ] {
        for pieces in [1, 2, 3, usize::MAX] {
            let (got, got_error) = parse(10, stream, &[pieces]);
            assert_eq!((got.len(), &got_error), (replies, error), "{stream:?} in {pieces}");
        }
    }
}

#[test]
fn telnet_is_filtered_across_pushes() {
    assert_eq!(
        one(b"2\xff\xfb\x0320\xff\xfd\n \xff\xff\xff\xffa\xff\xff\xff\xfe\xff\r\n").1,
        [b"220 \xff\xffa\xff"]
    );
    // An IAC that is not doubled and begins no negotiation stays as it came, and the line ends where it ends.
    assert_eq!(one(b"250 \xffx\xff\r\n").1, [b"250 \xffx\xff"]);
    let mut parser = ReplyParser::new(64);
    parser.push(b"234 go on\r\n\xff");
    assert!(parser.next().unwrap().is_some());
    assert_eq!((parser.next(), parser.remainder()), (Ok(None), &b"\xff"[..]));
    parser.push(b"\xfb");
    assert_eq!((parser.next(), parser.remainder()), (Ok(None), &b"\xff\xfb"[..]));
    parser.push(b"\n");
    assert_eq!((parser.next(), parser.remainder()), (Ok(None), &b""[..]));
}

#[test]
fn bytes_one_at_a_time_take_linear_time() {
    let mut parser = ReplyParser::new(usize::MAX);
    parser.push(b"200-");
    for _ in 0..400_000 {
        parser.push(b"x");
        assert_eq!(parser.next(), Ok(None));
        assert_eq!(parser.searched, parser.buffer.len());
    }
}

#[test]
fn debug_shows_the_state_and_no_text() {
    let mut parser = ReplyParser::new(64);
    parser.push(b"220-hello\r\nworld");
    assert_eq!(parser.next(), Ok(None));
    let shown = "ReplyParser { max_reply: 64, remainder: 16, open: Some(220), failed: None, .. }";
    assert_eq!(format!("{parser:?}"), shown);
}

/// Makes bytes that often are replies, and often are nearly replies.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[1-6][0-9][0-9][ -]?".prop_map(String::into_bytes),
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b"211-a\r\n".to_vec()),
        2 => Just(b"211 z\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => vec_of(prop_oneof![Just(255_u8), 249..=255_u8, Just(b'\n'), Just(b'\r')], 0..4),
        1 => vec_of(any::<u8>(), 0..12),
    ];
    vec_of(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn lines_are_counted_reply_by_reply() {
    let limited = |stream: &[u8]| parse_with(ReplyParser::new(100).with_max_lines(2), stream, &[3]);
    let (replies, error) = limited(b"211-a\r\n211 b\r\n\r\n200 c\r\n211-d\n e\n f\n211 g\n");
    assert_eq!(replies.len(), 2);
    assert_eq!(error, Some(ReplyError::TooManyLines { limit: 2 }));
    assert_eq!(limited(b"\n\n\n").1, Some(ReplyError::TooManyLines { limit: 2 }));
}

proptest! {
    #[test]
    fn chunking_changes_nothing(
        stream in stream(),
        limit in 0_usize..80,
        lines in 0_usize..8,
        pieces in vec_of(1_usize..9, 1..8),
    ) {
        let parse = |pieces: &[usize]| {
            parse_with(ReplyParser::new(limit).with_max_lines(lines), &stream, pieces)
        };
        let want = parse(&[usize::MAX]);
        prop_assert_eq!(&parse(&[1]), &want);
        prop_assert_eq!(&parse(&pieces), &want);
    }

    #[test]
    fn replies_come_back_as_they_were_sent(
        sent in vec_of((100_u16..600, vec_of(vec_of(any::<u8>(), 0..20), 0..5), "[^\r\n]{0,20}"), 0..6),
        pieces in vec_of(1_usize..50, 1..8),
    ) {
        let mut stream = Vec::new();
        let mut want = Vec::new();
        for (code, between, text) in &sent {
            let mut raw = Vec::new();
            if !between.is_empty() {
                raw.extend_from_slice(format!("{code}-{text}\r\n").as_bytes());
                for line in between {
                    // A leading space keeps a line from ending the reply.
                    raw.push(b' ');
                    raw.extend(line.iter().filter(|byte| **byte != b'\n'));
                    raw.extend_from_slice(b"\r\n");
                }
            }
            raw.extend_from_slice(format!("{code} {text}\r\n").as_bytes());
            for byte in &raw {
                stream.extend(core::iter::repeat_n(*byte, if *byte == IAC { 2 } else { 1 }));
            }
            want.push(Reply::new(ReplyCode::new(*code).unwrap(), raw.into()));
        }
        prop_assert_eq!(parse(4096, &stream, &pieces), (want, None));
    }

    #[test]
    fn memory_is_bounded(limit in 0_usize..200, piece in vec_of(any::<u8>(), 1..50), times in 0_usize..50) {
        let mut parser = ReplyParser::new(limit);
        for _ in 0..times {
            parser.push(&piece);
            while let Ok(Some(_)) = parser.next() {}
            prop_assert!(parser.remainder().len() <= limit.saturating_add(2));
        }
    }
}
