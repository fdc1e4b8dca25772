//! What a file of checksums says of one file. It is read while it comes, a line at a time, and never held.
//!
//! | line | is written by |
//! |---|---|
//! | `hex  name`, `hex *name`; `\hex  na\nme` where the name has a line end or a backslash | `md5sum` and its kin of GNU |
//! | `MD5 (name) = hex`, also without the spaces | the same with `--tag`, BSD's `md5`, `openssl dgst` |
//! | `hex` | whoever has one file in mind |
//! | `12345   678 name` | `sum` of BSD, `sum -r` of GNU: the checksum, and the size in blocks of 1024 bytes |

use super::{Algorithm, Checksum, bytes_of, sum};
use ftp_proto::Escaped;
use std::collections::BTreeMap;
use std::fmt;

/// What a file of checksums is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// The file whose name it begins with: its checksum of this kind.
    Own(Algorithm),
    /// All files of a directory, or of all directories below: their checksums of this kind, `None` for any.
    List(Option<Algorithm>),
}

/// The checksum that a line gives to the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Listed {
    pub(crate) checksum: Checksum,
    /// Its size in blocks of 1024 bytes, the last of which need not be full.
    pub(crate) blocks: Option<u64>,
}

/// Why a file of checksums is of no use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Useless {
    /// No line of it is one of those above.
    Malformed,
    /// It has other files.
    NotListed,
    /// It is for this one.
    Other(Vec<u8>),
    /// It has two checksums for the file.
    Contradictory,
}

impl fmt::Display for Useless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("has no checksum in it"),
            Self::NotListed => f.write_str("does not list the file"),
            Self::Other(name) => write!(f, "is for another file, {}", Escaped(name)),
            Self::Contradictory => f.write_str("has two different checksums for the file"),
        }
    }
}

/// Bytes of a line at most: more than a path can have, escaped. What is longer is no line of a list.
const LONGEST: usize = 8 * 1024;

/// Bytes of a name that messages show at most.
const SHOWN: usize = 200;

/// A file of checksums that is being read.
#[derive(Debug)]
pub(crate) struct Scan {
    form: Form,
    /// The file to find, as the server was asked for it.
    path: Vec<u8>,
    line: Vec<u8>,
    /// The line is too long, and skipped to its end.
    skipping: bool,
    /// Whether the line is the first.
    first: bool,
    /// For each algorithm the best line so far: what it says and how well its name fits; `None` if two say different things.
    found: BTreeMap<Algorithm, (Fit, Option<Listed>)>,
    /// A checksum without a name.
    bare: Option<Listed>,
    /// How many lines there are that are not empty.
    lines: u64,
    /// The first file that it lists and that is not the one.
    other: Option<Vec<u8>>,
}

/// How a listed name fits. The better is greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    /// Only the name fits; a sidecar may name the file where it was made.
    Elsewhere,
    /// The directories before the name fit as well.
    Path,
    /// It is the name.
    Name,
}

impl Scan {
    /// Looks for the file at `path`, which has to name one.
    pub(crate) fn new(form: Form, path: &[u8]) -> Self {
        Self {
            form,
            path: path.to_vec(),
            line: Vec::new(),
            skipping: false,
            first: true,
            found: BTreeMap::new(),
            bare: None,
            lines: 0,
            other: None,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (content, ends) = match piece.strip_suffix(b"\n") {
                Some(content) => (content, true),
                None => (piece, false),
            };
            self.skipping |= self.line.len().saturating_add(content.len()) > LONGEST;
            if !self.skipping {
                self.line.extend_from_slice(content);
            }
            if ends {
                self.end_line();
            }
        }
    }

    /// All has come.
    ///
    /// # Errors
    /// Why it does not help.
    pub(crate) fn finish(mut self) -> Result<Listed, Useless> {
        self.end_line();
        let known = !self.found.is_empty();
        if let Some(listed) = self.found.into_values().rev().find_map(|(_, listed)| listed) {
            return Ok(listed);
        }
        match (self.form, self.bare, self.other) {
            _ if known => Err(Useless::Contradictory),
            (Form::Own(_), Some(listed), None) if self.lines == 1 => Ok(listed),
            (Form::Own(_), _, Some(other)) => Err(Useless::Other(other)),
            (Form::List(_), _, Some(_)) => Err(Useless::NotListed),
            (Form::Own(_) | Form::List(_), _, None) => Err(Useless::Malformed),
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.first) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        let skipped = std::mem::take(&mut self.skipping);
        if skipped || !line.trim_ascii().is_empty() {
            self.lines = self.lines.saturating_add(1);
        }
        if !skipped {
            self.take(line.strip_suffix(b"\r").unwrap_or(&line));
        }
        line.clear();
        self.line = line;
    }

