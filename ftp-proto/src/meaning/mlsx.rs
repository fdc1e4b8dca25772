//! Entries of MLST and MLSD.

use super::facts::Facts;
use crate::reply::Reply;
use bytes::Bytes;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::char;
use nom::combinator::{rest, verify};
use nom::multi::fold_many0;
use nom::sequence::{preceded, separated_pair, terminated};
use nom::{IResult, Parser};

/// A file with its facts (RFC 3659 §7.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The facts.
    pub facts: Facts,
    /// The name: of MLST in the form that the server chooses, of MLSD without a directory. Never empty.
    pub path: Bytes,
}

/// Reads an entry, `fact=value;fact=value; path`: a line of an MLSD listing without its line end, or of a reply to
/// MLST without the space before it (RFC 3659 §7.2). Facts that [`Facts`] has no field for are ignored. Values may
/// hold spaces, as some servers put them into the target of a symbolic link.
#[must_use]
pub fn mlsx(line: &[u8]) -> Option<Entry> {
    super::whole(line, entry)
}

/// Returns the entry in a 250, the reply to MLST (RFC 3659 §7.2): from a line that begins with a space, or else from
/// any line that is an entry.
#[must_use]
pub fn mlst(reply: &Reply) -> Option<Entry> {
    let indented = super::lines(reply, 250)?.skip(1).find_map(|line| mlsx(line.strip_prefix(b" ")?));
    indented.or_else(|| reply.lines().filter_map(mlsx).find(|entry| entry.facts != Facts::default()))
}

