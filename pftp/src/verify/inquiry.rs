//! What a server is asked for the checksum of a file.
//!
//! First, in one burst, what features it has and which of a few files there are beside that one. Then those are read, but
//! none of which no better can come than what was found already: the strongest counts. Last it is asked to compute a
//! checksum, if there is none that is strong. What was published shows more than what a server computes of the file that
//! it has, and a large file takes the server long.

use super::scan::algorithm;
use super::{Algorithm, Checksum, Form, Listed, Scan, Useless};
use ftp_proto::meaning::{self, Features};
use ftp_proto::{Arg, Command, Escaped, Finish, Reply, Request, Verb};
use std::fmt;

/// The checksum that a server has of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// What the file has to have.
    pub checksum: Checksum,
    /// How many blocks of 1024 bytes it has to have; the last one need not be full.
    pub blocks: Option<u64>,
    /// Who says so: the name of a file, or a command, and the server.
    pub origin: String,
}

impl Found {
    /// Whether a file of `size` bytes that has the checksum `computed` is the one.
    #[must_use]
    pub fn is_of(&self, computed: &Checksum, size: u64) -> bool {
        self.checksum == *computed && self.blocks.is_none_or(|blocks| blocks == size.div_ceil(BLOCK))
    }
}

/// `sha256=..., as file.sha256 on ftp.example.org says`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.checksum)?;
        if let Some(blocks) = self.blocks {
            write!(f, " and {blocks} KiB")?;
        }
        write!(f, ", as {} says", self.origin)?;
        if self.checksum.algorithm().is_weak() { f.write_str("; that is weak evidence") } else { Ok(()) }
    }
}

/// Bytes in a block of `sum -r`.
const BLOCK: u64 = 1024;

/// Bytes of a file of checksums at most. Lists of large directories have some MiB.
const MOST: u64 = 16 * 1024 * 1024;

/// What lists of checksums are called, and of which kind they are.
const LISTS: [(&str, Option<Algorithm>); 7] = [
    ("SHA512SUMS", Some(Algorithm::Sha512)),
    ("SHA256SUMS", Some(Algorithm::Sha256)),
    ("sha256sum.txt", Some(Algorithm::Sha256)),
    ("SHA1SUMS", Some(Algorithm::Sha1)),
    ("MD5SUMS", Some(Algorithm::Md5)),
    ("md5checksums.txt", Some(Algorithm::Md5)),
    ("CHECKSUMS", None),
];

/// What may be appended to the name of the file.
const SUFFIXES: [(&str, Algorithm); 4] = [
    (".sha512", Algorithm::Sha512),
    (".sha256", Algorithm::Sha256),
    (".sha1", Algorithm::Sha1),
    (".md5", Algorithm::Md5),
];

/// Nobody can make two files with the same checksum of this kind, or of a stronger one.
const STRONG: Algorithm = Algorithm::Sha256;

/// How often a server is asked what it has, if its session ends over that; and for the content of a file that it has, if
/// that breaks off or it cannot send it now.
const ATTEMPTS: u8 = 2;

/// What the user should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Remark {
    /// Something is not as it should be.
    Warning(String),
    /// It is as it should be, but may explain what follows.
    Note(String),
}

/// Why something was not answered.
const LOST: &str = "the session has ended over it";

