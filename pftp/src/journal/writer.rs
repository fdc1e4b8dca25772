//! A thread that writes the journal of one file while the file is downloaded, so that the download does not wait for the disk.

use super::{Journal, Record};
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// A thread that writes a journal.
///
/// Before each record, the thread puts on disk what was written to the file: a record never names bytes that a power failure
/// could lose.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    jobs: Sender<Job>,
    errors: Receiver<WriteError>,
    is_busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// A job of the thread.
#[derive(Debug)]
enum Job {
    /// To store a record.
    Store(Record),
    /// To store a record that names fewer bytes than the record before, and to tell that it is stored.
    Retract(Record, SyncSender<()>),
    /// To tell that all jobs before are done.
    Flush(SyncSender<()>),
    /// To store the last record of a failed download.
    Close(LastRecord),
}

/// The last record of a failed download.
#[derive(Debug)]
pub(crate) enum LastRecord {
    /// The record names other bytes than the record before.
    New(Record),
    /// The record names the same bytes as the record before, and is stored only if the record before could not be stored.
    Repeated(Record),
}

/// Bytes of the file that are given up if the disk has no room for the journal.
const ROOM: u64 = 128 * 1024;

/// A failure of the thread.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The file cannot be put on disk, so some of its bytes may be lost. No more records are stored.
    File(io::Error),
    /// A record cannot be stored.
    Journal(io::Error),
}

impl JournalWriter {
    /// Starts the thread, which writes `journal` about `file`.
    ///
    /// # Errors
    /// The operating system's error if there can be no thread.
    pub(crate) fn start(file: File, journal: Journal) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let (sender, errors) = channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            file,
            journal,
            is_busy: Arc::clone(&is_busy),
            errors: sender,
            is_lost: false,
            unstored: None,
            reserved: 0,
            is_refused: false,
        };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Self { jobs, errors, is_busy, thread })
    }

    /// Returns whether the thread has not yet stored the record before.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// Stores a record, and does not wait for it.
    pub(crate) fn store(&self, record: Record) {
        self.is_busy.store(true, Ordering::Release);
        self.send(Job::Store(record));
    }

    /// Stores a record that names fewer bytes than the record before, and waits for it. If the record cannot be stored, the
    /// journal is removed.
    pub(crate) fn retract(&self, record: Record) {
        self.is_busy.store(true, Ordering::Release);
        self.wait_for(|done| Job::Retract(record, done));
    }

    /// Waits until all records are stored.
    pub(crate) fn flush(&self) {
        self.wait_for(Job::Flush);
    }

    /// Returns the first failure that was not returned before.
    pub(crate) fn take_error(&self) -> Option<WriteError> {
        self.errors.try_recv().ok()
    }

    /// Stores the last record of a failed download, and ends the thread. Bytes that are being written to the file at this
    /// moment may be lost.
    pub(crate) fn close(self, record: LastRecord) {
        self.send(Job::Close(record));
        self.finish();
    }

    /// Ends the thread after all records are stored.
    pub(crate) fn finish(self) {
        drop(self.jobs);
        let _panicked = self.thread.join();
    }

    fn send(&self, job: Job) -> bool {
        // The thread lives as long as the writer, unless it panicked.
        self.jobs.send(job).is_ok()
    }

    fn wait_for(&self, job: impl FnOnce(SyncSender<()>) -> Job) {
        let (sender, done) = sync_channel(1);
        if self.send(job(sender)) {
            let _panicked = done.recv();
        }
    }
}

/// Why the last record is not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unstored {
    /// The disk is full.
    NoRoom,
    /// Any other reason.
    Other,
}

