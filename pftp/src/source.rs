//! A file on a server.

use crate::url::{FtpUrl, UrlError};
use ftp_proto::{Arg, Config, Secret};

/// A file on a server. Several sources of one download are mirrors.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Source {
    /// Name of the server in lower case, or its address; an IPv6 address is without brackets.
    pub host: String,
    /// TCP port of the control connection.
    pub port: u16,
    /// User to log in as.
    pub username: Arg,
    /// Password.
    pub password: Secret,
    /// Path of the file on the server. A path that does not begin with `/` starts at the login directory.
    pub path: Arg,
    /// Connections that the source gets at the start, if [`Settings::connections`](crate::Settings::connections) allows.
    pub connections: usize,
}

impl Source {
    /// Port of FTP.
    pub const PORT: u16 = 21;

    /// Makes a source with port 21, an anonymous login and one connection.
    #[must_use]
    pub fn new(host: impl Into<String>, path: Arg) -> Self {
        let Config { username, password, .. } = Config::default();
        Self { host: host.into(), port: Self::PORT, username, password, path, connections: 1 }
    }

    /// Parses a URL, as in `ftp://user:password@host:port/path`.
    ///
    /// # Errors
    /// A [`UrlError`] if the text is not the URL of a file.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        url.parse::<FtpUrl>().map(Self::from)
    }

    /// Returns the name of the server in messages: the host, and the port unless it is 21.
    #[must_use]
    pub fn server(&self) -> String {
        match (self.port, self.host.contains(':')) {
            (Self::PORT, _) => self.host.clone(),
            (port, true) => format!("[{}]:{port}", self.host),
            (port, false) => format!("{}:{port}", self.host),
        }
    }
}

impl From<FtpUrl> for Source {
    /// Fills in port 21 and an anonymous login. The `;type=` of the URL is for
    /// [`Settings::representation`](crate::Settings::representation).
    fn from(FtpUrl { server, path, .. }: FtpUrl) -> Self {
        let mut source = Self::new(server.host, path);
        source.port = server.port.unwrap_or(source.port);
        source.username = server.username.unwrap_or(source.username);
        source.password = server.password.unwrap_or(source.password);
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_without_login_is_anonymous() {
        let source = Source::parse("ftp://HOST/dir/f").unwrap();
        assert_eq!((source.server().as_str(), source.path.as_bytes()), ("host", &b"dir/f"[..]));
        assert_eq!(source.username.as_bytes(), b"anonymous");
        let source = Source::parse("ftp://bob:pw@[::1]:2121//f").unwrap();
        assert_eq!((source.server().as_str(), source.path.as_bytes()), ("[::1]:2121", &b"/f"[..]));
        assert_eq!((source.username.as_bytes(), source.password.expose()), (&b"bob"[..], &b"pw"[..]));
        assert_eq!(Source::parse("ftp://host/").unwrap_err(), UrlError::NoFile);
    }
}
