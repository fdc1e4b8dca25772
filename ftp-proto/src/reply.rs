//! A whole reply (RFC 959 §4.2).

use crate::code::ReplyCode;
use crate::text;
use bytes::Bytes;
use core::fmt;

/// A reply: its code and the lines of its text. The text is bytes, which need not be UTF-8.
#[derive(Clone, Eq, PartialEq)]
pub struct Reply {
    code: ReplyCode,
    raw: Bytes,
}

impl Reply {
    /// A reply of `code` with the lines in `raw`, codes included, separated by LF or CRLF.
    #[must_use]
    pub(crate) const fn new(code: ReplyCode, raw: Bytes) -> Self {
        Self { code, raw }
    }

    /// The reply with other lines, which have to be lines of a reply with its code.
    #[must_use]
    pub(crate) const fn with_lines(&self, raw: Bytes) -> Self {
        Self::new(self.code, raw)
    }

    /// All bytes as they came, line ends included.
    pub(crate) const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The reply code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The lines as they came, with codes and without line ends.
    pub fn raw_lines(&self) -> impl Iterator<Item = &[u8]> {
        let raw = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
        raw.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The lines without their code and the separator behind it. The first and the last line have a code; lines
    /// between them may repeat it. Line ends are not included.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let code = self.code;
        self.raw_lines().map(move |line| text_of(code, line))
    }

    /// The text of the first line.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.lines().next().unwrap_or_default()
    }

    /// Whether a line of the text holds one of `words`, given in lower case. ASCII case is ignored.
    #[must_use]
    pub fn mentions(&self, words: &[&str]) -> bool {
        self.lines().any(|line| words.iter().any(|word| holds(line, word.as_bytes())))
    }

    /// Whether a refusal says that the server has as many sessions as it takes. 421 is the code for it (RFC 959 §5.4); some
    /// servers say it in words, with another code.
    #[must_use]
    pub fn is_session_limit(&self) -> bool {
        let code = self.code().get();
        code == 421 || matches!(code, 400..=500 | 530) && self.mentions(&["too many", "maximum", "limit"])
    }
}

fn holds(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word))
}

/// Strips `code` and the separator behind it from the start of `line`, if it begins with them.
fn text_of(code: ReplyCode, line: &[u8]) -> &[u8] {
    let Some((digits, rest)) = line.split_at_checked(3) else { return line };
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u16::from(digit & 0x0f)))
    });
    match (number == Some(code.get()), rest.split_first()) {
        (true, None) => rest,
        (true, Some((b' ' | b'-', text))) => text,
        _ => line,
    }
}

/// Shows the code and the text, lines joined by ` / `, unprintable characters escaped.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let mut separator = " ";
        for line in self.lines() {
            if line.is_empty() {
                continue;
            }
            f.write_str(separator)?;
            text::escape(line.trim_ascii(), f)?;
            separator = " / ";
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn reply(code: u16, raw: &'static [u8]) -> Reply {
        Reply::new(ReplyCode::new(code).unwrap(), Bytes::from_static(raw))
    }

    #[test]
    fn lines_drop_only_the_replys_own_code() {
        let feat = reply(211, b"211-Features:\r\n MDTM\r\n 212 odd\r\n211 End\r\n");
        assert_eq!(feat.lines().collect::<Vec<_>>(), [&b"Features:"[..], b" MDTM", b" 212 odd", b"End"]);
        assert_eq!(feat.raw_lines().count(), 4);
        assert_eq!(reply(200, b"200\r\n").text(), b"");
        assert_eq!(reply(200, b"200\n").lines().count(), 1);
    }

    #[test]
    fn shown_text_is_one_safe_line() {
        let hostile = reply(550, b"550-no\x1b[2J\r\n550 such \xff file\r\n");
        assert_eq!(hostile.to_string(), "550 no\\u{1b}[2J / such \\xff file");
    }

    #[test]
    fn words_are_found_in_any_line_and_case() {
        let full = reply(421, b"421-Sorry.\r\n421 Too MANY users\r\n");
        assert!(full.mentions(&["too many"]));
        assert!(!full.mentions(&["login"]));
    }

    #[test]
    fn session_limit_is_recognised_by_code_and_by_words() {
        for (code, line, is_limit) in [
            (421, "421 Timeout\r\n", true),
            (530, "530 Sorry, the maximum number of clients is connected.\r\n", true),
            (500, "500 Too many users\r\n", true),
            (450, "450 limit reached\r\n", true),
            (530, "530 Login incorrect.\r\n", false),
            (550, "550 too many: No such file\r\n", false),
        ] {
            let reply = reply(code, line.as_bytes());
            assert_eq!(reply.is_session_limit(), is_limit, "{line}");
        }
    }
}
