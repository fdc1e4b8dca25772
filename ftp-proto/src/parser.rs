//! Reads replies from the bytes of a control connection (RFC 959 §4.2, RFC 854).

use crate::code::ReplyCode;
use crate::reply::Reply;
use crate::text::Escaped;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use memchr::memchr;

/// Telnet's "interpret as command" (RFC 854): doubled if it is text.
const IAC: u8 = 255;
/// The first and last of WILL, WONT, DO and DONT, each followed by an option (RFC 854).
const WILL: u8 = 251;
const DONT: u8 = 254;
/// Bytes of a malformed line that an error keeps.
const SHOWN: usize = 64;

/// Reads whole replies from bytes that come in any portions.
///
/// Lines may end in CRLF or a bare LF, and their text may be any bytes. Empty lines before a reply are skipped. A
/// doubled IAC becomes one, and the Telnet commands WILL, WONT, DO and DONT are dropped with their option (RFC 854);
/// the limit counts the bytes that are left.
///
/// The replies, and the error that may follow them, depend on the bytes alone and not on how [`push`](Self::push)
/// portions them. If the caller calls [`next`](Self::next) after each `push` until it returns none, the memory in use
/// is at most the limit of a reply and the bytes of one `push`.
pub struct ReplyParser {
    max_reply: usize,
    max_lines: usize,
    buffer: BytesMut,
    telnet: Telnet,
    /// The code of a multi-line reply whose last line has not come.
    open: Option<ReplyCode>,
    /// Lines so far of the reply that is being read, and empty lines before it.
    lines: usize,
    /// The start of the next line to read in `buffer`.
    line: usize,
    /// The end of the bytes behind `line` that hold no LF.
    searched: usize,
    failed: Option<ReplyError>,
}

/// The part of a Telnet sequence at the end of the buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Telnet {
    /// None: all bytes are text.
    Text,
    /// IAC.
    Iac,
    /// IAC and WILL, WONT, DO or DONT.
    Negotiation,
}

impl Telnet {
    /// Bytes at the end of the buffer that may or may not be text.
    const fn undecided(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Iac => 1,
            Self::Negotiation => 2,
        }
    }
}

impl ReplyParser {
    /// A parser for replies of at most `max_reply` bytes, all lines and line ends together.
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

    /// Sets a limit of lines as well: for the lines of a reply, and for the empty lines before it.
    #[must_use]
    pub const fn with_max_lines(mut self, max_lines: usize) -> Self {
        self.max_lines = max_lines;
        self
    }

    /// Takes bytes that were read. After an error they are dropped.
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
                // A server that does not double IAC means it as text.
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

    /// Returns the next whole reply, `None` if there is none yet.
    ///
    /// # Errors
    /// [`ReplyError`] if the bytes cannot be a reply. The parser then returns the same error each time and holds
    /// nothing.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: after `None`, more may come")]
    pub fn next(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.frame();
        if matches!(result, Ok(None)) && self.buffer.is_empty() {
            // The memory of a long reply is given back once the buffer is empty.
            self.buffer = BytesMut::new();
        }
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
            self.telnet = Telnet::Text;
        }
        result
    }

    /// The bytes that belong to no reply returned so far. When TLS starts there may be none: anybody on the way can
    /// have added bytes to the clear text.
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

    /// The end of the line to read, its LF included; `None` if it has not come whole.
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

    /// Bytes in the buffer that are text.
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

/// The meaning of the fourth character of a line.
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

/// A fault in the bytes of a server that makes them no reply.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A reply has more bytes than allowed, line ends included.
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// A reply has more lines than allowed, or more empty lines before it.
    TooManyLines {
        /// Lines allowed.
        limit: usize,
    },
    /// A line has to begin a reply and does not: it has no code from 100 to 599, or the code is followed by neither a
    /// space, a hyphen nor the end of the line.
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
