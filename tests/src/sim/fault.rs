//! What can go wrong in a simulated world: a closed list.

use pftp::exit::Kind;
use std::fmt;

/// What a fault does to a mirror's worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nature {
    /// A download may take longer, and nothing else.
    Harmless,
    /// The first sessions fail. A client that tries again gets the file.
    Passing,
    /// The mirror never delivers. Alone, it is the reason for a failure of this kind.
    Fatal(Kind),
    /// The mirror has the right file, and says or sends what is not so.
    Lying,
    /// The mirror has another file, or says that it has.
    Other,
    /// It befalls no mirror but the run: what was fetched is there for the next one.
    Outage,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $nature:expr,)*) => {
        /// Something that can go wrong.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it does to a mirror's worth.
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
    Refused: Fatal(Kind::Connect),
    /// Control connections are never answered.
    BlackHole: Fatal(Kind::Connect),
    /// The first address of the name is a black hole.
    FirstAddressSilent: Harmless,
    /// The first address of the name refuses connections.
    FirstAddressRefuses: Harmless,
    /// Too many sessions: 421 in place of the greeting.
    FullGreeting: Harmless,
    /// Too many sessions: 530 in place of the answer to PASS.
    FullPassword: Harmless,
    /// Too many sessions: accepted, and not a word.
    FullHang: Harmless,
    /// Too many sessions: the connection is refused.
    FullRefused: Harmless,
    /// The login is refused.
    LoginRefused: Fatal(Kind::Authentication),
    /// There is no such file.
    NoSuchFile: Fatal(Kind::NotFound),
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
    /// Nothing is answered any more after some reply.
    ControlSilent: Passing,
    /// The data connection is closed at some byte, without a word.
    DataClosed: Passing,
    /// The data connection is reset at some byte, without a word.
    DataReset: Passing,
    /// The data connection is closed at some byte, and a 426 says so.
    DataBrokenOff: Passing,
    /// The data connection is closed at some byte, and a 226 calls that complete.
    DataClaimedWhole: Passing,
    /// Data stop at some byte for good.
    DataStalls: Passing,
    /// Data stop at some byte for a while.
    DataPauses: Passing,
    /// Every byte of a reply arrives alone.
    RepliesByteByByte: Harmless,
    /// Replies arrive together that were sent one by one.
    RepliesGlued: Harmless,
    /// Data arrive in small portions of any length.
    DataInPieces: Harmless,
    /// Few bytes may be in flight.
    SmallWindow: Harmless,
    /// Data connections that the client has closed are shown to the server.
    AbortedShown: Harmless,
    /// Replies without text.
    Wordless: Harmless,
    /// No mark before the data.
    NoMark: Harmless,
    /// 226 before the data.
    EarlyCompletion: Harmless,
    /// 226 long after the data.
    LateCompletion: Harmless,
    /// No 226.
    NoCompletion: Harmless,
    /// No EPSV, and PASV names a foreign host.
    ForeignHost: Harmless,
    /// No EPSV.
    NoEpsv: Harmless,
    /// No REST.
    NoRest: Harmless,
    /// REST is accepted and has no effect.
    RestIgnored: Lying,
    /// No SIZE.
    NoSize: Harmless,
    /// No MDTM.
    NoMdtm: Harmless,
    /// Neither SIZE nor MLST.
    NoSizeAtAll: Harmless,
    /// The size is said to be greater than it is.
    SizeTooGreat: Lying,
    /// The size is said to be less than it is.
    SizeTooSmall: Lying,
    /// A file of another size.
    OtherSize: Other,
    /// The same bytes, of another time.
    OtherTime: Other,
    /// A file of the same size and time, different everywhere.
    OtherContents: Other,
    /// A file of the same size and time, different in one region.
    OtherRegion: Other,
    /// A file of the same size and time, different in two places far from each other.
    OtherPlaces: Other,
    /// The file is replaced by another while it is fetched.
    Replaced: Other,
    /// Of several commands in one write only the first is answered.
    BurstDropped: Harmless,
    /// The second of several commands in one write is answered 500.
    BurstRefused: Harmless,
    /// Several commands in one write end the session.
    BurstClosed: Harmless,
    /// vsftpd's ways.
    Vsftpd: Harmless,
    /// ProFTPD's ways.
    Proftpd: Harmless,
    /// Pure-FTPd's ways.
    PureFtpd: Harmless,
    /// pyftpdlib's ways.
    Pyftpdlib: Harmless,
    /// Every session of the mirror is very slow.
    SlowMirror: Harmless,
    /// The first sessions are very slow, the others are not.
    SlowSessions: Harmless,
    /// Sessions without a transfer are ended after a while.
    IdleTimeout: Harmless,
    /// The run is stopped by a signal.
    Stopped: Outage,
    /// The run is killed.
    Killed: Outage,
    /// The power fails: of what was not put on disk yet, some is lost.
    PowerCut: Outage,
    /// The next run has another number of connections.
    OtherConnections: Outage,
    /// The next run is told of other mirrors, or of the same in another order.
    OtherMirrors: Outage,
    /// The file is another one when the next run begins.
    ChangedBetween: Outage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
