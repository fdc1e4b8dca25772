//! The reply to PWD and MKD.

use crate::reply::Reply;
use alloc::vec::Vec;
use bytes::Bytes;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till};
use nom::combinator::value;
use nom::multi::fold_many1;
use nom::sequence::delimited;
use nom::{IResult, Parser};

/// Returns the path that a 257 names between quotes; a doubled quote stands for one (RFC 959 Appendix II). Text may
/// come before the quotes. An empty path is `None`.
#[must_use]
pub fn pwd(reply: &Reply) -> Option<Bytes> {
    super::lines(reply, 257)?.find_map(|line| quoted(line).ok()).map(|(_, path)| path.into())
}

fn quoted(text: &[u8]) -> IResult<&[u8], Vec<u8>, ()> {
    let (text, _) = take_till(|byte| byte == b'"').parse(text)?;
    let piece = alt((is_not("\""), value(&b"\""[..], tag("\"\""))));
    let path = fold_many1(piece, Vec::new, |mut path, piece: &[u8]| {
        path.extend_from_slice(piece);
        path
    });
    delimited(tag("\""), path, tag("\"")).parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    #[test]
    fn texts_of_real_servers() {
        for (raw, path) in [
            (&b"257 \"/\" is the current directory\r\n"[..], &b"/"[..]),
            (b"257 \"/\" is your current location\r\n", b"/"),
            (b"257 \"/pub\" is current directory.\r\n", b"/pub"),
            (b"257 \"/pub\"\r\n", b"/pub"),
            (b"257 \"/a \"\"b\"\" c\" created\r\n", b"/a \"b\" c"),
            (b"257 \"\"\"\" is odd\r\n", b"\""),
            (b"257 \"'USER.'\" is working directory.\r\n", b"'USER.'"),
            (b"257 Current directory is \"/home/x\xe9\".\r\n", b"/home/x\xe9"),
            (b"257-Note\r\n257 \"/home\" it is\r\n", b"/home"),
        ] {
            assert_eq!(pwd(&reply(257, raw)).as_deref(), Some(path), "{raw:?}");
        }
    }

    #[test]
    fn text_without_a_path_has_no_meaning() {
        for raw in [&b"257 /pub"[..], b"257 \"/pub", b"257 \"/pub\"\"", b"257 \"\" is empty", b"257"] {
            assert_eq!(pwd(&reply(257, raw)), None, "{raw:?}");
        }
        assert_eq!(pwd(&reply(250, &b"250 \"/\""[..])), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(path in "[^\r\n]{1,30}", after in "( .{0,9})?") {
            let raw = format!("257 \"{}\"{}", path.replace('"', "\"\""), after.replace('\n', " "));
            prop_assert_eq!(pwd(&reply(257, raw)), Some(Bytes::from(path)));
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[\"a\r\n]{0,40}", bytes: Vec<u8>) {
            let _ = pwd(&reply(257, [b"257 ", String::as_bytes(&text), &bytes].concat()));
        }
    }
}
