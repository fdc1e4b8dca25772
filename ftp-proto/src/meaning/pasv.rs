//! The reply to PASV.

use crate::reply::Reply;
use core::net::Ipv4Addr;
use nom::character::complete::{char, space0, u8};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

/// Returns the address and port that a 227 names: the first six numbers in a row, anywhere in the text, with or
/// without parentheses (RFC 959 §4.1.2, RFC 1123 §4.1.2.6). `None` if the port is 0.
#[must_use]
pub fn pasv(reply: &Reply) -> Option<(Ipv4Addr, u16)> {
    super::lines(reply, 227)?.find_map(host_port).filter(|(_, port)| *port != 0)
}

fn host_port(text: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let mut rest = text;
    let mut in_number = false;
    while let Some((byte, after)) = rest.split_first() {
        if !in_number && let Ok((_, found)) = numbers(rest) {
            return Some(found);
        }
        in_number = byte.is_ascii_digit();
        rest = after;
    }
    None
}

fn numbers(text: &[u8]) -> IResult<&[u8], (Ipv4Addr, u16), ()> {
    let next = || preceded(delimited(space0, char(','), space0), u8);
    let (rest, (h1, h2, h3, h4, p1, p2)) = (u8, next(), next(), next(), next(), next()).parse(text)?;
    Ok((rest, (Ipv4Addr::new(h1, h2, h3, h4), u16::from_be_bytes([p1, p2]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn texts_of_real_servers() {
        let local = Some((Ipv4Addr::LOCALHOST, 50_321));
        for raw in [
            &b"227 Entering Passive Mode (127,0,0,1,196,145).\r\n"[..],
            b"227 Entering Passive Mode (127,0,0,1,196,145)\r\n",
            b"227 Entering passive mode (127,0,0,1,196,145).\r\n",
            b"227 Entering Passive Mode. 127,0,0,1,196,145\r\n",
            b"227 =127,0,0,1,196,145\r\n",
            b"227 127, 0, 0, 1, 196, 145\r\n",
            b"227 Entering Passive Mode (127,000,000,001,196,145)\r\n",
            b"227-Note, 1,2 or so\r\n227 Entering Passive Mode (127,0,0,1,196,145)\r\n",
        ] {
            assert_eq!(pasv(&reply(227, raw)), local, "{raw:?}");
        }
        assert_eq!(pasv(&reply(227, &b"227 (0,0,0,0,0,21)"[..])), Some((Ipv4Addr::UNSPECIFIED, 21)));
    }

    #[test]
    fn text_without_a_port_has_no_meaning() {
        for raw in [
            &b"227 Entering Passive Mode (127,0,0,1,0,0)"[..],
            b"227 Entering Passive Mode (127,0,0,1,196)",
            b"227 (256,0,0,1,196,145)",
            b"227 (127,0,0,1,196,1450)",
            b"227 (1270,0,0,1,196,145)",
            b"227 (127,0,0,-1,196,145)",
            b"227 (127.0.0.1.196.145)",
            b"227",
        ] {
            assert_eq!(pasv(&reply(227, raw)), None, "{raw:?}");
        }
        assert_eq!(pasv(&reply(229, &b"229 (127,0,0,1,196,145)"[..])), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            host: [u8; 4],
            port in 1_u16..,
            before in "[^0-9]{0,20}",
            after in "([^0-9].{0,20})?",
        ) {
            let ([a, b, c, d], [e, f]) = (host, port.to_be_bytes());
            let raw = format!("227 {before}{a},{b},{c},{d},{e},{f}{after}").replace(['\r', '\n'], " ");
            prop_assert_eq!(pasv(&reply(227, raw)), Some((Ipv4Addr::from(host), port)));
        }

        #[test]
        fn any_bytes_have_a_meaning_or_none(text: Vec<u8>) {
            let _ = pasv(&reply(227, [b"227 ", &text[..]].concat()));
        }

        #[test]
        fn nearly_right_texts_have_a_meaning_or_none(text in "[0-9,. ()]{0,60}") {
            let _ = pasv(&reply(227, format!("227 {text}")));
        }
    }
}
