//! Keeps the journal while a download runs, in a thread of its own: nobody waits for the disk.

use super::{Journal, Record};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io;
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
    /// The download has ended.
    Last(Record),
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
        let desk =
            Desk { file, journal, busy: Arc::clone(&busy), troubles: sender, lost: false, reserved: false };
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

    /// Notes `record`, if there is one, as the last, and ends when everything is noted. Nobody writes to the file any more.
    pub(crate) fn stop(self, record: Option<Record>) {
        if let Some(record) = record {
            // The thread ends when this does.
            let _ = self.jobs.send(Job::Last(record));
        }
        drop(self.jobs);
        let _panicked = self.thread.join();
    }
}

/// What the thread has.
struct Desk {
    file: File,
    journal: Journal,
    busy: Arc<AtomicBool>,
    troubles: Sender<Trouble>,
    /// Whether bytes of the file may be lost.
    lost: bool,
    /// Whether room has been asked for.
    reserved: bool,
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            match job {
                Job::Note(record) => {
                    self.keep(&record);
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
                Job::Last(mut record) => {
                    if !self.keep(&record) && self.make_room(&mut record) {
                        self.keep(&record);
                    }
                }
            }
            self.busy.store(false, Ordering::Release);
        }
    }

    /// On a full disk: gives up some bytes of the file, without which the journal that names the others cannot be
    /// written. Whether it could.
    fn make_room(&self, record: &mut Record) -> bool {
        let Some((start, end)) = record.done.pop() else { return false };
        let given_up = start.max(end.saturating_sub(ROOM));
        if given_up > start {
            record.done.push((start, given_up));
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, hole, given_up, end.saturating_sub(given_up)).is_ok()
    }

    /// Sees, once, that there is room for the rest of the file. By now some of it has come: nothing is reserved for a size
    /// that is only talked about.
    fn reserve(&mut self, record: &Record) -> io::Result<()> {
        let Some(size) = record.size.filter(|_| !record.done.is_empty() && !self.reserved) else {
            return Ok(());
        };
        self.reserved = true;
        // The length of the file stays: it says how far the file has been written.
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(Errno::NOSPC) => Err(Errno::NOSPC.into()),
            // Many file systems cannot.
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// Whether the journal says this now.
    fn keep(&mut self, record: &Record) -> bool {
        if self.lost {
            return false;
        }
        if let Err(error) = self.reserve(record).and_then(|()| self.file.sync_data()) {
            // The kernel says so once, and calls the same pages clean the next time.
            self.lost = true;
            let _ = self.troubles.send(Trouble::File(error));
            return false;
        }
        let stored = self.journal.store(record);
        let is_stored = stored.is_ok();
        if let Err(error) = stored {
            let _ = self.troubles.send(Trouble::Journal(error));
        }
        is_stored
    }
}
