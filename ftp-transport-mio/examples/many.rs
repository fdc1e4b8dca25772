//! Many files from many servers, in one loop on one thread.
//!
//! ```sh
//! cargo run --example many -- DIRECTORY HOST[:PORT]/PATH...
//! ```
//!
//! Each server has one session, which fetches the files of that server one after the other. The reports of the sessions are
//! printed as they come. If a server or a file fails, the other files are fetched all the same. No file that exists is
//! written over; of a file that fails, the bytes that came stay.

#![expect(clippy::print_stdout, reason = "it is a command")]

use ftp_proto::{Arg, Config, Event, Finish, Report, RequestId, Retrieve, SessionId, Sink, Transport, Until};
use ftp_transport_mio::MioTransport;
use std::collections::BTreeMap;
use std::fs::File;
use std::iter::Enumerate;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, io, vec};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A file on disk that takes the bytes of one transfer.
struct Local(File);

impl Sink for Local {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

/// A server, and the files that are still wanted of it.
struct Server {
    name: String,
    paths: Enumerate<vec::IntoIter<String>>,
    /// The file that is fetched now, and how many bytes of it have come.
    coming: Option<(String, u64)>,
}

/// All files to fetch.
struct Job {
    directory: PathBuf,
    transport: MioTransport<Local>,
    servers: BTreeMap<SessionId, Server>,
    failed: bool,
}

impl Job {
    fn new(directory: PathBuf, wanted: &[String]) -> Result<Self> {
        let mut servers = BTreeMap::<String, Vec<String>>::new();
        for argument in wanted {
            let (name, path) = argument.split_once('/').ok_or("HOST[:PORT]/PATH is wanted")?;
            servers.entry(name.to_owned()).or_default().push(path.to_owned());
        }
        let mut job =
            Self { directory, transport: MioTransport::new()?, servers: BTreeMap::new(), failed: false };
        for ((name, paths), id) in servers.into_iter().zip(0..) {
            let address = resolve(&name)?;
            let paths = paths.into_iter().enumerate();
            job.servers.insert(SessionId(id), Server { name, paths, coming: None });
            job.transport.open(SessionId(id), address.into(), Arc::new(Config::default()));
            job.next_file(SessionId(id))?;
        }
        Ok(job)
    }

    /// Lets a session fetch its next file, or end.
    fn next_file(&mut self, id: SessionId) -> Result<()> {
        let Some(server) = self.servers.get_mut(&id) else { return Ok(()) };
        let Some((number, path)) = server.paths.next() else {
            server.coming = None;
            self.transport.close(id);
            return Ok(());
        };
        let name = Path::new(&path).file_name().ok_or("a path without a name")?;
        let file = Local(File::create_new(self.directory.join(name))?);
        let whole = Retrieve::new(Arg::new(path.clone())?, 0, Until::Eof);
        self.transport.retrieve(id, RequestId(number as u64), whole, Arc::new(file));
        server.coming = Some((path, 0));
        Ok(())
    }

    /// Follows the reports until no session is left. True if every file is here.
    fn run(mut self) -> Result<bool> {
        while !self.servers.is_empty() {
            // Without a deadline and a waker it returns only with a report.
            let Some(report) = self.transport.wait(None) else { continue };
            match report {
                Report::Written(id, _, range) => self.progress(id, range.end - range.start),
                Report::Event(id, event) => self.event(id, event)?,
                Report::SinkFailed(_, _, error) => return Err(error.into()),
                Report::Misuse(_, _, misuse) => return Err(misuse.into()),
                _ => {}
            }
        }
        Ok(!self.failed)
    }

    fn progress(&mut self, id: SessionId, bytes: u64) {
        if let Some(Server { name, coming: Some((path, so_far)), .. }) = self.servers.get_mut(&id) {
            *so_far += bytes;
            println!("{name}/{path}: {so_far} bytes");
        }
    }

    fn event(&mut self, id: SessionId, event: Event) -> Result<()> {
        let Some(server) = self.servers.get(&id) else { return Ok(()) };
        let path = server.coming.as_ref().map(|(path, _)| path.as_str()).unwrap_or_default();
        let what = format!("{}/{path}", server.name);
        match event {
            Event::Finished(_, Finish::Whole { at }) => {
                println!("{what}: whole, {at} bytes");
                self.next_file(id)
            }
            Event::Finished(_, finish) => self.fail(id, &format!("{what}: {finish:?}")),
            Event::Refused(_, verb, reply) => self.fail(id, &format!("{what}: {verb}: {reply}")),
            Event::Closed(error) => {
                // A session without files left was closed from here.
                if server.coming.is_some() {
                    self.failed = true;
                    eprintln!("{what}: {error}; {} more are not fetched", server.paths.len());
                }
                self.servers.remove(&id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A file failed; its server may have the others.
    fn fail(&mut self, id: SessionId, message: &str) -> Result<()> {
        self.failed = true;
        eprintln!("{message}");
        self.next_file(id)
    }
}

/// The address of a server. This waits for a name server, so it comes before the loop.
fn resolve(name: &str) -> Result<SocketAddr> {
    let with_port = if name.contains(':') { name.to_owned() } else { format!("{name}:21") };
    Ok(with_port.to_socket_addrs()?.next().ok_or("a name without an address")?)
}

fn main() -> Result<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [directory, wanted @ ..] = &args[..] else { return Err("DIRECTORY HOST[:PORT]/PATH...".into()) };
    let whole = Job::new(directory.into(), wanted)?.run()?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
