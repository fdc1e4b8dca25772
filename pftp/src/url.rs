//! URLs of files on FTP servers (RFC 1738 §3.2, RFC 3986), and servers given without a path.
//!
//! A URL is read as users type it, even if RFC 3986 reads it in another way: `?` and `#` are ordinary characters of a path, because
//! FTP has neither queries nor fragments and file names hold both. Characters that ought to be escaped may be typed raw; bytes
//! beyond ASCII are taken as they are, which is UTF-8 nearly always.

use ftp_proto::{Arg, ArgError, RepresentationType, Secret};
use percent_encoding::percent_decode;
use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;

/// A file on a server.
///
/// The `url` crate cannot parse such URLs: to it, `ftp` is a "special" scheme of the web, whose paths end at `?` and `#`, turn `\`
/// into `/`, and resolve `..`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FtpUrl {
    /// The server and the login.
    pub server: Server,
    /// The path of the file as the server is asked for it, never ending in `/`. A path that begins with `/` is absolute, any
    /// other is relative to the login directory.
    pub path: Arg,
    /// The type that `;type=` asks for.
    pub representation: Option<RepresentationType>,
}

/// The part of a URL before the path. A part that is left out is `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Name in lower case, or address; an IPv6 address is without brackets.
    pub host: String,
    /// TCP port, never 0.
    pub port: Option<u16>,
    /// User to log in as.
    pub username: Option<Arg>,
    /// Password, which may be empty.
    pub password: Option<Secret>,
}

/// Why text is not the URL of a file. The message quotes no text that may hold a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not begin with `scheme://`.
    #[error("is not a URL: it does not begin with ftp://")]
    NoScheme,
    /// A scheme other than `ftp`, in lower case.
    #[error("the scheme {0} is not supported, only ftp is")]
    Scheme(String),
    /// The host is empty.
    #[error("names no host")]
    NoHost,
    /// The host is neither a host name nor an IPv4 address.
    #[error("the host name holds a character that no host name has")]
    Host,
    /// The host name has characters beyond ASCII.
    #[error("the host name is not ASCII; give its xn-- form")]
    HostNotAscii,
    /// Brackets hold no IPv6 address, or an IPv6 address is not in brackets.
    #[error("an IPv6 address goes in brackets, as in [2001:db8::1]")]
    Ipv6,
    /// An IPv6 address with a zone id.
    #[error("an IPv6 address with a zone (%) is not supported")]
    Zone,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// An `@` has no user before it.
    #[error("the user name is empty")]
    NoUser,
    /// A `%` without two hexadecimal digits behind it.
    #[error("a % is not followed by two hexadecimal digits; a % itself is written %25")]
    Escape,
    /// The user, the password or the path holds CR, LF or NUL.
    #[error("the {0} holds a line end or a NUL character")]
    Control(&'static str),
    /// The path is empty, or the path of a directory.
    #[error("the path does not end in a file name")]
    NoFile,
    /// `;type=d` asks for a directory.
    #[error(";type=d asks for a directory; only files are fetched")]
    Directory,
    /// `;type=` has an unknown value.
    #[error(";type= must be i or a; a ; that belongs to the file name is written %3B")]
    Type,
    /// A server is followed by a path.
    #[error("a path does not belong to the server; give it with -f")]
    Path,
}

impl FtpUrl {
    /// Parses a URL as a user types it.
    ///
    /// # Errors
    /// A [`UrlError`] that says what is wrong.
    pub fn parse(url: &[u8]) -> Result<Self, UrlError> {
        let rest = after_scheme(url)?;
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let server = Server::authority(authority)?;
        let (path, representation) = split_type(path.strip_prefix(b"/").unwrap_or(path))?;
        Ok(Self { server, path: file_path(decode(path)?)?, representation })
    }

    /// Returns the name that the file gets on this machine, unless the user gives another one.
    ///
    /// # Errors
    /// As [`local_name`].
    pub fn local_name(&self) -> Result<OsString, UrlError> {
        local_name(&self.path)
    }
}

impl FromStr for FtpUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::parse(url.as_bytes())
    }
}

impl Server {
    /// Parses a server given alone: `host`, `host:port` or `[address]:port`, with or without `ftp://` and `user:password@` before
    /// it.
    ///
    /// # Errors
    /// A [`UrlError`] that says what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, UrlError> {
        let rest = match after_scheme(text) {
            Err(UrlError::NoScheme) => text,
            other => other?,
        };
        let rest = rest.strip_suffix(b"/").unwrap_or(rest);
        if rest.contains(&b'/') {
            return Err(UrlError::Path);
        }
        if let Some(address) = ipv6(rest) {
            return Ok(Self { host: address, port: None, username: None, password: None });
        }
        Self::authority(rest)
    }

    fn authority(text: &[u8]) -> Result<Self, UrlError> {
        let Some((user_info, location)) = split_last(text, b'@') else {
            let (host, port) = host_and_port(text)?;
            return Ok(Self { host, port, username: None, password: None });
        };
        let (host, port) = host_and_port(location)?;
        let (username, password) = match split_first(user_info, b':') {
            Some((username, password)) => (username, Some(password)),
            None => (user_info, None),
        };
        let username = Arg::new(decode(username)?).map_err(|error| match error {
            ArgError::Empty => UrlError::NoUser,
            ArgError::Byte { .. } => UrlError::Control("user name"),
        })?;
        let password = match password {
            Some(text) => {
                Some(Secret::new(decode(text)?).map_err(|_never_shown| UrlError::Control("password"))?)
            }
            None => None,
        };
        Ok(Self { host, port, username: Some(username), password })
    }
}

