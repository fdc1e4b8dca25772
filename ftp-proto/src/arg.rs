//! Arguments of commands, which cannot carry a second command.

use bytes::Bytes;
use core::fmt;

/// The argument of a command: any bytes but CR, LF and NUL (RFC 959 §5.3.2, RFC 2640 §3.1).
///
/// Every `Arg` can be sent: no text from a user, a URL or a file can smuggle a further command onto the control
/// connection.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Arg(Bytes);

impl Arg {
    /// Checks `bytes` and wraps them.
    ///
    /// # Errors
    /// [`ArgError`] names the first byte that an argument may not hold, or tells that there is no byte.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, ArgError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(ArgError::Empty);
        }
        match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            Some(at) => Err(ArgError::Byte { at }),
            None => Ok(Self(bytes)),
        }
    }

    /// Wraps bytes that are a valid argument.
    pub(crate) const fn literal(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes as they were given. [`Command::encode`](crate::Command::encode) doubles IAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Shows the bytes as text; all but printable ASCII and well-formed printable UTF-8 is escaped.
impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::text::escape(&self.0, f)
    }
}

/// The reason why bytes cannot be an [`Arg`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArgError {
    /// No byte.
    Empty,
    /// A CR, LF or NUL.
    Byte {
        /// Offset of that byte.
        at: usize,
    },
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Byte { at } => write!(f, "holds CR, LF or NUL at byte {at}"),
        }
    }
}

impl core::error::Error for ArgError {}

/// A password or account: an [`Arg`] that never prints. A secret may be empty.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Bytes);

impl Secret {
    /// Checks `bytes` and wraps them.
    ///
    /// # Errors
    /// [`ArgError::Byte`] if they hold CR, LF or NUL.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, ArgError> {
        let bytes = bytes.into();
        if bytes.is_empty() { Ok(Self(bytes)) } else { Arg::new(bytes).map(|Arg(bytes)| Self(bytes)) }
    }

    /// Wraps bytes that are a valid secret.
    pub(crate) const fn literal(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The secret itself. The name `expose` marks every place where a secret leaves its type.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn argument_cannot_hold_a_second_line() {
        assert_eq!(Arg::new(&b"a\r\nDELE b"[..]), Err(ArgError::Byte { at: 1 }));
        assert_eq!(Arg::new(&b"ab\n"[..]), Err(ArgError::Byte { at: 2 }));
        assert_eq!(Arg::new(&b"\0"[..]), Err(ArgError::Byte { at: 0 }));
        assert_eq!(Arg::new(&b""[..]), Err(ArgError::Empty));
        assert_eq!(Secret::new(&b"x\ry"[..]), Err(ArgError::Byte { at: 1 }));
        assert_eq!(Arg::new(&b"a b\xff"[..]).unwrap().as_bytes(), b"a b\xff");
    }

    #[test]
    fn secret_never_prints() {
        let secret = Secret::new(&b"hunter2"[..]).unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "*** Some(\n    ***,\n)");
        assert_eq!(Secret::new(&b""[..]).unwrap().expose(), b"");
    }
}
