//! The log of every command and reply (`-l`).

use super::failure::{Failure, STDOUT};
use super::options::LogTarget;
use ftp_proto::Line;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes lines exchanged with servers, one line each.
pub(super) struct Log {
    /// `None` once a write has failed.
    out: Option<Box<dyn Write + Send>>,
    path: PathBuf,
    /// Whether a line begins with the number of its connection.
    threads: bool,
    /// Whether each line is written out at once.
    unbuffered: bool,
}

impl Log {
    /// Opens the log. The content of a file of that name is lost. `threads` says whether lines begin with the number of their
    /// connection, which they need if there are several.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if the file cannot be created.
    pub(super) fn open(target: &LogTarget, threads: bool) -> Result<Self, Failure> {
        let log = match target {
            LogTarget::Stdout => Self::new(Box::new(io::stdout()), STDOUT, threads, true),
            LogTarget::File(path) => {
                let file =
                    File::create(path).map_err(|error| Failure::local("cannot create", path, &error))?;
                Self::new(Box::new(BufWriter::new(file)), path, threads, false)
            }
        };
        Ok(log)
    }

    fn new(out: Box<dyn Write + Send>, path: impl AsRef<Path>, threads: bool, unbuffered: bool) -> Self {
        Self { out: Some(out), path: path.as_ref().to_owned(), threads, unbuffered }
    }

    /// Writes a line of the connection with the number `thread`, from 1.
    ///
    /// # Errors
    /// A [`Failure`] for the first write that fails: the download goes on without its log, and later calls do nothing. A reader
    /// of standard output that went away is no failure.
    pub(super) fn line(&mut self, thread: usize, line: &Line) -> Result<(), Failure> {
        let (threads, unbuffered) = (self.threads, self.unbuffered);
        self.write(|out| {
            if threads {
                write!(out, "Thread {thread}: ")?;
            }
            writeln!(out, "{line}")?;
            if unbuffered { out.flush() } else { Ok(()) }
        })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.write(|out| out.flush())
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let Some(out) = &mut self.out else { return Ok(()) };
        let Err(error) = write(out.as_mut()) else { return Ok(()) };
        self.out = None;
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Ok(());
        }
        Err(Failure::local("the log ends here: cannot write", &self.path, &error))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("path", &self.path)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pftp::ErrorKind;
    use std::fs;

    fn lines() -> [Line; 2] {
        [Line::Sent("PASS ***".into()), Line::Received("230-hi\x1b[2J".into())]
    }

    #[test]
    fn each_line_is_written_with_its_direction_and_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old").unwrap();
        let mut log = Log::open(&LogTarget::File(path.clone()), false).unwrap();
        for line in lines() {
            log.line(1, &line).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "C->S: PASS ***\nS->C: 230-hi\\u{1b}[2J\n");
        let mut log = Log::open(&LogTarget::File(path.clone()), true).unwrap();
        for (thread, line) in (1..).zip(lines()) {
            log.line(thread, &line).unwrap();
        }
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "Thread 1: C->S: PASS ***\nThread 2: S->C: 230-hi\\u{1b}[2J\n");
    }

    #[test]
    fn log_that_cannot_be_created_fails_at_once() {
        let failure = Log::open(&LogTarget::File("/nonexistent/log".into()), false).unwrap_err();
        assert_eq!(failure.kind(), Some(ErrorKind::Local));
        assert!(failure.to_string().starts_with("cannot create /nonexistent/log: "), "{failure}");
    }

    #[test]
    fn failing_log_fails_once() {
        let full = File::create("/dev/full").unwrap();
        let mut log = Log::new(Box::new(full), "/dev/full", false, true);
        let [line, _] = lines();
        assert!(log.line(1, &line).unwrap_err().to_string().contains("/dev/full"));
        log.line(1, &line).unwrap();
        log.flush().unwrap();
    }

    #[test]
    fn broken_pipe_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut log = Log::new(Box::new(writer), "standard output", false, true);
        log.line(1, &lines()[0]).unwrap();
    }
}
