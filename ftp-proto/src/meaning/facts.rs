//! Facts, and the reply to SIZE.

use super::time_val::TimeVal;
use crate::reply::Reply;
use bytes::Bytes;
use nom::character::complete::u64;
use nom::combinator::verify;

/// The facts of a file, as a server tells them (RFC 3659 §7.5). A fact that the server does not tell, or not in the
/// form of the RFC, is `None`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Size in bytes, at most 2^63 - 1, of the representation a transfer would have.
    pub size: Option<u64>,
    /// Time of the last change of the content.
    pub modify: Option<TimeVal>,
    /// The kind of the object: the fact `type`.
    pub kind: Option<EntryType>,
    /// The fact `unique`: the same for all names of this file, and for no other file of the server. Never empty.
    pub unique: Option<Bytes>,
}

impl Facts {
    /// Takes the fact `name`, whose case is ignored, with the value `value`. A fact that is known stays as it is.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"size") {
            self.size = self.size.or_else(|| octets(value));
        } else if name.eq_ignore_ascii_case(b"modify") {
            self.modify = self.modify.or_else(|| TimeVal::parse(value));
        } else if name.eq_ignore_ascii_case(b"type") {
            self.kind.get_or_insert_with(|| EntryType::new(value));
        } else if name.eq_ignore_ascii_case(b"unique") && !value.is_empty() {
            self.unique.get_or_insert_with(|| Bytes::copy_from_slice(value));
        }
    }
}

/// The fact `type` (RFC 3659 §7.5.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryType {
    /// `file`.
    File,
    /// `cdir`: the directory listed.
    Cdir,
    /// `pdir`: a directory above the one listed.
    Pdir,
    /// `dir`: any other directory.
    Dir,
    /// Any other kind, in the server's words, such as `OS.unix=symlink`.
    Other(Bytes),
}

impl EntryType {
    fn new(value: &[u8]) -> Self {
        let known =
            [(&b"file"[..], Self::File), (b"cdir", Self::Cdir), (b"pdir", Self::Pdir), (b"dir", Self::Dir)];
        let found = known.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name));
        found.map_or_else(|| Self::Other(Bytes::copy_from_slice(value)), |(_, kind)| kind)
    }
}

/// Returns the size in bytes that a 213 names, the reply to SIZE (RFC 3659 §4.2); `None` if it is more than 2^63 - 1.
#[must_use]
pub fn size(reply: &Reply) -> Option<u64> {
    super::lines(reply, 213)?.find_map(|line| octets(line.trim_ascii()))
}

fn octets(text: &[u8]) -> Option<u64> {
    super::whole(text, verify(u64, |size| *size <= i64::MAX.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn sizes_of_real_servers() {
        for (raw, size_told) in [
            (&b"213 0\r\n"[..], Some(0)),
            (b"213 1048576\r\n", Some(1_048_576)),
            (b"213  1048576 \r\n", Some(1_048_576)),
            (b"213 9223372036854775807", Some(i64::MAX as u64)),
            (b"213 9223372036854775808", None),
            (b"213 18446744073709551617", None),
            (b"213 -1", None),
            (b"213 +1", None),
            (b"213 1,024", None),
            (b"213 12 bytes", None),
            (b"213 0x10", None),
            (b"213", None),
        ] {
            assert_eq!(size(&reply(213, raw)), size_told, "{raw:?}");
        }
        assert_eq!(size(&reply(550, &b"550 12"[..])), None);
    }

    #[test]
    fn facts_are_named_in_any_case_and_the_first_counts() {
        let mut facts = Facts::default();
        for (name, value) in [
            ("Size", "junk"),
            ("SIZE", "12"),
            ("size", "13"),
            ("Type", "FILE"),
            ("type", "dir"),
            ("unique", ""),
            ("UNIQUE", "801U1"),
            ("unique", "801U2"),
            ("MODIFY", "20240615123456.5"),
            ("create", "20240615123456"),
            ("sizd", "4096"),
        ] {
            facts.add(name.as_bytes(), value.as_bytes());
        }
        let want = Facts {
            size: Some(12),
            modify: TimeVal::parse(b"20240615123456.5"),
            kind: Some(EntryType::File),
            unique: Some(Bytes::from_static(b"801U1")),
        };
        assert_eq!(facts, want);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(bytes in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(size(&reply(213, format!("213 {bytes}\r\n"))), Some(bytes));
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[ 0-9]{0,40}", bytes: Vec<u8>) {
            let _ = size(&reply(213, format!("213 {text}")));
            let _ = size(&reply(213, [b"213 ", &bytes[..]].concat()));
        }
    }
}
