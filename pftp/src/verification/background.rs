//! A thread that hashes a file while it is downloaded.
//!
//! The thread reads the bytes back from the file, so that the checksum is that of the bytes written. The bytes are still in
//! memory then.

use crate::checksum::{Algorithm, Checksum, Hasher, PORTION};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A thread that hashes a file.
#[derive(Debug)]
pub(super) struct BackgroundHash {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Option<Checksum>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// The orders to the thread.
#[derive(Debug, Default)]
struct Orders {
    /// The bytes before this offset can be hashed.
    end: u64,
    /// Whether to begin again at the start of the file.
    restart: bool,
    /// The next step when the bytes before `end` are hashed.
    then: Then,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Then {
    /// Wait for more orders.
    #[default]
    Wait,
    /// Return the checksum.
    Finish,
    /// End at once, without a checksum.
    Cancel,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }
}

impl BackgroundHash {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's error if there can be no thread.
    pub(super) fn start(file: File, algorithm: Algorithm) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Worker { file, shared: Arc::clone(&shared) };
        let thread =
            std::thread::Builder::new().name("checksum".to_owned()).spawn(move || worker.run(algorithm))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hashes the file up to the offset `end`; all bytes before it are written.
    pub(super) fn advance(&self, end: u64) {
        self.shared.order(|orders| orders.end = end);
    }

    /// Hashes the file up to the offset `end` from its start, because bytes that were hashed may have changed.
    pub(super) fn start_over(&self, end: u64) {
        self.shared.order(|orders| (orders.end, orders.restart) = (end, true));
    }

    /// Waits for the checksum of the whole file, which has `size` bytes.
    ///
    /// # Errors
    /// The operating system's error if the file cannot be read.
    pub(super) fn finish(mut self, size: u64) -> io::Result<Checksum> {
        self.shared.order(|orders| (orders.end, orders.then) = (size, Then::Finish));
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.transpose()?.flatten().ok_or_else(|| io::Error::other("the thread has failed"))
    }
}

impl Drop for BackgroundHash {
    fn drop(&mut self) {
        self.shared.order(|orders| orders.then = Then::Cancel);
    }
}

/// The part of a [`BackgroundHash`] that runs in the thread.
struct Worker {
    file: File,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(&self, algorithm: Algorithm) -> io::Result<Option<Checksum>> {
        let mut buffer = vec![0; PORTION];
        let (mut hasher, mut at) = (Hasher::new(algorithm), 0);
        loop {
            let mut orders = self.shared.lock();
            while orders.end <= at && !orders.restart && orders.then == Then::Wait {
                orders = self.shared.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
            }
            if orders.then == Then::Cancel {
                return Ok(None);
            }
            if std::mem::take(&mut orders.restart) {
                (hasher, at) = (Hasher::new(algorithm), 0);
                continue;
            }
            if orders.end <= at {
                return Ok(Some(hasher.finish()));
            }
            let length = usize::try_from(orders.end.saturating_sub(at)).unwrap_or(PORTION).min(PORTION);
            drop(orders);
            let portion = buffer.get_mut(..length).unwrap_or_default();
            self.file.read_exact_at(portion, at)?;
            hasher.update(portion);
            at = at.saturating_add(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn replaced_bytes_are_hashed_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = File::create(&path).unwrap();
        let content: Vec<u8> = (0..PORTION * 3 + 17).map(|at| at.to_le_bytes()[at % 3]).collect();
        let size = content.len() as u64;
        file.write_all(&vec![b'x'; content.len()]).unwrap();
        let hash = BackgroundHash::start(File::open(&path).unwrap(), Algorithm::Sha256).unwrap();
        hash.advance(1000);
        hash.advance(PORTION as u64 + 1);
        file.write_all_at(&content, 0).unwrap();
        hash.start_over(100);
        hash.advance(size - 1);
        let expected = Checksum::of(Algorithm::Sha256, &content[..]).unwrap();
        assert_eq!(hash.finish(size).unwrap(), expected);
    }

    #[test]
    fn empty_file_has_a_checksum_and_a_short_file_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        File::create(&path).unwrap();
        let hash = || BackgroundHash::start(File::open(&path).unwrap(), Algorithm::Crc32).unwrap();
        assert_eq!(hash().finish(0).unwrap().to_string(), "crc32=00000000");
        assert!(hash().finish(1).is_err());
    }
}
