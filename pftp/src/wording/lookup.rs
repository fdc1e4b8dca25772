//! Sentences about lookups of checksums.

use super::write_escaped;
use crate::lookup::{Found, ListError, Origin, Remark};
use ftp_proto::Escaped;
use std::fmt;

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::UselessList { server, list, error } => format!("{server}: {} {error}", Escaped(list)),
            Self::ListTooLarge { server, list } => {
                format!("{server}: {} is too large to be read for a checksum", Escaped(list))
            }
            Self::ListNotRead { server, list, reply } => {
                let reason = reply.as_ref().map_or_else(|| SESSION_ENDED.to_owned(), ToString::to_string);
                format!("{server}: {} cannot be read: {reason}", Escaped(list))
            }
            Self::CommandRefused { server, verb, reply } => format!("{server}: {verb} is refused: {reply}"),
            Self::CommandNotAnswered { server, verb } => {
                format!("{server}: {verb} is not answered: {SESSION_ENDED}")
            }
            Self::CommandMisanswered { server, verb, algorithm, reply } => {
                let name = algorithm.name().to_uppercase();
                format!("{server}: the reply to {verb} has no {name} checksum of the file: {reply}")
            }
        };
        write_escaped(f, &sentence)
    }
}

const SESSION_ENDED: &str = "the session ended instead";

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("has no checksum in it"),
            Self::UnknownAlgorithm => f.write_str("has no checksum in it that is known"),
            Self::NotListed => f.write_str("does not list the file"),
            Self::OtherFile(name) => write!(f, "is for another file, {}", Escaped(name)),
            Self::Contradictory => f.write_str("has two different checksums for the file"),
        }
    }
}

/// Says a checksum and its origin: `sha256=..., as file.sha256 on ftp.example.org says`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checksum, blocks, server, origin } = self;
        let blocks = blocks.map(|blocks| format!(" and {blocks} KiB")).unwrap_or_default();
        let origin = match origin {
            Origin::List(name) => Escaped(name).to_string(),
            Origin::Command(verb) => verb.to_string(),
        };
        let weak = if checksum.algorithm().is_weak() { "; that is weak evidence" } else { "" };
        write_escaped(f, &format!("{checksum}{blocks}, as {origin} on {server} says{weak}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Algorithm;
    use crate::engine::Notice;
    use ftp_proto::{Reply, ReplyParser, Verb};

    fn reply(text: &str) -> Reply {
        let mut parser = ReplyParser::new(4096);
        parser.push(format!("{text}\r\n").as_bytes());
        parser.next().unwrap().unwrap()
    }

    #[test]
    fn remark_names_the_server_and_what_it_said() {
        let server = || "host".to_owned();
        let list = || b"f.md5".to_vec();
        let (verb, algorithm) = (Verb::Xmd5, Algorithm::Md5);
        let useless = |error| Remark::UselessList { server: server(), list: list(), error };
        for (met, sentence) in [
            (useless(ListError::Malformed), "host: f.md5 has no checksum in it"),
            (useless(ListError::UnknownAlgorithm), "host: f.md5 has no checksum in it that is known"),
            (useless(ListError::NotListed), "host: f.md5 does not list the file"),
            (
                useless(ListError::OtherFile(b"\x1b[2J".to_vec())),
                "host: f.md5 is for another file, \\u{1b}[2J",
            ),
            (useless(ListError::Contradictory), "host: f.md5 has two different checksums for the file"),
            (
                Remark::ListTooLarge { server: server(), list: list() },
                "host: f.md5 is too large to be read for a checksum",
            ),
            (
                Remark::ListNotRead { server: server(), list: list(), reply: Some(reply("450 Busy")) },
                "host: f.md5 cannot be read: 450 Busy",
            ),
            (
                Remark::ListNotRead { server: server(), list: list(), reply: None },
                "host: f.md5 cannot be read: the session ended instead",
            ),
            (
                Remark::CommandRefused { server: server(), verb, reply: reply("550 Too large") },
                "host: XMD5 is refused: 550 Too large",
            ),
            (
                Remark::CommandNotAnswered { server: server(), verb },
                "host: XMD5 is not answered: the session ended instead",
            ),
            (
                Remark::CommandMisanswered { server: server(), verb, algorithm, reply: reply("250 Done") },
                "host: the reply to XMD5 has no MD5 checksum of the file: 250 Done",
            ),
        ] {
            assert_eq!(met.to_string(), sentence);
            assert_eq!(Notice::Lookup(met).is_warning(), !sentence.ends_with("does not list the file"));
        }
    }
}
