//! Operations on a session, and their encoding in the bytes of a fuzzer.
//!
//! Every byte string is a [`Case`], and each case has one that [`Case::encode`] makes: so corpora can be made of
//! dialogs.

use arbitrary::{Arbitrary, Result, Unstructured};
use ftp_proto::{
    Arg, Cause, Change, Channel, Command, Config, End, Escaped, RepresentationType, Request, Retrieve,
    Secret, Until,
};
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A session from its start, and what happens to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// How it starts.
    pub setup: Setup,
    /// The operations, in order.
    pub ops: Vec<Op>,
}

/// How a session starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Place in [`DEPTHS`] of the number of commands that may be unanswered.
    pub depth: u8,
    /// The rest: the flags below.
    pub flags: u8,
    /// The overlap of each part of a file.
    pub overlap: u64,
    /// Bytes that the sink takes before it fails.
    pub room: u64,
}

/// Depths of the pipeline.
pub const DEPTHS: [usize; 5] = [16, 1, 2, 3, 4];

impl Setup {
    /// No EPSV.
    pub const PASV: u8 = 1;
    /// FEAT is asked.
    pub const FEATURES: u8 = 2;
    /// Lines are reported.
    pub const TRACE: u8 = 4;
    /// An account is configured.
    pub const ACCOUNT: u8 = 8;
    /// ASCII.
    pub const ASCII: u8 = 16;
    /// Limits are low.
    pub const LIMITS: u8 = 32;

    /// The configuration of the session.
    ///
    /// # Panics
    /// Never: the password is one.
    #[must_use]
    pub fn config(&self) -> Config {
        let is = |flag| self.flags & flag != 0;
        let mut config = Config::default();
        config.pipeline = NonZeroUsize::new(DEPTHS[usize::from(self.depth) % DEPTHS.len()]).expect("a depth");
        config.password = Secret::new(PASSWORD).expect("a password");
        config.account = is(Self::ACCOUNT).then(|| Secret::new(ACCOUNT).expect("an account"));
        config.epsv = !is(Self::PASV);
        config.features = is(Self::FEATURES);
        config.trace = is(Self::TRACE);
        if is(Self::ASCII) {
            config.representation = RepresentationType::Ascii;
        }
        if is(Self::LIMITS) {
            (config.limits.reply_bytes, config.limits.reply_lines) = (64, 6);
            (config.limits.feat_lines, config.limits.mlst_lines) = (3, 3);
            (config.limits.preliminary_replies, config.limits.unowed_replies) = (4, 2);
        }
        config
    }
}

/// The password, which no line may show; it begins like a reply.
pub const PASSWORD: &[u8] = b"22612345";
/// Likewise.
pub const ACCOUNT: &[u8] = b"blue-or-green";

/// Something that happens to a session.
#[derive(Clone, Debug)]
pub enum Op {
    /// The reply that the oldest unanswered command may hope for, if there is one.
    Answer,
    /// A refusal of that command, or another reply that it may get: a place in [`REFUSALS`].
    Refuse(u8),
    /// A line of [`REPLIES`].
    Reply(u8),
    /// Any bytes from the server.
    Server(Said),
    /// A change of a connection.
    Change(Channel, Change),
    /// This many bytes come on the data connection.
    Received(u64),
    /// A request.
    Request(Request),
    /// A new end of a request.
    SetEnd(u64, Until),
    /// The time passes up to the deadline, less this many milliseconds.
    Wait(u64),
    /// This many milliseconds pass.
    Pass(u64),
    /// The driver sends at most this many bytes.
    Send(usize),
    /// The session is to end.
    Quit,
}

/// Bytes that a failure shows as text.
#[derive(Clone)]
pub struct Said(pub Vec<u8>);

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Escaped(&self.0))
    }
}

