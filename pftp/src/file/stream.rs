//! A sink that writes to a stream.

use crate::checksum::{Algorithm, Checksum, Hasher};
use ftp_proto::Sink;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// A sink that writes to a stream. Writes have to come in order.
///
/// A write fails with [`io::ErrorKind::BrokenPipe`] if the reader of the stream went away.
#[derive(Debug)]
pub(crate) struct StreamSink<W> {
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    writer: W,
    position: u64,
}

/// A writer that hashes the bytes written, because a stream cannot be read again.
#[derive(Debug)]
pub(crate) struct HashingWriter<W> {
    writer: W,
    hashers: Vec<(Algorithm, Hasher)>,
}

impl<W: Write> HashingWriter<W> {
    /// Makes a writer that hashes with each of `algorithms`.
    pub(crate) fn new(writer: W, algorithms: &[Algorithm]) -> Self {
        let hasher = |algorithm: &Algorithm| (*algorithm, Hasher::new(*algorithm));
        Self { writer, hashers: algorithms.iter().map(hasher).collect() }
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        for (_, hasher) in &mut self.hashers {
            hasher.update(bytes.get(..written).unwrap_or_default());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W: Write> StreamSink<HashingWriter<W>> {
    /// Returns the checksum of the bytes written, if they were hashed with this algorithm. Later calls return `None`.
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hashers = std::mem::take(&mut state.writer.hashers);
        hashers.into_iter().find(|(of, _)| *of == algorithm).map(|(_, hasher)| hasher.finish())
    }
}

impl<W: Write> StreamSink<W> {
    /// Makes a sink that writes the file to `writer`.
    pub(crate) const fn new(writer: W) -> Self {
        Self { state: Mutex::new(State { writer, position: 0 }) }
    }

    /// Returns the number of bytes written, which is the offset that the next write has to have.
    pub(crate) fn position(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).position
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// An error of the writer, which may have buffered bytes.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).writer.flush()
    }
}

impl<W: Write + Send> Sink for StreamSink<W> {
    type Error = io::Error;

    /// Writes `bytes`, which have to be the next bytes of the file.
    fn write_at(&self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if offset != state.position {
            return Err(out_of_order(offset, state.position));
        }
        while !bytes.is_empty() {
            match state.writer.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    state.position = state.position.saturating_add(length as u64);
                    bytes = bytes.get(length..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Makes the error of a write at `offset` that should have been at `position`.
pub(super) fn out_of_order(offset: u64, position: u64) -> io::Error {
    let message = format!("bytes at offset {offset} came where those at {position} were due");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
