//! Checksums of files: algorithms, text form, hashing.

use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// How a checksum is computed. The order is that of strength, the weakest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Algorithm {
    /// The 16-bit checksum of BSD's `sum`, which is `sum -r` of GNU. Two different files share it once in 65,536 times.
    Sum,
    /// CRC-32 as in gzip (RFC 1952 §8), highest digit first.
    Crc32,
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Algorithm {
    /// All algorithms, the weakest first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Sum, Self::Crc32, Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Returns the name in the text form of a [`Checksum`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Crc32 => "crc32",
            Self::Sum => "sum",
        }
    }

    /// Returns the length of a checksum in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Crc32 => 4,
            Self::Sum => 2,
        }
    }

    /// Returns whether two different files share a checksum by accident too often to prove anything.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Sum | Self::Crc32)
    }
}

/// The checksum that a download is compared with. Parses as `auto`, or as a [`Checksum`] does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    /// The strongest checksum that a server has of the file.
    Auto,
    /// A checksum that is known before the download.
    Given(Checksum),
}

impl Expected {
    /// Returns the checksum if it is known before the download.
    #[must_use]
    pub const fn given(&self) -> Option<&Checksum> {
        match self {
            Self::Auto => None,
            Self::Given(checksum) => Some(checksum),
        }
    }

    /// Returns the algorithms with which the file may have to be hashed.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        self.given().map_or_else(|| Algorithm::ALL.into(), |checksum| vec![checksum.algorithm()])
    }
}

impl FromStr for Expected {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        if text.eq_ignore_ascii_case("auto") { Ok(Self::Auto) } else { text.parse().map(Self::Given) }
    }
}

/// The checksum of a file.
///
/// The text form is the name of the algorithm, `=`, and hexadecimal digits: `crc32=352441c2`. Behind `sum=` it is the
/// decimal number that `sum` prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checksum {
    algorithm: Algorithm,
    value: Vec<u8>,
}

impl Checksum {
    /// Makes a checksum from its bytes; `None` if their number is wrong.
    pub(crate) fn new(algorithm: Algorithm, value: Vec<u8>) -> Option<Self> {
        (value.len() == algorithm.length()).then_some(Self { algorithm, value })
    }

    /// Makes a checksum from the number that BSD's `sum` prints.
    pub(crate) fn from_sum(number: u16) -> Self {
        Self { algorithm: Algorithm::Sum, value: number.to_be_bytes().into() }
    }

    /// Returns the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Hashes `content` to its end.
    ///
    /// # Errors
    /// An error of `content`.
    pub fn of(algorithm: Algorithm, mut content: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; PORTION];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) => hasher.update(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bytes that are read and hashed at a time. This many fit into a processor's cache.
pub(crate) const PORTION: usize = 256 * 1024;

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.algorithm.name())?;
        if let (Algorithm::Sum, [high, low]) = (self.algorithm, self.value.as_slice()) {
            return write!(f, "{:05}", u16::from_be_bytes([*high, *low]));
        }
        self.value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is not a checksum.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The text does not begin with the name of an algorithm and `=`.
    #[error("not ALG=HEX, where ALG is md5, sha1, sha256, sha512, crc32 or sum, and not auto")]
    Algorithm,
    /// The text behind `sum=` is not a number of 16 bits.
    #[error("sum has a number from 0 to 65535")]
    Sum,
    /// The text behind `=` is not as many hexadecimal digits as the algorithm has.
    #[error("{} has {} hexadecimal digits", .0.name(), .0.length() * 2)]
    Value(Algorithm),
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let (name, digits) = text.split_once('=').ok_or(ChecksumError::Algorithm)?;
        let named = |algorithm: &Algorithm| algorithm.name().eq_ignore_ascii_case(name);
        let algorithm = Algorithm::ALL.into_iter().find(named).ok_or(ChecksumError::Algorithm)?;
        if algorithm == Algorithm::Sum {
            let number = digits.parse().ok().filter(|_| !digits.starts_with('+'));
            return number.map(Self::from_sum).ok_or(ChecksumError::Sum);
        }
        let value = parse_hex(digits.as_bytes()).and_then(|value| Self::new(algorithm, value));
        value.ok_or(ChecksumError::Value(algorithm))
    }
}

/// Parses an even number of hexadecimal digits.
pub(crate) fn parse_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.iter().map(digit).collect::<Option<_>>()?;
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

/// The state of a checksum while it is computed.
#[derive(Debug)]
pub(crate) enum Hasher {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Crc32(crc32fast::Hasher),
    Sum(u16),
}

impl Hasher {
    /// Begins with no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Sum => Self::Sum(0),
        }
    }

    /// Hashes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Sum(sum) => {
                let add = |sum: u16, byte: &u8| sum.rotate_right(1).wrapping_add(u16::from(*byte));
                *sum = bytes.iter().fold(*sum, add);
            }
        }
    }

    /// Returns the checksum of the bytes so far.
    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
            Self::Crc32(hasher) => (Algorithm::Crc32, hasher.finalize().to_be_bytes().to_vec()),
            Self::Sum(number) => return Checksum::from_sum(number),
        };
        Checksum { algorithm, value }
    }
}

#[cfg(test)]
mod tests;
