//! The command line as it is typed. [`Options`](super::options::Options) are its meaning.

use super::failure::Failure;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Parser, ValueEnum};
use pftp::Expected;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const USAGE: &str = "pftp [OPTIONS] URL...
       pftp [OPTIONS] -s HOST -f FILE
       pftp [OPTIONS] -t CONFIG";

/// Downloads a file from FTP servers, in parallel
///
/// Several URLs are mirrors of one file.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "pftp",
    version,
    override_usage = USAGE,
    args_override_self = true,
    disable_version_flag = true,
    after_long_help = CODES
)]
pub(super) struct Arguments {
    /// The file; several are mirrors
    #[arg(help = "The file: ftp://[user[:password]@]host[:port]/path", value_name = "URL",
        value_parser = unshown(), required_unless_present_any = ["server", "file", "config"])]
    pub(super) urls: Vec<Unshown>,

    /// Server: host, host:port or ftp://host
    #[arg(short, long, value_name = "HOST", value_parser = unshown(), requires = "file",
        conflicts_with_all = ["config", "urls"])]
    pub(super) server: Option<Unshown>,

    /// File on the server, as the server is to be asked for it
    #[arg(short, long, value_name = "FILE", requires = "server", allow_hyphen_values = true,
        conflicts_with_all = ["config", "urls"])]
    pub(super) file: Option<OsString>,

    /// Port for every source that names none
    #[arg(short, long, value_name = "PORT", default_value_t = 21,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,

    /// User for every source that names none [default: anonymous]
    #[arg(short = 'n', long, value_name = "USER", allow_hyphen_values = true)]
    pub(super) username: Option<OsString>,

    /// Password for every source that names none
    #[arg(help = "Password for every source that names none [default: user@localhost.localnet]",
        short = 'P', long, value_name = "PASS", value_parser = unshown(), allow_hyphen_values = true)]
    pub(super) password: Option<Unshown>,

    /// File whose first line is the password, in place of -P: other users can see what a command line says
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub(super) password_file: Option<PathBuf>,

    /// Config file: a URL a line, all of the same file; # begins a comment line
    #[arg(short = 't', long = "thread", value_name = "CONFIG", conflicts_with = "urls")]
    pub(super) config: Option<PathBuf>,

    /// Log of every command and reply; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,

    /// Representation type; ascii converts line ends, over one connection [default: binary]
    #[arg(short, long, value_name = "MODE", ignore_case = true)]
    pub(super) mode: Option<Mode>,

    /// Connections for the file at most, all mirrors together [default: as many as help]
    #[arg(short, long, value_name = "N")]
    pub(super) connections: Option<NonZeroUsize>,

    /// Place of the file, below DIR if relative; - is standard output [default: its name on the server]
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,

    /// Directory for the file
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,

    /// Connect for data to whatever host a server names, in its reply to PASV, and not to the server itself
    #[arg(long)]
    pub(super) trust_pasv_address: bool,

    /// Driver of the connections
    #[arg(long, value_name = "KIND", default_value = "mio")]
    pub(super) transport: Transport,

    /// Seconds without progress after which a connection has failed
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) timeout: u32,

    /// Fresh attempts for each mirror without progress
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) retries: u32,

    /// Size below which no part of the file is split, as in 500K or 4MiB [default: chosen]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(super) min_segment: Option<NonZeroU64>,

    /// Checksum that the file must have: md5, sha1, sha256, sha512 or crc32 and hexadecimal digits, or sum and the number that
    /// "sum -r" prints; auto looks for it on the server
    #[arg(long, value_name = "ALG=HEX|auto")]
    pub(super) checksum: Option<Expected>,

    /// Forget what an earlier run has fetched, and begin anew
    #[arg(long)]
    pub(super) fresh: bool,

    /// Fetch the file even if it is here already, with the size and time that it has on the server
    #[arg(long)]
    pub(super) overwrite: bool,

    /// No progress and no notes; warnings and errors remain
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Print version
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

const CODES: &str = "\
Environment:
  PFTP_PASSWORD  password for every user named without one, unless -P or --password-file
                 gives it; an anonymous login does not get it

Exit codes:
  0    the file is in place, and has the checksum if one was given or found
  1    cannot connect
  2    authentication failed
  3    file not found
  4    malformed URL, config or request
  5    not implemented by the server
  6    not allowed by the server
  7    anything else
  8    the bytes are not those of one file, or do not have the checksum
  9    cannot write the file here
  130  stopped by SIGINT
  143  stopped by SIGTERM";

/// The representation type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Mode {
    /// The bytes as they are stored
    Binary,
    /// Text, line ends converted
    Ascii,
}

/// The transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Transport {
    /// Blocking sockets, a thread for each connection
    Std,
    /// One event loop for all connections
    Mio,
}

/// Text from the command line that may hold a password, and therefore never prints.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Unshown(OsString);

