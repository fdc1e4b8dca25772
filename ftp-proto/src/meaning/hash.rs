//! The replies to HASH, and to XCRC, XMD5, XSHA1, XSHA256 and XSHA512.

use crate::reply::Reply;
use alloc::vec::Vec;
use bytes::Bytes;
use nom::bytes::complete::{tag, take_till1, take_while1};
use nom::character::complete::u64;
use nom::combinator::{opt, rest};
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// A hash of a file, as a server tells it (draft-bryan-ftpext-hash §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hash {
    /// The name of the algorithm, as the server writes it. Compare it without regard to case. Never empty.
    pub algorithm: Bytes,
    /// Offset of the first byte that was hashed.
    pub start: u64,
    /// End of the hashed bytes: the offset of the last byte on some servers, the offset behind it on others.
    pub end: u64,
    /// The hash value. Never empty.
    pub value: Vec<u8>,
    /// The file, as the server names it. May be empty.
    pub path: Bytes,
}

/// Returns the hash that a 213 names, the reply to HASH: `SHA-256 0-49 hexadecimal-digits path`. If the reply has
/// several lines, the first line of this form counts.
#[must_use]
pub fn hash(reply: &Reply) -> Option<Hash> {
    super::lines(reply, 213)?.find_map(|line| {
        let space = || tag(&b" "[..]);
        let parts = (
            take_till1(|byte| byte == b' '),
            preceded(space(), u64),
            preceded(tag(&b"-"[..]), u64),
            preceded(space(), digits),
            opt(preceded(space(), rest)),
        );
        let (algorithm, start, end, value, path) = super::whole(line, parts)?;
        Some(Hash {
            algorithm: Bytes::copy_from_slice(algorithm),
            start,
            end,
            value,
            path: Bytes::copy_from_slice(path.unwrap_or_default()),
        })
    })
}

/// Returns the checksum of `length` bytes that a server names in reply to XCRC, XMD5, XSHA1, XSHA256 or XSHA512 for
/// the file `path`.
///
/// No RFC gives the form of the reply. Servers reply with 250, some with 213 or 200; the digits stand alone, behind
/// the name of the command, before the name of the file or behind it. Therefore the word with the right number of hexadecimal
/// digits counts. A file name may look like a checksum: if several words do, a word that is a part of `path` does not
/// count. If several words with different values are left, the result is `None`. The digits of a CRC-32 may lack
/// leading zeros.
#[must_use]
pub fn digest(reply: &Reply, length: usize, path: &[u8]) -> Option<Vec<u8>> {
    if !matches!(reply.code().get(), 200 | 213 | 250) {
        return None;
    }
    let words: Vec<&[u8]> = reply.lines().flat_map(words).collect();
    let value = |word: &[u8]| super::whole(word, digits).filter(|value| value.len() == length);
    if let [short] = words.as_slice()
        && length == 4
        && short.len() < 8
    {
        let mut padded = alloc::vec![b'0'; 8_usize.saturating_sub(short.len())];
        padded.extend_from_slice(short);
        return value(&padded);
    }
    let of_path: Vec<&[u8]> = path.split(|byte| *byte == b'/').flat_map(self::words).collect();
    let fitting = words.iter().filter_map(|word| Some((*word, value(word)?)));
    let (echoed, others): (Vec<_>, Vec<_>) = fitting.partition(|(word, _)| of_path.contains(word));
    let mut values = if others.is_empty() { echoed } else { others }.into_iter().map(|(_, value)| value);
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

/// Splits text at spaces, quotes and equals signs.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let apart = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'=');
    text.split(apart).filter(|word| !word.is_empty())
}

