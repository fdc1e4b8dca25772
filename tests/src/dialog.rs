//! The text of a dialog: a configuration, then inputs and expected outputs in order.
//!
//! Each line is an item; blank lines and lines that begin with `#` are skipped. In text from `S:` on, in paths and
//! in arguments, `\xNN` is a byte and `\\` a backslash. Requests are numbered 1, 2, 3 as they are made.
//!
//! | head | |
//! |---|---|
//! | `config pipeline 1` | how many commands may be unanswered |
//! | `config features`, `config ascii`, `config trace`, `config epsv no` | as the fields of `Config` |
//! | `config account X`, `config username X`, `config password X` | |
//! | `config limit reply N`, `lines`, `feat`, `mlst`, `preliminary`, `unowed`, `past-end` | one field of `Limits` |
//! | `config trust` | the host of a 227 is trusted |
//! | `config timeout stall 5s` | one field of `Timeouts` |
//! | `config peer [2001:db8::1]:21` | the server's address, else 192.0.2.1:21 |
//!
//! | input | |
//! |---|---|
//! | `> facts PATH` | a request |
//! | `> retrieve PATH OFFSET eof`, `.. size N`, `.. until N` | a request |
//! | `> retrieve PATH OFFSET eof overlap N` | a request with an overlap |
//! | `> content PATH MOST` | a request |
//! | `> prepare` | a request |
//! | `> command VERB ARGUMENT` | a request |
//! | `> set-end ID eof`, `.. size N`, `.. until N` | a new end of a request |
//! | `> quit` | |
//! | `connected` | the control connection is there |
//! | `login` | the control connection, a plain login and what it brings out, in burst or lock step |
//! | `S: 220 hi` | a line from the server; CRLF is added |
//! | `S~ 220 hi\x0d\x0a` | bytes from the server; nothing is added |
//! | `D: connected`, `D: fin`, `D: reset`, `D: refused` | the data connection |
//! | `D: 100` | this many bytes on it; the session has to read the data connection |
//! | `control fin`, `control reset`, `control refused` | the control connection |
//! | `+30s`, `+10ms` | time passes |
//!
//! | expected output | |
//! |---|---|
//! | `C: NOOP` | a line sent |
//! | `A: connect 192.0.2.1:5000`, `A: close data`, `A: close control` | an action |
//! | `E: connected`, `E: ready`, `E: ready SIZE, REST STREAM` | an event |
//! | `E: reply 1 200 ok`, `E: facts 1 size=5 modify=20240615123456` | an event |
//! | `E: prepared 1`, `E: started 1`, `E: finished 1 whole 100`, `.. cut`, `.. short 50: 426 oh` | an event |
//! | `E: refused 1 RETR: 550 no`, `E: wire C->S: NOOP`, `E: closed ERROR` | an event |
//! | `M: TEXT` | a misuse, as the answer to a request |
//!
//! Commands are one queue, everything else is a second one: within each the order counts. Before the next
//! input all that is expected so far has been produced, and nothing else. Between outputs and inputs
//! `P: file 1 0..100`, `P: hold` look at the payload, `T: 30s Reply`, `T: none` at the time left.

use std::net::SocketAddr;
use std::time::Duration;

use ftp_proto::{
    Arg, Cause, Change, Channel, Command, Config, End, RepresentationType, Request, Retrieve, Secret, Until,
};

/// A dialog as it was read.
#[derive(Debug)]
pub struct Script {
    /// The configuration of the session.
    pub config: Config,
    /// The server's address.
    pub peer: SocketAddr,
    /// The lines behind the head, numbered from 1 as in the file.
    pub items: Vec<(usize, Item)>,
}

/// A line that is not of the head.
#[derive(Clone, Debug)]
pub enum Item {
    /// A request.
    Request(Request),
    /// A new end of a request.
    SetEnd(u64, Until),
    /// The end of the session.
    Quit,
    /// Bytes from the server.
    Server(Vec<u8>),
    /// A change of a connection.
    Change(Channel, Change),
    /// This many bytes on the data connection.
    Data(u64),
    /// Time that passes.
    Pass(Duration),
    /// A line sent.
    Sends(Vec<u8>),
    /// An action, an event or a misuse, as the runner prints it.
    Puts(String),
    /// The payload expected.
    Payload(String),
    /// The deadline expected.
    Deadline(String),
}

