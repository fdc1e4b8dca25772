//! A sink that takes bytes in order.

use crate::verify::{Algorithm, Checksum, Hasher};
use ftp_proto::Sink;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// A stream as a sink: standard output. Writes have to come in order.
///
/// A reader that went away is an error of kind [`io::ErrorKind::BrokenPipe`], which
/// [`Failure::write`](crate::exit::Failure::write) makes a quiet end.
#[derive(Debug)]
pub struct StreamSink<W> {
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    writer: W,
    position: u64,
}

/// Standard output, without the buffer of [`io::stdout`], which would look for line ends.
///
/// # Errors
/// That there are no descriptors left. One that was closed before the program began is none: Rust's runtime has opened
/// `/dev/null` in its place, as others do who want no output.
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// What is written, hashed on the way in every way that may be asked for: what has gone cannot be read again.
#[derive(Debug)]
pub(crate) struct Tee<W> {
    writer: W,
    hashers: Vec<(Algorithm, Hasher)>,
}

impl<W: Write> Tee<W> {
    pub(crate) fn new(writer: W, algorithms: &[Algorithm]) -> Self {
        let hasher = |algorithm: &Algorithm| (*algorithm, Hasher::new(*algorithm));
        Self { writer, hashers: algorithms.iter().map(hasher).collect() }
    }
}

impl<W: Write> Write for Tee<W> {
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

impl<W: Write> StreamSink<Tee<W>> {
    /// The checksum of what has been written, if one of this kind may have been asked for. The next call has none.
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hashers = std::mem::take(&mut state.writer.hashers);
        hashers.into_iter().find(|(of, _)| *of == algorithm).map(|(_, hasher)| hasher.finish())
    }
}

impl<W: Write> StreamSink<W> {
    /// Writes to `writer`, whose first byte is that of the file.
    #[must_use]
    pub const fn new(writer: W) -> Self {
        Self { state: Mutex::new(State { writer, position: 0 }) }
    }

    /// The offset that the next write has to have: the number of bytes written.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).position
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// If what the writer holds back cannot be written.
    pub fn finish(&self) -> io::Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).writer.flush()
    }
}

impl<W: Write + Send> Sink for StreamSink<W> {
    type Error = io::Error;

    /// Writes `bytes`, which have to be the next ones.
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

/// The error for a write at `offset` where the next byte is that at `position`.
pub(super) fn out_of_order(offset: u64, position: u64) -> io::Error {
    let message = format!("bytes at offset {offset} came where those at {position} were due");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
