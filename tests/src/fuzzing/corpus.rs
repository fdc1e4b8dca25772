//! The corpora: what is in the repository, and where its seeds come from.

use super::op::{Case, Op, Said, Setup};
use crate::dialog::{Item, Script};
use ftp_proto::RepresentationType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files of a target's corpus, and their names.
///
/// # Errors
/// If they cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.into_iter().map(|path| fs::read(&path).map(|bytes| (path, bytes))).collect()
}

/// Seeds of all targets but that of the engine, by target and name: of the dialogs in `tests/dialogs`, and of what real
/// servers said, in `fuzz/transcripts`.
///
/// # Errors
/// If those cannot be read.
pub fn seeds() -> io::Result<BTreeMap<(&'static str, String), Vec<u8>>> {
    let mut seeds = Seeds::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in texts(&root.join("dialogs"))? {
        let script = Script::parse(&text).map_err(|(line, why)| invalid(&name, line, &why))?;
        let said: Vec<u8> = script.items.iter().flat_map(|(_, item)| said(item)).copied().collect();
        let case = case(&script);
        for target in ["session", "link"] {
            seeds.add(target, &name, case.encode());
        }
        seeds.add_said(&name, &said);
    }
    for (name, text) in texts(&root.join("../fuzz/transcripts"))? {
        let case = Case { setup: Setup::default(), ops: heard(&text) };
        for target in ["session", "link"] {
            seeds.add(target, &name, case.encode());
        }
        let said: String =
            text.lines().filter_map(line_of_server).map(|line| format!("{line}\r\n")).collect();
        seeds.add_said(&name, said.as_bytes());
    }
    Ok(seeds.all)
}

fn invalid(name: &str, line: usize, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{name}:{line}: {why}"))
}

/// The files of a directory by name, without their extension.
fn texts(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        texts.insert(name, fs::read_to_string(&path)?);
    }
    Ok(texts)
}

#[derive(Default)]
struct Seeds {
    all: BTreeMap<(&'static str, String), Vec<u8>>,
    known: BTreeSet<(&'static str, Vec<u8>)>,
}

impl Seeds {
    fn add(&mut self, target: &'static str, name: &str, seed: Vec<u8>) {
        if self.known.insert((target, seed.clone())) {
            self.all.insert((target, name.to_owned()), seed);
        }
    }

    /// What a server said is for framing; its replies, without their codes, are texts with a meaning.
    fn add_said(&mut self, name: &str, said: &[u8]) {
        let limit_and_portions = [0, 0, 3, 1, 2, 7];
        self.add("reply", name, [&limit_and_portions[..], said].concat());
        let mut open: Option<Vec<u8>> = None;
        let mut count = 0;
        for line in said.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let (code, text) = line.split_at_checked(4).unwrap_or((line, b""));
            let closes = code.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
            let text = match (&mut open, code.last()) {
                (None, Some(b'-')) => {
                    open = Some(text.to_vec());
                    continue;
                }
                (Some(lines), last) => {
                    lines.extend([b"\r\n", line].concat());
                    if !closes || last == Some(&b'-') {
                        continue;
                    }
                    open.take().unwrap_or_default()
                }
                (None, _) => text.to_vec(),
            };
            let means =
                [&b"211"[..], b"213", b"227", b"229", b"250", b"257"].iter().any(|one| code.starts_with(one));
            if means {
                count += 1;
                self.add("meaning", &format!("{name}-{count}"), text);
            }
        }
    }
}

fn said(item: &Item) -> &[u8] {
    match item {
        Item::Server(bytes) => bytes,
        _ => &[],
    }
}

/// The inputs of a dialog.
fn case(script: &Script) -> Case {
    let config = &script.config;
    let flag = |set, flag| if set { flag } else { 0 };
    let depth =
        super::op::DEPTHS.iter().position(|depth| *depth == config.pipeline.get()).unwrap_or_default();
    let setup = Setup {
        depth: u8::try_from(depth).unwrap_or_default(),
        flags: flag(!config.epsv, Setup::PASV)
            | flag(config.features, Setup::FEATURES)
            | flag(config.trace, Setup::TRACE)
            | flag(config.account.is_some(), Setup::ACCOUNT)
            | flag(config.representation == RepresentationType::Ascii, Setup::ASCII)
            | flag(config.limits.reply_bytes < 1024, Setup::LIMITS),
        overlap: 0,
        room: 0,
    };
    let ops = script.items.iter().filter_map(|(_, item)| {
        Some(match item {
            Item::Request(request) => Op::Request(request.clone()),
            Item::SetEnd(id, until) => Op::SetEnd(*id, *until),
            Item::Quit => Op::Quit,
            Item::Server(bytes) => Op::Server(Said(bytes.clone())),
            Item::Change(channel, change) => Op::Change(*channel, *change),
            Item::Data(len) => Op::Received(*len),
            Item::Pass(time) => Op::pass(*time),
            Item::Sends(_) | Item::Puts(_) | Item::Payload(_) | Item::Deadline(_) => return None,
        })
    });
    Case { setup, ops: ops.collect() }
}

/// What the server said, of a line of a log.
fn line_of_server(line: &str) -> Option<&str> {
    line.split_once("S->C: ").map(|(_, line)| line)
}

/// What happened to the sessions of a log, as far as it shows: the first of its connections.
fn heard(log: &str) -> Vec<Op> {
    use ftp_proto::{Change, Channel, End, Request, Retrieve, Until};
    let part = Retrieve::new(super::op::path(0), 0, Until::Eof);
    let mut ops = vec![
        Op::Request(Request::Facts(super::op::path(0))),
        Op::Request(Request::Retrieve(part)),
        Op::Change(Channel::Control, Change::Connected),
    ];
    for line in log.lines().filter_map(line_of_server) {
        let ends = line.starts_with("226") || line.starts_with("426");
        if ends {
            ops.push(Op::Change(Channel::Data, Change::Ended(End::Fin)));
        }
        ops.push(Op::Server(Said(format!("{line}\r\n").into_bytes())));
        match line.get(..3) {
            Some("227" | "229") => ops.push(Op::Change(Channel::Data, Change::Connected)),
            Some("125" | "150") => ops.push(Op::Received(100)),
            _ => {}
        }
    }
    ops
}
