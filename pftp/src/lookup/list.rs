//! Reads a file of checksums while it comes, a line at a time, so that a long file takes no memory.
//!
//! | line | is written by |
//! |---|---|
//! | `hex  name`, `hex *name`; `\hex  na\nme` if the name has a line end or a backslash | `md5sum` and the like of GNU |
//! | `MD5 (name) = hex`, also without the spaces | GNU with `--tag`, BSD's `md5`, `openssl dgst` |
//! | `hex` | authors of a file of checksums for one file |
//! | `12345   678 name` | BSD's `sum`, GNU's `sum -r`: the checksum, and the size in blocks of 1024 bytes |

use crate::checksum::{Algorithm, Checksum, parse_hex};
use std::collections::BTreeMap;

/// The files for which a file of checksums is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ListForm {
    /// The file with whose name its own name begins. The checksum is of this algorithm.
    Sidecar(Algorithm),
    /// All files of a directory, or of a directory and those below. The checksums are of this algorithm; `None`: of any.
    Directory(Option<Algorithm>),
}

/// The checksum that a line gives to the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    pub(super) checksum: Checksum,
    /// The size of the file in blocks of 1024 bytes, the last of which need not be full.
    pub(super) blocks: Option<u64>,
}

/// Why a file of checksums has no usable checksum of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ListError {
    /// No line is a checksum.
    Malformed,
    /// The checksum is of an algorithm that pftp does not know.
    UnknownAlgorithm,
    /// The list has other files only.
    NotListed,
    /// The file of checksums is for the file of this name, cut to 200 bytes.
    OtherFile(Vec<u8>),
    /// Two lines give different checksums to the file.
    Contradictory,
}

/// Bytes of a line at most: more than an escaped path can have. A longer line is not a line of a list.
const MAX_LINE: usize = 8 * 1024;

/// Bytes of a name that are kept for a message at most.
const MAX_SHOWN: usize = 200;

/// A file of checksums that is being read for the checksum of one file.
#[derive(Debug)]
pub(super) struct ListReader {
    form: ListForm,
    /// The path of the file on the server.
    path: Vec<u8>,
    /// The bytes of the current line so far.
    line: Vec<u8>,
    /// Whether the current line is too long; then it is skipped to its end.
    is_skipping: bool,
    /// Whether the current line is the first.
    is_first: bool,
    /// For each algorithm the line whose name fits best; `None` if two such lines have different checksums.
    found: BTreeMap<Algorithm, (Fit, Option<Listed>)>,
    /// The checksum of the last line without a name.
    unnamed: Option<Listed>,
    /// The number of lines that are not empty.
    lines: u64,
    /// The name of the first other file.
    other: Option<Vec<u8>>,
}

/// How a listed name fits the path of the file. The better fit is greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    /// The last part fits, the directories do not. A sidecar may have the path of the file at its author.
    Elsewhere,
    /// The last part fits and the directories before it, too.
    Path,
    /// The name has no directories and fits.
    Name,
}

impl ListReader {
    /// Begins to read for the file at `path`.
    pub(super) fn new(form: ListForm, path: &[u8]) -> Self {
        Self {
            form,
            path: path.to_vec(),
            line: Vec::new(),
            is_skipping: false,
            is_first: true,
            found: BTreeMap::new(),
            unnamed: None,
            lines: 0,
            other: None,
        }
    }

    /// Reads the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (content, ends) = match piece.strip_suffix(b"\n") {
                Some(content) => (content, true),
                None => (piece, false),
            };
            self.is_skipping |= self.line.len().saturating_add(content.len()) > MAX_LINE;
            if !self.is_skipping {
                self.line.extend_from_slice(content);
            }
            if ends {
                self.end_line();
            }
        }
    }

    /// Returns the strongest checksum of the file, after all bytes were read.
    ///
    /// # Errors
    /// A [`ListError`] if there is none.
    pub(super) fn finish(mut self) -> Result<Listed, ListError> {
        self.end_line();
        let is_listed = !self.found.is_empty();
        if let Some(listed) = self.found.into_values().rev().find_map(|(_, listed)| listed) {
            return Ok(listed);
        }
        match (self.form, self.unnamed, self.other) {
            _ if is_listed => Err(ListError::Contradictory),
            (ListForm::Sidecar(_), Some(listed), None) if self.lines == 1 => Ok(listed),
            (ListForm::Sidecar(_), _, Some(other)) => Err(ListError::OtherFile(other)),
            (ListForm::Directory(_), _, Some(_)) => Err(ListError::NotListed),
            (ListForm::Sidecar(_) | ListForm::Directory(_), _, None) => Err(ListError::Malformed),
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_first) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        let skipped = std::mem::take(&mut self.is_skipping);
        if skipped || !line.trim_ascii().is_empty() {
            self.lines = self.lines.saturating_add(1);
        }
        if !skipped {
            self.read_line(line.strip_suffix(b"\r").unwrap_or(&line));
        }
        line.clear();
        self.line = line;
    }

    fn read_line(&mut self, line: &[u8]) {
        let Some((listed, name)) = parse(line, self.form) else { return };
        let Some(name) = name else {
            self.unnamed = Some(listed);
            return;
        };
        let Some(fit) = self.fit(&name) else {
            self.other.get_or_insert_with(|| name.get(..MAX_SHOWN).unwrap_or(&name).to_vec());
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

    /// Returns how well a listed name fits the path of the file, if it does. All parts of the name have to be the last parts
    /// of the path, because a list may have files of several directories.
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
        let elsewhere = matches!(self.form, ListForm::Sidecar(_)).then_some(Fit::Elsewhere);
        if all_fit { Some(Fit::Path) } else { elsewhere }
    }
}

