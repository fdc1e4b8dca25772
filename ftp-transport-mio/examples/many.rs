//! Many files from many servers, in one loop on one thread.
//!
//! ```sh
//! cargo run --example many -- DIRECTORY HOST[:PORT]/PATH...
//! ```
//!
//! There is one session for each server, which fetches the files of that server one after the other. What each
//! session tells is printed as it comes. A server or a file that fails does not keep the others from coming. No
//! file that is there already is written over; of one that failed, what came of it stays.

#![expect(clippy::print_stdout, reason = "it is a command")]

use ftp_proto::{
    Arg, Config, Event, Finish, Report, Request, RequestId, Retrieve, SessionId, Sink, Transport, Until,
};
use ftp_transport_mio::MioTransport;
use std::collections::BTreeMap;
use std::fs::File;
use std::iter::Enumerate;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, io, vec};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where the bytes of one session go: the file that it fetches now.
#[derive(Default)]
struct Current(Mutex<Option<File>>);

impl Current {
    fn set(&self, file: File) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }
}

impl Sink for Current {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_ref().ok_or(io::ErrorKind::NotFound)?.write_all_at(bytes, offset)
    }
}

/// A server, and what is still wanted of it.
struct Server {
    name: String,
    sink: Arc<Current>,
    paths: Enumerate<vec::IntoIter<String>>,
    /// The file that comes now, and the bytes of it that are here.
    coming: Option<(String, u64)>,
}

/// All there is to do.
struct Job {
    directory: PathBuf,
    transport: MioTransport<Current>,
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
        // Every session gets a sink of its own below, so this one takes nothing.
        let transport = MioTransport::new(Arc::default())?;
        let mut job = Self { directory, transport, servers: BTreeMap::new(), failed: false };
        for ((name, paths), id) in servers.into_iter().zip(0..) {
            let peer = resolve(&name)?;
            let paths = paths.into_iter().enumerate();
            let server = Server { name, sink: Arc::default(), paths, coming: None };
            let sink = Arc::clone(&server.sink);
            job.servers.insert(SessionId(id), server);
            job.transport.open_to(SessionId(id), peer, Arc::new(Config::default()), sink);
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
        server.sink.set(File::create_new(self.directory.join(name))?);
        let whole = Retrieve { path: Arg::new(path.clone())?, offset: 0, until: Until::Eof };
        self.transport.request(id, RequestId(number as u64), Request::Retrieve(whole));
        server.coming = Some((path, 0));
        Ok(())
    }

    /// Goes by what the sessions tell, until none is left. True if every file is here.
    fn run(mut self) -> Result<bool> {
        while !self.servers.is_empty() {
            // Without a deadline it returns only with a report: nobody has a waker.
            let Some(report) = self.transport.wait(None) else { continue };
            match report {
                Report::Written(id, range) => self.progress(id, range.end - range.start),
                Report::Event(id, event) => self.event(id, event)?,
                Report::Sink(_, error) => return Err(error.into()),
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
                // Where nothing was left to fetch, it was closed from here.
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

/// The address of a server. The loop looks up no names: this waits, and comes before it.
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
