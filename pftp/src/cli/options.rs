//! The meaning of a command line: complete, checked and without contradictions.

use super::arguments::{Arguments, Mode, Transport, Unshown};
use super::failure::Failure;
use super::sources::{self, Defaults};
use ftp_proto::{Arg, ArgError, RepresentationType, Secret};
use pftp::temporary::{is_temporary, journal_path, part_path};
use pftp::url::{self, FtpUrl, Server};
use pftp::{ErrorKind, Settings, Source, TransportKind};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The download that the user asked for, and how it is shown.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The sources of the file: at least one, in the order given.
    pub(super) sources: Vec<Source>,
    /// The destination of the file.
    pub(super) output: Output,
    /// The settings of the download.
    pub(super) settings: Settings,
    /// The destination of the log of commands and replies.
    pub(super) log: Option<LogTarget>,
    /// Whether neither progress nor notes are shown.
    pub(super) quiet: bool,
    /// Warnings about values that are not used, each a line.
    pub(super) warnings: Vec<String>,
}

/// The destination of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Output {
    /// Standard output, in order.
    Stdout,
    /// A file of this name.
    File(PathBuf),
}

/// The destination of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file of this name.
    File(PathBuf),
}

impl Options {
    /// Resolves a command line and the environment variable `PFTP_PASSWORD`. Reads the config file and the password file, if
    /// there are any, and looks at the destinations, but changes nothing.
    ///
    /// # Errors
    /// A [`Failure`]: of kind syntax for malformed values, of kind local for files on this machine, of kind other for
    /// contradictions.
    pub(super) fn resolve(arguments: &Arguments) -> Result<Self, Failure> {
        Self::resolve_with(arguments, std::env::var_os(VARIABLE))
    }

    /// Resolves a command line with a password from the environment.
    fn resolve_with(arguments: &Arguments, password: Option<OsString>) -> Result<Self, Failure> {
        let log = arguments
            .log
            .as_deref()
            .map(|path| if is_stdout(path) { LogTarget::Stdout } else { LogTarget::File(path.to_owned()) });
        let to_stdout = arguments.output.as_deref().is_some_and(is_stdout);
        if to_stdout && log == Some(LogTarget::Stdout) {
            return Err(Failure::usage("-o - and -l - both want standard output"));
        }
        let defaults = defaults(arguments, password)?;
        let urls = urls(arguments)?;
        let representation = match arguments.mode {
            Some(Mode::Binary) => RepresentationType::Image,
            Some(Mode::Ascii) => RepresentationType::Ascii,
            None => sources::representation(&urls)?.unwrap_or_default(),
        };
        if arguments.checksum.is_some() && representation == RepresentationType::Ascii {
            return Err(Failure::usage(
                "--checksum is for the bytes on the server, which ascii mode changes",
            ));
        }
        let first = urls.first().ok_or_else(|| Failure::usage("no file to fetch"))?;
        let output = if to_stdout { Output::Stdout } else { Output::File(target(arguments, first)?) };
        if let Some(LogTarget::File(path)) = &log {
            check_log(path, &output, arguments)?;
        }
        let mut warnings = Vec::new();
        let connections = connections(arguments, &output, representation, &mut warnings);
        let settings = settings(arguments, representation, connections, log.is_some());
        let sources = sources::merge(&urls, &defaults);
        Ok(Self { sources, output, settings, log, quiet: arguments.quiet, warnings })
    }

    /// Returns the name of the file for messages.
    pub(super) fn name(&self) -> String {
        let name = match (&self.output, self.sources.first()) {
            (Output::File(path), _) => path.file_name().unwrap_or_default().as_bytes(),
            (Output::Stdout, Some(source)) => url::file_name(&source.path),
            (Output::Stdout, None) => b"-",
        };
        String::from_utf8_lossy(name).into_owned()
    }
}

