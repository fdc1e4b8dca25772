//! The destination of one file: its sink, by place and representation type.
//!
//! Each file of a run has its own destination, journal, [recorder](crate::recorder) and
//! [verification](crate::verification). Sessions, log, progress and signals belong to the run.

use crate::checksum::{Algorithm, Checksum};
use crate::file::{self, AsciiSink, FileSink, HashingWriter, StreamSink};
use crate::local::{LocalError, Place};
use ftp_proto::{RepresentationType, Sink, TimeVal};
use std::fs::File;
use std::io;

/// The sink of one file.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A file.
    File(FileSink),
    /// A file with converted line ends.
    AsciiFile(AsciiSink<FileSink>),
    /// Standard output.
    Stream(StreamSink<HashingWriter<File>>),
    /// Standard output with converted line ends.
    AsciiStream(AsciiSink<StreamSink<File>>),
}

impl Destination {
    /// Opens the sink at `place` for a transfer of this type. A stream is hashed with these algorithms while it is written;
    /// a file can be read again.
    ///
    /// # Errors
    /// A [`LocalError`]: whatever can be checked before the download is checked.
    pub(crate) fn open(
        place: &Place,
        representation: RepresentationType,
        algorithms: &[Algorithm],
    ) -> Result<Self, LocalError> {
        let stdout = || file::stdout().map_err(|error| LocalError::Write { to: Place::Stdout, error });
        Ok(match (place, representation) {
            (Place::File(path), RepresentationType::Image) => Self::File(FileSink::open(path)?),
            (Place::File(path), RepresentationType::Ascii) => {
                Self::AsciiFile(AsciiSink::new(FileSink::create(path)?))
            }
            (Place::Stdout, RepresentationType::Image) => {
                Self::Stream(StreamSink::new(HashingWriter::new(stdout()?, algorithms)))
            }
            (Place::Stdout, RepresentationType::Ascii) => {
                Self::AsciiStream(AsciiSink::new(StreamSink::new(stdout()?)))
            }
        })
    }

    /// Returns the checksum of the bytes written to a stream, if it was hashed with this algorithm.
    pub(crate) fn streamed_checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        match self {
            Self::Stream(sink) => sink.checksum(algorithm),
            Self::File(_) | Self::AsciiFile(_) | Self::AsciiStream(_) => None,
        }
    }

    /// Returns the place of the bytes while the download runs: the temporary file, or standard output.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::File(sink) => Place::File(sink.part().to_owned()),
            Self::AsciiFile(sink) => Place::File(sink.inner().part().to_owned()),
            Self::Stream(_) | Self::AsciiStream(_) => Place::Stdout,
        }
    }

    /// Returns whether the file has these bytes from `offset` on.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::NotReadable`] for a stream and for converted line ends.
    pub(crate) fn holds(&self, offset: u64, bytes: &[u8]) -> Result<bool, LocalError> {
        match self {
            Self::File(sink) => sink.holds(offset, bytes),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => {
                Err(LocalError::NotReadable(self.place()))
            }
        }
    }

    /// Checks that there is room for a file of `size` bytes, as far as the file system tells.
    ///
    /// # Errors
    /// [`LocalError::NoRoom`].
    pub(crate) fn check_room(&self, size: u64) -> Result<(), LocalError> {
        match self {
            Self::File(sink) => sink.check_room(size),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => Ok(()),
        }
    }

    /// Ends a failed download: removes the temporary file if it has no bytes worth keeping.
    pub(crate) fn discard(&self) {
        match self {
            Self::File(sink) => sink.discard(),
            Self::AsciiFile(sink) => sink.inner().discard(),
            Self::Stream(_) | Self::AsciiStream(_) => {}
        }
    }

    /// Returns the file with which a later run can resume, if there is one.
    pub(crate) const fn resumable(&self) -> Option<&FileSink> {
        match self {
            Self::File(sink) => Some(sink),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => None,
        }
    }

    /// Completes the destination except for its final name, after all `size` bytes were written.
    ///
    /// # Errors
    /// A [`LocalError`]; [`LocalError::WrongSize`] if not as many bytes were written.
    pub(crate) fn settle(&self, size: u64, modified: Option<TimeVal>) -> Result<(), LocalError> {
        let failed = |error| LocalError::Write { to: self.place(), error };
        match self {
            Self::File(sink) => sink.settle(size, modified),
            Self::AsciiFile(sink) => sink.inner().settle(sink.finish().map_err(failed)?, modified),
            Self::Stream(sink) if sink.position() != size => {
                Err(LocalError::WrongSize { place: Place::Stdout, written: sink.position(), size })
            }
            Self::Stream(sink) => sink.finish().map_err(failed),
            Self::AsciiStream(sink) => {
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
        match self {
            Self::File(sink) => sink.publish(),
            Self::AsciiFile(sink) => sink.inner().publish(),
            Self::Stream(_) | Self::AsciiStream(_) => Ok(()),
        }
    }
}

impl Sink for Destination {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(sink) => sink.write_at(offset, bytes),
            Self::AsciiFile(sink) => sink.write_at(offset, bytes),
            Self::Stream(sink) => sink.write_at(offset, bytes),
            Self::AsciiStream(sink) => sink.write_at(offset, bytes),
        }
    }
}