impl Unshown {
    /// Returns the bytes as they were typed.
    #[must_use]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<T: AsRef<OsStr>> From<T> for Unshown {
    fn from(text: T) -> Self {
        Self(text.as_ref().to_owned())
    }
}

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The request of a command line.
#[derive(Clone, Debug)]
pub(super) enum Invocation {
    /// A download.
    Download(Box<Arguments>),
    /// Help or version: text for standard output, and exit code 0.
    Print(String),
}

impl Arguments {
    /// Parses a command line, the name of the program first.
    ///
    /// # Errors
    /// A [`Failure`] that says in one line what is wrong.
    pub(super) fn parse_from_args<T>(args: impl IntoIterator<Item = T>) -> Result<Invocation, Failure>
    where
        T: Into<OsString> + Clone,
    {
        match Self::try_parse_from(args) {
            Ok(cli) => Ok(Invocation::Download(Box::new(cli))),
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                Ok(Invocation::Print(error.render().to_string()))
            }
            Err(error) => Err(Failure::usage(one_line(&error))),
        }
    }
}

/// Returns clap's message without the usage, and without the wrong value, which may be a password behind the wrong option.
fn one_line(error: &clap::Error) -> String {
    let mut text = error.render().to_string();
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        text = text.replacen(&format!("value '{value}' for"), "value for", 1);
        text = text.replacen(&format!(": {value} is "), ": it is ", 1);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let ends = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines = text.lines().take_while(ends).map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ")
}

fn unshown() -> impl TypedValueParser<Value = Unshown> {
    OsStringValueParser::new().map(Unshown)
}

