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

use ftp_proto::{
    Arg, Config, Event, Finish, Redial, Report, RequestId, Retrieve, SessionError, SessionId, Sink,
    Transport, Until,
};
use ftp_transport_mio::MioTransport;
use std::collections::BTreeMap;
use std::fs::File;
use std::iter::Enumerate;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
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
    address: SocketAddr,
    config: Config,
    paths: Enumerate<vec::IntoIter<String>>,
    coming: Option<Coming>,
}

/// A file that is fetched now.
struct Coming {
    request: RequestId,
    path: String,
    sink: Arc<Local>,
    /// How many bytes of it have come.
    bytes: u64,
}

/// All files to fetch.
struct Job {
    directory: PathBuf,
    transport: MioTransport<Local>,
    servers: BTreeMap<SessionId, Server>,
    opened: u64,
    failed: bool,
}

impl Job {
    fn new(directory: PathBuf, wanted: &[String]) -> Result<Self> {
        let mut servers = BTreeMap::<String, Vec<String>>::new();
        for argument in wanted {
            let (name, path) = argument.split_once('/').ok_or("HOST[:PORT]/PATH is wanted")?;
            servers.entry(name.to_owned()).or_default().push(path.to_owned());
        }
        let (transport, servers_by_id) = (MioTransport::new()?, BTreeMap::new());
        let mut job = Self { directory, transport, servers: servers_by_id, opened: 0, failed: false };
        for (name, paths) in servers {
            let (address, config) = (resolve(&name)?, Config::default());
            let paths = paths.into_iter().enumerate();
            let id = job.open(Server { name, address, config, paths, coming: None });
            job.next_file(id)?;
        }
        Ok(job)
    }

    /// Opens a session with a server.
    fn open(&mut self, server: Server) -> SessionId {
        let id = SessionId(self.opened);
        self.opened += 1;
        self.transport.open(id, server.address.into(), Arc::new(server.config.clone()));
        self.servers.insert(id, server);
        id
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
        let sink = Arc::new(Local(File::create_new(self.directory.join(name))?));
        self.retrieve(id, Coming { request: RequestId(number as u64), path, sink, bytes: 0 })
    }

    /// Lets a session fetch a file from its start.
    fn retrieve(&mut self, id: SessionId, coming: Coming) -> Result<()> {
        let whole = Retrieve::new(Arg::new(coming.path.clone())?, 0, Until::Eof);
        self.transport.retrieve(id, coming.request, whole, Arc::clone(&coming.sink));
        if let Some(server) = self.servers.get_mut(&id) {
            server.coming = Some(coming);
        }
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
        if let Some(Server { name, coming: Some(coming), .. }) = self.servers.get_mut(&id) {
            coming.bytes += bytes;
            println!("{name}/{}: {} bytes", coming.path, coming.bytes);
        }
    }

    fn event(&mut self, id: SessionId, event: Event) -> Result<()> {
        let Some(server) = self.servers.get(&id) else { return Ok(()) };
        let path = server.coming.as_ref().map(|coming| coming.path.as_str()).unwrap_or_default();
        let what = format!("{}/{path}", server.name);
        match event {
            Event::Finished(_, Finish::Whole { at }) => {
                println!("{what}: whole, {at} bytes");
                self.next_file(id)
            }
            Event::Finished(_, finish) => self.fail(id, &format!("{what}: {finish:?}")),
            Event::Refused(_, verb, reply) => self.fail(id, &format!("{what}: {verb}: {reply}")),
            Event::Closed(error) => self.closed(id, &what, &error),
            _ => Ok(()),
        }
    }

    /// A session has ended. The server may take a session with another configuration.
    fn closed(&mut self, id: SessionId, what: &str, error: &SessionError) -> Result<()> {
        let Some(mut server) = self.servers.remove(&id) else { return Ok(()) };
        // A session without files left was closed from here.
        let Some(coming) = server.coming.take() else { return Ok(()) };
        let redial = Redial::after(error, &server.config);
        if redial.wait(0) == Some(Duration::ZERO) {
            redial.apply(&mut server.config);
            let again = self.open(server);
            return self.retrieve(again, Coming { bytes: 0, ..coming });
        }
        self.failed = true;
        eprintln!("{what}: {error}; {} more are not fetched", server.paths.len());
        Ok(())
    }

    /// A file failed; its server may have the others.
    fn fail(&mut self, id: SessionId, message: &str) -> Result<()> {
        self.failed = true;
        eprintln!("{message}");
        self.next_file(id)
    }
}

/// Looks up the address of a server. A lookup takes long, so it comes before the loop.
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
