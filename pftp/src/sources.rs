//! Where the file can be had: from URLs, or from a config file with one URL a line.

use crate::exit::{Failure, Kind};
use crate::url::{self, FtpUrl, UrlError};
use ftp_proto::{Arg, Config, Escaped, RepresentationType, Secret};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// One server that has the file, and how to get at it there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Name in lower case, or address; an IPv6 address is without brackets.
    pub host: String,
    /// TCP port of the control connection.
    pub port: u16,
    /// User to log in as.
    pub username: Arg,
    /// Password.
    pub password: Secret,
    /// The file on that server.
    pub path: Arg,
    /// How often the source was named: as many connections it should get at least.
    pub connections: usize,
}

impl Source {
    /// The server as messages name it: the host, and the port unless it is FTP's own.
    #[must_use]
    pub fn server(&self) -> String {
        match (self.port, self.host.contains(':')) {
            (FTP, _) => self.host.clone(),
            (port, true) => format!("[{}]:{port}", self.host),
            (port, false) => format!("{}:{port}", self.host),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.username, &self.password, &self.path)
            == (&other.host, other.port, &other.username, &other.password, &other.path)
    }
}

const FTP: u16 = 21;

/// What a source has that does not name it.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Port.
    pub port: u16,
    /// User.
    pub username: Arg,
    /// Password; `None` is [`user_password`](Self::user_password) for whoever has a name, and what an anonymous login
    /// wants for the others.
    pub password: Option<Secret>,
    /// Password of those who log in under a name of their own. It is of no use to an anonymous login, and none of that
    /// server's business.
    pub user_password: Option<Secret>,
}

impl Defaults {
    fn password(&self, username: &Arg) -> Secret {
        let anonymous = ANONYMOUS.iter().any(|name| username.as_bytes().eq_ignore_ascii_case(name));
        let of_user = self.user_password.as_ref().filter(|_| !anonymous);
        self.password.as_ref().or(of_user).cloned().unwrap_or_else(|| Config::default().password)
    }
}

/// The users who log in with any password (RFC 1635).
const ANONYMOUS: [&[u8]; 2] = [b"anonymous", b"ftp"];

impl Default for Defaults {
    /// Port 21 and anonymous login.
    fn default() -> Self {
        Self { port: FTP, username: Config::default().username, password: None, user_password: None }
    }
}

/// The sources that `urls` name, in the order of their first appearance. Equal ones become one with as many
/// connections.
#[must_use]
pub fn merge(urls: &[FtpUrl], defaults: &Defaults) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for FtpUrl { server, path, .. } in urls {
        let username = server.username.as_ref().unwrap_or(&defaults.username).clone();
        let source = Source {
            host: server.host.clone(),
            port: server.port.unwrap_or(defaults.port),
            password: server.password.clone().unwrap_or_else(|| defaults.password(&username)),
            username,
            path: path.clone(),
            connections: 1,
        };
        match sources.iter_mut().find(|known| known.is_same(&source)) {
            Some(known) => known.connections = known.connections.saturating_add(1),
            None => sources.push(source),
        }
    }
    sources
}

/// The representation type that `urls` ask for with `;type=`, if any does.
///
/// # Errors
/// A [`Failure`] if they do not agree.
pub fn representation(urls: &[FtpUrl]) -> Result<Option<RepresentationType>, Failure> {
    let mut asked = urls.iter().filter_map(|url| url.representation);
    let first = asked.next();
    if asked.any(|other| Some(other) != first) {
        let message = "some of the URLs say ;type=i and some ;type=a; choose with -m";
        return Err(Failure::new(Kind::Syntax, message));
    }
    Ok(first)
}

/// URLs at most: far more than a file has mirrors. Planning takes time that grows with their number, and each server's name
/// a thread.
pub const MOST: usize = 256;

/// Parses the URLs of a command line, which are mirrors of one file: [`MOST`] of them, no more.
///
/// # Errors
/// A [`Failure`] says which of them is wrong and why.
pub fn parse_urls<'a>(urls: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Vec<FtpUrl>, Failure> {
    let count = urls.len();
    if count > MOST {
        return Err(Failure::new(Kind::Syntax, format!("{count} URLs: no more than {MOST} may be given")));
    }
    let parse = |(at, text): (usize, &[u8])| {
        FtpUrl::parse(text).map_err(|error| {
            let which = if count == 1 { "the URL".to_owned() } else { format!("URL {} of {count}", at + 1) };
            Failure::new(Kind::Syntax, format!("{which}: {error}"))
        })
    };
    urls.enumerate().map(parse).collect()
}

