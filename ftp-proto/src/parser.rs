//! Replies out of the bytes of a control connection (RFC 959 §4.2, RFC 854).

use crate::code::ReplyCode;
use crate::reply::Reply;
use crate::text::Escaped;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use memchr::memchr;

/// Telnet's "interpret as command" (RFC 854): doubled where it is text.
const IAC: u8 = 255;
/// The first and last of WILL, WONT, DO and DONT, each of which names one option (RFC 854).
const WILL: u8 = 251;
const DONT: u8 = 254;
/// How many bytes of a malformed line an error keeps.
const SHOWN: usize = 64;

/// Bytes in, whole replies out.
///
/// Lines may end in CRLF or a bare LF, and their text may be any bytes. Empty lines before a reply are
/// skipped. A doubled IAC is one, and the Telnet commands WILL, WONT, DO and DONT are dropped with their
/// option (RFC 854); the limit is on the bytes left.
///
/// The replies, and the error that may follow them, depend on the bytes alone and not on how they are
/// divided into calls of [`push`](Self::push). Calling [`next`](Self::next) after each `push` until it
/// gives none bounds the memory held by the limit of a reply and the bytes of one `push`.
pub struct ReplyParser {
    max_reply: usize,
    max_lines: usize,
    buffer: BytesMut,
    telnet: Telnet,
    /// The code of a multi-line reply whose last line is awaited.
    open: Option<ReplyCode>,
    /// Lines of the reply awaited so far, and empty ones before it.
    lines: usize,
    /// Where the line to read next begins in `buffer`.
    line: usize,
    /// No LF lies between `line` and here.
    searched: usize,
    failed: Option<ReplyError>,
}

/// How much of a Telnet sequence the end of the buffer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Telnet {
    /// None of it: all is text.
    Text,
    /// IAC.
    Iac,
    /// IAC and WILL, WONT, DO or DONT.
    Negotiation,
}

impl Telnet {
    /// Bytes at the end of the buffer of which it is not known yet whether they are text.
    const fn undecided(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Iac => 1,
            Self::Negotiation => 2,
        }
    }
}

impl ReplyParser {
    /// A parser that takes at most `max_reply` bytes for one reply: all its lines and their ends.
    #[must_use]
    pub fn new(max_reply: usize) -> Self {
        Self {
            max_reply,
            max_lines: usize::MAX,
            buffer: BytesMut::new(),
            telnet: Telnet::Text,
            open: None,
            lines: 0,
            line: 0,
            searched: 0,
            failed: None,
        }
    }

    /// The parser with this limit of lines as well: those of one reply, and empty ones before it.
    #[must_use]
    pub const fn with_max_lines(mut self, max_lines: usize) -> Self {
        self.max_lines = max_lines;
        self
    }

