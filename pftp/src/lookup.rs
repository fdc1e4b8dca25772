//! The lookup of a file's checksum on one server.
//!
//! The machine, `Lookup`, has no I/O: it says what to ask the server, and reads the answers. A lookup has rounds, and the
//! requests of a round are sent together:
//!
//! 1. FEAT, and SIZE of every file of checksums that may be beside the file.
//! 2. Each of those files that the server has, the strongest algorithm first, as long as it can give a stronger checksum
//!    than the one found so far.
//! 3. Each command by which the server computes a checksum, the strongest first, as long as no strong checksum is found.
//!
//! A published checksum goes first, because it also shows whether the server's own file is damaged, and because computing
//! the checksum of a large file takes the server long.

mod list;
mod outcome;

pub use list::ListError;
pub use outcome::{Found, Origin, Remark};

use crate::checksum::{Algorithm, Checksum};
use crate::url::file_name;
use ftp_proto::meaning::{self, Features};
use ftp_proto::{Arg, Command, Finish, Reply, Request, Verb};
use list::{ListForm, ListReader, Listed, algorithm_named};
use outcome::BLOCK;

/// Bytes of a file of checksums at most. Lists of large directories have some MiB.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// Usual names of files that list the checksums of a directory, with their algorithm if they have only one.
const LISTS: [(&str, Option<Algorithm>); 7] = [
    ("SHA512SUMS", Some(Algorithm::Sha512)),
    ("SHA256SUMS", Some(Algorithm::Sha256)),
    ("sha256sum.txt", Some(Algorithm::Sha256)),
    ("SHA1SUMS", Some(Algorithm::Sha1)),
    ("MD5SUMS", Some(Algorithm::Md5)),
    ("md5checksums.txt", Some(Algorithm::Md5)),
    ("CHECKSUMS", None),
];

/// Suffixes that make the name of a file the name of its file of checksums.
const SUFFIXES: [(&str, Algorithm); 4] = [
    (".sha512", Algorithm::Sha512),
    (".sha256", Algorithm::Sha256),
    (".sha1", Algorithm::Sha1),
    (".md5", Algorithm::Md5),
];

/// The weakest algorithm for which nobody can make two files with the same checksum.
const STRONG: Algorithm = Algorithm::Sha256;

/// How often a server is asked which files it has, if its session ends meanwhile; and how often it is asked for the content
/// of a file that it has, if the transfer breaks off or is refused for now.
const ATTEMPTS: u8 = 2;

