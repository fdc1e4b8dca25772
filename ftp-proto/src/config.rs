//! How a session behaves: fixed when it starts.

use crate::arg::{Arg, Secret};
use crate::command::RepresentationType;
use bytes::Bytes;
use core::num::NonZeroUsize;
use core::time::Duration;

/// What a [`Session`](crate::Session) is told once, at its start. Every combination is valid.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The user to log in as.
    pub username: Arg,
    /// The password, sent if the server asks for it (331), and in a burst unasked.
    pub password: Secret,
    /// The account, sent if the server asks for it (332).
    pub account: Option<Secret>,
    /// The representation type of every transfer.
    pub representation: RepresentationType,
    /// Whether FEAT is asked after login.
    pub features: bool,
    /// How many commands may await their replies. 1 is lock step; some servers and middleboxes stand
    /// nothing else.
    pub pipeline: NonZeroUsize,
    /// Whether EPSV is tried before PASV (RFC 2428). Set to false for a server known to refuse it.
    pub epsv: bool,
    /// Whether the data connection goes to the host that a 227 names, wherever that is. Over IPv4, PASV is asked then
    /// and not EPSV, which names no host. Otherwise every data connection goes to the control connection's peer: a
    /// server behind an address translator names a wrong host, a hostile one somebody else's.
    pub trust_pasv_address: bool,
    /// Whether every line sent and received becomes an [`Event::Wire`](crate::Event::Wire).
    pub trace: bool,
    /// How long the session waits for what.
    pub timeouts: Timeouts,
    /// What the session takes from a server at most.
    pub limits: Limits,
}

impl Default for Config {
    /// Anonymous login, image type, bursts of up to 16 commands, no FEAT, no trace.
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

/// How long a session waits, each for one [`Timer`](crate::Timer).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the control connection.
    pub connect: Duration,
    /// From the control connection to the end of the login, all replies together: a server that sends something in time
    /// again and again is not waited for any longer.
    pub login: Duration,
    /// For the greeting, and for a reply once its command is on its way.
    pub reply: Duration,
    /// For the next reply while several commands of a burst are unanswered, or RETR is behind one that was refused; then
    /// the session ends as one that has to be dialled again in lock step.
    pub burst: Duration,
    /// For the data connection.
    pub data_connect: Duration,
    /// For the next byte on an open data connection. A transfer has no limit as a whole: slow is not wrong.
    pub stall: Duration,
    /// For the completion reply after the end of the data, and for the end of a refused data connection.
    pub completion: Duration,
    /// For the first reply after a transfer that was cut.
    pub cut: Duration,
}

impl Default for Timeouts {
    /// 30 seconds for everything but a login as a whole (120), a burst (5) and what follows a transfer (10).
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

/// What a session takes from a server before it gives up on it: what comes beyond a limit ends the session.
///
/// Nothing is ever reserved for a number that a server names, so its numbers need no limit: a size is one from 0 to
/// 2^63 - 1, or it is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one reply, all its lines together.
    pub reply_bytes: usize,
    /// Lines of one reply, and empty lines before it.
    pub reply_lines: usize,
    /// Lines of the reply to FEAT, the first and the last included.
    pub feat_lines: usize,
    /// Lines of the reply to MLST, the first and the last included.
    pub mlst_lines: usize,
    /// Preliminary replies (1yz) in a row: to one command, or before the greeting.
    pub preliminary_replies: u32,
    /// Replies in a row that no command is owed, where they are to be expected: further ones to a transfer that was cut.
    /// Anywhere else the first one ends the session.
    pub unowed_replies: u32,
    /// Bytes past the end of a file whose size is known ([`Until::Size`](crate::Until::Size)), which are thrown away.
    /// Where a part is to end within the file, the session ends the transfer there, and a server has no say in it.
    pub bytes_past_end: u64,
}

impl Default for Limits {
    /// 64 KiB and 1024 lines a reply, 256 lines of FEAT, 64 of MLST; 16 preliminary replies, 8 that no command is
    /// owed; not a byte too many.
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
