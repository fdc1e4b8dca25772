//! Keeps the journal while a download runs, in a thread of its own: nobody waits for the disk.

use super::{Journal, Record};
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

/// A record, and whom to tell when it is on disk.
type Job = (Record, Option<SyncSender<()>>);

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
        let desk = Desk { file, journal, busy: Arc::clone(&busy), troubles: sender, lost: false };
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
        let _ = self.jobs.send((record, None));
    }

    /// Notes `record`, which takes something back, and waits until the journal does not say any more what it said.
    pub(crate) fn note_now(&self, record: Record) {
        let (told, done) = sync_channel(1);
        self.busy.store(true, Ordering::Release);
        if self.jobs.send((record, Some(told))).is_ok() {
            let _ends_with_the_thread = done.recv();
        }
    }

    /// What has gone wrong since the last call.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.troubles.try_recv().ok()
    }

    /// Ends when everything is noted.
    pub(crate) fn stop(self) {
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
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Job>) {
        while let Ok((record, told)) = inbox.recv() {
            let noted = self.keep(&record);
            if told.is_some() && !noted {
                self.journal.remove();
            }
            self.busy.store(false, Ordering::Release);
            if let Some(told) = told {
                let _nobody_waits = told.send(());
            }
        }
    }

    /// Whether the journal says this now.
    fn keep(&mut self, record: &Record) -> bool {
        if self.lost {
            return false;
        }
        if let Err(error) = self.file.sync_data() {
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
