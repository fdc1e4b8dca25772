//! Where the bytes go: a file that appears under its name when it is whole, or a stream.

mod ascii;
mod stream;

pub use ascii::AsciiSink;
pub(crate) use stream::Tee;
pub use stream::{StreamSink, stdout};

use crate::exit::{Failure, Kind, MAKE_ROOM};
use crate::journal::Journal;
use bytes::Bytes;
use ftp_proto::{Sink, TimeVal};
use rustix::fs::{FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file in the making: beside its final name, under a temporary one.
///
/// A part of a file stays when it is dropped, be it of this run or of an earlier one; a file into which nothing was written
/// since it was empty goes.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    part: PathBuf,
    journal: Journal,
    target: PathBuf,
    written: AtomicBool,
    /// Whether `part` is no longer ours to remove.
    released: AtomicBool,
}

/// Bytes of what the system calls a block of a file.
const BLOCK: u64 = 512;

const SUFFIX: &[u8] = b".pftp-part";

/// Room for what the journal's own name is made longer by.
const JOURNAL_SUFFIX: (&[u8], usize) = (b".pftp-journal", 10);

impl FileSink {
    /// Creates the temporary file for `target`, empty; else as [`open`](Self::open).
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn create(target: &Path) -> Result<Self, Failure> {
        let sink = Self::open(target)?;
        sink.clear()?;
        Ok(sink)
    }

    /// Opens the temporary file for `target` with what an earlier run has left in it, and checks what can be checked
    /// before anything is fetched. It is locked, and the journal with it: two programs cannot fetch to one target.
    ///
    /// `target` may exist if it is a regular file, which is replaced in the end. Nothing else is: the rename
    /// would put a file in the place of a device, or of a link and not of what it leads to.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn open(target: &Path) -> Result<Self, Failure> {
        let part = part_path(target)?;
        let journal = Journal::new(journal_path(target)?);
        check_target(target)?;
        let file = open_locked(&part)?;
        let is_noted = journal.path().symlink_metadata().is_ok();
        let is_left = is_noted || file.metadata().map_or(true, |facts| facts.len() > 0);
        let (written, released) = (AtomicBool::new(is_left), AtomicBool::new(false));
        Ok(Self { file, part, journal, target: target.to_owned(), written, released })
    }

    /// Empties the file. The journal, which would say otherwise, goes first.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn clear(&self) -> Result<(), Failure> {
        self.journal.remove();
        self.file.set_len(0).map_err(|error| Failure::local("cannot truncate", &self.part, &error))?;
        self.written.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The journal of this file.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The file once more, for somebody else to put on disk.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn file(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| Failure::local("cannot open again", &self.part, &error))
    }

    /// How many bytes the file has, gaps included.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub fn length(&self) -> Result<u64, Failure> {
        let facts = self.file.metadata();
        facts.map(|facts| facts.len()).map_err(|error| Failure::local("cannot look at", &self.part, &error))
    }

    /// Whether the file system has room for all `size` bytes of the file, before they come. One that does not tell has.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if it has not.
    pub fn check_room(&self, size: u64) -> Result<(), Failure> {
        let (Ok(facts), Ok(file)) = (rustix::fs::fstatvfs(&self.file), self.file.metadata()) else {
            return Ok(());
        };
        // Some of it is for root alone.
        let free = if rustix::process::geteuid().is_root() { facts.f_bfree } else { facts.f_bavail };
        let room = free.saturating_mul(facts.f_frsize).saturating_add(file.blocks().saturating_mul(BLOCK));
        if facts.f_blocks == 0 || size <= room {
            return Ok(());
        }
        let part = self.part.display();
        let message = format!("cannot write {part}: the file has {size} bytes, and there is room for {room}");
        Err(Failure::new(Kind::Local, format!("{message}{MAKE_ROOM}")))
    }

    /// What is in the file is worth keeping even if nothing more comes.
    pub fn keep(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// These bytes of the file.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if it does not have them.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut there = vec![0; length];
        self.file
            .read_exact_at(&mut there, range.start)
            .map_err(|error| Failure::local("cannot read", &self.part, &error))?;
        Ok(there.into())
    }

    /// The final name.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The temporary name.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Whether the file has these bytes from this offset on.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if it cannot be read there.
    pub fn holds(&self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        let there = self.read(offset..offset.saturating_add(bytes.len() as u64))?;
        Ok(there == bytes)
    }

    /// Makes the file what it is to be but for its name: exactly `size` bytes, last modified at `modified`, on disk.
    ///
    /// # Errors
    /// A [`Failure`]: of kind integrity if there are fewer bytes, else of kind local. The temporary file
    /// stays.
    pub fn settle(&self, size: u64, modified: Option<TimeVal>) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::write(self.part.display(), error);
        let length = self.file.metadata().map_err(|error| failed(&error))?.len();
        if length < size {
            let message = format!("{}: holds {length} bytes instead of {size}", self.part.display());
            return Err(Failure::new(Kind::Integrity, message));
        }
        self.file.set_len(size).and_then(|()| self.file.sync_data()).map_err(|error| failed(&error))?;
        if let Some(time) = modified {
            // Some file systems keep no times.
            let _best_effort = set_modified(&self.file, time);
        }
        Ok(())
    }

    /// Gives the file, which is what it is to be, its final name.
    ///
    /// # Errors
    /// A [`Failure`] of kind local, also if something else is at the temporary name. What is there stays.
    pub fn publish(&self) -> Result<(), Failure> {
        check_target(&self.target)?;
        if !self.is_in_place() {
            let message = format!("{}: is not the file that was written any more", self.part.display());
            return Err(Failure::new(Kind::Local, message));
        }
        fs::rename(&self.part, &self.target).map_err(|error| {
            Failure::local(&format!("cannot rename {} to", self.part.display()), &self.target, &error)
        })?;
        self.released.store(true, Ordering::Relaxed);
        sync_directory(directory(&self.target));
        // Only now: a journal without its file does no harm, a file without its journal would be fetched again.
        self.journal.remove();
        Ok(())
    }

    /// The download has failed: removes the temporary file if nothing was ever written into it. If something else is
    /// there, the journal goes, which does not speak of that.
    pub fn discard(&self) {
        if !self.written.load(Ordering::Relaxed) || !self.is_in_place() {
            self.remove();
        }
    }

    /// Removes the temporary file with what is in it, and its journal: nobody needs that any more. What somebody else has
    /// put there stays.
    pub fn remove(&self) {
        if !self.released.swap(true, Ordering::Relaxed) {
            self.journal.remove();
            if self.is_in_place() {
                let _stays_then = fs::remove_file(&self.part);
            }
        }
    }

    /// Whether the temporary name is still that of the file.
    fn is_in_place(&self) -> bool {
        let ours = self.file.metadata();
        ours.is_ok_and(|ours| is_at(&ours, &self.part))
    }
}

