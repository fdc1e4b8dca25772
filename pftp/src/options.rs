//! What a command line asks for: complete, checked and without contradictions.

use crate::checksum::Expected;
use crate::cli::{Cli, Mode, Transport, Unshown};
use crate::exit::{Failure, Kind};
use crate::sources::{self, Defaults, Source};
use crate::temporary;
use crate::url::{self, FtpUrl, Server};
use ftp_proto::{Arg, ArgError, RepresentationType, Secret};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A download as it is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the file can be had: at least one, in the order given.
    pub sources: Vec<Source>,
    /// Where it goes.
    pub output: Output,
    /// Where the log of commands and replies goes.
    pub log: Option<LogTarget>,
    /// The representation type of the transfer.
    pub representation: RepresentationType,
    /// Connections for the file, all sources together; 1 where nothing else is possible. `None` leaves
    /// it to the planner.
    pub connections: Option<NonZeroUsize>,
    /// No progress for so long is a failure of that connection.
    pub timeout: Duration,
    /// Fresh attempts for each source without progress.
    pub retries: u32,
    /// Size in bytes below which no part is split. `None` leaves it to the planner.
    pub min_segment: Option<NonZeroU64>,
    /// What the file has to have, if it is to be verified.
    pub checksum: Option<Expected>,
    /// Nothing that an earlier run has fetched is used.
    pub fresh: bool,
    /// The file is fetched even if it is here already.
    pub overwrite: bool,
    /// Neither progress nor notes.
    pub quiet: bool,
    /// Whether data connections go to the host that a server's reply to PASV names, and not to the server.
    pub trust_pasv_address: bool,
    /// What drives the sessions.
    pub transport: Transport,
    /// What the user asked for and does not get, each a line.
    pub warnings: Vec<String>,
}

/// The place where the file goes.
pub use crate::local::Place as Output;

/// Where the log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file of this name.
    File(PathBuf),
}

impl Options {
    /// Makes the best of a command line and the environment variable `PFTP_PASSWORD`. Reads the config file and the
    /// password file, if there are any, and looks where files are to go; touches nothing.
    ///
    /// # Errors
    /// A [`Failure`] of kind syntax for what is malformed, of kind local for files here, of kind other for
    /// what contradicts itself.
    pub fn resolve(cli: &Cli) -> Result<Self, Failure> {
        Self::resolve_with(cli, std::env::var_os(VARIABLE))
    }

    /// The same, with a password from the environment.
    fn resolve_with(cli: &Cli, password: Option<OsString>) -> Result<Self, Failure> {
        let log = cli
            .log
            .as_deref()
            .map(|path| if is_stdout(path) { LogTarget::Stdout } else { LogTarget::File(path.to_owned()) });
        let to_stdout = cli.output.as_deref().is_some_and(is_stdout);
        if to_stdout && log == Some(LogTarget::Stdout) {
            return Err(Failure::usage("-o - and -l - both want standard output"));
        }
        let defaults = defaults(cli, password)?;
        let urls = urls(cli)?;
        let representation = match cli.mode {
            Some(Mode::Binary) => RepresentationType::Image,
            Some(Mode::Ascii) => RepresentationType::Ascii,
            None => sources::representation(&urls)?.unwrap_or_default(),
        };
        if cli.checksum.is_some() && representation == RepresentationType::Ascii {
            return Err(Failure::usage(
                "--checksum is for the bytes on the server, which ascii mode changes",
            ));
        }
        let first = urls.first().ok_or_else(|| Failure::usage("no file to fetch"))?;
        let output = if to_stdout { Output::Stdout } else { Output::File(target(cli, first)?) };
        if let Some(LogTarget::File(path)) = &log {
            check_log(path, &output, cli)?;
        }
        let mut warnings = Vec::new();
        let connections = connections(cli, &output, representation, &mut warnings);
        Ok(Self {
            sources: sources::merge(&urls, &defaults),
            output,
            log,
            representation,
            connections,
            timeout: Duration::from_secs(cli.timeout.into()),
            retries: cli.retries,
            min_segment: cli.min_segment,
            checksum: cli.checksum.clone(),
            fresh: cli.fresh,
            overwrite: cli.overwrite,
            quiet: cli.quiet,
            trust_pasv_address: cli.trust_pasv_address,
            transport: cli.transport,
            warnings,
        })
    }

    /// The name of the file, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let name = match (&self.output, self.sources.first()) {
            (Output::File(path), _) => path.file_name().unwrap_or_default().as_bytes(),
            (Output::Stdout, Some(source)) => url::file_name(&source.path),
            (Output::Stdout, None) => b"-",
        };
        String::from_utf8_lossy(name).into_owned()
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn defaults(cli: &Cli, environment: Option<OsString>) -> Result<Defaults, Failure> {
    let built_in = Defaults::default();
    let malformed =
        |option: &str, error: ArgError| Failure::new(Kind::Syntax, format!("the value of {option} {error}"));
    let username = match &cli.username {
        Some(name) => Arg::new(name.as_bytes().to_vec()).map_err(|error| malformed("-n", error))?,
        None => built_in.username,
    };
    let password = match (&cli.password, &cli.password_file) {
        (Some(secret), _) => {
            Some(Secret::new(secret.as_bytes().to_vec()).map_err(|error| malformed("-P", error))?)
        }
        (None, Some(path)) => Some(password_in(path)?),
        (None, None) => None,
    };
    let user_password = match environment {
        Some(secret) => Some(Secret::new(secret.into_vec()).map_err(|error| malformed(VARIABLE, error))?),
        None => None,
    };
    Ok(Defaults { port: cli.port, username, password, user_password })
}

