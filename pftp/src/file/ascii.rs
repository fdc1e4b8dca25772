//! Line ends of the network to line ends of a file.

use super::stream::out_of_order;
use ftp_proto::Sink;
use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Turns the CRLF that ends a line in ASCII type (RFC 959 §3.1.1.1) into LF on the way to another sink.
///
/// Offsets of writes count bytes on the wire, which are more than those of the file: neither the size that
/// the server names nor a restart point says anything about the file here. So writes have to come in order,
/// and a transfer that breaks off starts over at offset 0, which starts the file over as well.
/// A CR without a LF behind it is kept.
#[derive(Debug)]
pub struct AsciiSink<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes taken from the wire.
    wire: u64,
    /// Bytes given to the inner sink.
    output: u64,
    /// Whether the last byte of the wire was a CR, which the inner sink does not have yet.
    held: bool,
    /// Kept for its allocation.
    buffer: Vec<u8>,
}

impl<S> AsciiSink<S> {
    /// Converts on the way to `inner`.
    #[must_use]
    pub const fn new(inner: S) -> Self {
        let state = State { wire: 0, output: 0, held: false, buffer: Vec::new() };
        Self { inner, state: Mutex::new(state) }
    }

    /// The sink that gets what is converted.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Sink<Error = io::Error>> AsciiSink<S> {
    /// Ends the file and returns its size.
    ///
    /// # Errors
    /// That of the inner sink, if it does not take a CR at the end of the file.
    pub fn finish(&self) -> io::Result<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.held {
            self.inner.write_at(state.output, b"\r")?;
            state.held = false;
            state.output = state.output.saturating_add(1);
        }
        Ok(state.output)
    }
}

impl<S: Sink<Error = io::Error>> Sink for AsciiSink<S> {
    type Error = io::Error;

    /// Takes `bytes`, which have to be the next ones of the wire, or its first.
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
        let held = convert(state.held, bytes, &mut buffer);
        let written = if buffer.is_empty() { Ok(()) } else { self.inner.write_at(state.output, &buffer) };
        if written.is_ok() {
            state.held = held;
            state.wire = state.wire.saturating_add(bytes.len() as u64);
            state.output = state.output.saturating_add(buffer.len() as u64);
        }
        state.buffer = buffer;
        written
    }
}

/// Appends `bytes`, which follow a CR if `held`, to `out`. Returns whether they end in a CR that waits
/// for what comes next.
fn convert(mut held: bool, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    for line in bytes.split_inclusive(|byte| *byte == b'\r') {
        if held && line.first() != Some(&b'\n') {
            out.push(b'\r');
        }
        held = line.last() == Some(&b'\r');
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    held
}