/// An answer to a request of a [`Lookup`], or a part of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer<'a> {
    /// The reply to a command.
    Reply(&'a Reply),
    /// The reply that refuses the request.
    Refused(&'a Reply),
    /// The next bytes of a file.
    Content(&'a [u8]),
    /// The end of the transfer of a file.
    Finished(&'a Finish),
}

/// A file of checksums that may be on the server.
#[derive(Debug)]
struct ListFile {
    name: Vec<u8>,
    form: ListForm,
    /// Whether the file may be there and is still to be read.
    is_pending: bool,
    /// Whether the server has named its size or has sent some of it.
    is_seen: bool,
    /// How often the server was asked for its content.
    attempts: u8,
}

impl ListFile {
    /// Returns the strongest algorithm that the file may have.
    const fn strongest(&self) -> Algorithm {
        match self.form {
            ListForm::Sidecar(algorithm) | ListForm::Directory(Some(algorithm)) => algorithm,
            ListForm::Directory(None) => Algorithm::Sha512,
        }
    }
}

/// The requests that wait for their answers.
#[derive(Debug)]
enum Round {
    /// No requests.
    Idle,
    /// FEAT and SIZE.
    Survey,
    /// The content of the file of checksums with this index.
    Reading(usize, ListReader),
    /// A command that computes a checksum; its request has the number `at`.
    Computing { algorithm: Algorithm, verb: Verb, at: usize },
}

/// The lookup of the checksum of one file on one server.
///
/// If the session ends, another session may continue the lookup.
#[derive(Debug)]
pub(crate) struct Lookup {
    server: String,
    path: Arg,
    /// The file as the current session names it.
    session_path: Arg,
    size: Option<u64>,
    lists: Vec<ListFile>,
    /// The algorithms that the server can compute, the strongest last, each with its commands.
    commands: Vec<(Algorithm, Vec<Command>)>,
    /// How often the server was asked which files it has.
    surveys: u8,
    is_surveyed: bool,
    round: Round,
    found: Option<Found>,
    remarks: Vec<Remark>,
}

impl Lookup {
    /// Begins a lookup for the file at `path` on `server`, which is the name that messages call it.
    pub(crate) fn new(server: String, path: Arg) -> Self {
        let name = file_name(&path).to_vec();
        let sidecars =
            SUFFIXES.map(|(suffix, kind)| ([&name, suffix.as_bytes()].concat(), ListForm::Sidecar(kind)));
        let lists = LISTS.map(|(list, kind)| (list.as_bytes().to_vec(), ListForm::Directory(kind)));
        let file = |(name, form)| ListFile { name, form, is_pending: true, is_seen: false, attempts: 0 };
        let lists = sidecars.into_iter().chain(lists).filter(|(list, _)| *list != name).map(file).collect();
        Self {
            server,
            session_path: path.clone(),
            path,
            size: None,
            lists,
            commands: Vec::new(),
            surveys: 0,
            is_surveyed: false,
            round: Round::Idle,
            found: None,
            remarks: Vec::new(),
        }
    }

    /// Returns the requests of the next round, or no requests if the lookup is over.
    ///
    /// Called when all requests of the round before are answered, or after
    /// [`handle_session_end`](Self::handle_session_end). `path` is the file as the session has to name it: the whole path, or
    /// the name alone if the session has changed into the directory of the file. `size` is the size of the file in bytes, or
    /// `None` if it is not known.
    pub(crate) fn next_requests(&mut self, path: &Arg, size: Option<u64>) -> Vec<Request> {
        self.session_path.clone_from(path);
        self.size = size;
        self.is_surveyed |= matches!(self.round, Round::Survey);
        self.round = Round::Idle;
        if !self.is_surveyed {
            return self.survey();
        }
        if let Some(at) = self.best_list() {
            return self.read(at);
        }
        let enough = self.found.as_ref().map(|found| found.checksum.algorithm());
        let better = |(algorithm, _): &(Algorithm, _)| {
            enough.is_none_or(|enough| enough < STRONG && *algorithm > enough)
        };
        let Some((algorithm, commands)) = self.commands.pop().filter(better) else { return Vec::new() };
        let Some(verb) = commands.last().map(Command::verb) else { return Vec::new() };
        self.round = Round::Computing { algorithm, verb, at: commands.len().saturating_sub(1) };
        commands.into_iter().map(Request::Command).collect()
    }

    /// Reads an answer to the request number `at` of this round, counted from 0.
    pub(crate) fn handle_answer(&mut self, at: usize, answer: Answer<'_>) {
        match (&mut self.round, answer) {
            (Round::Survey, Answer::Reply(reply)) if at == 0 => {
                self.commands = self.offered(&meaning::feat(reply).unwrap_or_default());
            }
            (Round::Survey, Answer::Reply(reply) | Answer::Refused(reply)) => self.handle_size(at, reply),
            (Round::Reading(list, reader), Answer::Content(bytes)) => {
                reader.push(bytes);
                if let Some(list) = self.lists.get_mut(*list) {
                    list.is_seen = true;
                }
            }
            (Round::Reading(..), Answer::Finished(finish)) => self.end_reading(finish),
            (Round::Reading(list, _), Answer::Refused(reply)) => {
                let list = *list;
                self.handle_unread(list, Some(reply));
            }
            (Round::Computing { algorithm, verb, at: last }, answer) if *last == at => {
                let (algorithm, verb) = (*algorithm, *verb);
                self.handle_computed(algorithm, verb, answer);
            }
            _ => {}
        }
    }

    /// Handles the end of the session before the round was answered. A request that may have ended the session is repeated
    /// once at most.
    pub(crate) fn handle_session_end(&mut self) {
        match std::mem::replace(&mut self.round, Round::Idle) {
            Round::Idle | Round::Survey => {}
            Round::Reading(list, _) => self.handle_unread(list, None),
            // Computing takes the server long, which may be why the session ended: the same command is not repeated.
            Round::Computing { algorithm, .. } if self.has_another_command(algorithm) => {}
            Round::Computing { verb, .. } => {
                self.remarks.push(Remark::CommandNotAnswered { server: self.server.clone(), verb });
            }
        }
    }

    /// Returns and forgets the strongest checksum found so far.
    pub(crate) const fn take_found(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// Returns the remarks since the last call.
    pub(crate) fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    fn survey(&mut self) -> Vec<Request> {
        if self.surveys >= ATTEMPTS {
            return Vec::new();
        }
        self.surveys = self.surveys.saturating_add(1);
        self.round = Round::Survey;
        let sizes = self.lists.iter().map(|list| Command::Size(self.sibling(&list.name)));
        std::iter::once(Command::Feat).chain(sizes).map(Request::Command).collect()
    }

    /// Handles the reply to SIZE of a file of checksums.
    fn handle_size(&mut self, at: usize, reply: &Reply) {
        let Some(list) = at.checked_sub(1).and_then(|at| self.lists.get_mut(at)) else { return };
        // The file may be there if the server does not know SIZE, or cannot answer now.
        let is_unknown = matches!(reply.code().get(), 500 | 502 | 504) || reply.code().is_transient();
        let size = meaning::size(reply);
        list.is_seen = size.is_some();
        list.is_pending = size.is_some_and(|size| size < MAX_LIST) || is_unknown;
        if size.is_some_and(|size| size >= MAX_LIST) {
            let (server, list) = (self.server.clone(), list.name.clone());
            self.remarks.push(Remark::ListTooLarge { server, list });
        }
    }

    /// Returns the index of the file of checksums to read next: the first of those that may have the strongest checksum.
    fn best_list(&self) -> Option<usize> {
        let enough = self.found.as_ref().map(|found| found.checksum.algorithm());
        let better = |list: &ListFile| enough.is_none_or(|enough| list.strongest() > enough);
        let pending = self.lists.iter().enumerate().filter(|(_, list)| list.is_pending && better(list));
        // A list of any algorithm may have a weak one only, so it is read last.
        let rank = |list: &ListFile| (list.form != ListForm::Directory(None), list.strongest());
        pending.rev().max_by_key(|(_, list)| rank(list)).map(|(at, _)| at)
    }

    fn read(&mut self, at: usize) -> Vec<Request> {
        let Some(list) = self.lists.get_mut(at) else { return Vec::new() };
        list.is_pending = false;
        list.attempts = list.attempts.saturating_add(1);
        self.round = Round::Reading(at, ListReader::new(list.form, self.path.as_bytes()));
        let name = list.name.clone();
        vec![Request::content(self.sibling(&name), MAX_LIST)]
    }

    fn end_reading(&mut self, finish: &Finish) {
        let Round::Reading(at, reader) = std::mem::replace(&mut self.round, Round::Idle) else { return };
        let Some(file) = self.lists.get_mut(at) else { return };
        file.is_seen = true;
        let (server, list) = (self.server.clone(), file.name.clone());
        match finish {
            Finish::Whole { .. } => match reader.finish().and_then(|listed| self.check_sum(listed)) {
                Ok(Listed { checksum, blocks }) => self.offer(checksum, blocks, Origin::List(list)),
                Err(error) => self.remarks.push(Remark::UselessList { server, list, error }),
            },
            Finish::Cut => self.remarks.push(Remark::ListTooLarge { server, list }),
            Finish::Short { reply, .. } => self.handle_unread(at, Some(reply)),
        }
    }

    /// Refuses the output of `sum -s`, which looks like that of `sum -r`, but counts blocks of half the size.
    fn check_sum(&self, listed: Listed) -> Result<Listed, ListError> {
        let is_system_v = |size: u64| {
            listed.blocks == Some(size.div_ceil(BLOCK / 2)) && listed.blocks != Some(size.div_ceil(BLOCK))
        };
        if self.size.is_some_and(is_system_v) { Err(ListError::UnknownAlgorithm) } else { Ok(listed) }
    }

    /// Keeps a checksum if it is stronger than the one found so far.
    fn offer(&mut self, checksum: Checksum, blocks: Option<u64>, origin: Origin) {
        let stronger = |found: &Found| checksum.algorithm() > found.checksum.algorithm();
        if self.found.as_ref().is_none_or(stronger) {
            self.found = Some(Found { checksum, blocks, server: self.server.clone(), origin });
        }
    }

    /// Handles that a file of checksums came in part or not at all: because of this reply, or of the end of the session.
    /// After a passing cause the file is read once more.
    fn handle_unread(&mut self, list: usize, reply: Option<&Reply>) {
        let Some(file) = self.lists.get_mut(list).filter(|file| file.is_seen) else { return };
        let may_come = reply.is_none_or(|reply| reply.code().is_transient());
        file.is_pending = may_come && file.attempts < ATTEMPTS;
        if !file.is_pending {
            let (server, list) = (self.server.clone(), file.name.clone());
            self.remarks.push(Remark::ListNotRead { server, list, reply: reply.cloned() });
        }
    }

    /// Returns what the server offers to compute, the strongest last. For an algorithm of HASH no other command is used.
    fn offered(&self, features: &Features) -> Vec<(Algorithm, Vec<Command>)> {
        let mut offered: Vec<(Algorithm, Vec<Command>)> = Vec::new();
        for (name, is_chosen) in features.hash_algorithms() {
            let option = Arg::new([b"HASH ", name].concat());
            let (Some(algorithm), Ok(option)) = (algorithm_named(name), option) else { continue };
            let choose = Some(Command::Opts(option)).filter(|_| !is_chosen);
            let hash = Command::Hash(self.session_path.clone());
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

    fn handle_computed(&mut self, algorithm: Algorithm, verb: Verb, answer: Answer<'_>) {
        let server = self.server.clone();
        match answer {
            Answer::Reply(reply) => match self.computed(algorithm, verb, reply) {
                Some(checksum) => self.offer(checksum, None, Origin::Command(verb)),
                None => {
                    let reply = reply.clone();
                    self.remarks.push(Remark::CommandMisanswered { server, verb, algorithm, reply });
                }
            },
            Answer::Refused(_) if self.has_another_command(algorithm) => {}
            Answer::Refused(reply) => {
                self.remarks.push(Remark::CommandRefused { server, verb, reply: reply.clone() });
            }
            Answer::Content(_) | Answer::Finished(_) => {}
        }
    }

    /// Returns whether the next command to be tried computes the same algorithm.
    fn has_another_command(&self, algorithm: Algorithm) -> bool {
        self.commands.last().is_some_and(|(next, _)| *next == algorithm)
    }

    /// Reads the checksum of the whole file from the reply to a command.
    fn computed(&self, wanted: Algorithm, verb: Verb, reply: &Reply) -> Option<Checksum> {
        let value = match meaning::hash(reply) {
            Some(hash) => {
                // Servers name as the end the last byte or the byte behind it.
                let is_end = |size: u64| hash.end == size || hash.end.checked_add(1) == Some(size);
                let is_whole = hash.start == 0 && self.size.is_none_or(is_end);
                Some(hash.value).filter(|_| is_whole && algorithm_named(&hash.algorithm) == Some(wanted))
            }
            None if verb == Verb::Hash => None,
            None => meaning::digest(reply, wanted.length(), self.path.as_bytes()),
        };
        value.and_then(|value| Checksum::new(wanted, value))
    }

    /// Returns the path of a file in the directory of the file, as the session has to name it.
    fn sibling(&self, name: &[u8]) -> Arg {
        let path = self.session_path.as_bytes();
        let directory = path.len().saturating_sub(file_name(&self.session_path).len());
        let directory = path.get(..directory).unwrap_or_default();
        // Neither part has a line end, so the path is an argument.
        Arg::new([directory, name].concat()).unwrap_or_else(|_| self.session_path.clone())
    }

    /// Returns the spellings of the file's path for commands that take further arguments behind a space, the one to be tried
    /// first last. Some servers want a path with spaces in quotes, others want it as it is.
    fn spellings(&self) -> Vec<Arg> {
        let path = &self.session_path;
        let has_space = path.as_bytes().contains(&b' ');
        let quoted = Some([b"\"", path.as_bytes(), b"\""].concat()).filter(|_| has_space);
        std::iter::once(path.clone()).chain(quoted.and_then(|quoted| Arg::new(quoted).ok())).collect()
    }
}

/// Returns the command that computes a checksum, other than HASH.
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
