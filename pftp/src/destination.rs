//! The destination of one file, and the sink that writes to it.
//!
//! Each file of a run has its own destination, journal, [recorder](crate::recorder) and
//! [verification](crate::verification).

use crate::checksum::{Algorithm, Checksum};
use crate::file::{AsciiSink, FileSink, HashingWriter, StreamSink};
use crate::local::{LocalError, Place};
use ftp_proto::{RepresentationType, Sink, TimeVal};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// The destination of the bytes of a download.
#[non_exhaustive]
pub enum Destination {
    /// A file at this path. The bytes go to a temporary file beside the path until all are there; see
    /// [`temporary`](crate::temporary).
    File(PathBuf),
    /// A writer, which gets the bytes in order, over one connection. Such a download cannot be resumed.
    Writer {
        /// The name of the writer in messages.
        name: String,
        /// The writer. It may wait: only this download waits with it.
        writer: Box<dyn Write + Send>,
    },
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Writer { name, .. } => f.debug_struct("Writer").field("name", name).finish_non_exhaustive(),
        }
    }
}

/// A writer with a name for messages.
pub(crate) struct NamedWriter {
    name: String,
    writer: Box<dyn Write + Send>,
}

impl Write for NamedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl fmt::Debug for NamedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedWriter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The sink of one file.
#[derive(Debug)]
pub(crate) struct DestinationSink {
    /// The place of the bytes while the download runs: the temporary file, or the writer.
    place: Place,
    kind: SinkKind,
}

#[derive(Debug)]
enum SinkKind {
    /// A file.
    File(FileSink),
    /// A file with converted line ends.
    AsciiFile(AsciiSink<FileSink>),
    /// A writer.
    Stream(StreamSink<HashingWriter<NamedWriter>>),
    /// A writer with converted line ends.
    AsciiStream(AsciiSink<StreamSink<NamedWriter>>),
}

impl DestinationSink {
    /// Opens the sink of `destination` for a transfer of this type. A stream is hashed with these algorithms while it is written;
    /// a file can be read again.
    ///
    /// # Errors
    /// A [`LocalError`]: whatever can be checked before the download is checked.
    pub(crate) fn open(
        destination: Destination,
        representation: RepresentationType,
        algorithms: &[Algorithm],
    ) -> Result<Self, LocalError> {
        let is_ascii = representation == RepresentationType::Ascii;
        Ok(match destination {
            Destination::File(path) => {
                let sink = if is_ascii { FileSink::create(&path)? } else { FileSink::open(&path)? };
                let place = Place::File(sink.part().to_owned());
                let kind =
                    if is_ascii { SinkKind::AsciiFile(AsciiSink::new(sink)) } else { SinkKind::File(sink) };
                Self { place, kind }
            }
            Destination::Writer { name, writer } => {
                let place = Place::Stream(name.clone());
                let writer = NamedWriter { name, writer };
                let kind = if is_ascii {
                    SinkKind::AsciiStream(AsciiSink::new(StreamSink::new(writer)))
                } else {
                    SinkKind::Stream(StreamSink::new(HashingWriter::new(writer, algorithms)))
                };
                Self { place, kind }
            }
        })
    }

    /// Returns whether the bytes have to come in order.
    pub(crate) const fn is_in_order(&self) -> bool {
        matches!(self.kind, SinkKind::Stream(_) | SinkKind::AsciiStream(_))
    }

    /// Returns the checksum of the bytes written to a stream, if it was hashed with this algorithm.
    pub(crate) fn streamed_checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        match &self.kind {
            SinkKind::Stream(sink) => sink.checksum(algorithm),
            SinkKind::File(_) | SinkKind::AsciiFile(_) | SinkKind::AsciiStream(_) => None,
        }
    }

    /// Returns the place of the bytes while the download runs: the temporary file, or the writer.
    pub(crate) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Returns whether the file has these bytes from `offset` on.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::NotReadable`] for a stream and for converted line ends.
    pub(crate) fn holds(&self, offset: u64, bytes: &[u8]) -> Result<bool, LocalError> {
        match &self.kind {
            SinkKind::File(sink) => sink.holds(offset, bytes),
            SinkKind::AsciiFile(_) | SinkKind::Stream(_) | SinkKind::AsciiStream(_) => {
                Err(LocalError::NotReadable(self.place()))
            }
        }
    }

    /// Checks that there is room for a file of `size` bytes, as far as the file system tells.
    ///
    /// # Errors
    /// [`LocalError::NoRoom`].
    pub(crate) fn check_room(&self, size: u64) -> Result<(), LocalError> {
        match &self.kind {
            SinkKind::File(sink) => sink.check_room(size),
            SinkKind::AsciiFile(_) | SinkKind::Stream(_) | SinkKind::AsciiStream(_) => Ok(()),
        }
    }

    /// Ends a failed download: removes the temporary file if it has no bytes worth keeping.
    pub(crate) fn discard(&self) {
        match &self.kind {
            SinkKind::File(sink) => sink.discard(),
            SinkKind::AsciiFile(sink) => sink.inner().discard(),
            SinkKind::Stream(_) | SinkKind::AsciiStream(_) => {}
        }
    }

    /// Returns the file with which a later run can resume, if there is one.
    pub(crate) const fn resumable(&self) -> Option<&FileSink> {
        match &self.kind {
            SinkKind::File(sink) => Some(sink),
            SinkKind::AsciiFile(_) | SinkKind::Stream(_) | SinkKind::AsciiStream(_) => None,
        }
    }

    /// Completes the destination except for its final name, after all `size` bytes were written.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::WrongSize`] if not as many bytes were written.
    pub(crate) fn settle(&self, size: u64, modified: Option<TimeVal>) -> Result<(), LocalError> {
        let failed = |error| LocalError::Write { to: self.place(), error };
        match &self.kind {
            SinkKind::File(sink) => sink.settle(size, modified),
            SinkKind::AsciiFile(sink) => sink.inner().settle(sink.finish().map_err(failed)?, modified),
            SinkKind::Stream(sink) if sink.position() != size => {
                Err(LocalError::WrongSize { place: self.place(), written: sink.position(), size })
            }
            SinkKind::Stream(sink) => sink.finish().map_err(failed),
            SinkKind::AsciiStream(sink) => {
                sink.finish().map_err(failed)?;
                sink.inner().finish().map_err(failed)
            }
        }
    }

    /// Gives a completed file its final name.
    ///
    /// # Errors
    /// A [`LocalError`].
    pub(crate) fn publish(&self) -> Result<(), LocalError> {
        match &self.kind {
            SinkKind::File(sink) => sink.publish(),
            SinkKind::AsciiFile(sink) => sink.inner().publish(),
            SinkKind::Stream(_) | SinkKind::AsciiStream(_) => Ok(()),
        }
    }
}

impl Sink for DestinationSink {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &self.kind {
            SinkKind::File(sink) => sink.write_at(offset, bytes),
            SinkKind::AsciiFile(sink) => sink.write_at(offset, bytes),
            SinkKind::Stream(sink) => sink.write_at(offset, bytes),
            SinkKind::AsciiStream(sink) => sink.write_at(offset, bytes),
        }
    }
}
