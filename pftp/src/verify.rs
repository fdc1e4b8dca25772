//! Checksums: what is asked for, and what the file has.

mod ahead;
mod verification;

use ahead::Ahead;
pub(crate) use verification::Verification;

use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// CRC-32 as in gzip (RFC 1952 §8), highest digit first.
    Crc32,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Crc32];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Crc32 => "crc32",
        }
    }

    /// Bytes of a checksum.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Crc32 => 4,
        }
    }
}

/// The checksum of a file. Prints and parses as `sha256=` and so on, with hexadecimal digits behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checksum {
    algorithm: Algorithm,
    value: Vec<u8>,
}

impl Checksum {
    /// How it is computed.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// That of everything there is to read.
    ///
    /// # Errors
    /// If it cannot be read.
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

/// Bytes that are hashed at a time: they fit into a cache.
const PORTION: usize = 256 * 1024;

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.algorithm.name())?;
        self.value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is no checksum.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChecksumError {
    /// It does not begin with the name of an algorithm and `=`.
    #[error("not ALG=HEX, where ALG is md5, sha1, sha256, sha512 or crc32")]
    Algorithm,
    /// What is behind that is not the right number of hexadecimal digits.
    #[error("{} has {} hexadecimal digits", .0.name(), .0.length() * 2)]
    Value(Algorithm),
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let (name, digits) = text.split_once('=').ok_or(ChecksumError::Algorithm)?;
        let named = |algorithm: &Algorithm| algorithm.name().eq_ignore_ascii_case(name);
        let algorithm = Algorithm::ALL.into_iter().find(named).ok_or(ChecksumError::Algorithm)?;
        let value = bytes_of(digits).filter(|value| value.len() == algorithm.length());
        Ok(Self { algorithm, value: value.ok_or(ChecksumError::Value(algorithm))? })
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digit = |char: char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.chars().map(digit).collect::<Option<_>>()?;
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

/// A checksum in the making.
#[derive(Debug)]
pub(crate) enum Hasher {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Crc32(crc32fast::Hasher),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
            Self::Crc32(hasher) => (Algorithm::Crc32, hasher.finalize().to_be_bytes().to_vec()),
        };
        Checksum { algorithm, value }
    }
}

#[cfg(test)]
mod tests;
