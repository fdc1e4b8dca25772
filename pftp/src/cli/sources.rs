//! The sources of the file: from URLs, or from a config file with one URL a line.

use super::failure::Failure;
use ftp_proto::{Arg, Config, Escaped, RepresentationType, Secret};
use pftp::url::{self, FtpUrl, UrlError};
use pftp::{ErrorKind, Source};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The parts of a source that its URL may leave out.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    /// Port.
    pub(super) port: u16,
    /// User.
    pub(super) username: Arg,
    /// Password; `None`: [`user_password`](Self::user_password) for a named user, and the usual password for an anonymous login.
    pub(super) password: Option<Secret>,
    /// Password of named users. The server of an anonymous login must not see it.
    pub(super) user_password: Option<Secret>,
}

impl Defaults {
    fn password(&self, username: &Arg) -> Secret {
        let anonymous = ANONYMOUS.iter().any(|name| username.as_bytes().eq_ignore_ascii_case(name));
        let of_user = self.user_password.as_ref().filter(|_| !anonymous);
        self.password.as_ref().or(of_user).cloned().unwrap_or_else(|| Config::default().password)
    }
}

/// The names of users that log in with any password (RFC 1635).
const ANONYMOUS: [&[u8]; 2] = [b"anonymous", b"ftp"];

impl Default for Defaults {
    /// Port 21 and anonymous login.
    fn default() -> Self {
        Self { port: Source::PORT, username: Config::default().username, password: None, user_password: None }
    }
}

/// Returns the sources that `urls` name, in the order of their first appearance. Equal sources become one source with as many
/// connections.
pub(super) fn merge(urls: &[FtpUrl], defaults: &Defaults) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for FtpUrl { server, path, .. } in urls {
        let username = server.username.as_ref().unwrap_or(&defaults.username).clone();
        let mut source = Source::new(server.host.clone(), path.clone());
        source.port = server.port.unwrap_or(defaults.port);
        source.password = server.password.clone().unwrap_or_else(|| defaults.password(&username));
        source.username = username;
        match sources.iter_mut().find(|known| is_same(known, &source)) {
            Some(known) => known.connections = known.connections.saturating_add(1),
            None => sources.push(source),
        }
    }
    sources
}

/// Returns the representation type that `urls` ask for with `;type=`, if there is one.
///
/// # Errors
/// A [`Failure`] if two URLs ask for different types.
pub(super) fn representation(urls: &[FtpUrl]) -> Result<Option<RepresentationType>, Failure> {
    let mut asked = urls.iter().filter_map(|url| url.representation);
    let first = asked.next();
    if asked.any(|other| Some(other) != first) {
        let message = "some of the URLs say ;type=i and some ;type=a; choose with -m";
        return Err(Failure::new(ErrorKind::Syntax, message));
    }
    Ok(first)
}

/// URLs at most: far more than a file has mirrors. The engine takes time that grows with their number, and the look-up of each
/// server's name takes a thread.
const MOST: usize = 256;

/// Parses the URLs of a command line, which are mirrors of one file: [`MOST`] at most.
///
/// # Errors
/// A [`Failure`] that says which URL is wrong and why.
pub(super) fn parse_urls<'a>(urls: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Vec<FtpUrl>, Failure> {
    let count = urls.len();
    if count > MOST {
        return Err(Failure::new(
            ErrorKind::Syntax,
            format!("{count} URLs: no more than {MOST} may be given"),
        ));
    }
    let parse = |(at, text): (usize, &[u8])| {
        FtpUrl::parse(text).map_err(|error| {
            let which = if count == 1 { "the URL".to_owned() } else { format!("URL {} of {count}", at + 1) };
            Failure::new(ErrorKind::Syntax, format!("{which}: {error}"))
        })
    };
    urls.enumerate().map(parse).collect()
}

/// Bytes of a config file at most, in case that the path leads to another file.
const LARGEST: u64 = 1024 * 1024;

