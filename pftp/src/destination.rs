//! Where the bytes of a download go, by what was asked for.

use crate::exit::{Failure, Kind};
use crate::file::{self, AsciiSink, FileSink, StreamSink, Tee};
use crate::options::{Options, Output};
use crate::verify::{Algorithm, Asked, Checksum};
use ftp_proto::{RepresentationType, Sink, TimeVal};
use std::fs::File;
use std::io;

/// The sink of a download, and how it is made whole.
#[derive(Debug)]
pub(crate) enum Destination {
    File(FileSink),
    AsciiFile(AsciiSink<FileSink>),
    Stream(StreamSink<Tee<File>>),
    AsciiStream(AsciiSink<StreamSink<File>>),
}

impl Destination {
    /// Opens what `options` name. Fails before anything is fetched, if it has to.
    pub(crate) fn open(options: &Options) -> Result<Self, Failure> {
        let stream = || file::stdout().map_err(|error| Failure::write(STDOUT, &error));
        let algorithms = options.checksum.as_ref().map(Asked::algorithms).unwrap_or_default();
        Ok(match (&options.output, options.representation) {
            (Output::File(path), RepresentationType::Image) => Self::File(FileSink::open(path)?),
            (Output::File(path), RepresentationType::Ascii) => {
                Self::AsciiFile(AsciiSink::new(FileSink::create(path)?))
            }
            (Output::Stdout, RepresentationType::Image) => {
                Self::Stream(StreamSink::new(Tee::new(stream()?, &algorithms)))
            }
            (Output::Stdout, RepresentationType::Ascii) => {
                Self::AsciiStream(AsciiSink::new(StreamSink::new(stream()?)))
            }
        })
    }

    /// The checksum of what was written, if it is a stream and one of this kind may have been asked for.
    pub(crate) fn streamed_checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        match self {
            Self::Stream(sink) => sink.checksum(algorithm),
            Self::File(_) | Self::AsciiFile(_) | Self::AsciiStream(_) => None,
        }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(sink) => sink.part().display().to_string(),
            Self::AsciiFile(sink) => sink.inner().part().display().to_string(),
            Self::Stream(_) | Self::AsciiStream(_) => STDOUT.to_owned(),
        }
    }

    /// What a failed write means.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::write(self.name(), error)
    }

    /// Whether the file has these bytes from this offset on. A stream and a converted file cannot be asked; nothing
    /// that is fetched over one connection is compared.
    pub(crate) fn holds(&self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::File(sink) => sink.holds(offset, bytes),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => {
                Err(Failure::new(Kind::Other, format!("{}: cannot be read again", self.name())))
            }
        }
    }

    /// Whether there is room for a file of `size` bytes, as far as that can be told.
    pub(crate) fn check_room(&self, size: u64) -> Result<(), Failure> {
        match self {
            Self::File(sink) => sink.check_room(size),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => Ok(()),
        }
    }

    /// The download has failed: leaves no file here if no byte has come.
    pub(crate) fn discard(&self) {
        match self {
            Self::File(sink) => sink.discard(),
            Self::AsciiFile(sink) => sink.inner().discard(),
            Self::Stream(_) | Self::AsciiStream(_) => {}
        }
    }

    /// The file that a later run can go on with, if it is one.
    pub(crate) const fn resumable(&self) -> Option<&FileSink> {
        match self {
            Self::File(sink) => Some(sink),
            Self::AsciiFile(_) | Self::Stream(_) | Self::AsciiStream(_) => None,
        }
    }

    /// All `size` bytes have come: makes of them what was asked for, but for the final name.
    pub(crate) fn settle(&self, size: u64, modified: Option<TimeVal>) -> Result<(), Failure> {
        let failed = |error: io::Error| self.failure(&error);
        match self {
            Self::File(sink) => sink.settle(size, modified),
            Self::AsciiFile(sink) => sink.inner().settle(sink.finish().map_err(failed)?, modified),
            Self::Stream(sink) if sink.position() != size => {
                let message = format!("{STDOUT}: got {} bytes instead of {size}", sink.position());
                Err(Failure::new(Kind::Integrity, message))
            }
            Self::Stream(sink) => sink.finish().map_err(failed),
            Self::AsciiStream(sink) => {
                sink.finish().map_err(failed)?;
                sink.inner().finish().map_err(failed)
            }
        }
    }

    /// Gives what was made its final name, if it is to have one.
    pub(crate) fn publish(&self) -> Result<(), Failure> {
        match self {
            Self::File(sink) => sink.publish(),
            Self::AsciiFile(sink) => sink.inner().publish(),
            Self::Stream(_) | Self::AsciiStream(_) => Ok(()),
        }
    }
}

const STDOUT: &str = "standard output";

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
