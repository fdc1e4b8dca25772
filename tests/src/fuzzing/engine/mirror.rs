//! A mirror, and its sessions as a transport reports them.

use bytes::Bytes;
use ftp_proto::{
    Command, Event, Facts, Features, Finish, Reply, ReplyParser, Report, Request, RequestId, Retrieve,
    SessionError, SessionId, TimeVal, Until, Verb,
};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;

/// A report of a transport.
pub(super) type Told = Report<Infallible>;

/// A mirror.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) addresses: Vec<SocketAddr>,
    flags: u8,
}

impl Mirror {
    pub(super) fn new(at: u8, flags: u8) -> Self {
        let count = if flags & 0x80 == 0 { 1 } else { 2 };
        Self { addresses: (1..=count).map(|host| ([192, 0, at + 1, host], 21).into()).collect(), flags }
    }

    /// Returns the version of its file; 0 is the right one.
    pub(super) const fn version(&self) -> u8 {
        // Most mirrors have the right file.
        if self.flags & 0x60 == 0x60 { 1 + (self.flags & 0x10) / 0x10 } else { 0 }
    }

    pub(super) const fn tells_size(&self) -> bool {
        self.flags & 1 == 0
    }

    pub(super) const fn tells_time(&self) -> bool {
        self.flags & 2 == 0
    }

    pub(super) const fn restarts(&self) -> bool {
        self.flags & 0xc != 0xc
    }

    /// Whether a list of checksums lies beside the file.
    pub(super) const fn lists(&self) -> bool {
        self.flags & 0x10 == 0
    }

    /// Whether no property of the mirror can fail a download.
    pub(super) const fn is_plain(&self) -> bool {
        self.version() == 0 && self.tells_size() && self.restarts()
    }

    /// Returns the contents of a version, if the right file is `size` bytes long.
    pub(super) fn content(version: u8, size: u64) -> Vec<u8> {
        let size = if version == 2 { size / 2 + 1 } else { size };
        let byte = |at: u64| (at.wrapping_mul(0x9e37_79b9) >> 11).to_le_bytes()[0].wrapping_add(version);
        (0..size).map(byte).collect()
    }

    fn facts(&self, size: u64) -> Facts {
        Facts {
            size: self.tells_size().then_some(size),
            modify: self.tells_time().then(|| TimeVal::parse(b"20240615123456").expect("a time")),
            ..Facts::default()
        }
    }
}

/// Returns a reply with this text.
pub(super) fn reply(text: &str) -> Reply {
    let mut parser = ReplyParser::new(1000);
    parser.push(text.as_bytes());
    parser.push(b"\r\n");
    parser.next().expect("a reply").expect("a whole one")
}

/// The stages of a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    Dialling,
    Connected,
    Ready,
    Ended,
}

/// The server's end of a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) mirror: usize,
    pub(super) stage: Stage,
    requests: VecDeque<(RequestId, Request)>,
    running: Option<Running>,
    /// Reports that the engine has not handled yet.
    pub(super) unheard: VecDeque<Told>,
}

/// A running transfer.
#[derive(Debug)]
struct Running {
    request: RequestId,
    part: Retrieve,
    at: u64,
}

/// Bytes for the sink, and their offset.
pub(super) type Write = Option<(u64, Vec<u8>)>;

impl Session {
    pub(super) fn new(id: SessionId, mirror: usize) -> Self {
        Self {
            id,
            mirror,
            stage: Stage::Dialling,
            requests: VecDeque::new(),
            running: None,
            unheard: VecDeque::new(),
        }
    }

    pub(super) fn request(&mut self, id: RequestId, request: Request) {
        if self.stage != Stage::Ended {
            self.requests.push_back((id, request));
        }
    }

    pub(super) fn set_end(&mut self, id: RequestId, until: Until) {
        if let Some(running) = self.running.as_mut().filter(|running| running.request == id) {
            running.part.until = until;
        } else if let Some((_, Request::Retrieve(part))) =
            self.requests.iter_mut().find(|(queued, _)| *queued == id)
        {
            part.until = until;
        }
    }

    /// Ends the session for this reason.
    pub(super) fn end(&mut self, error: SessionError) {
        if self.stage != Stage::Ended {
            self.stage = Stage::Ended;
            self.tell(Event::Closed(error));
        }
    }

    fn tell(&mut self, event: Event) {
        self.unheard.push_back(Report::Event(self.id, event));
    }

