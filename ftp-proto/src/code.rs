//! Reply codes (RFC 959 §4.2).

use core::fmt;

/// A three-digit reply code, 100 to 599.
///
/// The set is open: servers send codes that no RFC names, and the first digit has a meaning in each of them.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// Returns `code` as a reply code if its first digit is 1 to 5.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The class of the reply, by its first digit (RFC 959 §4.2).
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self.0 {
            0..=199 => Severity::Preliminary,
            200..=299 => Severity::Completion,
            300..=399 => Severity::Intermediate,
            400..=499 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }

    /// Whether the server has done the command: 2yz.
    #[must_use]
    pub const fn is_completion(self) -> bool {
        matches!(self.severity(), Severity::Completion)
    }

    /// Whether the same command may succeed later: 4yz.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self.severity(), Severity::Transient)
    }

    /// Whether the server refused the command: 4yz or 5yz.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self.severity(), Severity::Transient | Severity::Permanent)
    }
}

impl fmt::Debug for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The first digit of a reply code (RFC 959 §4.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Severity {
    /// 1yz: the mark; another reply follows before a new command.
    Preliminary,
    /// 2yz: done.
    Completion,
    /// 3yz: accepted; a further command is needed.
    Intermediate,
    /// 4yz: refused for now.
    Transient,
    /// 5yz: refused.
    Permanent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_from_100_to_599_are_allowed() {
        assert_eq!(ReplyCode::new(99), None);
        assert_eq!(ReplyCode::new(600), None);
        assert_eq!(ReplyCode::new(0), None);
        let odd = ReplyCode::new(599).unwrap();
        assert_eq!((odd.get(), odd.severity()), (599, Severity::Permanent));
        assert!(ReplyCode::new(421).unwrap().is_transient() && ReplyCode::new(421).unwrap().is_refusal());
        assert!(ReplyCode::new(226).unwrap().is_completion());
    }
}
