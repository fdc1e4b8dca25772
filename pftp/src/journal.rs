//! The journal: what of a file is here, and which file it is of. It outlives the run that writes it.
//!
//! It is one small file beside the temporary one, and is replaced whole: a run that is killed leaves the journal before or
//! the journal after, and never a half. The ranges are few, about as many as there are connections, so that nothing
//! would be gained by appending to it.
//!
//! Its first line names the format, its version and the CRC-32 of the rest, which is JSON.

mod keeper;

pub(crate) use keeper::{Keeper, Trouble};

use crate::exit::Failure;
use crate::ranges::RangeSet;
use ftp_proto::{Facts, TimeVal};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What the first line begins with.
const MAGIC: &str = "pftp journal ";

/// The version of the format. A journal of another one is not read.
const VERSION: u32 = 1;

/// Bytes; a journal of ours is far below.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What is known of a file that is not whole yet.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Its size in bytes, once a server has told it.
    pub size: Option<u64>,
    /// When it was last modified, as [`TimeVal`] prints it.
    pub modify: Option<String>,
    /// Servers and paths that it was fetched from. Nothing is concluded from them.
    pub sources: Vec<String>,
    /// The checksum that the whole file was found not to have.
    #[serde(default)]
    pub not: Option<String>,
    /// The ranges that are on disk: first offset, and offset behind the last.
    pub done: Vec<(u64, u64)>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It was not written by pftp.
    #[error("is not a journal of pftp")]
    Foreign,
    /// It was written by another version.
    #[error("is of another version of pftp")]
    Version,
    /// It is not what was written.
    #[error("is damaged")]
    Damaged,
    /// It does not go with the temporary file.
    #[error("names bytes that {0} does not have")]
    Missing(String),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Record {
    /// What is noted of a file of which servers say `facts` and of which `done` is on disk.
    #[must_use]
    pub fn new(facts: &Facts, done: &RangeSet, sources: Vec<String>) -> Self {
        Self {
            size: facts.size,
            modify: facts.modify.map(|time| time.to_string()),
            sources,
            not: None,
            done: done.iter().map(|range| (range.start, range.end)).collect(),
        }
    }

    /// What servers said of the file.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let modify = self.modify.as_ref().and_then(|time| TimeVal::parse(time.as_bytes()));
        Facts { size: self.size, modify, ..Facts::default() }
    }

    /// What is on disk.
    #[must_use]
    pub fn ranges(&self) -> RangeSet {
        let mut ranges = RangeSet::new();
        for (start, end) in &self.done {
            ranges.insert(*start..*end);
        }
        ranges
    }

    /// The journal as it is stored.
    ///
    /// # Errors
    /// If it cannot be expressed, which does not happen.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{MAGIC}{VERSION} {:08x}\n{json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
    }

    /// Reads what [`encode`](Self::encode) has made.
    ///
    /// # Errors
    /// A [`JournalError`] for anything else.
    pub fn decode(text: &[u8]) -> Result<Self, JournalError> {
        let text = std::str::from_utf8(text).map_err(|_| JournalError::Foreign)?;
        let rest = text.strip_prefix(MAGIC).ok_or(JournalError::Foreign)?;
        let (line, rest) = rest.split_once('\n').ok_or(JournalError::Damaged)?;
        let (version, sum) = line.split_once(' ').ok_or(JournalError::Damaged)?;
        if version.parse::<u32>().map_err(|_| JournalError::Damaged)? != VERSION {
            return Err(JournalError::Version);
        }
        let json = rest.strip_suffix('\n').ok_or(JournalError::Damaged)?;
        if sum != format!("{:08x}", crc32fast::hash(json.as_bytes())) {
            return Err(JournalError::Damaged);
        }
        let record: Self = serde_json::from_str(json).map_err(|_| JournalError::Damaged)?;
        let is_sound =
            record.done.iter().all(|(start, end)| start < end && record.size.is_none_or(|size| *end <= size));
        if is_sound { Ok(record) } else { Err(JournalError::Damaged) }
    }
}

/// Where the journal of a target is.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// What the name of the next journal ends in until it takes the place of this one.
    pub(crate) const NEW: &str = "-new";

    /// What the name of one that is set aside ends in.
    pub(crate) const ASIDE: &str = "-unusable";

    /// The journal of this name.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; `None` if there is none.
    ///
    /// # Errors
    /// A [`JournalError`] if it is of no use.
    pub fn load(&self) -> Result<Option<Record>, JournalError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(JournalError::Io(errno.into())),
        };
        if !file.metadata()?.is_file() {
            return Err(JournalError::Foreign);
        }
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text)?;
        Record::decode(&text).map(Some)
    }

    /// Puts `record` in the place of what it says, and on disk.
    ///
    /// # Errors
    /// If it cannot be written; it says what it said before then.
    pub fn store(&self, record: &Record) -> io::Result<()> {
        let new = self.beside(Self::NEW);
        // Of a run that was killed; or a link that somebody has put there.
        let _there_may_be_none = fs::remove_file(&new);
        let mut file = File::create_new(&new)?;
        let stored = file.write_all(&record.encode()?).and_then(|()| file.sync_data());
        if let Err(error) = stored.and_then(|()| fs::rename(&new, &self.path)) {
            let _stays_then = fs::remove_file(&new);
            return Err(error);
        }
        crate::file::sync_directory(crate::file::directory(&self.path));
        Ok(())
    }

    /// Removes it, so that this is on disk.
    pub fn remove(&self) {
        let _there_may_be_none = fs::remove_file(self.beside(Self::NEW));
        if fs::remove_file(&self.path).is_ok() {
            crate::file::sync_directory(crate::file::directory(&self.path));
        }
    }

    /// Gives it another name, under which it is in nobody's way.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn set_aside(&self) -> Result<PathBuf, Failure> {
        let aside = self.beside(Self::ASIDE);
        fs::rename(&self.path, &aside)
            .map_err(|error| Failure::local("cannot rename", &self.path, &error))?;
        Ok(aside)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

#[cfg(test)]
mod tests;