fn settings(
    arguments: &Arguments,
    representation: RepresentationType,
    connections: Option<NonZeroUsize>,
    has_log: bool,
) -> Settings {
    let mut settings = Settings::default();
    settings.connections = connections;
    settings.representation = representation;
    settings.checksum = arguments.checksum.clone();
    settings.resume = !arguments.fresh;
    settings.overwrite = arguments.overwrite;
    settings.transport = match arguments.transport {
        Transport::Std => TransportKind::Std,
        Transport::Mio => TransportKind::Mio,
    };
    settings.timeout = Duration::from_secs(arguments.timeout.into());
    settings.retries = arguments.retries;
    settings.min_segment = arguments.min_segment;
    settings.trust_pasv_address = arguments.trust_pasv_address;
    settings.wire_lines = has_log;
    settings
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn defaults(arguments: &Arguments, environment: Option<OsString>) -> Result<Defaults, Failure> {
    let built_in = Defaults::default();
    let malformed = |option: &str, error: ArgError| {
        Failure::new(ErrorKind::Syntax, format!("the value of {option} {error}"))
    };
    let username = match &arguments.username {
        Some(name) => Arg::new(name.as_bytes().to_vec()).map_err(|error| malformed("-n", error))?,
        None => built_in.username,
    };
    let password = match (&arguments.password, &arguments.password_file) {
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
    Ok(Defaults { port: arguments.port, username, password, user_password })
}

/// The environment variable that holds a password.
const VARIABLE: &str = "PFTP_PASSWORD";

/// Returns the first line of a file, without its line end.
fn password_in(path: &Path) -> Result<Secret, Failure> {
    const LONGEST: u64 = 64 * 1024;
    let cannot = |error: io::Error| Failure::local("cannot read", path, &error);
    let mut line = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    BufReader::new(file.take(LONGEST)).read_until(b'\n', &mut line).map_err(cannot)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let malformed = |what: &dyn Display| {
        Failure::new(ErrorKind::Syntax, format!("{}: the first line {what}", path.display()))
    };
    if line.is_empty() {
        return Err(malformed(&"is empty; a password is expected there"));
    }
    Secret::new(line.to_vec()).map_err(|error| malformed(&error))
}

fn urls(arguments: &Arguments) -> Result<Vec<FtpUrl>, Failure> {
    match (&arguments.config, &arguments.server, &arguments.file) {
        (Some(config), ..) => sources::read_config(config),
        (None, Some(server), Some(file)) => Ok(vec![server_and_file(server, file)?]),
        (None, ..) => sources::parse_urls(arguments.urls.iter().map(Unshown::as_bytes)),
    }
}

/// Returns the URL of `-s` and `-f`. The path has neither escapes nor `;type=`.
fn server_and_file(server: &Unshown, file: &OsStr) -> Result<FtpUrl, Failure> {
    let malformed = |option: &str, error| Failure::new(ErrorKind::Syntax, format!("{option}: {error}"));
    let server = Server::parse(server.as_bytes()).map_err(|error| malformed("-s", error))?;
    let path = url::file_path(file.as_bytes().to_vec()).map_err(|error| malformed("-f", error))?;
    Ok(FtpUrl { server, path, representation: None })
}

/// The reason to refuse a name. A server that chose the name could send a file, or a journal, with which a later download resumes.
const TEMPORARY: &str = "pftp keeps its unfinished files under such names";

/// Returns the final name of the file. A relative path is below the directory of `-d`.
fn target(arguments: &Arguments, url: &FtpUrl) -> Result<PathBuf, Failure> {
    let Some(path) = &arguments.output else {
        let name = url.local_name().map_err(|error| Failure::new(ErrorKind::Syntax, error.to_string()))?;
        if is_temporary(&name) {
            let message = format!("{}: {TEMPORARY}; give it another with -o", name.display());
            return Err(Failure::new(ErrorKind::Syntax, message));
        }
        return Ok(arguments.dir.join(name));
    };
    let target = arguments.dir.join(path);
    if target.file_name().is_some_and(is_temporary) {
        return Err(Failure::new(ErrorKind::Other, format!("-o {}: {TEMPORARY}", path.display())));
    }
    if target.is_dir() || target.as_os_str().as_bytes().ends_with(b"/") {
        let message =
            format!("-o {}: names a directory; -d takes a directory, -o the name of a file", path.display());
        return Err(Failure::new(ErrorKind::Local, message));
    }
    Ok(target)
}

/// Refuses a log that would be written over the file, over a temporary file or journal, or over a file that was read.
fn check_log(log: &Path, output: &Output, arguments: &Arguments) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(ErrorKind::Other, format!("-l {}: {why}", log.display())));
    let of_log = place(log);
    if of_log.file_name().is_some_and(is_temporary) {
        return refuse(TEMPORARY);
    }
    let identity = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    let is_log = |path: &Path| identity(path).is_some_and(|there| identity(log) == Some(there));
    // A terminal may be both read and logged to.
    let was_read = |path: &&PathBuf| path.is_file() && is_log(path);
    if let Some(path) = [&arguments.config, &arguments.password_file].into_iter().flatten().find(was_read) {
        return refuse(&format!("is {}, which is read; give the log another name", path.display()));
    }
    let Output::File(target) = output else { return Ok(()) };
    let beside = [part_path(target), journal_path(target)];
    if of_log == place(target) || is_log(target) || beside.iter().flatten().any(|path| is_log(path)) {
        return refuse("is where the file goes; give the log another name");
    }
    Ok(())
}

/// Returns the directory of `path`.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns the place of a file that is written at `path`, with links followed. The file need not exist.
fn place(path: &Path) -> PathBuf {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = fs::read_link(&path) else { break };
        path = directory(&path).join(link);
    }
    match (fs::canonicalize(directory(&path)), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path,
    }
}

/// Returns the number of connections: one if the bytes have to come in order.
fn connections(
    arguments: &Arguments,
    output: &Output,
    representation: RepresentationType,
    warnings: &mut Vec<String>,
) -> Option<NonZeroUsize> {
    let reason = match (output, representation) {
        (_, RepresentationType::Ascii) => "ascii mode",
        (Output::Stdout, RepresentationType::Image) => "standard output",
        (Output::File(_), RepresentationType::Image) => return arguments.connections,
    };
    if let Some(asked) = arguments.connections.filter(|asked| *asked > NonZeroUsize::MIN) {
        warnings.push(format!("{reason} takes one connection; {asked} were asked for"));
    }
    Some(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests;
