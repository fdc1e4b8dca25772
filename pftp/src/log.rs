//! The log of every command and reply (`-l`).

use crate::exit::Failure;
use crate::options::LogTarget;
use ftp_proto::Line;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes lines exchanged with servers, one line each.
pub struct Log {
    /// `None` once a write has failed.
    out: Option<Box<dyn Write + Send>>,
    path: PathBuf,
    /// Whether a line begins with the number of its thread.
    threads: bool,
    /// Whether each line is to be seen at once.
    unbuffered: bool,
}

impl Log {
    /// Opens the log; what a file of that name held is lost, unless the log goes on. `threads` says whether lines begin
    /// with the number of their thread, as they have to if there is more than one connection.
    ///
    /// # Errors
    /// A [`Failure`] of kind local if the file cannot be created.
    pub fn open(target: &LogTarget, threads: bool, goes_on: bool) -> Result<Self, Failure> {
        let log = match target {
            LogTarget::Stdout => Self::new(Box::new(io::stdout()), "standard output", threads, true),
            LogTarget::File(path) => {
                let file = if goes_on { File::options().append(true).open(path) } else { File::create(path) };
                let file = file.map_err(|error| Failure::local("cannot create", path, &error))?;
                Self::new(Box::new(BufWriter::new(file)), path, threads, false)
            }
        };
        Ok(log)
    }

    fn new(out: Box<dyn Write + Send>, path: impl AsRef<Path>, threads: bool, unbuffered: bool) -> Self {
        Self { out: Some(out), path: path.as_ref().to_owned(), threads, unbuffered }
    }

    /// Writes `line` of the connection number `thread`, from 1.
    ///
    /// # Errors
    /// The first write that fails, which is a warning: the download goes on without its log, and later
    /// calls do nothing. That nobody reads standard output any more is not worth one.
    pub fn line(&mut self, thread: usize, line: &Line) -> Result<(), Failure> {
        let (threads, unbuffered) = (self.threads, self.unbuffered);
        self.write(|out| {
            if threads {
                write!(out, "Thread {thread}: ")?;
            }
            writeln!(out, "{line}")?;
            if unbuffered { out.flush() } else { Ok(()) }
        })
    }

    /// Writes out what is buffered: to be called when there is nothing else to do, and at the end.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn flush(&mut self) -> Result<(), Failure> {
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
    use crate::exit::Kind;
    use std::fs;

    fn lines() -> [Line; 2] {
        [Line::Sent("PASS ***".into()), Line::Received("230-hi\x1b[2J".into())]
    }

    #[test]
    fn a_line_for_each_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old").unwrap();
        let mut log = Log::open(&LogTarget::File(path.clone()), false, false).unwrap();
        for line in lines() {
            log.line(1, &line).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "C->S: PASS ***\nS->C: 230-hi\\u{1b}[2J\n");
        let mut log = Log::open(&LogTarget::File(path.clone()), true, false).unwrap();
        for (thread, line) in (1..).zip(lines()) {
            log.line(thread, &line).unwrap();
        }
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "Thread 1: C->S: PASS ***\nThread 2: S->C: 230-hi\\u{1b}[2J\n");
    }

    #[test]
    fn a_log_that_cannot_be_is_told_before_it_is_needed() {
        let failure = Log::open(&LogTarget::File("/nonexistent/log".into()), false, false).unwrap_err();
        assert_eq!(failure.kind(), Kind::Local);
        assert!(failure.to_string().starts_with("cannot create /nonexistent/log: "), "{failure}");
    }

    #[test]
    fn a_failing_log_complains_once() {
        let full = File::create("/dev/full").unwrap();
        let mut log = Log::new(Box::new(full), "/dev/full", false, true);
        let [line, _] = lines();
        assert!(log.line(1, &line).unwrap_err().to_string().contains("/dev/full"));
        log.line(1, &line).unwrap();
        log.flush().unwrap();
    }

    #[test]
    fn a_broken_pipe_is_no_complaint() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut log = Log::new(Box::new(writer), "standard output", false, true);
        log.line(1, &lines()[0]).unwrap();
    }
}
