//! Commands and their encoding (RFC 959 §5.3, 2228, 2389, 2428, 3659, 4217; draft-bryan-ftpext-hash).

use crate::arg::{Arg, Secret};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Representation type (RFC 959 §3.1.1), the argument of TYPE.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RepresentationType {
    /// `A`: lines end in CRLF on the wire; sizes and offsets differ from those of the stored file.
    Ascii,
    /// `I`: the bytes as they are stored.
    #[default]
    Image,
}

/// Data channel protection level (RFC 2228 §3), the argument of PROT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProtLevel {
    /// `C`: not protected.
    Clear,
    /// `P`: protected by TLS (RFC 4217 §9).
    Private,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// The name of a command.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Verb { $($(#[$doc])* $name,)* }

        impl Verb {
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

verbs! {
    /// Account (RFC 959 §4.1.1).
    Acct = "ACCT",
    /// Authentication mechanism (RFC 2228 §3).
    Auth = "AUTH",
    /// Change working directory (RFC 959 §4.1.1).
    Cwd = "CWD",
    /// Extended passive (RFC 2428 §3).
    Epsv = "EPSV",
    /// Features (RFC 2389 §3).
    Feat = "FEAT",
    /// Hash of a file (draft-bryan-ftpext-hash §4).
    Hash = "HASH",
    /// Modification time (RFC 3659 §3).
    Mdtm = "MDTM",
    /// Facts of one object (RFC 3659 §7).
    Mlst = "MLST",
    /// No operation (RFC 959 §4.1.3).
    Noop = "NOOP",
    /// Options of a feature (RFC 2389 §4).
    Opts = "OPTS",
    /// Password (RFC 959 §4.1.1).
    Pass = "PASS",
    /// Passive (RFC 959 §4.1.2).
    Pasv = "PASV",
    /// Protection buffer size (RFC 2228 §3).
    Pbsz = "PBSZ",
    /// Data channel protection level (RFC 2228 §3).
    Prot = "PROT",
    /// Print working directory (RFC 959 §4.1.3).
    Pwd = "PWD",
    /// Logout (RFC 959 §4.1.1).
    Quit = "QUIT",
    /// Restart (RFC 3659 §5).
    Rest = "REST",
    /// Retrieve (RFC 959 §4.1.3).
    Retr = "RETR",
    /// Site parameters (RFC 959 §4.1.3).
    Site = "SITE",
    /// Size of a file (RFC 3659 §4).
    Size = "SIZE",
    /// System (RFC 959 §4.1.3).
    Syst = "SYST",
    /// Representation type (RFC 959 §4.1.2).
    Type = "TYPE",
    /// User name (RFC 959 §4.1.1).
    User = "USER",
    /// CRC-32 of a file (no RFC).
    Xcrc = "XCRC",
    /// MD5 of a file (no RFC).
    Xmd5 = "XMD5",
    /// SHA-1 of a file (no RFC).
    Xsha1 = "XSHA1",
    /// SHA-256 of a file (no RFC).
    Xsha256 = "XSHA256",
    /// SHA-512 of a file (no RFC).
    Xsha512 = "XSHA512",
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A command with its argument. Every command can be sent: encoding cannot fail.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// `ACCT account` (RFC 959 §4.1.1).
    Acct(Secret),
    /// `AUTH TLS` (RFC 4217 §4).
    AuthTls,
    /// `CWD path` (RFC 959 §4.1.1).
    Cwd(Arg),
    /// `EPSV` (RFC 2428 §3).
    Epsv,
    /// `FEAT` (RFC 2389 §3).
    Feat,
    /// `HASH path` (draft-bryan-ftpext-hash §4). `OPTS HASH algorithm` chooses the algorithm.
    Hash(Arg),
    /// `MDTM path` (RFC 3659 §3).
    Mdtm(Arg),
    /// `MLST path` (RFC 3659 §7).
    Mlst(Arg),
    /// `NOOP` (RFC 959 §4.1.3).
    Noop,
    /// `OPTS feature options` (RFC 2389 §4).
    Opts(Arg),
    /// `PASS password` (RFC 959 §4.1.1).
    Pass(Secret),
    /// `PASV` (RFC 959 §4.1.2).
    Pasv,
    /// `PBSZ size`, in bytes (RFC 2228 §3).
    Pbsz(u32),
    /// `PROT level` (RFC 2228 §3).
    Prot(ProtLevel),
    /// `PWD` (RFC 959 §4.1.3).
    Pwd,
    /// `QUIT` (RFC 959 §4.1.1).
    Quit,
    /// `REST offset`, in bytes (RFC 3659 §5).
    Rest(u64),
    /// `RETR path` (RFC 959 §4.1.3).
    Retr(Arg),
    /// `SITE parameters` (RFC 959 §4.1.3).
    Site(Arg),
    /// `SIZE path` (RFC 3659 §4).
    Size(Arg),
    /// `SYST` (RFC 959 §4.1.3).
    Syst,
    /// `TYPE type` (RFC 959 §4.1.2).
    Type(RepresentationType),
    /// `USER name` (RFC 959 §4.1.1).
    User(Arg),
    /// `XCRC path` (no RFC). Some servers take a path with spaces in quotes only.
    Xcrc(Arg),
    /// `XMD5 path` (no RFC), as XCRC.
    Xmd5(Arg),
    /// `XSHA1 path` (no RFC), as XCRC.
    Xsha1(Arg),
    /// `XSHA256 path` (no RFC), as XCRC.
    Xsha256(Arg),
    /// `XSHA512 path` (no RFC), as XCRC.
    Xsha512(Arg),
}

/// Telnet's "interpret as command", which is doubled in text on the control connection (RFC 854, RFC 2640 §2).
const IAC: u8 = 255;

impl Command {
    /// The name of the command.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Acct(_) => Verb::Acct,
            Self::AuthTls => Verb::Auth,
            Self::Cwd(_) => Verb::Cwd,
            Self::Epsv => Verb::Epsv,
            Self::Feat => Verb::Feat,
            Self::Hash(_) => Verb::Hash,
            Self::Mdtm(_) => Verb::Mdtm,
            Self::Mlst(_) => Verb::Mlst,
            Self::Noop => Verb::Noop,
            Self::Opts(_) => Verb::Opts,
            Self::Pass(_) => Verb::Pass,
            Self::Pasv => Verb::Pasv,
            Self::Pbsz(_) => Verb::Pbsz,
            Self::Prot(_) => Verb::Prot,
            Self::Pwd => Verb::Pwd,
            Self::Quit => Verb::Quit,
            Self::Rest(_) => Verb::Rest,
            Self::Retr(_) => Verb::Retr,
            Self::Site(_) => Verb::Site,
            Self::Size(_) => Verb::Size,
            Self::Syst => Verb::Syst,
            Self::Type(_) => Verb::Type,
            Self::User(_) => Verb::User,
            Self::Xcrc(_) => Verb::Xcrc,
            Self::Xmd5(_) => Verb::Xmd5,
            Self::Xsha1(_) => Verb::Xsha1,
            Self::Xsha256(_) => Verb::Xsha256,
            Self::Xsha512(_) => Verb::Xsha512,
        }
    }

    /// Appends the line to send to `out`, CRLF included, IAC doubled.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.verb().as_str().as_bytes());
        let mut argument = Vec::new();
        self.argument(&mut argument);
        if !argument.is_empty() || matches!(self, Self::Pass(_) | Self::Acct(_)) {
            out.push(b' ');
        }
        for byte in argument {
            if byte == IAC {
                out.push(IAC);
            }
            out.push(byte);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The line for a log: without CRLF, `***` in place of a secret.
    #[must_use]
    pub fn masked(&self) -> Bytes {
        let mut line = Vec::from(self.verb().as_str().as_bytes());
        let before = line.len();
        line.push(b' ');
        if matches!(self, Self::Pass(_) | Self::Acct(_)) {
            line.extend_from_slice(b"***");
        } else {
            self.argument(&mut line);
        }
        if line.len() == before.saturating_add(1) {
            line.truncate(before);
        }
        line.into()
    }

    fn argument(&self, out: &mut Vec<u8>) {
        match self {
            Self::Acct(secret) | Self::Pass(secret) => out.extend_from_slice(secret.expose()),
            Self::AuthTls => out.extend_from_slice(b"TLS"),
            Self::Cwd(arg)
            | Self::Hash(arg)
            | Self::Mdtm(arg)
            | Self::Mlst(arg)
            | Self::Opts(arg)
            | Self::Retr(arg)
            | Self::Site(arg)
            | Self::Size(arg)
            | Self::User(arg)
            | Self::Xcrc(arg)
            | Self::Xmd5(arg)
            | Self::Xsha1(arg)
            | Self::Xsha256(arg)
            | Self::Xsha512(arg) => out.extend_from_slice(arg.as_bytes()),
            Self::Pbsz(size) => decimal(u64::from(*size), out),
            Self::Rest(offset) => decimal(*offset, out),
            Self::Prot(ProtLevel::Clear) => out.push(b'C'),
            Self::Prot(ProtLevel::Private) => out.push(b'P'),
            Self::Type(RepresentationType::Ascii) => out.push(b'A'),
            Self::Type(RepresentationType::Image) => out.push(b'I'),
            Self::Epsv | Self::Feat | Self::Noop | Self::Pasv | Self::Pwd | Self::Quit | Self::Syst => {}
        }
    }
}