fn entry(line: &[u8]) -> IResult<&[u8], Entry, ()> {
    let name = take_while1(|byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let fact = separated_pair(name, char('='), take_till(|byte| byte == b';'));
    let facts = fold_many0(terminated(fact, char(';')), Facts::default, |mut facts, (name, value)| {
        facts.add(name, value);
        facts
    });
    let path = verify(rest, |path: &[u8]| !path.is_empty());
    let (line, (facts, path)) = (facts, preceded(char(' '), path)).parse(line)?;
    Ok((line, Entry { facts, path: Bytes::copy_from_slice(path) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::{EntryType, TimeVal, reply};
    use alloc::vec::Vec;
    use alloc::{format, string::String};
    use proptest::prelude::*;

    fn file(size: u64, modify: &str, unique: Option<&'static [u8]>, path: &'static [u8]) -> Entry {
        let facts = Facts {
            size: Some(size),
            modify: TimeVal::parse(modify.as_bytes()),
            kind: Some(EntryType::File),
            unique: unique.map(Bytes::from_static),
        };
        Entry { facts, path: Bytes::from_static(path) }
    }

    #[test]
    fn replies_of_real_servers() {
        for (raw, entry) in [
            (
                // ProFTPD
                &b"250-Start of list for a.bin\r\n modify=20240615123456;perm=adfrw;size=12;type=file;\
                unique=801U2A;UNIX.group=0;UNIX.groupname=root;UNIX.mode=0644; /pub/a.bin\r\n\
                250 End of list\r\n"[..],
                file(12, "20240615123456", Some(b"801U2A"), b"/pub/a.bin"),
            ),
            (
                // Pure-FTPd
                b"250-Begin\r\n type=file;size=12;modify=20240615123456;UNIX.mode=0644;UNIX.uid=0;\
                UNIX.gid=0;unique=801g2a; a.bin\r\n250 End.\r\n",
                file(12, "20240615123456", Some(b"801g2a"), b"a.bin"),
            ),
            (
                // pyftpdlib
                b"250-Listing \"/a=b; c\":\r\n modify=20240615123456;perm=r;size=12;type=file;\
                unique=801i2a; /a=b; c\r\n250 End MLST.\r\n",
                file(12, "20240615123456", Some(b"801i2a"), b"/a=b; c"),
            ),
            (
                // FileZilla Server
                b"250-Listing /a.bin\r\n type=file;size=12;modify=20240615123456.789;perms=awr; /a.bin\r\n\
                250 End\r\n",
                file(12, "20240615123456.789", None, b"/a.bin"),
            ),
            // Three faults: no space before the entry, the code before it, everything in one line.
            (
                b"250-Start\r\nType=file;Size=12;Modify=20240615123456; a b\r\n250 End\r\n",
                file(12, "20240615123456", None, b"a b"),
            ),
            (
                b"250-Start\r\n250-Type=file;Size=12;Modify=20240615123456; a\r\n250 End\r\n",
                file(12, "20240615123456", None, b"a"),
            ),
            (b"250 Type=file;Size=12;Modify=20240615123456; a\r\n", file(12, "20240615123456", None, b"a")),
        ] {
            assert_eq!(mlst(&reply(250, raw)), Some(entry), "{raw:?}");
        }
    }

    #[test]
    fn entries() {
        let bare = Entry { facts: Facts::default(), path: Bytes::from_static(b" x") };
        assert_eq!(mlsx(b"  x"), Some(bare.clone()));
        assert_eq!(mlst(&reply(250, &b"250-a\r\n   x\r\n250 b"[..])), Some(bare));
        let link = mlsx(b"type=OS.unix=slink:/a b;size=1; n; m\xff").unwrap();
        assert_eq!(link.facts.kind, Some(EntryType::Other(Bytes::from_static(b"OS.unix=slink:/a b"))));
        assert_eq!((link.facts.size, &link.path[..]), (Some(1), &b"n; m\xff"[..]));
        assert_eq!(mlsx(b"type=cdir;sizd=4096; .").unwrap().facts.kind, Some(EntryType::Cdir));
        assert_eq!(mlsx(b"size=9999999999999999999;modify=0;x=; a").unwrap().facts, Facts::default());
    }

    #[test]
    fn line_that_is_no_entry_has_no_meaning() {
        for line in [
            &b""[..],
            b" ",
            b"x",
            b"size=1;",
            b"size=1; ",
            b"size=1;x",
            b"size=1 x",
            b"size=1;; x",
            b"=1; x",
            b"size; x",
            b"a b=1; x",
            b"-rw-r--r-- 1 root root 12 Jun 15 12:34 a.bin",
        ] {
            assert_eq!(mlsx(line), None, "{line:?}");
        }
        for raw in [&b"250 Okay\r\n"[..], b"250  a\r\n", b"250-Begin\r\n250 End\r\n", b"250"] {
            assert_eq!(mlst(&reply(250, raw)), None, "{raw:?}");
        }
        assert_eq!(mlst(&reply(213, &b"213-a\r\n size=1; x\r\n213 b"[..])), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            size in proptest::option::of(0..=i64::MAX.unsigned_abs()),
            seconds in proptest::option::of(0_u8..60),
            kind in proptest::option::of("file|dir|OS[.]unix=[^;\r\n]{0,9}"),
            unique in proptest::option::of("[^;\r\n]{1,12}"),
            path in "[^\r\n]{1,30}",
        ) {
            let modify = seconds.map(|seconds| format!("200001010000{seconds:02}"));
            let kind = kind.as_deref();
            let mut line = String::new();
            let mut print = |name, value: Option<&str>| {
                line.extend(value.map(|value| format!("{name}={value};")));
            };
            print("Type", kind);
            print("perm", Some("adfr"));
            print("size", size.map(|size| format!("{size}")).as_deref());
            print("Modify", modify.as_deref());
            print("unique", unique.as_deref());
            line = format!("{line} {path}");
            let facts = Facts {
                size,
                modify: modify.and_then(|modify| TimeVal::parse(modify.as_bytes())),
                kind: kind.map(|kind| match kind {
                    "file" => EntryType::File,
                    "dir" => EntryType::Dir,
                    other => EntryType::Other(Bytes::copy_from_slice(other.as_bytes())),
                }),
                unique: unique.map(Bytes::from),
            };
            let entry = Some(Entry { facts, path: path.into() });
            prop_assert_eq!(&mlsx(line.as_bytes()), &entry);
            prop_assert_eq!(&mlst(&reply(250, format!("250-a\r\n {line}\r\n250 b\r\n"))), &entry);
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[a-z=; ]{0,40}", bytes: Vec<u8>) {
            let _ = mlsx(text.as_bytes());
            let _ = mlsx(&bytes);
            let _ = mlst(&reply(250, [b"250-\n ", text.as_bytes(), b"\n250 ", &bytes].concat()));
        }
    }
}