impl Sink for FileSink {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.written.store(true, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The temporary name for `target`: the name and a suffix, or where that is too long for a name, the
/// start of it, a hash of all of it and the suffix.
///
/// # Errors
/// A [`Failure`] of kind local if `target` ends in no file name.
pub fn part_path(target: &Path) -> Result<PathBuf, Failure> {
    path_beside(target, SUFFIX, 0)
}

/// The name of the journal for `target`, made in the same way.
pub(crate) fn journal_path(target: &Path) -> Result<PathBuf, Failure> {
    let (suffix, room) = JOURNAL_SUFFIX;
    path_beside(target, suffix, room)
}

/// Whether a file of this name is one that pftp may take for its own: the part or the journal of another target. Case
/// and dots at the end count for nothing, as they do on some file systems.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    let name = name.iter().rposition(|byte| *byte != b'.').and_then(|last| name.get(..=last));
    let of_journal = |more: &str| [JOURNAL_SUFFIX.0, more.as_bytes()].concat();
    let journals = ["", Journal::NEW, Journal::ASIDE].map(of_journal);
    name.is_some_and(|name| name.ends_with(SUFFIX) || journals.iter().any(|suffix| name.ends_with(suffix)))
}

/// `target` with this suffix, where names have `room` bytes less than is possible.
fn path_beside(target: &Path, suffix: &[u8], room: usize) -> Result<PathBuf, Failure> {
    let name = match target.file_name() {
        Some(name) if !target.as_os_str().as_bytes().ends_with(b"/") => name,
        _ => return Err(Failure::new(Kind::Local, format!("{}: is not a file name", target.display()))),
    };
    let longest = longest_name(directory(target)).saturating_sub(room);
    Ok(target.with_file_name(name_with(name, suffix, longest)))
}

fn name_with(name: &OsStr, suffix: &[u8], longest: usize) -> OsString {
    let name = name.as_bytes();
    if name.len().saturating_add(suffix.len()) <= longest {
        return OsString::from_vec([name, suffix].concat());
    }
    let hash = format!("~{:016x}", fnv1a(name));
    let room = longest.saturating_sub(suffix.len()).saturating_sub(hash.len());
    OsString::from_vec([whole_characters(name, room), hash.as_bytes(), suffix].concat())
}

/// Sets when the file was last modified.
fn set_modified(file: &File, time: TimeVal) -> rustix::io::Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification =
        Timespec { tv_sec: time.unix_seconds(), tv_nsec: time.fraction().unwrap_or(0).into() };
    rustix::fs::futimens(file, &Timestamps { last_access, last_modification })
}

