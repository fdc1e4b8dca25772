//! How a session behaves: fixed when it starts.

use crate::arg::{Arg, Secret};
use crate::command::Type;
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
    pub representation: Type,
    /// Whether FEAT is asked after login.
    pub features: bool,
    /// How many commands may await their replies. 1 is lock step; some servers and middleboxes stand
    /// nothing else.
    pub pipeline: NonZeroUsize,
    /// Whether EPSV is tried before PASV (RFC 2428). Set to false for a server known to refuse it.
    pub epsv: bool,
    /// Bytes before the first wanted one that every transfer fetches as well, as far as the file has them. They go to
    /// [`LinkOutput::Lead`](crate::LinkOutput::Lead) and not to the sink: who has them from elsewhere can tell
    /// whether this server has the same file, and starts where it was told to.
    pub lead: u64,
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
            representation: Type::Image,
            features: false,
            pipeline: BURST,
            epsv: true,
            lead: 0,
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
    /// For the greeting, and for a reply once its command is on its way.
    pub reply: Duration,
    /// For the next reply while several commands of a burst are unanswered; then the session ends as
    /// one that has to be dialled again in lock step.
    pub burst: Duration,
    /// For the data connection.
    pub data_connect: Duration,
    /// For the next byte on an open data connection.
    pub stall: Duration,
    /// For the completion reply after the end of the data, and for the end of a refused data connection.
    pub completion: Duration,
    /// For the first reply after a transfer that was cut.
    pub cut: Duration,
}

impl Default for Timeouts {
    /// 30 seconds for everything but a burst (5) and what follows a transfer (10).
    fn default() -> Self {
        let half_minute = Duration::from_secs(30);
        Self {
            connect: half_minute,
            reply: half_minute,
            burst: Duration::from_secs(5),
            data_connect: half_minute,
            stall: half_minute,
            completion: Duration::from_secs(10),
            cut: Duration::from_secs(10),
        }
    }
}

/// What a session takes from a server before it gives up on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one reply, all its lines together.
    pub reply_bytes: usize,
    /// Preliminary replies (1yz) to one command.
    pub preliminary_replies: u32,
}

impl Default for Limits {
    /// 64 KiB a reply, 16 preliminary replies.
    fn default() -> Self {
        Self { reply_bytes: 64 * 1024, preliminary_replies: 16 }
    }
}