/// The environment variable that holds a password.
const VARIABLE: &str = "PFTP_PASSWORD";

/// The first line of this file, without its end.
fn password_in(path: &Path) -> Result<Secret, Failure> {
    const LONGEST: u64 = 64 * 1024;
    let cannot = |error: io::Error| Failure::local("cannot read", path, &error);
    let mut line = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    BufReader::new(file.take(LONGEST)).read_until(b'\n', &mut line).map_err(cannot)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let malformed =
        |what: &dyn Display| Failure::new(Kind::Syntax, format!("{}: the first line {what}", path.display()));
    if line.is_empty() {
        return Err(malformed(&"is empty; a password is expected there"));
    }
    Secret::new(line.to_vec()).map_err(|error| malformed(&error))
}

fn urls(cli: &Cli) -> Result<Vec<FtpUrl>, Failure> {
    match (&cli.config, &cli.server, &cli.file) {
        (Some(config), ..) => sources::read_config(config),
        (None, Some(server), Some(file)) => Ok(vec![server_and_file(server, file)?]),
        (None, ..) => sources::parse_urls(cli.urls.iter().map(Unshown::as_bytes)),
    }
}

/// The path goes to the server as it is given: no escapes, no `;type=`.
fn server_and_file(server: &Unshown, file: &OsStr) -> Result<FtpUrl, Failure> {
    let malformed = |option: &str, error| Failure::new(Kind::Syntax, format!("{option}: {error}"));
    let server = Server::parse(server.as_bytes()).map_err(|error| malformed("-s", error))?;
    let path = url::file_path(file.as_bytes().to_vec()).map_err(|error| malformed("-f", error))?;
    Ok(FtpUrl { server, path, representation: None })
}

/// Why a name is refused. A server that chose it could bring a file, or a journal, with which a later download goes on.
const TEMPORARY: &str = "pftp keeps its unfinished files under such names";

/// A relative path is below the directory.
fn target(cli: &Cli, url: &FtpUrl) -> Result<PathBuf, Failure> {
    let Some(path) = &cli.output else {
        let name = url.local_name().map_err(|error| Failure::new(Kind::Syntax, error.to_string()))?;
        if temporary::is_temporary(&name) {
            let message = format!("{}: {TEMPORARY}; give it another with -o", name.display());
            return Err(Failure::new(Kind::Syntax, message));
        }
        return Ok(cli.dir.join(name));
    };
    let target = cli.dir.join(path);
    if target.file_name().is_some_and(temporary::is_temporary) {
        return Err(Failure::new(Kind::Other, format!("-o {}: {TEMPORARY}", path.display())));
    }
    if target.is_dir() || target.as_os_str().as_bytes().ends_with(b"/") {
        let message =
            format!("-o {}: names a directory; -d takes a directory, -o the name of a file", path.display());
        return Err(Failure::new(Kind::Local, message));
    }
    Ok(target)
}

/// Refuses a log that would be written over the file, over what of this or another one is here, or over what was read.
fn check_log(log: &Path, output: &Output, cli: &Cli) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(Kind::Other, format!("-l {}: {why}", log.display())));
    let of_log = place(log);
    if of_log.file_name().is_some_and(temporary::is_temporary) {
        return refuse(TEMPORARY);
    }
    let identity = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    let is_log = |path: &Path| identity(path).is_some_and(|there| identity(log) == Some(there));
    // A terminal may well be both.
    let was_read = |path: &&PathBuf| path.is_file() && is_log(path);
    if let Some(path) = [&cli.config, &cli.password_file].into_iter().flatten().find(was_read) {
        return refuse(&format!("is {}, which is read; give the log another name", path.display()));
    }
    let Output::File(target) = output else { return Ok(()) };
    let beside = [temporary::part_path(target), temporary::journal_path(target)];
    if of_log == place(target) || is_log(target) || beside.iter().flatten().any(|path| is_log(path)) {
        return refuse("is where the file goes; give the log another name");
    }
    Ok(())
}

/// Where a file written at `path` is, links followed; also if there is none yet.
fn place(path: &Path) -> PathBuf {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = fs::read_link(&path) else { break };
        path = temporary::directory(&path).join(link);
    }
    match (fs::canonicalize(temporary::directory(&path)), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path,
    }
}

/// One connection where bytes have to come in order.
fn connections(
    cli: &Cli,
    output: &Output,
    representation: RepresentationType,
    warnings: &mut Vec<String>,
) -> Option<NonZeroUsize> {
    let reason = match (output, representation) {
        (_, RepresentationType::Ascii) => "ascii mode",
        (Output::Stdout, RepresentationType::Image) => "standard output",
        (Output::File(_), RepresentationType::Image) => return cli.connections,
    };
    if let Some(asked) = cli.connections.filter(|asked| *asked > NonZeroUsize::MIN) {
        warnings.push(format!("{reason} takes one connection; {asked} were asked for"));
    }
    Some(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests;