impl Script {
    /// Reads a dialog.
    ///
    /// # Errors
    /// The number of the line that cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let peer = SocketAddr::from(([192, 0, 2, 1], 21));
        let mut script = Self { config: Config::default(), peer, items: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = match line.strip_prefix("config ") {
                Some(_) if !script.items.is_empty() => Err("config belongs to the head".to_owned()),
                Some(option) => script.configure(option),
                None if line == "login" => script.login(number),
                None => item(line).map(|item| script.items.push((number, item))),
            };
            read.map_err(|why| (number, why))?;
        }
        Ok(script)
    }

    fn login(&mut self, number: usize) -> Result<(), String> {
        let depth = self.config.pipeline.get();
        let mut lines = vec!["connected", "E: connected", "S: 220 hi"];
        lines.extend(LOGIN.iter().map(|(command, _)| *command).take(depth));
        for (at, (_, reply)) in LOGIN.iter().enumerate() {
            lines.push(reply);
            lines.extend(LOGIN.get(at.saturating_add(depth)).map(|(command, _)| *command));
        }
        lines.push("E: ready");
        for line in lines {
            self.items.push((number, item(line)?));
        }
        Ok(())
    }

    fn configure(&mut self, option: &str) -> Result<(), String> {
        let config = &mut self.config;
        match option.split_whitespace().collect::<Vec<_>>()[..] {
            ["pipeline", depth] => config.pipeline = number(depth)?,
            ["features"] => config.features = true,
            ["ascii"] => config.representation = RepresentationType::Ascii,
            ["trace"] => config.trace = true,
            ["epsv", "no"] => config.epsv = false,
            ["account", account] => config.account = Some(secret(account)?),
            ["username", name] => config.username = argument(name)?,
            ["password", password] => config.password = secret(password)?,
            ["limit", "reply", bytes] => config.limits.reply_bytes = number(bytes)?,
            ["limit", "lines", lines] => config.limits.reply_lines = number(lines)?,
            ["limit", "feat", lines] => config.limits.feat_lines = number(lines)?,
            ["limit", "mlst", lines] => config.limits.mlst_lines = number(lines)?,
            ["limit", "unowed", replies] => config.limits.unowed_replies = number(replies)?,
            ["limit", "past-end", bytes] => config.limits.bytes_past_end = number(bytes)?,
            ["trust"] => config.trust_pasv_address = true,
            ["limit", "preliminary", replies] => config.limits.preliminary_replies = number(replies)?,
            ["timeout", name, time] => {
                let timeouts = &mut config.timeouts;
                let field = match name {
                    "connect" => &mut timeouts.connect,
                    "login" => &mut timeouts.login,
                    "reply" => &mut timeouts.reply,
                    "burst" => &mut timeouts.burst,
                    "data_connect" => &mut timeouts.data_connect,
                    "stall" => &mut timeouts.stall,
                    "completion" => &mut timeouts.completion,
                    "cut" => &mut timeouts.cut,
                    _ => return Err(format!("no timeout: {name}")),
                };
                *field = duration(time)?;
            }
            ["peer", peer] => self.peer = number(peer)?,
            _ => return Err("no option".to_owned()),
        }
        Ok(())
    }
}

const LOGIN: [(&str, &str); 3] = [
    ("C: USER anonymous", "S: 331 password"),
    ("C: PASS user@localhost.localnet", "S: 230 in"),
    ("C: TYPE I", "S: 200 image"),
];

fn item(line: &str) -> Result<Item, String> {
    if let Some(time) = line.strip_prefix('+') {
        return duration(time).map(Item::Pass);
    }
    if line == "connected" {
        return Ok(Item::Change(Channel::Control, Change::Connected));
    }
    let (kind, rest) = line.split_once(' ').ok_or_else(|| "no item".to_owned())?;
    Ok(match kind {
        ">" => call(rest)?,
        "S:" => Item::Server([&unescaped(rest)?[..], b"\r\n"].concat()),
        "S~" => Item::Server(unescaped(rest)?),
        "D:" if rest.bytes().all(|byte| byte.is_ascii_digit()) => Item::Data(number(rest)?),
        "D:" => Item::Change(Channel::Data, change(rest)?),
        "control" => Item::Change(Channel::Control, change(rest)?),
        "C:" => Item::Sends(unescaped(rest)?),
        "A:" | "E:" | "M:" => Item::Puts(line.to_owned()),
        "P:" => Item::Payload(rest.to_owned()),
        "T:" => Item::Deadline(rest.to_owned()),
        _ => return Err("no item".to_owned()),
    })
}

