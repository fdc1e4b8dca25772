//! The cost of sessions in one event loop: `cargo run --release -p pftp-tests --example sessions`
//!
//! Prints, for more and more sessions at once, the time and the CPU time in which all of them log in to a
//! model server and fetch a file each, and the memory of an idle session. The server and every line of the
//! table run in a process of their own.
//!
//! `sessions --idle SECONDS [SESSIONS]` logs in that many sessions, 1,000 by default, and waits, so that
//! `strace -f -p` can watch the process. It prints how often the process slept meanwhile.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ftp_proto::{
    Arg, Config, Event, Finish, Report, RequestId, Retrieve, SessionId, Sink, Transport as _, Until,
};
use ftp_transport_mio::MioTransport;
use pftp_tests::loopback::Server;
use pftp_tests::model::{File, Model, Tree};
use rustix::time::{ClockId, clock_gettime};

/// The number of sessions of each line.
const TABLE: [usize; 6] = [100, 250, 500, 1000, 1500, 2000];

/// Sessions that log in at the same time: a server's queue of connections is short, and connections that do
/// not fit are lost.
const DIALLING: usize = 100;

/// Bytes of each file.
const SIZE: u64 = 64 * 1024;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        ["--idle", seconds] => idle(seconds.parse()?, 1000),
        ["--idle", seconds, sessions] => idle(seconds.parse()?, sessions.parse()?),
        ["serve", files] => serve(files.parse()?),
        ["measure", server, sessions] => measure(server.parse()?, sessions.parse()?),
        _ => bail!("usage: sessions [--idle SECONDS [SESSIONS]]"),
    }
}

fn table() -> Result<()> {
    println!("                                                         resident KiB/session, idle after");
    println!(
        "sessions  exact  wall ms  CPU ms  CPU us/session  threads           the login       a transfer"
    );
    for sessions in TABLE {
        let server = ServerProcess::start(sessions)?;
        let client = itself(&["measure", &server.address.to_string(), &sessions.to_string()])?.status()?;
        ensure!(client.success(), "the client ended with {client}");
    }
    Ok(())
}

/// Returns the command that runs this program in another process.
fn itself(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(args);
    Ok(command)
}

/// A model server in a process of its own, so its memory and time are not counted.
struct ServerProcess {
    address: SocketAddr,
    child: Child,
}

