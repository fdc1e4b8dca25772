//! The meaning of the texts of replies.
//!
//! Each function takes a whole reply, and returns `None` if its code is another one or its text is not of the expected
//! form. No text that a server sends makes these functions panic or overflow.

mod epsv;
mod facts;
mod feat;
mod hash;
mod mlsx;
mod pasv;
mod pwd;
mod time_val;

pub use epsv::epsv;
pub use facts::{EntryType, Facts, size};
pub use feat::{Feature, Features, feat};
pub use hash::{Hash, digest, hash};
pub use mlsx::{Entry, mlst, mlsx};
pub use pasv::pasv;
pub use pwd::pwd;
pub use time_val::{TimeVal, mdtm};

use crate::reply::Reply;
use nom::Parser;
use nom::combinator::all_consuming;

/// Returns the lines of `reply` if its code is `code`.
fn lines(reply: &Reply, code: u16) -> Option<impl Iterator<Item = &[u8]>> {
    (reply.code().get() == code).then(|| reply.lines())
}

/// Applies `parser` to `input`, and returns its output if it takes all of `input`.
fn whole<'a, T>(input: &'a [u8], parser: impl Parser<&'a [u8], Output = T, Error = ()>) -> Option<T> {
    all_consuming(parser).parse(input).ok().map(|(_, value)| value)
}

#[cfg(test)]
fn reply(code: u16, raw: impl Into<bytes::Bytes>) -> Reply {
    Reply::new(crate::ReplyCode::new(code).unwrap(), raw.into())
}