/// Lines that servers send, at the right time or not.
pub const REPLIES: &[&str] = &[
    "120 wait",
    "125 it comes",
    "150 it comes",
    "200 ok",
    "202 superfluous",
    "211-Features:\r\n SIZE\r\n211 End",
    "213 100",
    "213 20240615123456",
    "220 hi",
    "221 bye",
    "225 open",
    "226 done",
    "227 Entering Passive Mode (192,0,2,1,19,136)",
    "227 nonsense",
    "229 (|||5000|)",
    "229 (|||0|)",
    "230 in",
    "250 done",
    "250-Listing\r\n Size=5; /f\r\n250 End",
    "257 \"/\"",
    "331 password",
    "332 account",
    "350 at",
    "421 bye",
    "425 no connection",
    "426 broken off",
    "450 busy",
    "451 disk",
    "500 what?",
    "501 no",
    "502 no",
    "503 bad sequence",
    "504 no",
    "522 no",
    "530 log in",
    "550 no such file",
    "551 no",
    "999 what",
    "garbage",
    "",
    "150",
    "226",
];

/// Replies to a command other than the one it hopes for.
pub const REFUSALS: &[&str] = &[
    "125 it comes",
    "150 it comes",
    "226 done",
    "425 no connection",
    "426 broken off",
    "450 busy",
    "451 disk",
    "500 what?",
    "502 no",
    "503 bad sequence",
    "522 no",
    "550 no such file",
];

/// The changes of a connection.
pub const CHANGES: [Change; 5] = [
    Change::Connected,
    Change::Ended(End::Fin),
    Change::Ended(End::Reset),
    Change::Failed(Cause::Refused),
    Change::Failed(Cause::Other(0)),
];

const PATHS: [&[u8]; 4] = [b"/f", b"pub/a b", b"\xff\x1b[2J\xe9", b"/g"];

/// A path, one of a few.
///
/// # Panics
/// Never: they are arguments.
#[must_use]
pub fn path(which: u8) -> Arg {
    Arg::new(PATHS[usize::from(which) % PATHS.len()]).expect("a path")
}

/// Commands of the caller, of which the last three are the session's own.
#[must_use]
pub fn commands() -> [Command; 8] {
    [
        Command::Noop,
        Command::Cwd(path(1)),
        Command::Mlst(path(0)),
        Command::Feat,
        Command::Pwd,
        Command::Rest(7),
        Command::Quit,
        Command::Epsv,
    ]
}

impl Case {
    /// The case that `input` tells of; what is missing at its end is left out.
    #[must_use]
    pub fn decode(input: &[u8]) -> Self {
        let mut input = Unstructured::new(input);
        let setup = Setup::arbitrary(&mut input).unwrap_or_default();
        let mut ops = Vec::new();
        while !input.is_empty() && ops.len() < MOST {
            match Op::arbitrary(&mut input) {
                Ok(op) => ops.push(op),
                Err(_) => break,
            }
        }
        Self { setup, ops }
    }

    /// Bytes that tell of this case. A path that is none of those known becomes one, and a command likewise.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.setup.depth, self.setup.flags];
        number(self.setup.overlap, &mut out);
        number(self.setup.room, &mut out);
        for op in &self.ops {
            op.encode(&mut out);
        }
        out
    }
}

/// Ops of one case.
const MOST: usize = 400;

impl<'a> Arbitrary<'a> for Setup {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            depth: u.arbitrary()?,
            flags: u.arbitrary()?,
            overlap: read_number(u)?,
            room: read_number(u)?,
        })
    }
}

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match byte(u)? % 16 {
            0 => Self::Answer,
            1 => Self::Refuse(byte(u)?),
            2 => Self::Reply(byte(u)?),
            3 => {
                let len = usize::from(u16::arbitrary(u)?).min(u.len());
                Self::Server(Said(u.bytes(len)?.to_vec()))
            }
            4 => Self::Server(Said(vec![byte(u)?])),
            5 => Self::Change(Channel::Control, CHANGES[usize::from(byte(u)?) % CHANGES.len()]),
            6 => Self::Change(Channel::Data, CHANGES[usize::from(byte(u)?) % CHANGES.len()]),
            7 => Self::Received(read_number(u)?),
            8 => Self::Request(Request::Facts(path(byte(u)?))),
            9 => {
                let which = usize::from(byte(u)?);
                let commands = commands();
                Self::Request(Request::Command(commands[which % commands.len()].clone()))
            }
            10 if u.peek_bytes(1).is_some_and(|next| next[0] == u8::MAX) => {
                byte(u)?;
                Self::Request(Request::Prepare)
            }
            10 if u.peek_bytes(1).is_some_and(|next| next[0] >= 0x80) => {
                Self::Request(Request::content(path(byte(u)? & 0x7f), read_number(u)?))
            }
            10 => {
                let (path, offset, until) = (path(byte(u)?), read_number(u)?, read_until(u)?);
                Self::Request(Request::Retrieve(Retrieve::new(path, offset, until)))
            }
            11 => Self::SetEnd(read_number(u)?, read_until(u)?),
            12 => Self::Wait(read_number(u)?),
            13 => Self::Pass(read_number(u)?),
            14 => Self::Send(usize::from(byte(u)?)),
            _ => Self::Quit,
        })
    }
}