    /// Takes in what was read. After an error it is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match (self.telnet, byte) {
                (Telnet::Text, IAC) => {
                    self.buffer.extend_from_slice(&[IAC]);
                    self.telnet = Telnet::Iac;
                }
                (Telnet::Text, _) => {
                    let (text, from_iac) = rest.split_at(memchr(IAC, rest).unwrap_or(rest.len()));
                    self.buffer.extend_from_slice(text);
                    rest = from_iac;
                    continue;
                }
                (Telnet::Iac, WILL..=DONT) => {
                    self.buffer.extend_from_slice(&[byte]);
                    self.telnet = Telnet::Negotiation;
                }
                (Telnet::Iac, IAC) => self.telnet = Telnet::Text,
                // A server that does not double IAC meant it as text.
                (Telnet::Iac, _) => {
                    self.telnet = Telnet::Text;
                    continue;
                }
                (Telnet::Negotiation, _) => {
                    self.buffer.truncate(self.decided());
                    self.telnet = Telnet::Text;
                }
            }
            rest = after;
        }
    }

    /// The next whole reply, `None` while there is none.
    ///
    /// # Errors
    /// [`ReplyError`], if what was pushed cannot be a reply. A parser that failed stays so: it gives the
    /// same error each time and holds nothing.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: after `None`, more may come")]
    pub fn next(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.frame();
        if matches!(result, Ok(None)) && self.buffer.is_empty() {
            // What a long reply took is not kept while none comes.
            self.buffer = BytesMut::new();
        }
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
            self.telnet = Telnet::Text;
        }
        result
    }

    /// The bytes pushed that belong to no reply yet returned. When TLS starts there may be none: what came
    /// before it in the clear, anyone on the way can have put there.
    #[must_use]
    pub fn remainder(&self) -> &[u8] {
        &self.buffer
    }

    fn frame(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(end) = self.line_end()? {
            self.lines = self.lines.saturating_add(1);
            if self.lines > self.max_lines {
                return Err(ReplyError::TooManyLines { limit: self.max_lines });
            }
            let line = without_end(self.buffer.get(self.line..end).unwrap_or_default());
            let last = match (self.open, head(line)) {
                (None, _) if line.is_empty() => {
                    self.buffer.advance(end);
                    self.searched = 0;
                    continue;
                }
                (None, None) => {
                    let shown = line.get(..SHOWN).unwrap_or(line);
                    return Err(ReplyError::Malformed { line: Bytes::copy_from_slice(shown) });
                }
                (None, Some((code, Place::Last))) => Some(code),
                (None, Some((code, Place::More))) => {
                    self.open = Some(code);
                    None
                }
                (Some(open), head) => (head == Some((open, Place::Last))).then_some(open),
            };
            if let Some(code) = last {
                self.open = None;
                (self.lines, self.line, self.searched) = (0, 0, 0);
                return Ok(Some(Reply::new(code, self.buffer.split_to(end).freeze())));
            }
            (self.line, self.searched) = (end, end);
        }
        Ok(None)
    }

    /// Where the line to read ends, its LF included; `None` if it has not come whole.
    fn line_end(&mut self) -> Result<Option<usize>, ReplyError> {
        let decided = self.decided();
        let until = decided.min(self.max_reply);
        let unsearched = self.buffer.get(self.searched..until).unwrap_or_default();
        if let Some(at) = memchr(b'\n', unsearched) {
            return Ok(Some(self.searched.saturating_add(at).saturating_add(1)));
        }
        if decided > self.max_reply {
            return Err(ReplyError::TooLong { limit: self.max_reply });
        }
        self.searched = until;
        Ok(None)
    }

    /// Bytes in the buffer that are text for sure.
    fn decided(&self) -> usize {
        self.buffer.len().saturating_sub(self.telnet.undecided())
    }
}

impl fmt::Debug for ReplyParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyParser")
            .field("max_reply", &self.max_reply)
            .field("remainder", &self.buffer.len())
            .field("open", &self.open)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// What the fourth character of a line says.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    /// A space or nothing: the last line of a reply.
    Last,
    /// A hyphen: the first of several.
    More,
}

/// The code and the fourth character of `line`, if it has them.
fn head(line: &[u8]) -> Option<(ReplyCode, Place)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        let digit = char::from(*digit).to_digit(10).and_then(|digit| u16::try_from(digit).ok())?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    let place = match rest.first() {
        None | Some(b' ') => Place::Last,
        Some(b'-') => Place::More,
        Some(_) => return None,
    };
    Some((ReplyCode::new(number)?, place))
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Why bytes are no replies.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A reply has more bytes than it may, line ends included.
    TooLong {
        /// How many it may have.
        limit: usize,
    },
    /// A reply has more lines than it may, or more empty lines stand before it.
    TooManyLines {
        /// How many it may have.
        limit: usize,
    },
    /// A line that has to begin a reply does not: no code from 100 to 599, or neither a space, a hyphen nor
    /// the end of the line behind it.
    Malformed {
        /// The line without its end, or its first 64 bytes.
        line: Bytes,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "a reply of more than {limit} bytes"),
            Self::TooManyLines { limit } => write!(f, "a reply of more than {limit} lines"),
            Self::Malformed { line } => write!(f, "not a reply: {:?}", Escaped(line)),
        }
    }
}

impl core::error::Error for ReplyError {}

#[cfg(test)]
mod tests;