    /// Takes the next step, with at most `most` bytes of a transfer. Returns `None` if nothing is left to do.
    pub(super) fn step(&mut self, mirror: &Mirror, file: &[u8], most: usize) -> Option<Write> {
        match self.stage {
            Stage::Dialling => {
                self.stage = Stage::Connected;
                self.tell(Event::Connected);
            }
            Stage::Connected => {
                self.stage = Stage::Ready;
                self.tell(Event::Ready(Features::default()));
            }
            Stage::Ready if self.running.is_some() => return Some(self.fetch(file, most)),
            Stage::Ready => return self.serve(mirror, file).then_some(None),
            Stage::Ended => return None,
        }
        Some(None)
    }

    /// Answers the next request.
    fn serve(&mut self, mirror: &Mirror, file: &[u8]) -> bool {
        let Some((id, request)) = self.requests.pop_front() else { return false };
        match request {
            Request::Facts(_) => self.tell(Event::Facts(id, mirror.facts(file.len() as u64))),
            Request::Retrieve(part) if part.offset > 0 && !mirror.restarts() => {
                self.tell(Event::Refused(id, Verb::Rest, reply("502 no")));
            }
            Request::Retrieve(part) => {
                self.tell(Event::Started(id));
                let at = part.offset.saturating_sub(part.overlap);
                if at < part.offset && part.offset <= file.len() as u64 {
                    let bytes = &file[index(at)..index(part.offset)];
                    self.unheard.push_back(Report::Overlap(self.id, id, at, Bytes::copy_from_slice(bytes)));
                }
                self.running = Some(Running { request: id, at: part.offset, part });
            }
            // This request need not have an effect.
            Request::Prepare if id.0 % 2 == 0 => self.tell(Event::Prepared(id)),
            Request::Prepare => {}
            Request::Command(Command::Feat) => self.tell(Event::Reply(id, reply("211 none"))),
            Request::Command(Command::Size(path)) => {
                let there = mirror.lists() && path.as_bytes() == b"pub/CHECKSUMS";
                self.tell(if there {
                    Event::Reply(id, reply("213 1000"))
                } else {
                    Event::Refused(id, Verb::Size, reply("550 no"))
                });
            }
            Request::Content { command: Command::Retr(path), .. }
                if !path.as_bytes().ends_with(b"CHECKSUMS") =>
            {
                self.tell(Event::Refused(id, Verb::Retr, reply("550 no")));
            }
            Request::Content { .. } => {
                self.tell(Event::Started(id));
                for part in ["12345 1 file\nSHA256 (fi", "le) = ", &"0".repeat(64)] {
                    let part = Bytes::copy_from_slice(part.as_bytes());
                    self.unheard.push_back(Report::Content(self.id, id, part));
                }
                self.tell(Event::Finished(id, Finish::Whole { at: 93 }));
            }
            _ => self.tell(Event::Reply(id, reply("250 there"))),
        }
        true
    }

    fn fetch(&mut self, file: &[u8], most: usize) -> Write {
        let Some(running) = &mut self.running else { return None };
        let (start, size) = (running.at, file.len() as u64);
        let wanted = running.part.until.end().min(size).max(start);
        let end = wanted.min(start.saturating_add(most as u64));
        if start < end {
            running.at = end;
            let (id, request) = (self.id, running.request);
            self.unheard.push_back(Report::Written(id, request, start..end));
            return Some((start, file[index(start)..index(end)].to_vec()));
        }
        let (id, until) = (running.request, running.part.until);
        match until {
            Until::Size(end) if size > end => {
                self.end(SessionError::Peer(ftp_proto::PeerFault::Overrun { size: end }))
            }
            Until::Offset(end) if end <= size => self.finish(id, Finish::Cut),
            Until::Eof => self.finish(id, Finish::Whole { at: start }),
            Until::Size(end) if end == start => self.finish(id, Finish::Whole { at: start }),
            _ => self.finish(id, Finish::Short { at: start, reply: reply("226 done") }),
        }
        None
    }

    fn finish(&mut self, id: RequestId, finish: Finish) {
        self.running = None;
        self.tell(Event::Finished(id, finish));
    }

    /// Ends the running transfer early, if there is one.
    pub(super) fn shorten(&mut self, words: &str) {
        if let Some(Running { request, at, .. }) = self.running {
            self.finish(request, Finish::Short { at, reply: reply(words) });
        }
    }

    /// Refuses the first request, if no transfer runs.
    pub(super) fn refuse(&mut self, verb: Verb, words: &str) {
        if self.running.is_some() || self.stage != Stage::Ready {
            return;
        }
        let Some((id, request)) = self.requests.pop_front() else { return };
        match request {
            Request::Facts(_) => self.tell(Event::Facts(id, Facts::default())),
            Request::Retrieve(_) | Request::Content { .. } => {
                self.tell(Event::Refused(id, verb, reply(words)));
            }
            Request::Prepare => {}
            _ => self.tell(Event::Refused(id, Verb::Cwd, reply(words))),
        }
    }
}

/// An offset that lies in a file here.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset in memory")
}