/// Parses a size as the GNU tools do: `K`, `M`, `G`, `T`, and `KiB` and so on are powers of 1024; `KB` and so on are powers of
/// 1000.
fn parse_size(text: &str) -> Result<NonZeroU64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let suffix = suffix.to_ascii_uppercase();
    let base: u64 = match suffix.get(1..) {
        None | Some("" | "I" | "IB") => 1024,
        Some("B") => 1000,
        Some(_) => 0,
    };
    let exponent = match suffix.as_bytes().first() {
        None => Some(0),
        Some(b'B') if suffix.len() == 1 => Some(0),
        Some(letter) => {
            [b'K', b'M', b'G', b'T'].into_iter().zip(1..).find(|(l, _)| l == letter).map(|(_, n)| n)
        }
    };
    let factor = exponent.filter(|_| base > 0).and_then(|exponent| base.checked_pow(exponent));
    let number = digits.parse::<u64>().ok();
    let size = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.and_then(NonZeroU64::new)
        .ok_or_else(|| "not a size; give a number, or one as in 500K or 4MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn arguments(line: &str) -> Arguments {
        match Arguments::parse_from_args(format!("pftp {line}").split(' ')) {
            Ok(Invocation::Download(arguments)) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refusal(line: &str) -> String {
        let failure = Arguments::parse_from_args(line.split_inclusive(' ').map(str::trim)).unwrap_err();
        assert_eq!(failure.code(), 7);
        let shown = failure.to_string();
        assert_eq!(shown.lines().count(), 1, "{shown}");
        shown
    }

    fn printed(line: &str) -> String {
        match Arguments::parse_from_args(line.split(' ')) {
            Ok(Invocation::Print(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn clap_accepts_the_definition() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let arguments = arguments("ftp://h/f");
        assert_eq!(arguments.urls, [Unshown::from("ftp://h/f")]);
        assert_eq!(
            (arguments.port, arguments.timeout, arguments.retries, arguments.quiet),
            (21, 30, 5, false)
        );
        assert_eq!((arguments.mode, arguments.connections, arguments.min_segment), (None, None, None));
        assert_eq!((arguments.dir, arguments.output, arguments.log), (PathBuf::from("."), None, None));
        assert_eq!(arguments.transport, Transport::Mio);
    }

    #[test]
    fn short_options_are_understood() {
        let arguments =
            arguments("-s h:2121 -f /a/b -p 2100 -n bob -P -pw -l - -m ASCII -c 4 -o out -d dir -q");
        assert_eq!((arguments.server, arguments.file), (Some("h:2121".into()), Some("/a/b".into())));
        assert_eq!(
            (arguments.port, arguments.username, arguments.password),
            (2100, Some("bob".into()), Some("-pw".into()))
        );
        assert_eq!((arguments.log, arguments.mode), (Some("-".into()), Some(Mode::Ascii)));
        assert_eq!(arguments.connections, NonZeroUsize::new(4));
        assert_eq!(
            (arguments.output, arguments.dir, arguments.quiet),
            (Some("out".into()), "dir".into(), true)
        );
    }

    #[test]
    fn long_options_are_understood() {
        let arguments = arguments(
            "--server h --file f --port 1 --username u --password p --log l --mode binary \
            --connections 2 --output o --dir d --transport std --timeout 5 --retries 0 \
            --min-segment 1M --quiet --trust-pasv-address",
        );
        assert!(arguments.trust_pasv_address);
        assert_eq!(
            (arguments.timeout, arguments.retries, arguments.min_segment),
            (5, 0, NonZeroU64::new(1 << 20))
        );
    }

    #[test]
    fn config_alone_is_enough() {
        assert_eq!(arguments("--thread mirrors").config, Some("mirrors".into()));
    }

    #[test]
    fn last_of_repeated_options_counts() {
        let arguments = arguments("ftp://a/f -c 2 ftp://b/f -c 3");
        assert_eq!(arguments.urls, [Unshown::from("ftp://a/f"), Unshown::from("ftp://b/f")]);
        assert_eq!(arguments.connections, NonZeroUsize::new(3));
    }

    #[test]
    fn wrong_use_fails_with_one_line() {
        for (line, says) in [
            ("pftp", "<URL>"),
            ("pftp -s h", "--file <FILE>"),
            ("pftp -f f", "--server <HOST>"),
            ("pftp -s h -f f ftp://h/f", "cannot be used with"),
            ("pftp -t c -s h -f f", "cannot be used with"),
            ("pftp -t c -f f", "cannot be used with"),
            ("pftp -t c ftp://h/f", "cannot be used with"),
            ("pftp --bogus ftp://h/f", "--bogus"),
            ("pftp --mod ascii ftp://h/f", "found; a similar argument exists: '--mode'"),
            ("pftp -m fax ftp://h/f", "[possible values: binary, ascii]"),
            ("pftp --transport tokio ftp://h/f", "[possible values: std, mio]"),
            ("pftp -p 0 ftp://h/f", "--port"),
            ("pftp -p 65536 ftp://h/f", "--port"),
            ("pftp -c 0 ftp://h/f", "--connections"),
            ("pftp -c x ftp://h/f", "--connections"),
            ("pftp --timeout 0 ftp://h/f", "--timeout"),
            ("pftp --retries -1 ftp://h/f", "-1"),
            ("pftp --min-segment 1X ftp://h/f", "500K"),
            ("pftp -o", "--output"),
        ] {
            let shown = refusal(line);
            assert!(shown.contains(says), "{line}: {shown}");
            assert!(!shown.contains("Usage") && shown.ends_with("(pftp --help tells more)"), "{shown}");
        }
    }

    #[test]
    fn help_and_version_are_printed() {
        for line in ["pftp -v", "pftp -V", "pftp --version", "pftp -v -s x"] {
            assert_eq!(printed(line), concat!("pftp ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        assert!(printed("pftp -h").contains("-t, --thread <CONFIG>"));
        assert!(printed("pftp --help").contains("Exit codes"));
    }

    #[test]
    fn no_password_is_shown() {
        for line in ["-s bob:hunter2@h -f f -P hunter2", "ftp://bob:hunter2@h/f"] {
            assert!(!format!("{:?}", arguments(line)).contains("hunter2"));
        }
        for line in [
            "pftp -P hunter2 -s bob:hunter2@h ftp://bob:hunter2@h/f -f f --bogus",
            "pftp -p hunter2 ftp://h/f",
            "pftp -p ftp://bob:hunter2@h/f",
            "pftp -c hunter2 ftp://h/f",
            "pftp -m hunter2 ftp://h/f",
            "pftp --transport hunter2 ftp://h/f",
            "pftp --timeout hunter2 ftp://h/f",
            "pftp --retries hunter2 ftp://h/f",
            "pftp --min-segment hunter2 ftp://h/f",
            "pftp --quiet=hunter2 ftp://h/f",
            "pftp --pasword hunter2 ftp://h/f",
            "pftp --pasword=hunter2 ftp://h/f",
            "pftp -P hunter2 --password-file f ftp://h/f",
            "pftp -s h -f f hunter2",
            "pftp -t c hunter2",
            "pftp -Xhunter2 ftp://h/f",
        ] {
            let shown = refusal(line);
            assert!(!shown.contains("hunter2"), "{line}: {shown}");
        }
        let shown = refusal("pftp -p 7654321 ftp://h/f");
        assert!(shown.starts_with("invalid value for '--port <PORT>': it is not in 1..=65535"), "{shown}");
    }

    #[test]
    fn size_has_an_optional_suffix() {
        for (text, size) in [
            ("1", 1),
            ("1b", 1),
            ("500K", 500 << 10),
            ("500k", 500 << 10),
            ("4M", 4 << 20),
            ("4MiB", 4 << 20),
            ("4Mi", 4 << 20),
            ("3G", 3 << 30),
            ("1TiB", 1 << 40),
            ("2KB", 2000),
            ("2mb", 2_000_000),
        ] {
            assert_eq!(parse_size(text).map(NonZeroU64::get), Ok(size), "{text}");
        }
        for text in [
            "",
            "0",
            "0K",
            "K",
            "-1",
            "+1",
            "1.5M",
            "1 M",
            "1Mx",
            "1MiBB",
            "1KK",
            "1Bi",
            "99999999999999999999",
            "99999999T",
            "1Ü",
            "1é",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
