//! A mirror of a file: the copy on one server, and what the server has said of it.

use crate::engine::error::MirrorFault;
use crate::engine::ids::ServerId;
use ftp_proto::{Arg, Facts, Instant};

/// How the server takes the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum PathForm {
    /// As the argument of RETR.
    Whole,
    /// As directory and name: some servers find no file whose name holds a slash.
    Directory,
}

/// The worth of the mirror's statement about its file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Verdict {
    /// The server has not answered yet.
    Unknown,
    /// It has the file that is fetched.
    Agrees,
    /// It has another one.
    Differs,
    /// It tells neither size nor time.
    Abstains,
}

/// A mirror of a file.
#[derive(Debug)]
pub(in crate::engine) struct Replica {
    pub(in crate::engine) server: ServerId,
    pub(in crate::engine) path: Arg,
    pub(in crate::engine) form: PathForm,
    /// Whether it was dropped: it is of no more use to the file.
    pub(in crate::engine) is_dropped: bool,
    /// The last failure; the reason if it was dropped.
    pub(in crate::engine) failure: Option<MirrorFault>,
    pub(in crate::engine) verdict: Verdict,
    /// Its claim on the identity of the file: told, or shown by the end of a transfer.
    pub(in crate::engine) facts: Option<Facts>,
    /// The facts that the server has told, over whichever session.
    pub(in crate::engine) told: Facts,
    /// When the server last told it.
    pub(in crate::engine) told_at: Option<Instant>,
    /// When a transfer last began.
    pub(in crate::engine) started_at: Option<Instant>,
    /// When the server was asked to confirm that the file is the same; `None` once it has answered.
    pub(super) confirm_asked: Option<Instant>,
    /// When it was dialled once more to be asked that, as all its sessions were lost.
    pub(super) dialled_at: Option<Instant>,
}

impl Replica {
    /// A mirror that has not been asked yet.
    pub(super) fn new(server: ServerId, path: Arg) -> Self {
        Self {
            server,
            path,
            form: PathForm::Whole,
            is_dropped: false,
            failure: None,
            verdict: Verdict::Unknown,
            facts: None,
            told: Facts::default(),
            told_at: None,
            started_at: None,
            confirm_asked: None,
            dialled_at: None,
        }
    }

    /// Whether it may be fetched from: it was not dropped and has not shown another file.
    pub(in crate::engine) fn serves(&self) -> bool {
        !self.is_dropped && self.verdict != Verdict::Differs
    }

    /// Whether it has yet to say which file it has.
    pub(in crate::engine) fn is_unheard(&self) -> bool {
        !self.is_dropped && self.verdict == Verdict::Unknown
    }

    /// The path to ask for in this form.
    pub(in crate::engine) fn path_in(&self, form: PathForm) -> Option<Arg> {
        match form {
            PathForm::Whole => Some(self.path.clone()),
            PathForm::Directory => self.split_path().map(|(_, name)| name),
        }
    }

    /// The path as directory and name, if it has both.
    pub(in crate::engine) fn split_path(&self) -> Option<(Arg, Arg)> {
        let bytes = self.path.as_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/')?;
        let (directory, name) = (bytes.get(..slash.max(1))?, bytes.get(slash.saturating_add(1)..)?);
        Some((Arg::new(directory.to_vec()).ok()?, Arg::new(name.to_vec()).ok()?))
    }

    /// Records what the server tells over one session, and returns it completed by what it told over others.
    pub(in crate::engine) fn tell(&mut self, facts: &Facts, now: Instant) -> Facts {
        (self.told_at, self.confirm_asked) = (Some(now), None);
        self.told = Facts {
            size: facts.size.or(self.told.size),
            modify: facts.modify.or(self.told.modify),
            ..facts.clone()
        };
        self.told.clone()
    }
}
