//! Framing: the same bytes give the same replies, however they are divided, and memory is bounded.
//!
//! The input is the limit of a reply in two bytes (little endian, 0 for the defaults; its lines are limited too), how
//! many portions there are to be
//! in turn, the length of each of them, and then the bytes of the server.

use ftp_proto::{Config, Reply, ReplyError, ReplyParser};

/// See [`reply`](self).
///
/// # Panics
/// If something does not hold.
pub fn check(input: &[u8]) {
    let Some((limit, input)) = input.split_first_chunk::<2>() else { return };
    let Some((count, input)) = input.split_first() else { return };
    let (portions, bytes) = input.split_at(usize::from(count % 16).min(input.len()));
    let defaults = Config::default().limits;
    let limit = match u16::from_le_bytes(*limit) {
        0 => Limit { bytes: defaults.reply_bytes, lines: defaults.reply_lines },
        limit => Limit { bytes: usize::from(limit), lines: 1 + usize::from(limit % 8) },
    };
    let whole = parse(limit, bytes, &[usize::MAX]);
    assert_eq!(parse(limit, bytes, &[1]), whole, "byte by byte");
    let portions: Vec<usize> = portions.iter().map(|len| usize::from(*len).max(1)).collect();
    if !portions.is_empty() {
        assert_eq!(parse(limit, bytes, &portions), whole, "in portions of {portions:?}");
    }
    for reply in &whole.0 {
        check_reply(reply, limit);
    }
}

/// The limits of a reply.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    lines: usize,
}

/// The replies in `bytes`, and the error behind them.
fn parse(limit: Limit, bytes: &[u8], portions: &[usize]) -> (Vec<Reply>, Option<ReplyError>) {
    let mut parser = ReplyParser::new(limit.bytes).with_max_lines(limit.lines);
    let (mut replies, mut error, mut rest) = (Vec::new(), None, bytes);
    for portion in portions.iter().cycle() {
        let (part, after) = rest.split_at((*portion).min(rest.len()));
        rest = after;
        parser.push(part);
        loop {
            match parser.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(found) => {
                    let before = error.replace(found.clone());
                    assert!(before.is_none_or(|before| before == found), "an error that changes");
                    break;
                }
            }
        }
        // Two bytes may be the beginning of a Telnet sequence.
        let held = parser.remainder().len();
        assert!(
            held <= if error.is_some() { 0 } else { limit.bytes + 2 },
            "{held} bytes held of {}",
            limit.bytes
        );
        if rest.is_empty() {
            break;
        }
    }
    (replies, error)
}

fn check_reply(reply: &Reply, limit: Limit) {
    assert!((100..600).contains(&reply.code().get()));
    let lines: Vec<&[u8]> = reply.raw_lines().collect();
    assert_eq!(reply.lines().count(), lines.len());
    assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= limit.bytes, "longer than the limit");
    assert!(lines.len() <= limit.lines, "more lines than the limit");
    let code = reply.code().to_string();
    assert!(lines.iter().all(|line| !line.contains(&b'\n')));
    assert!(lines[0].starts_with(code.as_bytes()) && lines[lines.len() - 1].starts_with(code.as_bytes()));
    let again = [&print(&lines.join(&b"\r\n"[..]))[..], b"\r\n"].concat();
    let (replies, error) = parse(Limit { bytes: again.len(), lines: lines.len() }, &again, &[usize::MAX]);
    assert!(error.is_none() && replies.len() == 1, "{reply} is not a reply");
    assert!(replies[0].raw_lines().eq(lines), "{reply} is read differently");
    check_shown(&reply.to_string());
    check_shown(&format!("{reply:?}"));
}

/// Text as a server sends it: IAC doubled (RFC 854).
pub(super) fn print(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == 255 { 2 } else { 1 })).collect()
}

/// Asserts that text for a terminal or a log is one line without control characters.
pub(super) fn check_shown(text: &str) {
    let speaks = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
    };
    assert_eq!(text.chars().find(speaks), None, "{text:?} is not safe to show");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_turn_text_around_are_not_safe_to_show() {
        for mark in ['\u{61c}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{1b}', '\n'] {
            let shown = std::panic::catch_unwind(|| check_shown(&format!("a{mark}b")));
            assert!(shown.is_err(), "{mark:?}");
        }
        check_shown("a b");
    }
}
