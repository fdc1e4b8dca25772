//! Sinks of one downloaded file: a file that gets its final name when it is whole, or a stream.

mod ascii;
mod stream;

pub(crate) use ascii::AsciiSink;
pub(crate) use stream::{HashingWriter, StreamSink};

use crate::journal::Journal;
use crate::local::{Action, LocalError, Place};
use crate::temporary::{directory, journal_path, part_path, sync_directory};
use bytes::Bytes;
use ftp_proto::{Sink, TimeVal};
use rustix::fs::{FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that is being downloaded: beside its final name, under a temporary name.
///
/// Dropping the sink keeps the temporary file if bytes were written to it, by this run or by an earlier one, and removes it
/// otherwise.
#[derive(Debug)]
pub(crate) struct FileSink {
    file: File,
    part: PathBuf,
    journal: Journal,
    target: PathBuf,
    /// Whether the temporary file has bytes that are worth keeping.
    is_written: AtomicBool,
    /// Whether the temporary file has its final name, or is removed.
    is_released: AtomicBool,
}

/// Bytes in a block of a file, as the operating system counts them.
const BLOCK: u64 = 512;

impl FileSink {
    /// Opens the temporary file for `target` as [`open`](Self::open) does, and empties it.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn create(target: &Path) -> Result<Self, LocalError> {
        let sink = Self::open(target)?;
        sink.clear()?;
        Ok(sink)
    }

    /// Opens the temporary file for `target` with the bytes of an earlier run, and checks whatever can be checked before the
    /// download. The temporary file and its journal are locked, because two processes cannot write one target.
    ///
    /// `target` may exist if it is a regular file, which is replaced in the end. Nothing else is replaced: a rename would put
    /// a file in the place of a device, or of a link and not of the file that the link leads to.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn open(target: &Path) -> Result<Self, LocalError> {
        let part = part_path(target)?;
        let journal = Journal::new(journal_path(target)?);
        check_target(target)?;
        let file = open_locked(&part)?;
        let has_journal = journal.path().symlink_metadata().is_ok();
        let is_written = has_journal || file.metadata().map_or(true, |facts| facts.len() > 0);
        let (is_written, is_released) = (AtomicBool::new(is_written), AtomicBool::new(false));
        Ok(Self { file, part, journal, target: target.to_owned(), is_written, is_released })
    }

    /// Empties the temporary file. The journal, which names bytes of the file, is removed first.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn clear(&self) -> Result<(), LocalError> {
        self.journal.remove();
        self.file.set_len(0).map_err(LocalError::failed(Action::Truncate, &self.part))?;
        self.is_written.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the journal of this file.
    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns the temporary file, for another thread.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn file(&self) -> Result<File, LocalError> {
        self.file.try_clone().map_err(LocalError::failed(Action::Duplicate, &self.part))
    }

    /// Returns the length of the temporary file in bytes, gaps included.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn length(&self) -> Result<u64, LocalError> {
        let facts = self.file.metadata();
        facts.map(|facts| facts.len()).map_err(LocalError::failed(Action::Inspect, &self.part))
    }

    /// Checks that the file system has room for a file of `size` bytes. A file system that does not tell its room passes.
    ///
    /// # Errors
    /// [`LocalError::NoRoom`].
    pub(crate) fn check_room(&self, size: u64) -> Result<(), LocalError> {
        let (Ok(facts), Ok(file)) = (rustix::fs::fstatvfs(&self.file), self.file.metadata()) else {
            return Ok(());
        };
        // File systems reserve some blocks for root.
        let free = if rustix::process::geteuid().is_root() { facts.f_bfree } else { facts.f_bavail };
        let room = free.saturating_mul(facts.f_frsize).saturating_add(file.blocks().saturating_mul(BLOCK));
        if facts.f_blocks == 0 || size <= room {
            return Ok(());
        }
        Err(LocalError::NoRoom { path: self.part.clone(), size, room })
    }

    /// Keeps the temporary file even if this run writes no byte.
    pub(crate) fn keep(&self) {
        self.is_written.store(true, Ordering::Relaxed);
    }

    /// Reads `range` of the temporary file.
    ///
    /// # Errors
    /// A [`LocalError`], also if the file is shorter.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes, LocalError> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let result = self.file.read_exact_at(&mut bytes, range.start);
        result.map_err(LocalError::failed(Action::Read, &self.part))?;
        Ok(bytes.into())
    }

    /// Returns the final name.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the temporary name.
    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Returns whether the temporary file has these bytes from `offset` on.
    ///
    /// # Errors
    /// A [`LocalError`] if the file cannot be read there.
    pub(crate) fn holds(&self, offset: u64, bytes: &[u8]) -> Result<bool, LocalError> {
        let present = self.read(offset..offset.saturating_add(bytes.len() as u64))?;
        Ok(present == bytes)
    }

    /// Completes the temporary file except for its name: exactly `size` bytes, modification time `modified`, on disk.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::WrongSize`] if the file has fewer bytes. The temporary file stays.
    pub(crate) fn settle(&self, size: u64, modified: Option<TimeVal>) -> Result<(), LocalError> {
        let failed = |error| LocalError::Write { to: self.place(), error };
        let written = self.file.metadata().map_err(failed)?.len();
        if written < size {
            return Err(LocalError::WrongSize { place: self.place(), written, size });
        }
        self.file.set_len(size).and_then(|()| self.file.sync_data()).map_err(failed)?;
        if let Some(time) = modified {
            // Some file systems keep no times.
            let _best_effort = set_modified(&self.file, time);
        }
        Ok(())
    }

    /// Gives the completed file its final name.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::Replaced`] if the temporary name is that of another file. The temporary file stays.
    pub(crate) fn publish(&self) -> Result<(), LocalError> {
        check_target(&self.target)?;
        if !self.is_in_place() {
            return Err(LocalError::Replaced(self.part.clone()));
        }
        fs::rename(&self.part, &self.target).map_err(|error| LocalError::Rename {
            from: self.part.clone(),
            to: self.target.clone(),
            error,
        })?;
        self.is_released.store(true, Ordering::Relaxed);
        sync_directory(directory(&self.target));
        // The journal is removed last: a journal without its file does no harm, but a file without its journal would be
        // fetched again.
        self.journal.remove();
        Ok(())
    }

    /// Ends a failed download: removes the temporary file if it has no bytes worth keeping. If the temporary name is that of
    /// another file, the journal is removed, because it is not about that file.
    pub(crate) fn discard(&self) {
        if !self.is_written.load(Ordering::Relaxed) || !self.is_in_place() {
            self.remove();
        }
    }

    /// Removes the temporary file and its journal, whatever bytes they have. Another file at the temporary name stays.
    pub(crate) fn remove(&self) {
        if !self.is_released.swap(true, Ordering::Relaxed) {
            self.journal.remove();
            if self.is_in_place() {
                let _best_effort = fs::remove_file(&self.part);
            }
        }
    }

    /// Returns whether the temporary name is still that of the file.
    fn is_in_place(&self) -> bool {
        let facts = self.file.metadata();
        facts.is_ok_and(|facts| is_at(&facts, &self.part))
    }

    fn place(&self) -> Place {
        Place::File(self.part.clone())
    }
}