/// Reads and parses a config file.
///
/// # Errors
/// A [`Failure`]: of kind local if the file cannot be read, of kind syntax if the file is larger than 1 MiB, or with the number of
/// the wrong line.
pub(super) fn read_config(path: &Path) -> Result<Vec<FtpUrl>, Failure> {
    let cannot = |error: io::Error| Failure::local("cannot read", path, &error);
    let mut text = Vec::new();
    File::open(path).map_err(cannot)?.take(LARGEST + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > LARGEST {
        let message = format!("{}: is larger than a config file may be: {LARGEST} bytes", path.display());
        return Err(Failure::new(ErrorKind::Syntax, message));
    }
    parse_config(&text)
        .map_err(|error| Failure::new(ErrorKind::Syntax, format!("{}: {error}", path.display())))
}

/// Why a config file is refused. The message quotes no text that may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum ConfigError {
    /// A line is not the URL of a file.
    #[error("line {line}: {error}")]
    Url {
        /// Number of the line, from 1.
        line: usize,
        /// The reason.
        error: UrlError,
    },
    /// A line names another file than the first.
    #[error("line {line}: names the file {name}, but line {first_line} names {first_name}")]
    Name {
        /// Number of the line, from 1.
        line: usize,
        /// The file name there, safe to show.
        name: String,
        /// Number of the first line with a URL.
        first_line: usize,
        /// The file name there, safe to show.
        first_name: String,
    },
    /// A line has one URL more than allowed.
    #[error("line {line}: is one more URL than the {MOST} that may be given")]
    Many {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The file has no URL.
    #[error("names no server")]
    Empty,
}

/// Parses the text of a config file: a URL a line, [`MOST`] at most. Blank lines and lines that begin with `#` are skipped, and so
/// is white space around a URL.
///
/// # Errors
/// A [`ConfigError`] for the first wrong line.
pub(super) fn parse_config(text: &[u8]) -> Result<Vec<FtpUrl>, ConfigError> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut urls: Vec<FtpUrl> = Vec::new();
    let mut first_line = 0;
    for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        if urls.len() == MOST {
            return Err(ConfigError::Many { line });
        }
        let url = FtpUrl::parse(text).map_err(|error| ConfigError::Url { line, error })?;
        match urls.first() {
            None => first_line = line,
            Some(first) if url::file_name(&first.path) != url::file_name(&url.path) => {
                let shown = |url: &FtpUrl| Escaped(url::file_name(&url.path)).to_string();
                let (name, first_name) = (shown(&url), shown(first));
                return Err(ConfigError::Name { line, name, first_line, first_name });
            }
            Some(_) => {}
        }
        urls.push(url);
    }
    if urls.is_empty() { Err(ConfigError::Empty) } else { Ok(urls) }
}