fn call(text: &str) -> Result<Item, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        ["quit"] => Item::Quit,
        ["facts", path] => Item::Request(Request::Facts(argument(path)?)),
        ["retrieve", path, offset, ref end @ ..] => {
            let (end, overlap) = match end {
                [end @ .., "overlap", overlap] => (end, number(overlap)?),
                _ => (end, 0),
            };
            let mut part = Retrieve::new(argument(path)?, number(offset)?, until(end)?);
            part.overlap = overlap;
            Item::Request(Request::Retrieve(part))
        }
        ["content", path, most] => Item::Request(Request::content(argument(path)?, number(most)?)),
        ["prepare"] => Item::Request(Request::Prepare),
        ["set-end", id, ref end @ ..] => Item::SetEnd(number(id)?, until(end)?),
        ["command", verb] => Item::Request(Request::Command(command(verb, "none")?)),
        ["command", verb, argument] => Item::Request(Request::Command(command(verb, argument)?)),
        _ => return Err("no such call".to_owned()),
    })
}

fn until(words: &[&str]) -> Result<Until, String> {
    match words {
        ["eof"] => Ok(Until::Eof),
        ["size", size] => number(size).map(Until::Size),
        ["until", offset] => number(offset).map(Until::Offset),
        _ => Err("no end of a range".to_owned()),
    }
}

fn command(verb: &str, text: &str) -> Result<Command, String> {
    let argument = argument(text)?;
    Ok(match verb {
        "CWD" => Command::Cwd(argument),
        "EPSV" => Command::Epsv,
        "FEAT" => Command::Feat,
        "HASH" => Command::Hash(argument),
        "MDTM" => Command::Mdtm(argument),
        "MLST" => Command::Mlst(argument),
        "NOOP" => Command::Noop,
        "OPTS" => Command::Opts(argument),
        "PASS" => Command::Pass(secret(text)?),
        "PWD" => Command::Pwd,
        "QUIT" => Command::Quit,
        "REST" => Command::Rest(number(text)?),
        "RETR" => Command::Retr(argument),
        "SITE" => Command::Site(argument),
        "SIZE" => Command::Size(argument),
        "SYST" => Command::Syst,
        "TYPE" => Command::Type(RepresentationType::Ascii),
        "USER" => Command::User(argument),
        "XCRC" => Command::Xcrc(argument),
        "XMD5" => Command::Xmd5(argument),
        "XSHA1" => Command::Xsha1(argument),
        "XSHA256" => Command::Xsha256(argument),
        "XSHA512" => Command::Xsha512(argument),
        _ => return Err(format!("no command: {verb}")),
    })
}

fn change(word: &str) -> Result<Change, String> {
    Ok(match word {
        "connected" => Change::Connected,
        "fin" => Change::Ended(End::Fin),
        "reset" => Change::Ended(End::Reset),
        "refused" => Change::Failed(Cause::Refused),
        _ => return Err(format!("no change: {word}")),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    match text.strip_suffix("ms") {
        Some(millis) => number(millis).map(Duration::from_millis),
        None => number(text.strip_suffix('s').ok_or("no unit of time")?).map(Duration::from_secs),
    }
}

fn number<N: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|why| format!("{text:?}: {why}"))
}

fn argument(text: &str) -> Result<Arg, String> {
    Arg::new(unescaped(text)?).map_err(|why| format!("{text:?} {why}"))
}

fn secret(text: &str) -> Result<Secret, String> {
    Secret::new(unescaped(text)?).map_err(|why| format!("{text:?} {why}"))
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            after
        } else {
            let digits = after.strip_prefix('x').and_then(|after| after.get(..2)).ok_or("no escape")?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|why| why.to_string())?);
            &after[3..]
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}