/// Checks that `path` is the path of a file: it is not empty, and does not end in `/`, `.` or `..`.
///
/// # Errors
/// [`UrlError::NoFile`] or [`UrlError::Control`].
pub fn file_path(path: Vec<u8>) -> Result<Arg, UrlError> {
    let path = Arg::new(path).map_err(|error| match error {
        ArgError::Empty => UrlError::NoFile,
        ArgError::Byte { .. } => UrlError::Control("path"),
    })?;
    local_name(&path)?;
    Ok(path)
}

/// Returns the last segment of `path`: a name that stays in the directory in which it is used, never empty, `.` or `..`.
///
/// # Errors
/// [`UrlError::NoFile`] if the last segment is no such name.
pub fn local_name(path: &Arg) -> Result<OsString, UrlError> {
    match file_name(path) {
        b"" | b"." | b".." => Err(UrlError::NoFile),
        name => Ok(OsString::from_vec(name.to_vec())),
    }
}

/// Returns the part of `path` after the last `/`.
#[must_use]
pub fn file_name(path: &Arg) -> &[u8] {
    split_last(path.as_bytes(), b'/').map_or(path.as_bytes(), |(_, name)| name)
}

fn after_scheme(url: &[u8]) -> Result<&[u8], UrlError> {
    let at = url.windows(3).position(|part| part == b"://").ok_or(UrlError::NoScheme)?;
    let (scheme, rest) = url.split_at(at);
    if scheme.eq_ignore_ascii_case(b"ftp") {
        return Ok(rest.strip_prefix(b"://").unwrap_or(rest));
    }
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(legal) {
        return Err(UrlError::Scheme(String::from_utf8_lossy(scheme).to_ascii_lowercase()));
    }
    Err(UrlError::NoScheme)
}

fn host_and_port(text: &[u8]) -> Result<(String, Option<u16>), UrlError> {
    if let Some(rest) = text.strip_prefix(b"[") {
        let (address, rest) = split_first(rest, b']').ok_or(UrlError::Ipv6)?;
        if address.contains(&b'%') {
            return Err(UrlError::Zone);
        }
        let host = ipv6(address).ok_or(UrlError::Ipv6)?;
        return match rest.split_first() {
            None => Ok((host, None)),
            Some((b':', digits)) => Ok((host, port(digits)?)),
            Some(_) => Err(UrlError::Ipv6),
        };
    }
    match split_first(text, b':') {
        None => Ok((host(text)?, None)),
        Some((_, rest)) if rest.contains(&b':') => Err(UrlError::Ipv6),
        Some((name, digits)) => Ok((host(name)?, port(digits)?)),
    }
}

fn host(name: &[u8]) -> Result<String, UrlError> {
    if name.is_empty() {
        return Err(UrlError::NoHost);
    }
    if !name.is_ascii() {
        return Err(UrlError::HostNotAscii);
    }
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)) {
        return Err(UrlError::Host);
    }
    Ok(String::from_utf8_lossy(name).to_ascii_lowercase())
}

fn ipv6(text: &[u8]) -> Option<String> {
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_string())
}

/// Parses a port; `None` if nothing follows the colon (RFC 3986 §3.2.3).
fn port(digits: &[u8]) -> Result<Option<u16>, UrlError> {
    if digits.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(digits).map_err(|_not_ascii| UrlError::Port)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(UrlError::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok(Some(port)),
    }
}

/// Takes `;type=` off the end of a path (RFC 1738 §3.2.2).
fn split_type(path: &[u8]) -> Result<(&[u8], Option<RepresentationType>), UrlError> {
    let Some((before, parameter)) = split_last(path, b';') else { return Ok((path, None)) };
    let Some((key, value)) = parameter.split_at_checked(b"type=".len()) else { return Ok((path, None)) };
    if !key.eq_ignore_ascii_case(b"type=") || value.contains(&b'/') {
        return Ok((path, None));
    }
    match value {
        b"i" | b"I" => Ok((before, Some(RepresentationType::Image))),
        b"a" | b"A" => Ok((before, Some(RepresentationType::Ascii))),
        b"d" | b"D" => Err(UrlError::Directory),
        _ => Err(UrlError::Type),
    }
}

fn decode(raw: &[u8]) -> Result<Vec<u8>, UrlError> {
    let escaped = |part: &[u8]| part.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if raw.split(|byte| *byte == b'%').skip(1).all(escaped) {
        Ok(percent_decode(raw).collect())
    } else {
        Err(UrlError::Escape)
    }
}

fn split_first(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |byte| *byte == separator);
    parts.next().zip(parts.next())
}

fn split_last(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.rsplitn(2, |byte| *byte == separator);
    let last = parts.next();
    parts.next().zip(last)
}

#[cfg(test)]
mod tests;
