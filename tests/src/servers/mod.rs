//! Real FTP servers on the loopback interface: vsftpd, ProFTPD, Pure-FTPd and pyftpdlib.
//!
//! `tests/setup.sh` fetches them into `tests/.servers`; the first [`RealServer`] of a process calls it.
//!
//! A server runs in namespaces of its own. Its mount namespace has a private `/etc`, with the users that it
//! serves, and the served tree at `/etc/tree`, so no account and no PAM service of this machine is touched and
//! the temporary directory above the tree may be closed to other users. In its process namespace the first
//! process waits on a pipe from the test: when the pipe closes, because the server is stopped or dropped or
//! because the test process was killed, that process ends and the kernel kills every session with it.

mod config;
mod process;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use process::Process;
use process::{Exit, Port};

/// The name of the user with a password.
pub const USER: &str = "tester";

/// The password of [`USER`], unless [`Options::password`] names another.
pub const PASSWORD: &str = "s3cret word";

/// The longest time until a server greets, and until it is gone.
const DEADLINE: Duration = Duration::from_secs(300);

/// How often a server that died while starting gets another port.
const ATTEMPTS: usize = 4;

/// The first process of a server's namespaces. Its standard input is the pipe from the test; its arguments
/// are the private `/etc` and the tree (both empty for none), then the server's command.
/// The server's own standard input is the file of its output: that is where vsftpd writes why it cannot start.
const LAUNCHER: &str = r#"
set -eu
exec 3<&0 </dev/null
if [ -n "$1" ]; then
    mount --rbind "$2" "$1/tree"
    mount --rbind "$1" /etc
    mount --bind /etc/run /run
fi
shift 2
"$@" <&1 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -KILL $server; } &
exec 3<&-
wait $server
"#;

/// A kind of server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// vsftpd: two processes for each session, no MLST.
    Vsftpd,
    /// ProFTPD: a process for each session; exact ranges with RANG. It sleeps for 0.4 seconds after the end
    /// of a session before it accepts the next connection, so it starts slowest here.
    ProFtpd,
    /// Pure-FTPd: a process for each session and one for its privileges. It answers a wrong password after
    /// some random seconds, which no option turns off.
    PureFtpd,
    /// pyftpdlib: one process, one event loop.
    Pyftpdlib,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Vsftpd, Self::ProFtpd, Self::PureFtpd, Self::Pyftpdlib];

    /// Returns the name of the program in `tests/.servers/bin`.
    fn program(self) -> &'static str {
        match self {
            Self::Vsftpd => "vsftpd",
            Self::ProFtpd => "proftpd",
            Self::PureFtpd => "pure-ftpd",
            Self::Pyftpdlib => "python",
        }
    }
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The password of [`USER`], without line breaks and colons.
    pub password: String,
    /// Sessions at a time, all clients together; `None` for no limit.
    ///
    /// Servers refuse the next session with a 421 in place of the greeting, or (ProFTPD) with a 530 to the
    /// login.
    pub max_clients: Option<u32>,
    /// Sessions at a time from one address; `None` for no limit. Refused like `max_clients`.
    pub max_per_ip: Option<u32>,
    /// Bytes per second of each transfer; `None` for no limit. ProFTPD and Pure-FTPd count in KiB, so the
    /// least is 1024.
    pub rate: Option<u32>,
    /// Whether commands compute checksums of files: ProFTPD, with mod_digest, by HASH and the like, pyftpdlib
    /// by XSHA256. The other servers cannot.
    pub digests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            password: PASSWORD.to_owned(),
            max_clients: None,
            max_per_ip: None,
            rate: None,
            digests: false,
        }
    }
}

/// A real FTP server, which runs until it is stopped or dropped.
#[derive(Debug)]
pub struct RealServer {
    kind: Kind,
    addr: SocketAddr,
    running: Option<Running>,
    /// Keeps the port claimed and the log readable after the server has stopped.
    _port: Port,
    work: TempDir,
}