fn decimal(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(alloc::format!("{number}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &Command) -> Vec<u8> {
        let mut out = Vec::new();
        command.encode(&mut out);
        out
    }

    #[test]
    fn lines_have_the_form_of_the_rfcs() {
        let path = || Arg::new(&b"/pub/a b"[..]).unwrap();
        for (command, want) in [
            (Command::Retr(path()), &b"RETR /pub/a b\r\n"[..]),
            (Command::Rest(u64::MAX), b"REST 18446744073709551615\r\n"),
            (Command::Epsv, b"EPSV\r\n"),
            (Command::Type(RepresentationType::Image), b"TYPE I\r\n"),
            (Command::AuthTls, b"AUTH TLS\r\n"),
            (Command::Pbsz(0), b"PBSZ 0\r\n"),
            (Command::Prot(ProtLevel::Private), b"PROT P\r\n"),
            (Command::Pass(Secret::new(&b""[..]).unwrap()), b"PASS \r\n"),
            (Command::Hash(path()), b"HASH /pub/a b\r\n"),
            (Command::Xcrc(path()), b"XCRC /pub/a b\r\n"),
            (Command::Xsha512(path()), b"XSHA512 /pub/a b\r\n"),
        ] {
            assert_eq!(line(&command), want);
        }
    }

    #[test]
    fn iac_is_doubled() {
        let name = Arg::new(&b"a\xff\xffb"[..]).unwrap();
        assert_eq!(line(&Command::Size(name)), b"SIZE a\xff\xff\xff\xffb\r\n");
    }

    #[test]
    fn logged_line_masks_secrets() {
        let secret = Secret::new(&b"hunter2"[..]).unwrap();
        assert_eq!(Command::Pass(secret.clone()).masked(), &b"PASS ***"[..]);
        assert_eq!(Command::Acct(secret).masked(), &b"ACCT ***"[..]);
        assert_eq!(Command::Noop.masked(), &b"NOOP"[..]);
        assert_eq!(Command::Rest(7).masked(), &b"REST 7"[..]);
    }
}