impl Op {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Answer => out.push(0),
            Self::Refuse(which) => out.extend([1, *which]),
            Self::Reply(which) => out.extend([2, *which]),
            Self::Server(Said(bytes)) => {
                let most = usize::from(u16::MAX);
                for part in bytes.chunks(most).chain(bytes.is_empty().then_some(&bytes[..])) {
                    out.push(3);
                    out.extend(u16::try_from(part.len()).unwrap_or_default().to_le_bytes());
                    out.extend_from_slice(part);
                }
            }
            Self::Change(channel, change) => {
                let which = CHANGES.iter().position(|one| one == change).unwrap_or(4);
                out.extend([if *channel == Channel::Control { 5 } else { 6 }, small(which)]);
            }
            Self::Received(len) => tagged(7, *len, out),
            Self::Request(request) => encode_request(request, out),
            Self::SetEnd(id, until) => {
                tagged(11, *id, out);
                write_until(*until, out);
            }
            Self::Wait(millis) => tagged(12, *millis, out),
            Self::Pass(millis) => tagged(13, *millis, out),
            Self::Send(most) => out.extend([14, small(*most)]),
            Self::Quit => out.push(15),
        }
    }

    /// Time passes.
    #[must_use]
    pub fn pass(time: Duration) -> Self {
        Self::Pass(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

fn encode_request(request: &Request, out: &mut Vec<u8>) {
    let which = |path: &Arg| small(PATHS.iter().position(|one| *one == path.as_bytes()).unwrap_or_default());
    match request {
        Request::Facts(path) => out.extend([8, which(path)]),
        Request::Command(command) => {
            let verb = command.verb();
            let which = commands().iter().position(|one| one.verb() == verb).unwrap_or_default();
            out.extend([9, small(which)]);
        }
        Request::Retrieve(part) => {
            out.extend([10, which(&part.path)]);
            number(part.offset, out);
            write_until(part.until, out);
        }
        Request::Content { command: Command::Retr(path), most } => {
            out.extend([10, which(path) | 0x80]);
            number(*most, out);
        }
        Request::Prepare => out.extend([10, u8::MAX]),
        _ => {}
    }
}

fn byte(u: &mut Unstructured<'_>) -> Result<u8> {
    u8::arbitrary(u)
}

fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Below this a number is one byte.
const WIDE: u8 = 0xf0;

fn read_number(u: &mut Unstructured<'_>) -> Result<u64> {
    let first = byte(u)?;
    Ok(match first {
        0..WIDE => u64::from(first),
        WIDE..0xf8 => u64::from(u16::arbitrary(u)?),
        _ => u64::arbitrary(u)?,
    })
}

fn number(number: u64, out: &mut Vec<u8>) {
    match (u8::try_from(number), u16::try_from(number)) {
        (Ok(one @ 0..WIDE), _) => out.push(one),
        (_, Ok(two)) => out.extend([&[WIDE][..], &two.to_le_bytes()].concat()),
        _ => out.extend([&[u8::MAX][..], &number.to_le_bytes()].concat()),
    }
}

fn tagged(tag: u8, value: u64, out: &mut Vec<u8>) {
    out.push(tag);
    number(value, out);
}

fn read_until(u: &mut Unstructured<'_>) -> Result<Until> {
    Ok(match byte(u)? % 3 {
        0 => Until::Eof,
        1 => Until::Size(read_number(u)?),
        _ => Until::Offset(read_number(u)?),
    })
}

fn write_until(until: Until, out: &mut Vec<u8>) {
    match until {
        Until::Eof => out.push(0),
        Until::Size(size) => tagged(1, size, out),
        Until::Offset(end) => tagged(2, end, out),
    }
}