/// Bytes of a config file: more than anyone has mirrors for, and an end to what is none.
const LARGEST: u64 = 1024 * 1024;

/// Reads and parses a config file.
///
/// # Errors
/// A [`Failure`]: of kind local if the file cannot be read, of kind syntax if it is larger than 1 MiB, else with the number of the wrong line.
pub fn read_config(path: &Path) -> Result<Vec<FtpUrl>, Failure> {
    let cannot = |error: io::Error| Failure::local("cannot read", path, &error);
    let mut text = Vec::new();
    File::open(path).map_err(cannot)?.take(LARGEST + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > LARGEST {
        let message = format!("{}: is larger than a config file may be: {LARGEST} bytes", path.display());
        return Err(Failure::new(Kind::Syntax, message));
    }
    parse_config(&text).map_err(|error| Failure::new(Kind::Syntax, format!("{}: {error}", path.display())))
}

/// Why a config file is refused. It quotes nothing in which a password could be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A line is no URL of a file.
    #[error("line {line}: {error}")]
    Url {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
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
    /// A line has one URL more than there may be.
    #[error("line {line}: is one more URL than the {MOST} that may be given")]
    Many {
        /// Number of the line, from 1.
        line: usize,
    },
    /// There is no URL in it.
    #[error("names no server")]
    Empty,
}

/// Parses the text of a config file: a URL a line, at most [`MOST`] of them; blank lines and lines that begin with `#` are
/// skipped, and so is white space around a URL.
///
/// # Errors
/// [`ConfigError`] for the first line that is wrong.
pub fn parse_config(text: &[u8]) -> Result<Vec<FtpUrl>, ConfigError> {
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
    fn a_config_file() {
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
    fn a_hash_belongs_to_a_path() {
        let urls = parse_config(b"ftp://a/f#1 # x\n").unwrap();
        assert_eq!(urls[0].path.as_bytes(), b"f#1 # x");
    }

    #[test]
    fn a_refused_config_names_the_line() {
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
    fn equal_sources_are_one() {
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
    fn a_wrong_url_is_told_apart() {
        let fail = |texts: &[&str]| parse_urls(texts.iter().map(|text| text.as_bytes())).unwrap_err();
        assert_eq!(fail(&["ftp://a/"]).to_string(), "the URL: the path does not end in a file name");
        assert_eq!(
            fail(&["ftp://a/f", "x"]).to_string(),
            "URL 2 of 2: is not a URL: it does not begin with ftp://"
        );
        assert_eq!(fail(&["x"]).kind(), Kind::Syntax);
    }

    #[test]
    fn urls_have_an_end() {
        let text = "# x\n".to_owned() + &"ftp://a/f\n\n".repeat(MOST);
        assert_eq!(parse_config(text.as_bytes()).unwrap().len(), MOST);
        let says = "line 514: is one more URL than the 256 that may be given";
        assert_eq!(refusal(&format!("{text}ftp://b/f\nhttp://c/f\n")), says);
        let url = "ftp://a/f".as_bytes();
        assert_eq!(parse_urls(vec![url; MOST].into_iter()).unwrap().len(), MOST);
        let failure = parse_urls(vec![url; MOST + 1].into_iter()).unwrap_err();
        assert_eq!(failure.kind(), Kind::Syntax);
        assert_eq!(failure.to_string(), "257 URLs: no more than 256 may be given");
    }

    #[test]
    fn types_have_to_agree() {
        assert_eq!(representation(&urls(&["ftp://a/f", "ftp://b/f"])).unwrap(), None);
        assert_eq!(
            representation(&urls(&["ftp://a/f", "ftp://b/f;type=a"])).unwrap(),
            Some(RepresentationType::Ascii)
        );
        assert!(representation(&urls(&["ftp://a/f;type=i", "ftp://b/f;type=a"])).is_err());
    }

    #[test]
    fn a_config_that_cannot_be_read_is_a_local_failure() {
        let failure = read_config(Path::new("/nonexistent/mirrors.conf")).unwrap_err();
        assert_eq!(failure.kind(), Kind::Local);
        assert!(failure.to_string().contains("/nonexistent/mirrors.conf"));
    }
}