fn is_same(one: &Source, other: &Source) -> bool {
    (&one.host, one.port, &one.username, &one.password, &one.path)
        == (&other.host, other.port, &other.username, &other.password, &other.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> Vec<FtpUrl> {
        parse_urls(texts.iter().map(|text| text.as_bytes())).unwrap()
    }

    fn refusal(text: &str) -> String {
        parse_config(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn config_file_has_a_url_a_line() {
        let text = "\u{feff}# mirrors\r\n\r\nftp://a/dir/f\r\n  \t# more\n\n\tftp://bob:pw@b:2121/f  \nftp://a/dir/f";
        let sources = merge(&parse_config(text.as_bytes()).unwrap(), &Defaults::default());
        let seen: Vec<_> = sources.iter().map(|source| (source.server(), source.connections)).collect();
        assert_eq!(seen, [("a".to_owned(), 2), ("b:2121".to_owned(), 1)]);
        assert_eq!(sources[0].path.as_bytes(), b"dir/f");
        assert_eq!(sources[0].username.as_bytes(), b"anonymous");
        assert_eq!(sources[0].password.expose(), b"user@localhost.localnet");
        assert_eq!(sources[1].username.as_bytes(), b"bob");
        assert_eq!(sources[1].password.expose(), b"pw");
    }

    #[test]
    fn hash_sign_after_a_url_belongs_to_the_path() {
        let urls = parse_config(b"ftp://a/f#1 # x\n").unwrap();
        assert_eq!(urls[0].path.as_bytes(), b"f#1 # x");
    }

    #[test]
    fn refused_config_names_the_line() {
        assert_eq!(
            refusal("ftp://a/f\n\nhttp://b/f\n"),
            "line 3: the scheme http is not supported, only ftp is"
        );
        assert_eq!(
            refusal("# x\r\nftp://a/dir/f\r\nftp://b/f\r\nftp://c/g\x1b\r\n"),
            "line 4: names the file g\\u{1b}, but line 2 names f"
        );
        assert_eq!(refusal("ftp://bob:hunter2@a:x/f"), "line 1: the port is not a number from 1 to 65535");
        assert_eq!(
            refusal("ftp://a/f\nftp://b/f%0d\n"),
            "line 2: the path holds a line end or a NUL character"
        );
        assert_eq!(refusal("ftp://a/f\nftp://b/\n"), "line 2: the path does not end in a file name");
        assert_eq!(refusal(""), "names no server");
        assert_eq!(refusal("# nothing\n\n"), "names no server");
    }

    #[test]
    fn no_refusal_shows_a_password() {
        for line in [
            "ftp://bob:hunter2@a/",
            "ftp://bob:hunter2@/f",
            "ftp://bob:hunter2@[::1/f",
            "ftp://bob:hunter2/x@a/f",
            "ftp://bob:hunter2%@a/f",
            "ftp://bob:hunter2%0a@a/f",
            "bob:hunter2@a/f",
            "http://bob:hunter2@a/f",
            "ftp://bob:hunter2@a/g",
        ] {
            let shown = refusal(&format!("ftp://a/f\n{line}\n"));
            assert!(shown.starts_with("line 2: ") && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn equal_sources_become_one_with_more_connections() {
        let defaults = Defaults { port: 2121, ..Defaults::default() };
        let named = urls(&[
            "ftp://A/f",
            "ftp://anonymous@a:2121/f",
            "ftp://a:21/f",
            "ftp://bob@a/f",
            "ftp://bob:@a/f",
            "ftp://a/d/f",
            "ftp://[::1]/f",
            "ftp://[0::1]:2121/g",
        ]);
        let sources = merge(&named, &defaults);
        let seen: Vec<_> = sources.iter().map(|source| (source.server(), source.connections)).collect();
        let want = [
            ("a:2121", 2),
            ("a", 1),
            ("a:2121", 1),
            ("a:2121", 1),
            ("a:2121", 1),
            ("[::1]:2121", 1),
            ("[::1]:2121", 1),
        ];
        assert_eq!(seen, want.map(|(server, connections)| (server.to_owned(), connections)));
    }

    #[test]
    fn wrong_url_is_named_by_its_number() {
        let fail = |texts: &[&str]| parse_urls(texts.iter().map(|text| text.as_bytes())).unwrap_err();
        assert_eq!(fail(&["ftp://a/"]).to_string(), "the URL: the path does not end in a file name");
        assert_eq!(
            fail(&["ftp://a/f", "x"]).to_string(),
            "URL 2 of 2: is not a URL: it does not begin with ftp://"
        );
        assert_eq!(fail(&["x"]).kind(), Some(ErrorKind::Syntax));
    }

    #[test]
    fn more_urls_than_allowed_are_refused() {
        let text = "# x\n".to_owned() + &"ftp://a/f\n\n".repeat(MOST);
        assert_eq!(parse_config(text.as_bytes()).unwrap().len(), MOST);
        let says = "line 514: is one more URL than the 256 that may be given";
        assert_eq!(refusal(&format!("{text}ftp://b/f\nhttp://c/f\n")), says);
        let url = "ftp://a/f".as_bytes();
        assert_eq!(parse_urls(vec![url; MOST].into_iter()).unwrap().len(), MOST);
        let failure = parse_urls(vec![url; MOST + 1].into_iter()).unwrap_err();
        assert_eq!(failure.kind(), Some(ErrorKind::Syntax));
        assert_eq!(failure.to_string(), "257 URLs: no more than 256 may be given");
    }

    #[test]
    fn urls_with_different_types_are_refused() {
        assert_eq!(representation(&urls(&["ftp://a/f", "ftp://b/f"])).unwrap(), None);
        assert_eq!(
            representation(&urls(&["ftp://a/f", "ftp://b/f;type=a"])).unwrap(),
            Some(RepresentationType::Ascii)
        );
        assert!(representation(&urls(&["ftp://a/f;type=i", "ftp://b/f;type=a"])).is_err());
    }

    #[test]
    fn config_that_cannot_be_read_is_a_local_failure() {
        let failure = read_config(Path::new("/nonexistent/mirrors.conf")).unwrap_err();
        assert_eq!(failure.kind(), Some(ErrorKind::Local));
        assert!(failure.to_string().contains("/nonexistent/mirrors.conf"));
    }
}