/// A started server. `child.stdin` is this end of the pipe.
#[derive(Debug)]
struct Running {
    child: Child,
    exit: Exit,
}

impl RealServer {
    /// Starts a server that serves `root` read-only with the default options.
    ///
    /// # Panics
    ///
    /// As [`RealServer::with`] does.
    #[must_use]
    pub fn start(kind: Kind, root: &Path) -> Self {
        Self::with(kind, root, &Options::default())
    }

    /// Starts a server that serves `root` read-only to anonymous users and to [`USER`]. Returns when it
    /// greets and has no session.
    ///
    /// Both log in to `root`, where absolute paths start as well. The servers read as a user without rights,
    /// so files must be readable by every user (as they are with the umask 022); this function makes `root`
    /// itself readable, because a temporary directory is not.
    ///
    /// # Panics
    ///
    /// If the servers cannot be fetched or this one does not start; the message says what is missing.
    #[must_use]
    pub fn with(kind: Kind, root: &Path, options: &Options) -> Self {
        let programs = programs().unwrap_or_else(|message| panic!("{message}"));
        let root = root.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", root.display()));
        open_to_all(&root);
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let mut server = Self::spawn(kind, &programs.join(kind.program()), &root, options);
            let Err(why) = server.wait_until_ready() else { return server };
            server.stop();
            failure = format!("{why}\n{}", server.log());
            if !why.died {
                break;
            }
        }
        panic!("{kind:?} did not start: {failure}{}", requirements());
    }

    fn spawn(kind: Kind, program: &Path, root: &Path, options: &Options) -> Self {
        let port = Port::claim();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let work = tempfile::Builder::new().prefix("pftp-server-").tempdir().expect("a temporary directory");
        let arguments = config::write(kind, work.path(), root, addr, options);

        let mut command: Vec<OsString> = namespaces(kind).iter().map(OsString::from).collect();
        command.extend(["sh", "-c", LAUNCHER, "sh"].map(OsString::from));
        if kind == Kind::Pyftpdlib {
            command.extend(["", ""].map(OsString::from));
        } else {
            command.extend([work.path().join("etc").into(), root.into()]);
        }
        command.push(program.into());
        command.extend(arguments);

        let mut command = command.into_iter();
        let output = File::create(work.path().join("output")).expect("the server's output");
        let child = Command::new(command.next().unwrap_or_default())
            .args(command)
            .current_dir("/")
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("the server's output"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {kind:?}: {e}\n{}", requirements()));
        let exit = Exit::of(&child);
        Self { kind, addr, running: Some(Running { child, exit }), _port: port, work }
    }

    /// Returns the address at which the server listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the kind of the server.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns every process of the server: sessions and guards too.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        self.running.as_ref().map(|running| process::tree(running.child.id())).unwrap_or_default()
    }

    /// Returns what the server wrote so far: output, errors, and a log of commands if the server keeps one.
    #[must_use]
    pub fn log(&self) -> String {
        let mut files = vec![self.work.path().join("output")];
        let logs = fs::read_dir(self.work.path().join("etc/log")).into_iter().flatten().flatten();
        files.extend(logs.map(|entry| entry.path()));
        files.sort();
        let mut text = String::new();
        for file in files {
            let bytes = fs::read(&file).unwrap_or_default();
            if !bytes.is_empty() {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let _ = write!(text, "--- {:?}, {name}:\n{}", self.kind, String::from_utf8_lossy(&bytes));
            }
        }
        text
    }

    /// Stops the server with every session, and returns when none of its processes is left. Keeps the log.
    pub fn stop(&mut self) {
        let Some(Running { mut child, exit }) = self.running.take() else { return };
        drop(child.stdin.take());
        // This process ends after the last process of the namespace.
        if !exit.wait(DEADLINE) {
            let _ = child.kill();
        }
        let _ = child.wait();
    }

    /// Whether a session still counts against the limits. Each session is a child and copy of the server's
    /// process, even as a zombie, since most servers count sessions until they have noticed their end.
    fn has_session(&self) -> bool {
        let mut processes = self.processes();
        processes.retain(|process| process.name() == self.kind.program());
        processes.iter().any(|session| processes.iter().any(|server| session.is_child_of(server)))
    }

    fn wait_until_ready(&self) -> Result<(), NotReady> {
        let Some(running) = &self.running else { return Err(NotReady::died("stopped")) };
        let deadline = Instant::now() + DEADLINE;
        let mut last = "it never listened".to_owned();
        let mut greeted = false;
        // Waits a moment, or until the server dies.
        while !running.exit.wait(Duration::from_millis(3)) {
            if !greeted {
                match greeting(self.addr) {
                    Ok(text) if text.starts_with("220") => greeted = true,
                    Ok(text) => last = format!("it greeted with {text:?}"),
                    Err(e) => last = e.to_string(),
                }
            }
            // The session that was opened to ask must not count against the limits.
            if greeted && !self.has_session() {
                return Ok(());
            }
            if Instant::now() > deadline {
                if greeted {
                    "its first session never ended".clone_into(&mut last);
                }
                return Err(NotReady { died: false, why: format!("not ready after {DEADLINE:?}: {last}") });
            }
        }
        Err(NotReady::died(&last))
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The reason why a server is not ready. Another port may help if the server died.
struct NotReady {
    died: bool,
    why: String,
}

impl NotReady {
    fn died(last: &str) -> Self {
        Self { died: true, why: format!("it ended while starting ({last})") }
    }
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// Returns all that a server says to a client that only sends QUIT.
fn greeting(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"QUIT\r\n")?;
    let mut text = Vec::new();
    let end = stream.read_to_end(&mut text);
    if text.is_empty() {
        end?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the directory of the server programs. Calls `tests/setup.sh`, which returns at once if all is
/// there and lets one process at a time work.
fn programs() -> Result<PathBuf, String> {
    static PROGRAMS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAMS
        .get_or_init(|| {
            let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
            let outcome = Command::new("bash").arg(tests.join("setup.sh")).stdin(Stdio::null()).output();
            match outcome {
                Ok(output) if output.status.success() => Ok(tests.join(".servers/bin")),
                Ok(output) => Err(format!(
                    "the FTP servers for the tests are not there; run tests/setup.sh first. It failed now: {}\n{}{}",
                    output.status,
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                )),
                Err(e) => Err(format!("run tests/setup.sh first; it could not be started: {e}")),
            }
        })
        .clone()
}

/// Returns the command that gives a server its namespaces.
fn namespaces(kind: Kind) -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        return &["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
    }
    match kind {
        // This server needs no user of its own and has no second process.
        Kind::Pyftpdlib => &["env"],
        Kind::Vsftpd | Kind::ProFtpd | Kind::PureFtpd => &[
            "unshare",
            "--user",
            "--map-root-user",
            "--map-auto",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
        ],
    }
}

/// Returns what a server needs of the machine, for the message when it does not start.
fn requirements() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "The servers need the programs unshare and mount (Debian: util-linux, mount) and the right to make \
         namespaces (in a container: the capability SYS_ADMIN; in a chroot: a root directory that is a mount \
         point)."
    } else {
        "Run the tests as root, or make unprivileged user namespaces possible: the programs unshare (util-linux \
         2.38 or newer) and newuidmap (Debian: uidmap), 65536 ids for this user in /etc/subuid and /etc/subgid, \
         and a kernel that permits it (on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)."
    }
}

/// Lets every user read and search a directory.
fn open_to_all(directory: &Path) {
    let mode = fs::metadata(directory).map(|metadata| metadata.permissions().mode());
    let mode = mode.unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    if mode & 0o555 != 0o555 {
        fs::set_permissions(directory, fs::Permissions::from_mode(mode | 0o555))
            .unwrap_or_else(|e| panic!("{} must be readable for all: {e}", directory.display()));
    }
}
