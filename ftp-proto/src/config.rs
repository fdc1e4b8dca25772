//! The configuration of a session, fixed when it starts.

use crate::arg::{Arg, Secret};
use crate::command::RepresentationType;
use bytes::Bytes;
use core::num::NonZeroUsize;
use core::time::Duration;

/// The configuration of a [`Session`](crate::Session), fixed at its start. Every combination is valid.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The user to log in as.
    pub username: Arg,
    /// The password, sent if the server asks for it (331); several commands in one write include it unasked.
    pub password: Secret,
    /// The account, sent if the server asks for it (332).
    pub account: Option<Secret>,
    /// The representation type of every transfer.
    pub representation: RepresentationType,
    /// Whether FEAT is sent after the login.
    pub features: bool,
    /// Commands that may be unanswered at a time. 1 is lock step, the only way that some servers and middleboxes
    /// understand.
    pub pipeline: NonZeroUsize,
    /// Whether EPSV is tried before PASV (RFC 2428). Set to false for a server known to refuse EPSV.
    pub epsv: bool,
    /// Whether the data connection goes to the host that a 227 names, whichever that is. Over IPv4 the session then
    /// sends PASV and not EPSV, whose reply names no host. If false, every data connection goes to the address of the
    /// control connection: a server behind an address translator names a wrong host, and a hostile server names the
    /// host of a third party.
    pub trust_pasv_address: bool,
    /// Whether every line sent and received becomes an [`Event::Wire`](crate::Event::Wire).
    pub trace: bool,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Limits on what the session takes from a server.
    pub limits: Limits,
}

impl Default for Config {
    /// Anonymous login, image type, up to 16 unanswered commands, no FEAT, no trace.
    fn default() -> Self {
        Self {
            username: ANONYMOUS,
            password: ANONYMOUS_PASSWORD,
            account: None,
            representation: RepresentationType::Image,
            features: false,
            pipeline: BURST,
            epsv: true,
            trust_pasv_address: false,
            trace: false,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

const BURST: NonZeroUsize = NonZeroUsize::new(16).unwrap();
const ANONYMOUS: Arg = Arg::literal(Bytes::from_static(b"anonymous"));
const ANONYMOUS_PASSWORD: Secret = Secret::literal(Bytes::from_static(b"user@localhost.localnet"));

/// Time limits of a session, each for a [`Timer`](crate::Timer).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the control connection to be established.
    pub connect: Duration,
    /// From the control connection to the end of the login. It ends the session of a server that sends each reply in
    /// time and never the last one.
    pub login: Duration,
    /// For the greeting, and for a reply after its command was sent.
    pub reply: Duration,
    /// For the next reply while several commands sent in one write are unanswered, or while a data command is
    /// unanswered behind a refused command. The session then ends in [`OutOfStep`](crate::SessionError::OutOfStep).
    pub burst: Duration,
    /// For the data connection to be established.
    pub data_connect: Duration,
    /// For the next byte on an open data connection. A transfer as a whole has no time limit, however slow.
    pub stall: Duration,
    /// For the completion reply after the end of the data, and for the end of the data after a refusal.
    pub completion: Duration,
    /// For the first reply after a transfer was cut.
    pub cut: Duration,
}

impl Default for Timeouts {
    /// 30 seconds, except for the login (120), a reply to one of several commands (5), the completion and a cut (10).
    fn default() -> Self {
        let half_minute = Duration::from_secs(30);
        Self {
            connect: half_minute,
            login: Duration::from_secs(120),
            reply: half_minute,
            burst: Duration::from_secs(5),
            data_connect: half_minute,
            stall: half_minute,
            completion: Duration::from_secs(10),
            cut: Duration::from_secs(10),
        }
    }
}

/// Limits on what a session takes from a server. A server that exceeds a limit ends the session.
///
/// Numbers that a server names need no limit, because the session reserves no memory for them: a size is a number from
/// 0 to 2^63 - 1, or unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a reply, all its lines together.
    pub reply_bytes: usize,
    /// Lines of a reply, and empty lines before it.
    pub reply_lines: usize,
    /// Lines of the reply to FEAT, the first and the last included.
    pub feat_lines: usize,
    /// Lines of the reply to MLST, the first and the last included.
    pub mlst_lines: usize,
    /// Preliminary replies (1yz) in a row: to one command, or before the greeting.
    pub preliminary_replies: u32,
    /// Replies in a row that answer no command, after a cut transfer only. At any other time the first such reply ends
    /// the session.
    pub unowed_replies: u32,
    /// Bytes past the end of a file of known size ([`Until::Size`](crate::Until::Size)), which are dropped. A part
    /// that ends within the file needs no limit, because the session cuts its transfer.
    pub bytes_past_end: u64,
}

impl Default for Limits {
    /// 64 KiB and 1024 lines a reply, 256 lines of FEAT, 64 of MLST, 16 preliminary replies, 8 replies to no command,
    /// no byte past the end.
    fn default() -> Self {
        Self {
            reply_bytes: 64 * 1024,
            reply_lines: 1024,
            feat_lines: 256,
            mlst_lines: 64,
            preliminary_replies: 16,
            unowed_replies: 8,
            bytes_past_end: 0,
        }
    }
}