/// Returns the parts of a path, the last one first.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Parses a line: a checksum, and the name of its file if the line has one.
fn parse(line: &[u8], form: ListForm) -> Option<(Listed, Option<Vec<u8>>)> {
    let (line, is_escaped) = match line.strip_prefix(b"\\") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let wanted = match form {
        ListForm::Sidecar(algorithm) | ListForm::Directory(Some(algorithm)) => Some(algorithm),
        ListForm::Directory(None) => None,
    };
    let (listed, name) = tagged(line)
        .or_else(|| plain(line))
        .or_else(|| if wanted.is_none() { bsd_sum(line) } else { None })
        .filter(|(listed, _)| wanted.is_none_or(|wanted| wanted == listed.checksum.algorithm()))?;
    let name = if is_escaped { unescaped(name) } else { name.to_vec() };
    Some((listed, Some(name).filter(|name| !name.is_empty())))
}

/// Parses `MD5 (name) = hex`.
fn tagged(line: &[u8]) -> Option<(Listed, &[u8])> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let algorithm = algorithm_named(line.get(..open)?.trim_ascii())?;
    let name = line.get(open.saturating_add(1)..close)?;
    let value = line.get(close.saturating_add(1)..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let checksum = Checksum::new(algorithm, parse_hex(value)?)?;
    Some((Listed { checksum, blocks: None }, name)).filter(|(_, name)| !name.is_empty())
}

/// Returns the algorithm with this name, as BSD, OpenSSL and servers write it.
pub(super) fn algorithm_named(name: &[u8]) -> Option<Algorithm> {
    let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let names: [(Algorithm, &[&str]); 5] = [
        (Algorithm::Crc32, &["CRC32", "CRC-32"]),
        (Algorithm::Md5, &["MD5"]),
        (Algorithm::Sha1, &["SHA1", "SHA-1"]),
        (Algorithm::Sha256, &["SHA256", "SHA-256", "SHA2-256"]),
        (Algorithm::Sha512, &["SHA512", "SHA-512", "SHA2-512"]),
    ];
    names.into_iter().find(|(_, names)| is_one_of(names)).map(|(algorithm, _)| algorithm)
}

/// Parses `hex  name`, `hex *name` or `hex`. The number of digits tells the algorithm; a CRC-32 is not taken, because a date
/// has as many digits.
fn plain(line: &[u8]) -> Option<(Listed, &[u8])> {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    let value = parse_hex(digits)?;
    let fits = |algorithm: &Algorithm| algorithm.length() == value.len() && !algorithm.is_weak();
    let algorithm = Algorithm::ALL.into_iter().find(fits)?;
    let name = match rest {
        [_, b' ' | b'*' | b'\t', name @ ..] | [_, name @ ..] => name,
        [] => rest,
    };
    Some((Listed { checksum: Checksum::new(algorithm, value)?, blocks: None }, name))
}

/// Parses `12345   678 name`. The first number has five digits, with zeros in front.
fn bsd_sum(line: &[u8]) -> Option<(Listed, &[u8])> {
    let (number, rest) = line.split_at_checked(5)?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (blocks, name) = rest.split_at(end);
    Some((
        Listed { checksum: Checksum::from_sum(decimal(number)?), blocks: Some(decimal(blocks)?) },
        name.get(1..)?,
    ))
}

/// Parses decimal digits without a sign.
fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// Replaces the escapes `\n`, `\r` and `\\` of GNU.
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