/// Reads pairs of hexadecimal digits, in either case, as bytes.
fn digits(text: &[u8]) -> IResult<&[u8], Vec<u8>, ()> {
    let (rest, digits) = take_while1(|byte: u8| byte.is_ascii_hexdigit()).parse(text)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let value: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    value.map(|value| (rest, value)).ok_or(nom::Err::Error(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    #[test]
    fn hashes_of_real_servers() {
        for (raw, algorithm, end, value, path) in [
            // The draft's own example, and ProFTPD, whose range ends behind the last byte.
            (
                &b"213 SHA-256 0-49 6f8C filename.ext\r\n"[..],
                &b"SHA-256"[..],
                49,
                &b"\x6f\x8c"[..],
                &b"filename.ext"[..],
            ),
            (b"213 MD5 0-1048593 00ff pub/a b\r\n", b"MD5", 1_048_593, b"\0\xff", b"pub/a b"),
            (b"213 CRC32 0-0 00000000\r\n", b"CRC32", 0, b"\0\0\0\0", b""),
            (b"213-Computing\r\n213 MD5 0-1 ab f\r\n", b"MD5", 1, b"\xab", b"f"),
        ] {
            let hash = hash(&reply(213, raw)).unwrap();
            assert_eq!((&hash.algorithm[..], hash.start, hash.end), (algorithm, 0, end));
            assert_eq!((&hash.value[..], &hash.path[..]), (value, path));
        }
    }

    #[test]
    fn text_without_a_hash_has_no_meaning() {
        for raw in [
            "213",
            "213 20",
            "213 MD5 ab f",
            "213 MD5 0- ab f",
            "213 MD5 0-1 abc f",
            "213 MD5 0-1 f",
            "213 MD5 0-1 xy f",
            "213 MD5 0-1",
            "213 MD5 0-1 abxy",
            "213 MD5 0-18446744073709551616 ab f",
        ] {
            assert_eq!(hash(&reply(213, raw)), None, "{raw}");
        }
        assert_eq!(hash(&reply(250, "250 MD5 0-1 ab f")), None);
    }

    #[test]
    fn digests_of_real_servers() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        for (code, text) in [
            // ProFTPD; Serv-U and zFTPServer; FileZilla's patch and others.
            (250, md5.to_uppercase()),
            (250, format!("XMD5 {md5}")),
            (250, format!("\"/pub/f\" {md5}")),
            (213, format!("{md5} f")),
            (200, format!("MD5={md5}")),
        ] {
            let raw = format!("{code} {text}\r\n");
            assert_eq!(digest(&reply(code, raw), 16, b"/pub/f").map(|value| value[0]), Some(0x90), "{text}");
        }
        assert_eq!(digest(&reply(250, "250 352441C2\r\n"), 4, b"f").unwrap(), [0x35, 0x24, 0x41, 0xc2]);
        assert_eq!(digest(&reply(250, "250 1\r\n"), 4, b"f").unwrap(), [0, 0, 0, 1]);
    }

    #[test]
    fn file_name_that_looks_like_a_checksum_does_not_count() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let name = "d41d8cd98f00b204e9800998ecf8427e";
        let digest = |text: &str, path: &str| {
            let value = digest(&reply(250, String::from(text)), 16, path.as_bytes())?;
            Some(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        for text in [
            format!("250 {md5}"),
            format!("250 {name} {md5}"),
            format!("250 {md5} {name}"),
            format!("250 XMD5 \"{name}\" {}", md5.to_uppercase()),
            format!("250-Of {name}:\r\n {name}={md5}\r\n250 {md5}"),
            format!("250 \"/home/my {name}\" {md5}"),
        ] {
            for path in [name, &format!("/pub/{name}"), &format!("my {name}"), &format!("\"{name} 1\"")] {
                assert_eq!(digest(&text, path).as_deref(), Some(md5), "{text} of {path}");
            }
        }
        // The file has the name of its own checksum.
        for text in [format!("250 {md5}"), format!("250 {md5} {md5}"), format!("250 XMD5 \"a/{md5}\" {md5}")]
        {
            assert_eq!(digest(&text, md5).as_deref(), Some(md5), "{text}");
        }
        // Two different words could be the checksum.
        for path in ["f", &format!("{md5} {name}")] {
            assert_eq!(digest(&format!("250 {name} {md5}"), path), None);
        }
    }

    #[test]
    fn text_without_a_checksum_has_no_meaning() {
        for raw in ["250", "250 Done", "250 352441C2", "250 900150983cd24fb0d6963f7d28e17f7"] {
            assert_eq!(digest(&reply(250, raw), 16, b"f"), None, "{raw}");
        }
        for raw in ["250 add 1", "250 123456789", "250 XCRC"] {
            assert_eq!(digest(&reply(250, raw), 4, b"f"), None, "{raw}");
        }
        assert_eq!(digest(&reply(550, "550 352441C2"), 4, b"f"), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            algorithm in "[A-Z0-9-]{1,9}", start: u64, end: u64, value in proptest::collection::vec(any::<u8>(), 1..70),
            path in "[^ \r\n][^\r\n]{0,20}",
        ) {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            let raw = format!("213 {algorithm} {start}-{end} {hex} {path}");
            let (algorithm, path) = (algorithm.into(), Bytes::from(path));
            prop_assert_eq!(hash(&reply(213, raw)), Some(Hash { algorithm, start, end, value: value.clone(), path: path.clone() }));
            prop_assert_eq!(digest(&reply(250, format!("250 {hex}")), value.len(), &path), Some(value));
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[ a-fx0-9\"=-]{0,40}", bytes: Vec<u8>, path: Vec<u8>) {
            for code in [213, 250] {
                let raw = [format!("{code} {text}").as_bytes(), &bytes].concat();
                let _ = (hash(&reply(code, raw.clone())), digest(&reply(code, raw), 4, &path));
            }
        }
    }
}