    fn take(&mut self, line: &[u8]) {
        let Some((listed, name)) = read(line, self.form) else { return };
        let Some(name) = name else {
            self.bare = Some(listed);
            return;
        };
        let Some(fit) = self.fit(&name) else {
            self.other.get_or_insert_with(|| name.get(..SHOWN).unwrap_or(&name).to_vec());
            return;
        };
        let best =
            self.found.entry(listed.checksum.algorithm()).or_insert_with(|| (fit, Some(listed.clone())));
        if best.0 < fit {
            *best = (fit, Some(listed));
        } else if best.0 == fit && best.1.as_ref() != Some(&listed) {
            best.1 = None;
        }
    }

    /// How the name fits the file that is looked for, if it does. Where a directory is listed with all below, the last parts of
    /// the path have to be those of the name.
    fn fit(&self, name: &[u8]) -> Option<Fit> {
        let listed = || parts(name);
        let mut wanted = parts(&self.path);
        if listed().next()? != wanted.next()? {
            return None;
        }
        if listed().nth(1).is_none() {
            return Some(Fit::Name);
        }
        let all_fit = listed().skip(1).all(|part| wanted.next() == Some(part));
        let elsewhere = matches!(self.form, Form::Own(_)).then_some(Fit::Elsewhere);
        if all_fit { Some(Fit::Path) } else { elsewhere }
    }
}

/// The parts of a path, the last one first.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// What a line says, and of which file if it names one.
fn read(line: &[u8], form: Form) -> Option<(Listed, Option<Vec<u8>>)> {
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let wanted = match form {
        Form::Own(algorithm) | Form::List(Some(algorithm)) => Some(algorithm),
        Form::List(None) => None,
    };
    let (listed, name) = tagged(line)
        .or_else(|| digits_first(line))
        .or_else(|| if wanted.is_none() { summed(line) } else { None })
        .filter(|(listed, _)| wanted.is_none_or(|wanted| wanted == listed.checksum.algorithm()))?;
    let name = if escaped { unescaped(name) } else { name.to_vec() };
    Some((listed, Some(name).filter(|name| !name.is_empty())))
}

/// `MD5 (name) = hex`.
fn tagged(line: &[u8]) -> Option<(Listed, &[u8])> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let algorithm = algorithm(line.get(..open)?.trim_ascii())?;
    let name = line.get(open.saturating_add(1)..close)?;
    let value = line.get(close.saturating_add(1)..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let checksum = Checksum::new(algorithm, bytes_of(value)?)?;
    Some((Listed { checksum, blocks: None }, name)).filter(|(_, name)| !name.is_empty())
}

/// The algorithm of this name, as BSD, OpenSSL and servers write it.
pub(super) fn algorithm(name: &[u8]) -> Option<Algorithm> {
    let named = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let names: [(Algorithm, &[&str]); 5] = [
        (Algorithm::Crc32, &["CRC32", "CRC-32"]),
        (Algorithm::Md5, &["MD5"]),
        (Algorithm::Sha1, &["SHA1", "SHA-1"]),
        (Algorithm::Sha256, &["SHA256", "SHA-256", "SHA2-256"]),
        (Algorithm::Sha512, &["SHA512", "SHA-512", "SHA2-512"]),
    ];
    names.into_iter().find(|(_, names)| named(names)).map(|(algorithm, _)| algorithm)
}

/// `hex  name`, `hex *name`, `hex`: how many digits there are says which algorithm it is. A CRC-32 has as many as a date.
fn digits_first(line: &[u8]) -> Option<(Listed, &[u8])> {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    let value = bytes_of(digits)?;
    let fits = |algorithm: &Algorithm| algorithm.length() == value.len() && !algorithm.is_weak();
    let algorithm = Algorithm::ALL.into_iter().find(fits)?;
    let name = match rest {
        [_, b' ' | b'*' | b'\t', name @ ..] | [_, name @ ..] => name,
        [] => rest,
    };
    Some((Listed { checksum: Checksum::new(algorithm, value)?, blocks: None }, name))
}

/// `12345   678 name`: five digits, zeros in front.
fn summed(line: &[u8]) -> Option<(Listed, &[u8])> {
    let (number, rest) = line.split_at_checked(5)?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (blocks, name) = rest.split_at(end);
    Some((Listed { checksum: sum(decimal(number)?), blocks: Some(decimal(blocks)?) }, name.get(1..)?))
}

fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// `\n`, `\r` and `\\` as what they stand for.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = name.iter().copied();
    std::iter::from_fn(|| match bytes.next()? {
        b'\\' => bytes.next().map(|byte| match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            other => other,
        }),
        byte => Some(byte),
    })
    .collect()
}

#[cfg(test)]
mod tests;
