//! The `pftp` command as its users run it: arguments go in; exit code, output and files come out.

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

/// How long a run may take: far more than any does, even on a busy machine with a slow disk.
const DEADLINE: Duration = Duration::from_secs(300);

/// A command to be run in a fresh directory of its own.
#[derive(Debug)]
pub struct Pftp {
    dir: TempDir,
    args: Vec<OsString>,
    stdout: Stdio,
    environment: Vec<(String, OsString)>,
    wrapper: Vec<OsString>,
}

impl Pftp {
    /// `pftp` with these arguments. Its standard error is no terminal. The environment variable
    /// `PFTP_TESTS_TRANSPORT` names the transport for all runs; without it the command chooses.
    ///
    /// # Panics
    /// If there is no place for temporary directories.
    pub fn new<T: Into<OsString>>(args: impl IntoIterator<Item = T>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let transport = std::env::var_os("PFTP_TESTS_TRANSPORT").map(|kind| ["--transport".into(), kind]);
        let args = transport.into_iter().flatten().chain(args.into_iter().map(Into::into)).collect();
        Self { dir, args, stdout: Stdio::piped(), environment: Vec::new(), wrapper: Vec::new() }
    }

    /// With one more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With this file in its directory.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn with_file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.dir.path().join(name), content).expect("a file");
        self
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// In this directory, which a run before has left.
    pub fn in_dir(mut self, dir: TempDir) -> Self {
        self.dir = dir;
        self
    }

    /// With this in its environment.
    pub fn with_env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Run by this command, which gets its name and its arguments behind its own.
    pub fn under<T: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = T>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// With its standard output going there, so that [`Done::stdout`] is empty.
    pub fn with_stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Starts it.
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
        // The command holds what the standard output goes to.
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

    /// Runs it to its end.
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

/// Keeps what comes as it comes.
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

/// A command under way. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Gets something once all that was written is there.
    end: Receiver<()>,
    args: Vec<OsString>,
    dir: Option<TempDir>,
    started: Instant,
}

impl Running {
    /// Its process.
    ///
    /// # Panics
    /// Never: a process has a number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.as_ref().map_or_else(PathBuf::new, |dir| dir.path().join(name))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process that runs");
    }

    /// Whether it has ended. It can be sent signals all the same until [`wait`](Self::wait) has seen its end.
    ///
    /// # Panics
    /// Never: it is a process of this one.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), options).expect("a process of this one").is_some()
    }

    /// What it has written to standard error so far.
    pub fn said(&self) -> String {
        let bytes = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for its end.
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
        // Both fail if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Done {
    /// The exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// The directory it ran in.
    pub dir: TempDir,
}

impl Done {
    /// It ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// It said nothing on standard error.
    #[track_caller]
    pub fn expect_silence(self) -> Self {
        assert_eq!(self.stderr, "");
        self
    }

    /// The file of this name has the content of `file`, and there is no other file beside it.
    #[track_caller]
    pub fn expect_file(self, name: &str, file: &File) -> Self {
        assert_eq!(self.files(), [name], "{}", self.stderr);
        self.expect_content(name, file)
    }

    /// The file of this name has the content of `file`.
    #[track_caller]
    pub fn expect_content(self, name: &str, file: &File) -> Self {
        let (found, wanted) = (self.read(name), file.read(0..u64::MAX));
        assert_eq!(found.len(), wanted.len(), "{}", self.stderr);
        let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
        assert_eq!(differs, None, "the first byte that is wrong; {}", self.stderr);
        self
    }

    /// The names of the files in the directory, in order.
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

    /// The content of a file in the directory.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        let read = fs::read(self.dir.path().join(name));
        read.unwrap_or_else(|error| panic!("{name}: {error}; {}", self.stderr))
    }
}

/// The most memory that the process had resident so far, in KiB; `None` when it has ended.
pub fn peak_memory(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Waits until this is so, which something else sees to.
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