impl ServerProcess {
    fn start(files: usize) -> Result<Self> {
        let mut command = itself(&["serve", &files.to_string()])?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        Ok(Self { address: line.trim().parse().context("the server's address")?, child })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The server ends when its standard input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn content(number: usize) -> File {
    File::generated(number as u64, SIZE)
}

fn serve(files: usize) -> Result<()> {
    let tree = (0..files).fold(Tree::new(), |tree, number| tree.with(format!("{number}"), content(number)));
    let server = Server::start_apart(Model::new(tree))?;
    println!("{}", server.addr());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The file of one session.
#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl Sink for Memory {
    type Error = Infallible;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if memory.len() < end {
            memory.resize(end, 0);
        }
        memory[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// Sessions in one loop, each with a file.
struct Sessions {
    transport: MioTransport<Memory>,
    files: Vec<Arc<Memory>>,
    opened: usize,
}

impl Sessions {
    fn new(sessions: usize) -> Result<Self> {
        // A server of thousands of sockets raises the same limit when it starts.
        drop(Server::start(Model::default())?);
        // The buffers are allocated first, so their memory does not count as memory of sessions.
        let room = || Arc::new(Memory(Mutex::new(vec![1; SIZE as usize])));
        let files = (0..sessions).map(|_| room()).collect();
        Ok(Self { transport: MioTransport::new()?, files, opened: 0 })
    }

    /// Logs in until there are so many sessions.
    fn log_in(&mut self, server: SocketAddr, sessions: usize) -> Result<()> {
        let config = Arc::new(Config::default());
        for ready in self.opened..sessions {
            while self.opened < sessions.min(ready + DIALLING) {
                self.transport.open(SessionId(self.opened as u64), server.into(), Arc::clone(&config));
                self.opened += 1;
            }
            self.next(|event| matches!(event, Event::Ready(_)))?;
        }
        Ok(())
    }

    /// Lets each session fetch its file.
    fn fetch(&mut self) -> Result<()> {
        for (number, file) in self.files.iter().enumerate() {
            let whole = Retrieve::new(Arg::new(number.to_string())?, 0, Until::Eof);
            self.transport.retrieve(SessionId(number as u64), RequestId(1), whole, Arc::clone(file));
        }
        let whole = |event: &Event| matches!(event, Event::Finished(_, Finish::Whole { .. }));
        for _ in 0..self.files.len() {
            self.next(whole)?;
        }
        Ok(())
    }

    /// Waits for such an event of any session.
    fn next(&mut self, awaited: impl Fn(&Event) -> bool) -> Result<()> {
        loop {
            match self.transport.wait(None) {
                Some(Report::Event(_, event)) if awaited(&event) => return Ok(()),
                Some(Report::Event(id, Event::Closed(error))) => bail!("session {}: {error}", id.0),
                _ => {}
            }
        }
    }

    /// Waits for a time in which no event may come.
    fn rest(&mut self, seconds: u64) -> Result<()> {
        let until = self.transport.now() + Duration::from_secs(seconds);
        ensure!(self.transport.wait(Some(until)).is_none(), "something happened");
        Ok(())
    }

    /// Returns how many files are exact.
    fn exact(&self) -> usize {
        let is_exact = |(number, file): (usize, &Arc<Memory>)| {
            let found = file.0.lock().unwrap_or_else(PoisonError::into_inner);
            *found == content(number).read(0..SIZE)
        };
        self.files.iter().enumerate().map(is_exact).filter(|exact| *exact).count()
    }
}

fn measure(server: SocketAddr, sessions: usize) -> Result<()> {
    let mut all = Sessions::new(sessions)?;
    let (started, cpu) = (Instant::now(), cpu_time());
    // The memory of the loop, whatever the number of sessions.
    all.log_in(server, 1)?;
    let before = status("VmRSS:")?;
    all.log_in(server, sessions)?;
    let (logged_in, threads) = (status("VmRSS:")?, status("Threads:")?);
    all.fetch()?;
    let fetched = status("VmRSS:")?;
    let (wall, cpu) = (started.elapsed().as_millis(), cpu_time().saturating_sub(cpu));
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    let each = |resident: u64| resident.saturating_sub(before) as f64 / (sessions - 1) as f64;
    let (logged_in, fetched, exact) = (each(logged_in), each(fetched), all.exact());
    let (cpu, each) = (cpu.as_millis(), cpu.as_micros() / sessions as u128);
    print!("{sessions:8}  {exact:5}  {wall:7}  {cpu:6}  {each:14}  {threads:7}");
    println!("  {logged_in:18.2}  {fetched:15.2}");
    Ok(())
}

fn idle(seconds: u64, sessions: usize) -> Result<()> {
    let server = ServerProcess::start(sessions)?;
    let mut all = Sessions::new(sessions)?;
    all.log_in(server.address, sessions)?;
    // The last events are still being handled.
    all.rest(1)?;
    let id = std::process::id();
    println!("{sessions} sessions are logged in; for {seconds} s: strace -f -p {id}");
    let sleeps = || status("voluntary_ctxt_switches:");
    let before = (sleeps()?, cpu_time());
    all.rest(seconds)?;
    let (sleeps, cpu) = (sleeps()? - before.0, cpu_time().saturating_sub(before.1));
    println!("it slept {sleeps} times and took {} us of CPU time", cpu.as_micros());
    Ok(())
}

/// Returns the user and system time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Returns a number from the status of this process.
fn status(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}
