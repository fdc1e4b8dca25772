//! The reply to EPSV.

use crate::reply::Reply;
use memchr::memchr_iter;
use nom::bytes::complete::take_till;
use nom::character::complete::{char, satisfy, u16};
use nom::combinator::{all_consuming, verify};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

/// Returns the TCP port that a 229 names: `(|||port|)`, where any printable character may take the place of the bar
/// (RFC 2428 §3). The fields `net_prt` and `net_addr`, which have to be empty, are ignored.
#[must_use]
pub fn epsv(reply: &Reply) -> Option<u16> {
    super::lines(reply, 229)?.find_map(|line| {
        let mut starts = memchr_iter(b'(', line).filter_map(|at| line.get(at..));
        starts.find_map(|text| tcp_port(text).ok()).map(|(_, port)| port)
    })
}

fn tcp_port(text: &[u8]) -> IResult<&[u8], u16, ()> {
    let (text, delimiter) = preceded(char('('), satisfy(|c| matches!(c, '!'..='~'))).parse(text)?;
    let field = || terminated(take_till(|byte| char::from(byte) == delimiter), char(delimiter));
    let (text, (_net_prt, _net_addr, tcp_port)) = (field(), field(), field()).parse(text)?;
    let (_, port) = all_consuming(verify(u16, |port| *port != 0)).parse(tcp_port)?;
    let (text, _) = char(')').parse(text)?;
    Ok((text, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::vec::Vec;
    use alloc::{format, string::ToString};
    use proptest::prelude::*;

    #[test]
    fn texts_of_real_servers() {
        for raw in [
            &b"229 Entering Extended Passive Mode (|||50321|).\r\n"[..],
            b"229 Entering Extended Passive Mode (|||50321|)\r\n",
            b"229 Extended Passive mode OK (|||50321|)\r\n",
            b"229 Entering extended passive mode (|||50321|).\r\n",
            b"229 (|||50321|)\r\n",
            b"229 Entering (so to say) Extended Passive Mode (!!!50321!)\r\n",
            b"229 Extended Passive Mode Entered (|1|192.0.2.1|50321|)\r\n",
            b"229 Entering Extended Passive Mode (|2|::1|50321|)\r\n",
        ] {
            assert_eq!(epsv(&reply(229, raw)), Some(50_321), "{raw:?}");
        }
    }

    #[test]
    fn text_without_a_port_has_no_meaning() {
        for raw in [
            &b"229 (|||0|)"[..],
            b"229 (|||65536|)",
            b"229 (|||+21|)",
            b"229 (||||)",
            b"229 (|||21)",
            b"229 (|||21|",
            b"229 (||21|)",
            b"229 (|||21!)",
            b"229 (   21 )",
            b"229 (\x7f\x7f\x7f21\x7f)",
            b"229 |||21|",
            b"229",
        ] {
            assert_eq!(epsv(&reply(229, raw)), None, "{raw:?}");
        }
        assert_eq!(epsv(&reply(227, &b"227 (|||21|)"[..])), None);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            port in 1_u16..,
            d in proptest::char::range('!', '~'),
            before in "[^(\n]{0,20}",
            after in "[^\n]{0,9}",
        ) {
            prop_assume!(!port.to_string().contains(d));
            let raw = format!("229 {before}({d}{d}{d}{port}{d}){after}");
            prop_assert_eq!(epsv(&reply(229, raw)), Some(port));
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[(|)0-9]{0,40}", bytes: Vec<u8>) {
            let _ = epsv(&reply(229, [b"229 ", text.as_bytes(), &bytes].concat()));
        }
    }
}
