//! The `pftp` command as users run it: arguments go in; exit code, output and files come out.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::binary;
use crate::model::File;

/// The longest time of a run: far more than any takes, even on a busy machine with a slow disk.
const DEADLINE: Duration = Duration::from_secs(300);

/// A command to run in a fresh directory.
#[derive(Debug)]
pub struct Pftp {
    dir: TempDir,
    args: Vec<OsString>,
    stdout: Stdio,
    environment: Vec<(String, OsString)>,
    wrapper: Vec<OsString>,
}

impl Pftp {
    /// A run of `pftp` with these arguments, whose standard error is no terminal. The environment variable
    /// `PFTP_TESTS_TRANSPORT` names the transport of all runs; without it the command chooses.
    ///
    /// # Panics
    /// If there is no place for temporary directories.
    pub fn new<T: Into<OsString>>(args: impl IntoIterator<Item = T>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let transport = std::env::var_os("PFTP_TESTS_TRANSPORT").map(|kind| ["--transport".into(), kind]);
        let args = transport.into_iter().flatten().chain(args.into_iter().map(Into::into)).collect();
        Self { dir, args, stdout: Stdio::piped(), environment: Vec::new(), wrapper: Vec::new() }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Writes a file into the directory.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn with_file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.dir.path().join(name), content).expect("a file");
        self
    }

    /// Returns a path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs in this directory, which an earlier run has left.
    pub fn in_dir(mut self, dir: TempDir) -> Self {
        self.dir = dir;
        self
    }

    /// Sets an environment variable.
    pub fn with_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs under another command, which gets the name of `pftp` and its arguments behind its own.
    pub fn under<T: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = T>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Sends standard output there, so [`Done::stdout`] stays empty.
    pub fn with_stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Starts the command.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(self) -> Running {
        let mut words = self.wrapper.into_iter().chain([binary::pftp().into()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(&self.args).current_dir(self.dir.path());
        command.env_remove("PFTP_PASSWORD").envs(self.environment);
        command.stdin(Stdio::null()).stdout(self.stdout).stderr(Stdio::piped());
        let mut child = command.spawn().expect("pftp starts");
        // The command value holds this process's end of standard output.
        drop(command);
        let stdout = child.stdout.take().map(|pipe| thread::spawn(|| read(pipe)));
        let (sender, end) = mpsc::channel();
        let pipe = child.stderr.take().expect("a pipe");
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let stderr = Arc::clone(&said);
        thread::spawn(move || {
            listen(pipe, &said);
            sender.send(())
        });
        Running { child, stdout, stderr, end, args: self.args, dir: Some(self.dir), started: Instant::now() }
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn run(self) -> Done {
        self.start().wait()
    }
}

fn read(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("a pipe that can be read");
    bytes
}

/// Collects what is written while it is written.
fn listen(mut pipe: impl Read, said: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 4096];
    loop {
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(len) => said.lock().unwrap_or_else(PoisonError::into_inner).extend(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("a pipe that cannot be read: {error}"),
        }
    }
}

/// A running command. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Receives a message when all that was written has been read.
    end: Receiver<()>,
    args: Vec<OsString>,
    dir: Option<TempDir>,
    started: Instant,
}

impl Running {
    /// Returns the process id.
    ///
    /// # Panics
    /// Never: a process has a number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns a path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.as_ref().map_or_else(PathBuf::new, |dir| dir.path().join(name))
    }

    /// Sends a signal to the process.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process that runs");
    }

    /// Whether the process has ended. It can still be sent signals until [`wait`](Self::wait) has seen its
    /// end.
    ///
    /// # Panics
    /// Never: it is a process of this one.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), options).expect("a process of this one").is_some()
    }

    /// Returns what was written to standard error so far.
    pub fn said(&self) -> String {
        let bytes = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn wait(mut self) -> Done {
        if self.end.recv_timeout(DEADLINE.saturating_sub(self.started.elapsed())).is_err() {
            panic!("pftp {:?} does not come to an end; it said: {}", self.args, self.said());
        }
        let stderr = self.said();
        let status = self.child.wait().expect("an exit status");
        let stdout = self.stdout.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let dir = self.dir.take().expect("a directory until here");
        Done { code: status.code(), stdout, stderr, dir }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Done {
    /// The exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// The bytes on standard output.
    pub stdout: Vec<u8>,
    /// The text on standard error.
    pub stderr: String,
    /// The directory in which the command ran.
    pub dir: TempDir,
}

impl Done {
    /// Panics unless the command ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Panics if standard error is not empty.
    #[track_caller]
    pub fn expect_silence(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// Panics unless the file of this name is the only file and has the content of `file`.
    #[track_caller]
    pub fn expect_file(self, name: &str, file: &File) -> Self {
        assert_eq!(self.files(), [name], "{}", self.stderr);
        self.expect_content(name, file)
    }

    /// Panics unless the file of this name has the content of `file`.
    #[track_caller]
    pub fn expect_content(self, name: &str, file: &File) -> Self {
        let (found, wanted) = (self.read(name), file.read(0..u64::MAX));
        assert_eq!(found.len(), wanted.len(), "{}", self.stderr);
        let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first byte that is wrong; {}", self.stderr);
        self
    }

    /// Returns the names of the files in the directory, sorted.
    ///
    /// # Panics
    /// If the directory is gone.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).expect("the directory");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// Returns the content of a file in the directory.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let read = fs::read(self.dir.path().join(name));
        read.unwrap_or_else(|error| panic!("{name}: {error}; {}", self.stderr))
    }
}

/// Returns the most memory that the process had resident so far, in KiB; `None` if it has ended.
pub fn peak_memory(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Waits until a condition holds that another thread or process brings about.
///
/// # Panics
/// If it never becomes so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < DEADLINE, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
