//! The journal of one file: which bytes of the file are on disk, and which file it is. A later run resumes with it.
//!
//! The journal is one small file beside the temporary file. A new record replaces the whole journal by a rename, so a process
//! that is killed leaves the record before or the record after, and never a half. A record has few ranges, about as many as
//! there are connections, so appending to the journal would save nothing.
//!
//! The first line names the format, its version and the CRC-32 of the rest, which is JSON.

mod writer;

pub(crate) use writer::{JournalWriter, LastRecord, WriteError};

use crate::local::{Action, LocalError};
use crate::ranges::RangeSet;
use crate::temporary::{ASIDE, NEW, directory, sync_directory};
use ftp_proto::{Facts, TimeVal};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The start of the first line.
const MAGIC: &str = "pftp journal ";

/// The version of the format. A journal of another version is not read.
const VERSION: u32 = 1;

/// Bytes of a journal that are read at most. No journal of pftp is as long.
const MAX_LENGTH: u64 = 16 * 1024 * 1024;

/// The record of a file that is not whole yet.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Size of the file in bytes, if a server has told it.
    pub size: Option<u64>,
    /// Modification time of the file, as [`TimeVal`] prints it, if a server has told it.
    pub modify: Option<String>,
    /// Servers and paths of the file, for a person who reads the journal.
    pub sources: Vec<String>,
    /// The checksum that the whole file should have had and did not have.
    #[serde(default, rename = "not")]
    pub missed_checksum: Option<String>,
    /// The ranges that are on disk: first offset, and offset behind the last byte.
    pub done: Vec<(u64, u64)>,
}

/// Why a journal cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// pftp did not write the journal.
    Foreign,
    /// Another version of pftp wrote the journal.
    Version,
    /// The journal was changed after it was written.
    Damaged,
    /// The journal names bytes that the temporary file of this name does not have.
    MissingBytes(PathBuf),
    /// The journal cannot be read.
    Read(io::Error),
}

impl Record {
    /// Makes the record of a file that servers describe by `facts` and of which `done` is on disk.
    #[must_use]
    pub fn new(facts: &Facts, done: &RangeSet, sources: Vec<String>) -> Self {
        Self {
            size: facts.size,
            modify: facts.modify.map(|time| time.to_string()),
            sources,
            missed_checksum: None,
            done: done.iter().map(|range| (range.start, range.end)).collect(),
        }
    }

    /// Returns the size and modification time that servers told.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let modify = self.modify.as_ref().and_then(|time| TimeVal::parse(time.as_bytes()));
        Facts { size: self.size, modify, ..Facts::default() }
    }

    /// Returns the ranges that are on disk.
    #[must_use]
    pub fn ranges(&self) -> RangeSet {
        let mut ranges = RangeSet::new();
        for (start, end) in &self.done {
            ranges.insert(*start..*end);
        }
        ranges
    }

    /// Encodes the record as the content of a journal.
    ///
    /// # Errors
    /// An error of the JSON encoder, which has none for this type.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_string(self)?;
        Ok(format!("{MAGIC}{VERSION} {:08x}\n{json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
    }

    /// Decodes the content of a journal.
    ///
    /// # Errors
    /// A [`JournalError`] if [`encode`](Self::encode) did not make it.
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

/// The journal of one target.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Names a journal, which need not exist.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the name of the journal.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the record; `None` if there is no journal.
    ///
    /// # Errors
    /// A [`JournalError`] if the journal cannot be used.
    pub(crate) fn load(&self) -> Result<Option<Record>, JournalError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(JournalError::Read(errno.into())),
        };
        if !file.metadata().map_err(JournalError::Read)?.is_file() {
            return Err(JournalError::Foreign);
        }
        let mut text = Vec::new();
        file.take(MAX_LENGTH).read_to_end(&mut text).map_err(JournalError::Read)?;
        Record::decode(&text).map(Some)
    }

    /// Replaces the record, and puts the new one on disk.
    ///
    /// # Errors
    /// The operating system's error if the journal cannot be written; the record before stays then.
    pub(crate) fn store(&self, record: &Record) -> io::Result<()> {
        let new = self.with_suffix(NEW);
        // A run that was killed may have left the file, or another program a link of this name.
        let _may_be_absent = fs::remove_file(&new);
        let mut file = File::create_new(&new)?;
        let stored = file.write_all(&record.encode()?).and_then(|()| file.sync_data());
        if let Err(error) = stored.and_then(|()| fs::rename(&new, &self.path)) {
            let _best_effort = fs::remove_file(&new);
            return Err(error);
        }
        sync_directory(directory(&self.path));
        Ok(())
    }

    /// Removes the journal, and puts its removal on disk.
    pub(crate) fn remove(&self) {
        let _may_be_absent = fs::remove_file(self.with_suffix(NEW));
        if fs::remove_file(&self.path).is_ok() {
            sync_directory(directory(&self.path));
        }
    }

    /// Renames an unusable journal, so that a new one can be written; returns the new name.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn set_aside(&self) -> Result<PathBuf, LocalError> {
        let aside = self.with_suffix(ASIDE);
        fs::rename(&self.path, &aside).map_err(LocalError::failed(Action::SetAside, &self.path))?;
        Ok(aside)
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

#[cfg(test)]
mod tests;
