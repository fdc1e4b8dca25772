//! The faults of simulated worlds: a closed list.

use pftp::ErrorKind;
use std::fmt;

/// The effect of a fault on a mirror.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nature {
    /// The download may take longer; nothing else changes.
    Harmless,
    /// The first sessions fail. A client that retries gets the file.
    Passing,
    /// The mirror never delivers. Without another mirror the download fails with this kind of failure.
    Fatal(ErrorKind),
    /// The mirror has the right file, and tells or sends something wrong.
    Lying,
    /// The mirror has another file, or claims so.
    Other,
    /// The run ends early; the next run finds what was fetched.
    Outage,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $nature:expr,)*) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All faults.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the effect on a mirror.
            pub const fn nature(self) -> Nature {
                use Nature::{Fatal, Harmless, Lying, Other, Outage, Passing};
                match self {
                    $(Self::$name => $nature,)*
                }
            }
        }
    };
}

faults! {
    /// Control connections are refused.
    Refused: Fatal(ErrorKind::Connect),
    /// Control connections are never answered.
    BlackHole: Fatal(ErrorKind::Connect),
    /// The first address of the name is a black hole.
    FirstAddressSilent: Harmless,
    /// The first address of the name refuses connections.
    FirstAddressRefuses: Harmless,
    /// Too many sessions: 421 in place of the greeting.
    FullGreeting: Harmless,
    /// Too many sessions: 530 in place of the answer to PASS.
    FullPassword: Harmless,
    /// Too many sessions: the connection is accepted, and nothing follows.
    FullHang: Harmless,
    /// Too many sessions: the connection is refused.
    FullRefused: Harmless,
    /// The login is refused.
    LoginRefused: Fatal(ErrorKind::Authentication),
    /// The file does not exist.
    NoSuchFile: Fatal(ErrorKind::NotFound),
    /// The first sessions are greeted by 421.
    Busy: Passing,
    /// RETR is answered 425.
    Retr425: Passing,
    /// RETR is answered 426.
    Retr426: Passing,
    /// RETR is answered 450.
    Retr450: Passing,
    /// RETR is answered 451.
    Retr451: Passing,
    /// The control connection is reset after some reply.
    ControlReset: Passing,
    /// The control connection is closed after some reply.
    ControlClosed: Passing,
    /// The server falls silent after some reply.
    ControlSilent: Passing,
    /// The data connection is closed at some byte, without a reply.
    DataClosed: Passing,
    /// The data connection is reset at some byte, without a reply.
    DataReset: Passing,
    /// The data connection is closed at some byte, and a 426 follows.
    DataBrokenOff: Passing,
    /// The data connection is closed at some byte, and a 226 follows, which calls that complete.
    DataClaimedWhole: Passing,
    /// Data stop at some byte for good.
    DataStalls: Passing,
    /// Data stop at some byte for a while.
    DataPauses: Passing,
    /// Every byte of a reply arrives alone.
    RepliesByteByByte: Harmless,
    /// Replies that were sent one by one arrive together.
    RepliesGlued: Harmless,
    /// Data arrive in small portions of varying length.
    DataInPieces: Harmless,
    /// Few bytes may be in flight.
    SmallWindow: Harmless,
    /// The server sees data connections that the client has already closed.
    AbortedShown: Harmless,
    /// Replies have no text.
    Wordless: Harmless,
    /// The server sends no mark before the data.
    NoMark: Harmless,
    /// The server sends 226 before the data.
    EarlyCompletion: Harmless,
    /// The server sends 226 long after the data.
    LateCompletion: Harmless,
    /// The server sends no 226.
    NoCompletion: Harmless,
    /// EPSV is unknown, and PASV names a foreign host.
    ForeignHost: Harmless,
    /// EPSV is unknown.
    NoEpsv: Harmless,
    /// REST is unknown.
    NoRest: Harmless,
    /// REST is accepted and ignored.
    RestIgnored: Lying,
    /// SIZE is unknown.
    NoSize: Harmless,
    /// MDTM is unknown.
    NoMdtm: Harmless,
    /// SIZE and MLST are unknown.
    NoSizeAtAll: Harmless,
    /// The server tells a size that is too great.
    SizeTooGreat: Lying,
    /// The server tells a size that is too small.
    SizeTooSmall: Lying,
    /// The mirror has a file of another size.
    OtherSize: Other,
    /// The mirror has the same bytes with another time.
    OtherTime: Other,
    /// The mirror has a file of the same size and time, different everywhere.
    OtherContents: Other,
    /// The mirror has a file of the same size and time, different in one region.
    OtherRegion: Other,
    /// The mirror has a file of the same size and time, different in two places far apart.
    OtherPlaces: Other,
    /// The file is replaced by another while it is fetched.
    Replaced: Other,
    /// The server answers only the first of several commands in one write.
    BurstDropped: Harmless,
    /// The server answers the second of several commands in one write with 500.
    BurstRefused: Harmless,
    /// Several commands in one write end the session.
    BurstClosed: Harmless,
    /// The server behaves like vsftpd.
    Vsftpd: Harmless,
    /// The server behaves like ProFTPD.
    Proftpd: Harmless,
    /// The server behaves like Pure-FTPd.
    PureFtpd: Harmless,
    /// The server behaves like pyftpdlib.
    Pyftpdlib: Harmless,
    /// Every session of the mirror is very slow.
    SlowMirror: Harmless,
    /// The first sessions are very slow, and the others are not.
    SlowSessions: Harmless,
    /// The server ends sessions that are idle for a while.
    IdleTimeout: Harmless,
    /// A signal stops the run.
    Stopped: Outage,
    /// SIGKILL ends the run.
    Killed: Outage,
    /// The power fails, and some of the bytes that were not flushed are lost.
    PowerCut: Outage,
    /// The next run has another number of connections.
    OtherConnections: Outage,
    /// The next run has other mirrors, or the same in another order.
    OtherMirrors: Outage,
    /// The file is another one when the next run begins.
    ChangedBetween: Outage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
