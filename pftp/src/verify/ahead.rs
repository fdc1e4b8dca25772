//! Hashing while a download runs, in a thread of its own: over what there is from the start of the file on.
//!
//! The bytes are read back from the file, where they are in memory yet, so that what is verified is what was written.

use super::{Algorithm, Checksum, Hasher, PORTION};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The thread that hashes a file in the making.
#[derive(Debug)]
pub(crate) struct Ahead {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Option<Checksum>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    /// Up to there the file is there.
    until: u64,
    /// What has been hashed may not be there any more.
    anew: bool,
    /// There is no more than that.
    last: bool,
    /// Nobody wants to know.
    given_up: bool,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders());
        self.changed.notify_one();
    }
}

impl Ahead {
    /// Hashes `file`.
    pub(crate) fn start(file: File, algorithm: Algorithm) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Work { file, shared: Arc::clone(&shared) };
        let thread =
            std::thread::Builder::new().name("checksum".to_owned()).spawn(move || work.run(algorithm))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The file is there from its start up to `until`.
    pub(crate) fn advance(&self, until: u64) {
        self.shared.order(|orders| orders.until = until);
    }

    /// The same, but what was there before may not be what is there then.
    pub(crate) fn start_over(&self, until: u64) {
        self.shared.order(|orders| (orders.until, orders.anew) = (until, true));
    }

    /// The whole file is there, and has `size` bytes: waits for its checksum.
    pub(crate) fn finish(mut self, size: u64) -> io::Result<Checksum> {
        self.shared.order(|orders| (orders.until, orders.last) = (size, true));
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.transpose()?.flatten().ok_or_else(|| io::Error::other("the thread has failed"))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.order(|orders| orders.given_up = true);
    }
}

struct Work {
    file: File,
    shared: Arc<Shared>,
}

impl Work {
    fn run(&self, algorithm: Algorithm) -> io::Result<Option<Checksum>> {
        let mut buffer = vec![0; PORTION];
        let (mut hasher, mut at) = (Hasher::new(algorithm), 0);
        loop {
            let mut orders = self.shared.orders();
            while orders.until <= at && !orders.anew && !orders.last && !orders.given_up {
                orders = self.shared.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
            }
            if orders.given_up {
                return Ok(None);
            }
            if std::mem::take(&mut orders.anew) {
                (hasher, at) = (Hasher::new(algorithm), 0);
                continue;
            }
            if orders.until <= at {
                return Ok(Some(hasher.finish()));
            }
            let wanted = usize::try_from(orders.until.saturating_sub(at)).unwrap_or(PORTION).min(PORTION);
            drop(orders);
            let portion = buffer.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(portion, at)?;
            hasher.update(portion);
            at = at.saturating_add(wanted as u64);
        }
    }
}
