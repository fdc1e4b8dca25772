//! A sink in memory.

use crate::model::File;
use ftp_proto::Sink;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// More bytes than any simulated file has.
const LONGEST: usize = 1 << 30;

/// Keeps what sessions write.
#[derive(Debug, Default)]
pub struct MemorySink {
    contents: Mutex<Vec<u8>>,
    written: AtomicU64,
}

impl MemorySink {
    /// Returns what was written, gaps as zeros.
    pub fn contents(&self) -> Vec<u8> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many bytes were written; bytes that came twice count twice.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether exactly this file was written.
    pub fn holds(&self, file: &File) -> bool {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = vec![0; 1 << 16];
        let mut pieces = contents.chunks(wanted.len()).zip((0..).step_by(wanted.len()));
        let same = |(piece, at): (&[u8], u64)| {
            let len = file.fill(at, &mut wanted);
            wanted[..len] == *piece
        };
        contents.len() as u64 == file.size() && pieces.all(same)
    }

    /// Returns `len` bytes from `offset` on, if so much was written.
    pub fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).ok()?;
        contents.get(start..start + len).map(<[u8]>::to_vec)
    }
}

impl Sink for MemorySink {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let start = usize::try_from(offset).expect("a simulated file fits into memory");
        let end = start.saturating_add(bytes.len());
        assert!(end <= LONGEST, "bytes are written at {offset}, where no simulated file is");
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[start..end].copy_from_slice(bytes);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
