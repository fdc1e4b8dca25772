//! A sink that converts line ends of ASCII type.

use super::stream::out_of_order;
use ftp_proto::Sink;
use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// A sink that converts the CRLF at the end of a line of ASCII type (RFC 959 §3.1.1.1) to LF for another sink. A CR without
/// LF is kept.
///
/// Offsets of writes count bytes on the wire, and the file has fewer: neither the size that the server tells nor a restart
/// point is an offset in the file. So writes have to come in order. A write at offset 0 starts the file over.
#[derive(Debug)]
pub(crate) struct AsciiSink<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes taken from the wire.
    wire: u64,
    /// Bytes written to the inner sink.
    output: u64,
    /// Whether the last byte of the wire was a CR, which is not yet written to the inner sink.
    is_cr_held: bool,
    /// A buffer that is kept between writes for its allocation.
    buffer: Vec<u8>,
}

impl<S> AsciiSink<S> {
    /// Makes a sink that writes to `inner`.
    pub(crate) const fn new(inner: S) -> Self {
        let state = State { wire: 0, output: 0, is_cr_held: false, buffer: Vec::new() };
        Self { inner, state: Mutex::new(state) }
    }

    /// Returns the inner sink.
    pub(crate) const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Sink<Error = io::Error>> AsciiSink<S> {
    /// Ends the file and returns its size in bytes.
    ///
    /// # Errors
    /// An error of the inner sink.
    pub(crate) fn finish(&self) -> io::Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cr_held {
            self.inner.write_at(state.output, b"\r")?;
            state.is_cr_held = false;
            state.output = state.output.saturating_add(1);
        }
        Ok(state.output)
    }
}

impl<S: Sink<Error = io::Error>> Sink for AsciiSink<S> {
    type Error = io::Error;

    /// Writes `bytes`, which have to be the next or the first bytes of the wire.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 {
            *state = State { buffer: mem::take(&mut state.buffer), ..State::default() };
        }
        if offset != state.wire {
            return Err(out_of_order(offset, state.wire));
        }
        let mut buffer = mem::take(&mut state.buffer);
        buffer.clear();
        let is_cr_held = convert(state.is_cr_held, bytes, &mut buffer);
        let written = if buffer.is_empty() { Ok(()) } else { self.inner.write_at(state.output, &buffer) };
        if written.is_ok() {
            state.is_cr_held = is_cr_held;
            state.wire = state.wire.saturating_add(bytes.len() as u64);
            state.output = state.output.saturating_add(buffer.len() as u64);
        }
        state.buffer = buffer;
        written
    }
}

/// Appends the converted `bytes` to `out`. A CR is before them if `is_cr_held`. Returns whether they end in a CR, which is not
/// appended.
fn convert(mut is_cr_held: bool, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    for line in bytes.split_inclusive(|byte| *byte == b'\r') {
        if is_cr_held && line.first() != Some(&b'\n') {
            out.push(b'\r');
        }
        is_cr_held = line.last() == Some(&b'\r');
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    is_cr_held
}