/// At most `length` bytes from the start of `name`, no character of UTF-8 cut: some file systems hold
/// nothing else.
fn whole_characters(name: &[u8], length: usize) -> &[u8] {
    let continues = |at: usize| name.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (0..=length).rev().take(4).find(|at| !continues(*at)).unwrap_or(length);
    name.get(..end).unwrap_or(name)
}

/// FNV-1a, 64 bits: the same in every run and every version, so that a later run finds the file.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The longest name in bytes, but no longer than common: some file systems count characters.
fn longest_name(directory: &Path) -> usize {
    const COMMON: usize = 255;
    let longest = rustix::fs::statvfs(directory).map_or(COMMON as u64, |facts| facts.f_namemax);
    usize::try_from(longest).unwrap_or(COMMON).clamp(64, COMMON)
}

pub(crate) fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn check_target(target: &Path) -> Result<(), Failure> {
    let refuse = |what: &str| Err(Failure::new(Kind::Local, format!("{}: {what}", target.display())));
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) if target.is_dir() => refuse("is a directory; -d takes a directory, -o the name of a file"),
        Ok(found) if found.is_symlink() => {
            refuse("is a symbolic link; name the file that it leads to, or -o - for standard output")
        }
        Ok(_) => refuse("exists and is not a regular file; -o - writes to standard output"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_directory(directory(target)),
        Err(error) => Err(Failure::local("cannot look at", target, &error)),
    }
}

fn check_directory(directory: &Path) -> Result<(), Failure> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Failure::new(Kind::Local, format!("{}: is not a directory", directory.display()))),
        Err(error) => Err(Failure::local("cannot use the directory", directory, &error)),
    }
}

/// Opens `part`, which it creates if need be, and locks it until it is closed.
fn open_locked(part: &Path) -> Result<File, Failure> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let failed = |error: io::Error| Failure::local("cannot create", part, &error);
    let busy = || {
        let message = format!("{}: in use by another pftp", part.display());
        Failure::new(Kind::Local, message)
    };
    // Whoever held the lock may have renamed or removed the file since it was opened here.
    for _ in 0..3 {
        let file = rustix::fs::open(part, flags, Mode::from_raw_mode(0o666));
        let file = File::from(file.map_err(|errno| failed(errno.into()))?);
        let ours = file.metadata().map_err(failed)?;
        if !ours.is_file() {
            let message = format!("{}: is not a regular file; remove it", part.display());
            return Err(Failure::new(Kind::Local, message));
        }
        // Any other error is that of a file system without locks.
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(rustix::io::Errno::WOULDBLOCK) {
            return Err(busy());
        }
        if is_at(&ours, part) {
            return Ok(file);
        }
    }
    Err(busy())
}

/// Whether the file with these facts is what is at `path`, and not behind a link there.
fn is_at(ours: &fs::Metadata, path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

/// Puts a rename on disk. Some file systems cannot, and a directory that may be written but not read
/// cannot be opened; the file is in place all the same.
pub(crate) fn sync_directory(directory: &Path) {
    let _best_effort = File::open(directory).and_then(|directory| directory.sync_all());
}

#[cfg(test)]
mod tests;
