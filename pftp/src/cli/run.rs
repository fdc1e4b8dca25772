//! A run of the command: a download, its messages and its log.

use super::advice;
use super::failure::{self, Failure, STDOUT};
use super::log::Log;
use super::options::{Options, Output};
use super::progress::{Mode, Progress};
use super::signals::Signals;
use ftp_proto::{Line, RepresentationType};
use pftp::{Destination, Download, DownloadError, DownloadNotice, Observer, Outcome};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

/// Does what the options say.
///
/// # Errors
/// A [`Failure`] if there is no whole file; the bytes that a later run can resume with are kept.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let progress = Progress::new(Mode::choose(options.quiet), &options.name());
    let mut console = Console { progress, log: None };
    let result = download(options, &mut console);
    console.progress.clear();
    result
}

fn download(options: &Options, console: &mut Console) -> Result<(), Failure> {
    for warning in &options.warnings {
        console.progress.warn(warning);
    }
    let mut settings = options.settings.clone();
    settings.progress_interval = console.progress.interval();
    let download = Download::new(options.sources.clone(), destination(&options.output)?, settings)
        .map_err(|error| Failure::from(&error))?;
    if let Some(target) = &options.log {
        let has_several = options.settings.connections != Some(NonZeroUsize::MIN);
        console.log = Some(Log::open(target, has_several)?);
    }
    let is_image = options.settings.representation == RepresentationType::Image;
    let can_resume = is_image && matches!(options.output, Output::File(_));
    let signals = Signals::watch(download.cancel_handle(), can_resume)?;
    let result = download.run(console);
    console.flush_log();
    match result {
        Ok(outcome) => {
            console.finish(&options.name(), outcome);
            Ok(())
        }
        Err(error) => Err(match (&error, signals.first()) {
            (DownloadError::Cancelled { can_resume, .. }, Some(signal)) => {
                Failure::stopped(signal, *can_resume)
            }
            _ => Failure::from(&error),
        }),
    }
}

fn destination(output: &Output) -> Result<Destination, Failure> {
    match output {
        Output::File(path) => Ok(Destination::File(path.clone())),
        Output::Stdout => {
            let writer = Box::new(stdout().map_err(failure::of_stdout)?);
            Ok(Destination::Writer { name: STDOUT.to_owned(), writer })
        }
    }
}

/// Opens standard output without the buffer of [`io::stdout`], which writes at line ends.
///
/// # Errors
/// The operating system's error if there are no more descriptors. A standard output that was closed before the program began
/// is not an error, because Rust's runtime has opened `/dev/null` in its place.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// The user's view of the download: progress and messages on standard error, and the log.
#[derive(Debug)]
struct Console {
    progress: Progress,
    log: Option<Log>,
}

impl Console {
    /// Calls the log. A log that cannot be written is a warning.
    fn log(&mut self, write: impl FnOnce(&mut Log) -> Result<(), Failure>) {
        if let Some(Err(failure)) = self.log.as_mut().map(write) {
            self.progress.warn(&failure.to_string());
        }
    }

    fn flush_log(&mut self) {
        self.log(Log::flush);
    }

    /// Says how the download ended.
    fn finish(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Outcome::Fetched { size, earlier, elapsed, .. } => {
                self.progress.done(size);
                self.progress.finish(earlier, elapsed);
            }
            Outcome::AlreadyHere { .. } => {
                self.progress.note(&format!("{name} is here already; --overwrite fetches it again"));
            }
            _ => {}
        }
    }
}

impl Observer for Console {
    fn progress(&mut self, progress: &pftp::Progress) {
        if let Some(size) = progress.size {
            self.progress.total(size);
        }
        self.progress.done(progress.done);
        self.progress.connections(progress.connections);
        self.progress.tick(progress.elapsed);
        self.flush_log();
    }

    fn notice(&mut self, notice: &DownloadNotice) {
        let message = advice::notice(notice);
        if notice.is_warning() {
            self.progress.warn(&message);
        } else {
            self.progress.note(&message);
        }
    }

    fn wire_line(&mut self, connection: usize, line: &Line) {
        self.log(|log| log.line(connection, line));
    }
}