impl Sink for FileSink {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.is_written.store(true, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Sets the modification time of a file.
fn set_modified(file: &File, time: TimeVal) -> rustix::io::Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification =
        Timespec { tv_sec: time.unix_seconds(), tv_nsec: time.fraction().unwrap_or(0).into() };
    rustix::fs::futimens(file, &Timestamps { last_access, last_modification })
}

/// Checks that a file can get the name `target` in the end.
fn check_target(target: &Path) -> Result<(), LocalError> {
    let path = || target.to_owned();
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) if target.is_dir() => Err(LocalError::TargetIsDirectory(path())),
        Ok(found) if found.is_symlink() => Err(LocalError::TargetIsLink(path())),
        Ok(_) => Err(LocalError::TargetIsNotAFile(path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_directory(directory(target)),
        Err(error) => Err(LocalError::Failed { action: Action::Inspect, path: path(), error }),
    }
}

fn check_directory(directory: &Path) -> Result<(), LocalError> {
    let facts = fs::metadata(directory).map_err(LocalError::failed(Action::UseDirectory, directory))?;
    if facts.is_dir() { Ok(()) } else { Err(LocalError::NotADirectory(directory.to_owned())) }
}

/// Opens or creates `part`, and locks it until it is closed.
fn open_locked(part: &Path) -> Result<File, LocalError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failed = |error| LocalError::Failed { action: Action::Create, path: part.to_owned(), error };
    // Another process that held the lock may have renamed or removed the file after it was opened here.
    for _ in 0..3 {
        let file = rustix::fs::open(part, flags, Mode::from_raw_mode(0o666));
        let file = File::from(file.map_err(|errno| failed(errno.into()))?);
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(LocalError::TemporaryIsNotAFile(part.to_owned()));
        }
        // Any other error comes from a file system without locks.
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(rustix::io::Errno::WOULDBLOCK) {
            break;
        }
        if is_at(&facts, part) {
            return Ok(file);
        }
    }
    Err(LocalError::InUse(part.to_owned()))
}

/// Returns whether `path` is a name of the file with these facts. A link at `path` is not followed.
fn is_at(facts: &fs::Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (facts.dev(), facts.ino()))
}

#[cfg(test)]
mod tests;