/// How a request was answered, or what has come of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer<'a> {
    /// By a reply.
    Reply(&'a Reply),
    /// By a refusal.
    Refused(&'a Reply),
    /// The next bytes of a file.
    Content(&'a [u8]),
    /// The transfer of it has ended.
    Finished(&'a Finish),
}

/// A file of checksums that there may be.
#[derive(Debug)]
struct Place {
    name: Vec<u8>,
    form: Form,
    /// Whether it is worth being asked for: it is not known not to be there, and was not asked for.
    open: bool,
    /// Whether the server has said that it is there, or has begun to send it.
    seen: bool,
    /// How often it was asked for.
    attempts: u8,
}

impl Place {
    /// The best that can come of it.
    const fn promises(&self) -> Algorithm {
        match self.form {
            Form::Own(algorithm) | Form::List(Some(algorithm)) => algorithm,
            Form::List(None) => Algorithm::Sha512,
        }
    }
}

/// What the server is being asked.
#[derive(Debug)]
enum Stage {
    Idle,
    Survey,
    Reading(usize, Scan),
    /// The request number `at` is the command, `verb`, that computes it.
    Computing {
        algorithm: Algorithm,
        verb: Verb,
        at: usize,
    },
}

/// The inquiry at one server.
#[derive(Debug)]
pub(crate) struct Inquiry {
    server: String,
    path: Arg,
    places: Vec<Place>,
    /// What it can compute, the best last, and how.
    commands: Vec<(Algorithm, Vec<Command>)>,
    surveys: u8,
    surveyed: bool,
    /// Whether paths are names in the working directory.
    bare: bool,
    size: Option<u64>,
    stage: Stage,
    found: Option<Found>,
    remarks: Vec<Remark>,
}

impl Inquiry {
    /// One at `server`, as messages call it, for the file at `path`.
    pub(crate) fn new(server: String, path: Arg) -> Self {
        let name = crate::url::file_name(&path).to_vec();
        let own = SUFFIXES.map(|(suffix, kind)| ([&name, suffix.as_bytes()].concat(), Form::Own(kind)));
        let lists = LISTS.map(|(name, kind)| (name.as_bytes().to_vec(), Form::List(kind)));
        let place = |(name, form)| Place { name, form, open: true, seen: false, attempts: 0 };
        let places = own.into_iter().chain(lists).filter(|(place, _)| *place != name).map(place).collect();
        Self {
            server,
            path,
            places,
            commands: Vec::new(),
            surveys: 0,
            surveyed: false,
            bare: false,
            size: None,
            stage: Stage::Idle,
            found: None,
            remarks: Vec::new(),
        }
    }

    /// What to ask next, all together; nothing if that is the end. `bare` says whether the session stands in the directory of
    /// the file and has to ask for names, `size` how many bytes the file has.
    pub(crate) fn next(&mut self, bare: bool, size: Option<u64>) -> Vec<Request> {
        (self.bare, self.size) = (bare, size);
        if !self.surveyed {
            return self.survey();
        }
        if let Some(at) = self.best_place() {
            return self.read(at);
        }
        let enough = self.found.as_ref().map(|found| found.checksum.algorithm());
        let better = |(algorithm, _): &(Algorithm, _)| {
            enough.is_none_or(|enough| enough < STRONG && *algorithm > enough)
        };
        let Some((algorithm, commands)) = self.commands.pop().filter(better) else { return Vec::new() };
        let Some(verb) = commands.last().map(Command::verb) else { return Vec::new() };
        self.stage = Stage::Computing { algorithm, verb, at: commands.len().saturating_sub(1) };
        commands.into_iter().map(Request::Command).collect()
    }

    /// The request number `at` of those that were asked last is answered.
    pub(crate) fn answer(&mut self, at: usize, answer: Answer<'_>) {
        match (&mut self.stage, answer) {
            (Stage::Survey, Answer::Reply(reply)) if at == 0 => {
                self.commands = self.offered(&meaning::feat(reply).unwrap_or_default());
            }
            (Stage::Survey, Answer::Reply(reply) | Answer::Refused(reply)) => self.heard_of(at, reply),
            (Stage::Reading(place, scan), Answer::Content(bytes)) => {
                scan.push(bytes);
                if let Some(place) = self.places.get_mut(*place) {
                    place.seen = true;
                }
            }
            (Stage::Reading(..), Answer::Finished(finish)) => self.end_reading(finish),
            (Stage::Reading(place, _), Answer::Refused(reply)) => {
                let place = *place;
                self.not_read(place, reply, reply.code().is_transient());
            }
            (Stage::Computing { algorithm, verb, at: last }, answer) if *last == at => {
                let (algorithm, verb) = (*algorithm, *verb);
                match answer {
                    Answer::Reply(reply) => self.computed(algorithm, verb, reply),
                    Answer::Refused(_) if self.has_another_way(algorithm) => {}
                    Answer::Refused(reply) => self.warn(&format!("{verb} is refused: {reply}")),
                    Answer::Content(_) | Answer::Finished(_) => {}
                }
            }
            _ => {}
        }
    }

    /// Whether what was asked to be computed is asked once more in another way.
    fn has_another_way(&self, algorithm: Algorithm) -> bool {
        self.commands.last().is_some_and(|(next, _)| *next == algorithm)
    }

    /// The requests that were asked last are all answered.
    pub(crate) fn settle(&mut self) {
        self.surveyed |= matches!(self.stage, Stage::Survey);
        self.stage = Stage::Idle;
    }

    /// The session has ended before that. What may have ended it is asked once more at most.
    pub(crate) fn interrupt(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle | Stage::Survey => {}
            Stage::Reading(place, _) => self.not_read(place, &LOST, true),
            // That takes the server long, and may be why.
            Stage::Computing { algorithm, .. } if self.has_another_way(algorithm) => {}
            Stage::Computing { verb, .. } => self.warn(&format!("{verb} is not answered: {LOST}")),
        }
    }

    /// What was found so far.
    pub(crate) fn take_found(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// What the user should know, since the last call.
    pub(crate) fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    fn warn(&mut self, message: &str) {
        self.remarks.push(Remark::Warning(format!("{}: {message}", self.server)));
    }

    fn survey(&mut self) -> Vec<Request> {
        if self.surveys >= ATTEMPTS {
            return Vec::new();
        }
        self.surveys = self.surveys.saturating_add(1);
        self.stage = Stage::Survey;
        let sizes = self.places.iter().map(|place| Command::Size(self.beside(&place.name)));
        std::iter::once(Command::Feat).chain(sizes).map(Request::Command).collect()
    }

    /// The reply to SIZE of a place.
    fn heard_of(&mut self, at: usize, reply: &Reply) {
        let Some(place) = at.checked_sub(1).and_then(|at| self.places.get_mut(at)) else { return };
        // A server that does not know SIZE has said nothing, nor has one that cannot answer now.
        let unknown = matches!(reply.code().get(), 500 | 502 | 504) || reply.code().is_transient();
        let size = meaning::size(reply);
        (place.seen, place.open) = (size.is_some(), size.is_some_and(|size| size < MOST) || unknown);
        if size.is_some_and(|size| size >= MOST) {
            let message = format!("{} is too large to be read for a checksum", Escaped(&place.name));
            self.warn(&message);
        }
    }

    /// The place to look at next: that of which the most can come; of several the first.
    fn best_place(&self) -> Option<usize> {
        let enough = self.found.as_ref().map(|found| found.checksum.algorithm());
        let better = |place: &Place| enough.is_none_or(|enough| place.promises() > enough);
        let open = self.places.iter().enumerate().filter(|(_, place)| place.open && better(place));
        // Those that say what they are go before the one that may be anything.
        let rank = |place: &Place| (place.form != Form::List(None), place.promises());
        open.rev().max_by_key(|(_, place)| rank(place)).map(|(at, _)| at)
    }

    fn read(&mut self, at: usize) -> Vec<Request> {
        let Some(place) = self.places.get_mut(at) else { return Vec::new() };
        place.open = false;
        place.attempts = place.attempts.saturating_add(1);
        self.stage = Stage::Reading(at, Scan::new(place.form, self.path.as_bytes()));
        let name = place.name.clone();
        vec![Request::content(self.beside(&name), MOST)]
    }

    fn end_reading(&mut self, finish: &Finish) {
        let Stage::Reading(at, scan) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let Some(place) = self.places.get_mut(at) else { return };
        place.seen = true;
        let name = Escaped(&place.name).to_string();
        match finish {
            Finish::Whole { .. } => match scan.finish() {
                Ok(listed) => self.listed(listed, &name),
                // Where there are several lists, most have other files.
                Err(Useless::NotListed) => {
                    let message = format!("{}: {name} {}", self.server, Useless::NotListed);
                    self.remarks.push(Remark::Note(message));
                }
                Err(useless) => self.warn(&format!("{name} {useless}")),
            },
            Finish::Cut => self.warn(&format!("{name} is too large to be read for a checksum")),
            Finish::Short { reply, .. } => self.not_read(at, reply, reply.code().is_transient()),
        }
    }

    fn listed(&mut self, Listed { checksum, blocks }: Listed, name: &str) {
        // What `sum -s` computes looks alike, but counts blocks of half the size.
        let other_sum =
            |size: u64| blocks == Some(size.div_ceil(512)) && blocks != Some(size.div_ceil(BLOCK));
        if self.size.is_some_and(other_sum) {
            return self.warn(&format!("{name} has no checksum in it that is known"));
        }
        self.found_at(checksum, blocks, name);
    }

    fn found_at(&mut self, checksum: Checksum, blocks: Option<u64>, what: &str) {
        let better = |found: &Found| checksum.algorithm() > found.checksum.algorithm();
        if self.found.as_ref().is_none_or(better) {
            self.found = Some(Found { checksum, blocks, origin: format!("{what} on {}", self.server) });
        }
    }

    /// The content of a place has not come, or not all of it. `may_come` says whether it may if it is asked for again.
    fn not_read(&mut self, place: usize, why: &dyn fmt::Display, may_come: bool) {
        let Some(place) = self.places.get_mut(place).filter(|place| place.seen) else { return };
        place.open = may_come && place.attempts < ATTEMPTS;
        if !place.open {
            let message = format!("{} cannot be read: {why}", Escaped(&place.name));
            self.warn(&message);
        }
    }

    /// What the server offers to compute, the best last. What HASH can compute no other command has to.
    fn offered(&self, features: &Features) -> Vec<(Algorithm, Vec<Command>)> {
        let mut offered: Vec<(Algorithm, Vec<Command>)> = Vec::new();
        for (name, chosen) in features.hash_algorithms() {
            let option = Arg::new([b"HASH ", name].concat());
            let (Some(algorithm), Ok(option)) = (algorithm(name), option) else { continue };
            let choose = Some(Command::Opts(option)).filter(|_| !chosen);
            let hash = Command::Hash(self.beside(crate::url::file_name(&self.path)));
            offered.push((algorithm, choose.into_iter().chain([hash]).collect()));
        }
        for algorithm in Algorithm::ALL {
            if offered.iter().any(|(known, _)| *known == algorithm) {
                continue;
            }
            let commands = self.spellings().into_iter().filter_map(|path| computing(algorithm, path));
            let known = commands.filter(|command| features.has(command.verb().as_str()));
            offered.extend(known.map(|command| (algorithm, vec![command])));
        }
        offered.sort_by_key(|(algorithm, _)| *algorithm);
        offered
    }

    fn computed(&mut self, wanted: Algorithm, verb: Verb, reply: &Reply) {
        let value = match meaning::hash(reply) {
            Some(hash) => {
                let end = |size: u64| hash.end == size || hash.end.checked_add(1) == Some(size);
                let fits = hash.start == 0 && self.size.is_none_or(end);
                Some(hash.value).filter(|_| fits && algorithm(&hash.algorithm) == Some(wanted))
            }
            None if verb == Verb::Hash => None,
            None => meaning::digest(reply, wanted.length(), self.path.as_bytes()),
        };
        match value.and_then(|value| Checksum::new(wanted, value)) {
            Some(checksum) => self.found_at(checksum, None, verb.as_str()),
            None => self
                .warn(&format!("{verb} is answered with what is no {} of the file: {reply}", wanted.name())),
        }
    }

    /// A file in the directory of the one to be verified, as the server is to be asked for it.
    fn beside(&self, name: &[u8]) -> Arg {
        let path = self.path.as_bytes();
        let directory = path.len().saturating_sub(crate::url::file_name(&self.path).len());
        let directory = if self.bare { &[][..] } else { path.get(..directory).unwrap_or_default() };
        // What is appended has no line end in it.
        Arg::new([directory, name].concat()).unwrap_or_else(|_| self.path.clone())
    }

    /// The file itself, for commands that take further arguments behind a space: some servers want a path with spaces in
    /// quotes, and others as it is. The last is to be tried first.
    fn spellings(&self) -> Vec<Arg> {
        let path = self.beside(crate::url::file_name(&self.path));
        let spaced = path.as_bytes().contains(&b' ');
        let quoted = Some([b"\"", path.as_bytes(), b"\""].concat()).filter(|_| spaced);
        std::iter::once(path).chain(quoted.and_then(|quoted| Arg::new(quoted).ok())).collect()
    }
}

/// The command that computes it, but for HASH.
fn computing(algorithm: Algorithm, path: Arg) -> Option<Command> {
    match algorithm {
        Algorithm::Sum => None,
        Algorithm::Crc32 => Some(Command::Xcrc(path)),
        Algorithm::Md5 => Some(Command::Xmd5(path)),
        Algorithm::Sha1 => Some(Command::Xsha1(path)),
        Algorithm::Sha256 => Some(Command::Xsha256(path)),
        Algorithm::Sha512 => Some(Command::Xsha512(path)),
    }
}

#[cfg(test)]
mod tests;
