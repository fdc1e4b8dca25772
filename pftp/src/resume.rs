//! Going on where an earlier run has stopped: what it has left is taken up, and what this one has is noted.

use crate::destination::Destination;
use crate::exit::Failure;
use crate::file::FileSink;
use crate::journal::{self, JournalError, Keeper, Record};
use crate::options::Options;
use crate::plan::{Before, Finished, Planner};
use crate::progress::Progress;
use crate::ranges::RangeSet;
use crate::verify::{Asked, Checksum};
use ftp_proto::{Instant, RepresentationType};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// How often the journal is written: what came since is lost if the program is killed. With what the disk takes for it,
/// that is to be a second at most.
const EVERY: Duration = Duration::from_millis(500);

/// The same while the record before is not on disk yet.
const WHILE_BUSY: Duration = Duration::from_millis(50);

/// What earlier runs have left at the destination, as far as it is of use.
///
/// # Errors
/// A [`Failure`] of kind local.
pub(crate) fn before(
    options: &Options,
    destination: &Destination,
    progress: &mut Progress,
) -> Result<Before, Failure> {
    let Some(sink) = destination.resumable() else { return Ok(Before::default()) };
    // Looked at in any case: it may be somebody else's file.
    let record = journaled(options, sink, progress)?.filter(|_| !options.fresh);
    let mut before = match record {
        Some(record) => {
            sink.keep();
            let done = record.ranges();
            progress.note(&format!("going on: {} bytes are here from an earlier run", done.len()));
            Before::new(record.facts(), done, |range| sink.read(range))?
        }
        None => {
            sink.clear()?;
            Before::default()
        }
    };
    before.finished = if options.overwrite { None } else { finished(options, sink) };
    Ok(before)
}

/// What the journal says, if it is of use.
fn journaled(options: &Options, sink: &FileSink, progress: &mut Progress) -> Result<Option<Record>, Failure> {
    let length = sink.length()?;
    let loaded = match sink.journal().load() {
        Ok(Some(record)) if record.ranges().iter().any(|range| range.end > length) => {
            Err(JournalError::Missing(sink.part().display().to_string()))
        }
        other => other,
    };
    match loaded {
        Ok(Some(record)) if !options.fresh && is_condemned(&record, options) => {
            progress.warn("what an earlier run has fetched did not have its checksum; starting over");
            Ok(None)
        }
        Ok(record) => Ok(record.filter(|record| !record.done.is_empty())),
        // It outlived its file by a moment.
        Err(JournalError::Missing(_)) if length == 0 => Ok(None),
        Err(error) => {
            let aside = sink.journal().set_aside()?;
            progress.warn(&format!(
                "{} {error}; it is {} now, and the download starts over",
                sink.journal().path().display(),
                aside.display()
            ));
            Ok(None)
        }
    }
}

/// Whether the bytes are known not to be those asked for. If another checksum is given now, they may have that.
fn is_condemned(record: &Record, options: &Options) -> bool {
    let asked = options.checksum.as_ref().and_then(Asked::given).map(ToString::to_string);
    record.not.is_some() && (asked.is_none() || record.not == asked)
}

/// The file that is at the destination already, under its final name, if it has the checksum given.
fn finished(options: &Options, sink: &FileSink) -> Option<Finished> {
    let facts = fs::symlink_metadata(sink.target()).ok().filter(fs::Metadata::is_file)?;
    if let Some(asked) = options.checksum.as_ref().and_then(Asked::given) {
        let found = fs::File::open(sink.target()).and_then(|file| Checksum::of(asked.algorithm(), file));
        found.ok().filter(|found| found == asked)?;
    }
    // In ASCII sizes do not compare.
    (options.representation == RepresentationType::Image)
        .then(|| Finished { size: facts.len(), modified: facts.mtime() })
}

/// What the run notes for the next one.
#[derive(Debug)]
pub(crate) struct Notes {
    keeper: Keeper,
    sources: Vec<String>,
    next_look: Instant,
    /// What was noted last.
    noted: RangeSet,
    /// Whether the user has been told that the journal cannot be written.
    complained: bool,
    part: String,
    journal: String,
}

/// What can go wrong with that.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The download cannot go on.
    File(Failure),
    /// It can.
    Journal(String),
}

impl Notes {
    /// Begins to take notes, if the destination is one that a later run can go on with.
    ///
    /// # Errors
    /// A [`Failure`] of kind local.
    pub(crate) fn start(
        options: &Options,
        destination: &Destination,
        planner: &Planner,
    ) -> Result<Option<Self>, Failure> {
        let Some(sink) = destination.resumable() else { return Ok(None) };
        let journal = sink.journal().clone();
        let (part, name) = (sink.part().display().to_string(), journal.path().display().to_string());
        let keeper = Keeper::start(sink.file()?, journal)
            .map_err(|error| Failure::local("cannot keep", sink.journal().path(), &error))?;
        let source = |source: &crate::sources::Source| {
            format!("{} {}", source.server(), String::from_utf8_lossy(source.path.as_bytes()))
        };
        Ok(Some(Self {
            keeper,
            sources: options.sources.iter().map(source).collect(),
            next_look: Instant::ZERO,
            noted: planner.settled(),
            complained: false,
            part,
            journal: name,
        }))
    }

    /// When [`look`](Self::look) wants to be called next.
    pub(crate) const fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Notes what is settled, if it is time to and something has come.
    ///
    /// # Errors
    /// What has gone wrong since the last call.
    pub(crate) fn look(&mut self, planner: &Planner, now: Instant) -> Result<(), Trouble> {
        if now < self.next_look {
            return Ok(());
        }
        self.next_look = now + EVERY;
        match self.keeper.trouble() {
            Some(journal::Trouble::File(error)) => {
                return Err(Trouble::File(Failure::write(&self.part, &error)));
            }
            Some(journal::Trouble::Journal(error)) if !std::mem::replace(&mut self.complained, true) => {
                let message =
                    format!("cannot write {}: {error}; if stopped, the download starts over", self.journal);
                return Err(Trouble::Journal(message));
            }
            Some(journal::Trouble::Journal(_)) | None => {}
        }
        let settled = planner.settled();
        if settled != self.noted {
            if self.keeper.is_busy() {
                self.next_look = now + WHILE_BUSY;
            } else {
                self.keeper.note(self.record(planner, &settled));
                self.noted = settled;
            }
        }
        Ok(())
    }

    /// Notes that less is settled than was, before anything takes its place.
    pub(crate) fn retract(&mut self, planner: &Planner) {
        let settled = planner.settled();
        self.keeper.note_now(self.record(planner, &settled));
        self.noted = settled;
    }

    /// Waits until everything is noted: the journal goes when the file gets its name, and may not come back.
    pub(crate) fn rest(&self) {
        self.keeper.rest();
    }

    /// Notes what is settled at the end of a download that has failed.
    pub(crate) fn close(self, planner: &Planner) {
        let settled = planner.settled();
        let (record, is_new) = (self.record(planner, &settled), settled != self.noted);
        self.keeper.close(record, is_new);
    }

    /// Notes that the whole file does not have this checksum.
    pub(crate) fn condemn(self, planner: &Planner, checksum: &Checksum) {
        let mut record = self.record(planner, &planner.settled());
        record.not = Some(checksum.to_string());
        self.keeper.close(record, true);
    }

    /// Ends: the file is whole.
    pub(crate) fn end(self) {
        self.keeper.end();
    }

    fn record(&self, planner: &Planner, settled: &RangeSet) -> Record {
        Record::new(planner.identity(), settled, self.sources.clone())
    }
}
