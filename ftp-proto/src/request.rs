//! Work for a session.

use crate::arg::Arg;
use crate::command::Command;

/// Names a request within its session. The caller chooses it, and never uses one twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// Work for a session. A session does its requests in order, one transfer at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// A command without a data connection, answered by [`Event::Reply`](crate::Event::Reply) or
    /// [`Event::Refused`](crate::Event::Refused). CWD, PWD, FEAT, HASH, MDTM, MLST, NOOP, OPTS, SITE, SIZE, SYST, and
    /// XCRC and its like are allowed; the session sends the other commands itself.
    Command(Command),
    /// Size and modification time of a file (SIZE and MDTM, else MLST; RFC 3659 §3, §4, §7), answered by
    /// [`Event::Facts`](crate::Event::Facts).
    Facts(Arg),
    /// A file or a part of it (REST and RETR; RFC 959 §4.1.3, RFC 3659 §5), answered by
    /// [`Event::Started`](crate::Event::Started) and [`Event::Finished`](crate::Event::Finished), or by
    /// [`Event::Refused`](crate::Event::Refused).
    ///
    /// A [`Session`](crate::Session) takes it as it is. A [`Link`](crate::Link) and a
    /// [`Transport`](crate::Transport) need a sink with it, and have `retrieve` for that.
    Retrieve(Retrieve),
    /// Data for the caller, not for a sink: a small file, from its start. The bytes go to
    /// [`LinkOutput::Content`](crate::LinkOutput::Content). The request is answered like a [`Request::Retrieve`] that
    /// ends at [`Until::Offset`] of `most`: data as long as that, or longer, end in
    /// [`Finish::Cut`](crate::Finish::Cut).
    Content {
        /// The command that sends the data. RETR is the only one yet: see [`Request::content`].
        command: Command,
        /// Bytes to take at most.
        most: u64,
    },
    /// A data connection ahead of the next [`Request::Retrieve`] or [`Request::Content`], by EPSV or else PASV
    /// (RFC 2428 §3, RFC 959 §4.1.2): the first byte of that transfer then comes one round trip after its request, instead
    /// of three.
    ///
    /// [`Event::Prepared`](crate::Event::Prepared) follows when the data connection is established, unless a transfer
    /// uses it by then. If the server refuses or closes it, or cannot be reached there, no event comes, and the next
    /// transfer makes a data connection of its own. A second request of this kind takes the place of the first and makes
    /// no second data connection; its event tells whether the first one is established.
    Prepare,
}

impl Request {
    /// A [`Request::Content`] for the file `path` (RETR), of which `most` bytes are taken at most.
    #[must_use]
    pub const fn content(path: Arg, most: u64) -> Self {
        Self::Content { command: Command::Retr(path), most }
    }
}

/// A part of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retrieve {
    /// The file.
    pub path: Arg,
    /// Offset of the first byte wanted, in bytes; 0 for the start of the file (the restart point, RFC 3659 §5).
    pub offset: u64,
    /// The end of the part.
    pub until: Until,
    /// Bytes before `offset` that are fetched as well, as far as the file has them; 0 for none. The overlap goes to
    /// [`LinkOutput::Overlap`](crate::LinkOutput::Overlap) and not to the sink: a caller that has these bytes from another
    /// server can compare them, and so tell whether this server has the same file.
    pub overlap: u64,
}

impl Retrieve {
    /// The bytes of `path` from `offset` to `until`, without an overlap.
    #[must_use]
    pub const fn new(path: Arg, offset: u64, until: Until) -> Self {
        Self { path, offset, until, overlap: 0 }
    }
}

/// The end of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// The end that the server makes.
    Eof,
    /// The end of a file of this size, in bytes: the server has to end the transfer exactly there. Fewer bytes are
    /// [`Finish::Short`](crate::Finish::Short), a byte more is [`PeerFault::Overrun`](crate::PeerFault::Overrun).
    Size(u64),
    /// Before this offset, in bytes from the start of the file; the session cuts the transfer there.
    Offset(u64),
}

impl Until {
    /// The offset, exclusive, past which no byte is wanted; `u64::MAX` if it is not known.
    #[must_use]
    pub const fn end(self) -> u64 {
        match self {
            Self::Eof => u64::MAX,
            Self::Size(end) | Self::Offset(end) => end,
        }
    }
}