/// The part of a [`JournalWriter`] that runs in the thread.
struct Worker {
    file: File,
    journal: Journal,
    is_busy: Arc<AtomicBool>,
    errors: Sender<WriteError>,
    /// Whether bytes of the file may be lost.
    is_lost: bool,
    /// Why the last record is not stored; `None` if it is.
    unstored: Option<Unstored>,
    /// The bytes of the file before this offset have room on disk.
    reserved: u64,
    /// Whether the file system refused to reserve room.
    is_refused: bool,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            match job {
                Job::Store(record) => {
                    if self.store(&record) {
                        self.reserve(&record);
                    }
                }
                Job::Retract(record, done) => {
                    if !self.store(&record) {
                        self.journal.remove();
                    }
                    let _is_waiting = done.send(());
                }
                Job::Flush(done) => {
                    let _is_waiting = done.send(());
                }
                Job::Close(record) => self.close(record),
            }
            self.is_busy.store(false, Ordering::Release);
        }
    }

    fn close(&mut self, record: LastRecord) {
        self.release();
        let mut record = match record {
            LastRecord::New(record) => record,
            LastRecord::Repeated(record) if self.unstored.is_some() => record,
            LastRecord::Repeated(_) => return,
        };
        if !self.store(&record) && self.make_room(&mut record) {
            self.store(&record);
        }
    }

    /// On a full disk, gives up some bytes of the file to make room for a journal that names the others. Returns whether that
    /// is done. Bytes that the stored journal names are not given up, because that journal may stay.
    fn make_room(&self, record: &mut Record) -> bool {
        if self.unstored != Some(Unstored::NoRoom) {
            return false;
        }
        let Ok(stored) = self.journal.load().map(|stored| stored.unwrap_or_default().ranges()) else {
            return false;
        };
        let mut done = record.ranges();
        let unnamed = done.iter().flat_map(|range| stored.gaps(range).iter().collect::<Vec<_>>());
        let Some(Range { start, end }) = unnamed.max_by_key(|range| range.end.saturating_sub(range.start))
        else {
            return false;
        };
        let given_up = start.max(end.saturating_sub(ROOM))..end;
        done.remove(given_up.clone());
        record.done = done.iter().map(|range| (range.start, range.end)).collect();
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let length = given_up.end.saturating_sub(given_up.start);
        rustix::fs::fallocate(&self.file, hole, given_up.start, length).is_ok()
    }

    /// Reserves room on disk for as many bytes again as have come. The size that a server tells may be wrong, so it alone
    /// reserves nothing; a disk that is too small for the file shows when it is full.
    fn reserve(&mut self, record: &Record) {
        let came = record.ranges().len();
        let end = record.size.unwrap_or(0).min(came.saturating_mul(2));
        let more = end.saturating_sub(self.reserved);
        if more == 0 || self.is_refused || !self.is_spare(more) {
            return;
        }
        // The length of the file stays, because it tells how far the file was written.
        let result = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.reserved, more);
        // Many file systems cannot reserve room.
        self.is_refused = result.is_err();
        self.reserved = end;
    }

    /// Returns whether the disk has room for twice as many bytes: the journal needs some room beside the file.
    fn is_spare(&self, bytes: u64) -> bool {
        rustix::fs::fstatvfs(&self.file)
            .is_ok_and(|facts| facts.f_bavail.saturating_mul(facts.f_frsize) / 2 >= bytes)
    }

    /// Frees the reserved room behind the end of the file. Bytes that are being written there at this moment may be lost; no
    /// record names them.
    fn release(&self) {
        if self.reserved > 0 {
            let _best_effort = self.file.metadata().and_then(|facts| self.file.set_len(facts.len()));
        }
    }

    /// Puts the file on disk and then the record. Returns whether both succeeded.
    fn store(&mut self, record: &Record) -> bool {
        self.unstored = Some(Unstored::Other);
        if self.is_lost {
            return false;
        }
        if let Err(error) = self.file.sync_data() {
            // The kernel reports a failed write once, and takes the same pages for written the next time.
            self.is_lost = true;
            let _is_listening = self.errors.send(WriteError::File(error));
            return false;
        }
        self.unstored = self.journal.store(record).err().map(|error| {
            let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let _is_listening = self.errors.send(WriteError::Journal(error));
            if is_full { Unstored::NoRoom } else { Unstored::Other }
        });
        self.unstored.is_none()
    }
}
