//! Keeps the journal while a download runs, in a thread of its own: nobody waits for the disk.

use super::{Journal, Record};
use rustix::fs::FallocateFlags;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// The thread that keeps a journal.
///
/// It puts on disk what has been written to the file, and then notes it: a record names nothing that a power cut could
/// take away.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Sender<Job>,
    troubles: Receiver<Trouble>,
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the thread has to do.
#[derive(Debug)]
enum Job {
    Note(Record),
    /// The record takes something back; somebody waits.
    Retract(Record, SyncSender<()>),
    /// Somebody waits until what came before is done.
    Rest(SyncSender<()>),
    /// The download has failed.
    Last {
        record: Record,
        is_new: bool,
    },
}

/// Bytes of the file that are given up where there is no room for the journal otherwise.
const ROOM: u64 = 128 * 1024;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Bytes of the file may be lost. Nothing is noted any more.
    File(io::Error),
    /// The journal could not be written.
    Journal(io::Error),
}

impl Keeper {
    /// Keeps `journal`, which is about `file`.
    pub(crate) fn start(file: File, journal: Journal) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let (sender, troubles) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            file,
            journal,
            busy: Arc::clone(&busy),
            troubles: sender,
            lost: false,
            behind: None,
            reserved: 0,
            refused: false,
        };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || desk.run(&inbox))?;
        Ok(Self { jobs, troubles, busy, thread })
    }

    /// Whether it is still at the record before.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Notes `record`, soon.
    pub(crate) fn note(&self, record: Record) {
        self.busy.store(true, Ordering::Release);
        // The thread ends when this does.
        let _ = self.jobs.send(Job::Note(record));
    }

    /// Notes `record`, which takes something back, and waits until the journal does not say any more what it said.
    pub(crate) fn note_now(&self, record: Record) {
        let (told, done) = sync_channel(1);
        self.busy.store(true, Ordering::Release);
        if self.jobs.send(Job::Retract(record, told)).is_ok() {
            let _ends_with_the_thread = done.recv();
        }
    }

    /// Waits until everything is noted.
    pub(crate) fn rest(&self) {
        let (told, done) = sync_channel(1);
        if self.jobs.send(Job::Rest(told)).is_ok() {
            let _ends_with_the_thread = done.recv();
        }
    }

    /// What has gone wrong since the last call.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.troubles.try_recv().ok()
    }

    /// The download has failed, and nobody counts on what is still being written to the file: notes `record` as the last, if
    /// it `is_new` or the one before could not be noted, and ends when everything is noted.
    pub(crate) fn close(self, record: Record, is_new: bool) {
        // The thread ends when this does.
        let _ = self.jobs.send(Job::Last { record, is_new });
        self.end();
    }

    /// Ends when everything is noted.
    pub(crate) fn end(self) {
        drop(self.jobs);
        let _panicked = self.thread.join();
    }
}

/// Why a record is not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Behind {
    /// The disk is full.
    NoRoom,
    Other,
}

/// What the thread has.
struct Desk {
    file: File,
    journal: Journal,
    busy: Arc<AtomicBool>,
    troubles: Sender<Trouble>,
    /// Whether bytes of the file may be lost.
    lost: bool,
    /// Why the journal does not say what it was told last, if it does not.
    behind: Option<Behind>,
    /// Up to there room has been asked for.
    reserved: u64,
    /// Whether it was refused.
    refused: bool,
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            match job {
                Job::Note(record) => {
                    if self.keep(&record) {
                        self.reserve(&record);
                    }
                }
                Job::Retract(record, told) => {
                    if !self.keep(&record) {
                        self.journal.remove();
                    }
                    let _nobody_waits = told.send(());
                }
                Job::Rest(told) => {
                    let _nobody_waits = told.send(());
                }
                Job::Last { mut record, is_new } => {
                    self.give_back();
                    if (is_new || self.behind.is_some()) && !self.keep(&record) && self.make_room(&mut record)
                    {
                        self.keep(&record);
                    }
                }
            }
            self.busy.store(false, Ordering::Release);
        }
    }

    /// On a full disk: gives up some bytes of the file, without which the journal that names the others cannot be
    /// written. Whether it could. Those that the journal names already are not given up: it may stay as it is.
    fn make_room(&self, record: &mut Record) -> bool {
        if self.behind != Some(Behind::NoRoom) {
            return false;
        }
        let Ok(named) = self.journal.load().map(|named| named.unwrap_or_default().ranges()) else {
            return false;
        };
        let mut done = record.ranges();
        let unnamed = done.iter().flat_map(|range| named.gaps(range).iter().collect::<Vec<_>>());
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

    /// Sees to it that there is room for as many bytes again as have come. A size that is only talked about reserves
    /// nothing, and may be wrong: whether the disk is too small for the file shows when it is full.
    fn reserve(&mut self, record: &Record) {
        let came = record.ranges().len();
        let until = record.size.unwrap_or(0).min(came.saturating_mul(2));
        let more = until.saturating_sub(self.reserved);
        if more == 0 || self.refused || !self.is_spare(more) {
            return;
        }
        // The length of the file stays: it says how far the file has been written.
        let result = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.reserved, more);
        // Many file systems cannot.
        self.refused = result.is_err();
        self.reserved = until;
    }

    /// Whether as much is free beside it: without some room, the journal cannot be written.
    fn is_spare(&self, bytes: u64) -> bool {
        rustix::fs::fstatvfs(&self.file)
            .is_ok_and(|facts| facts.f_bavail.saturating_mul(facts.f_frsize) / 2 >= bytes)
    }

    /// Frees what is reserved behind the end of the file. What is being written there at this moment may go, and is named
    /// nowhere.
    fn give_back(&self) {
        if self.reserved > 0 {
            let _stays_then = self.file.metadata().and_then(|facts| self.file.set_len(facts.len()));
        }
    }

    /// Whether the journal says this now.
    fn keep(&mut self, record: &Record) -> bool {
        self.behind = Some(Behind::Other);
        if self.lost {
            return false;
        }
        if let Err(error) = self.file.sync_data() {
            // The kernel says so once, and calls the same pages clean the next time.
            self.lost = true;
            let _ = self.troubles.send(Trouble::File(error));
            return false;
        }
        self.behind = self.journal.store(record).err().map(|error| {
            let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let _ = self.troubles.send(Trouble::Journal(error));
            if full { Behind::NoRoom } else { Behind::Other }
        });
        self.behind.is_none()
    }
}
