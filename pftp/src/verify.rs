//! Checksums: what is asked for, what servers say, and what the file has.

mod ahead;
mod inquiry;
mod scan;
mod verification;

use ahead::Ahead;
pub use inquiry::Found;
pub(crate) use inquiry::{Answer, Inquiry, Remark};
use scan::{Form, Listed, Scan, Useless};
pub(crate) use verification::{Verdict, Verification, compare_finished};

use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// How a checksum is computed. What is stronger is greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// What `sum -r` of BSD computes, 16 bits. Of two files that differ, one in 65536 is taken for the other.
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
    /// All of them, the weakest first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Sum, Self::Crc32, Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Its name on the command line.
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

    /// Bytes of a checksum.
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

    /// Whether files that differ by accident have the same checksum once in a while.
    pub(crate) const fn is_weak(self) -> bool {
        matches!(self, Self::Sum | Self::Crc32)
    }
}

/// What is asked for with `--checksum`. Parses as `auto`, or as [`Checksum`] does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// Whatever a server has of it.
    Auto,
    /// This one.
    Given(Checksum),
}

impl Asked {
    /// The checksum, if it is known from the start.
    #[must_use]
    pub const fn given(&self) -> Option<&Checksum> {
        match self {
            Self::Auto => None,
            Self::Given(checksum) => Some(checksum),
        }
    }

    /// What may have to be computed.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        self.given().map_or_else(|| Algorithm::ALL.into(), |checksum| vec![checksum.algorithm()])
    }
}

impl FromStr for Asked {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        if text.eq_ignore_ascii_case("auto") { Ok(Self::Auto) } else { text.parse().map(Self::Given) }
    }
}

/// The checksum of a file. Prints and parses as `sha256=` and so on, with hexadecimal digits behind it; behind `sum=` it
/// is the number that the program prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checksum {
    algorithm: Algorithm,
    value: Vec<u8>,
}

impl Checksum {
    /// One that somebody else has computed; `None` if it has not the length that it has to.
    pub(crate) fn new(algorithm: Algorithm, value: Vec<u8>) -> Option<Self> {
        (value.len() == algorithm.length()).then_some(Self { algorithm, value })
    }

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
        if let (Algorithm::Sum, [high, low]) = (self.algorithm, self.value.as_slice()) {
            return write!(f, "{:05}", u16::from_be_bytes([*high, *low]));
        }
        self.value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a text is no checksum.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChecksumError {
    /// It does not begin with the name of an algorithm and `=`.
    #[error("not ALG=HEX, where ALG is md5, sha1, sha256, sha512, crc32 or sum, and not auto")]
    Algorithm,
    /// What is behind that is not a number of 16 bits.
    #[error("sum has a number from 0 to 65535")]
    Sum,
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
        if algorithm == Algorithm::Sum {
            let number = digits.parse().ok().filter(|_| !digits.starts_with('+'));
            return number.map(sum).ok_or(ChecksumError::Sum);
        }
        let value = bytes_of(digits.as_bytes()).and_then(|value| Self::new(algorithm, value));
        value.ok_or(ChecksumError::Value(algorithm))
    }
}

/// A checksum of `sum -r`.
fn sum(number: u16) -> Checksum {
    Checksum { algorithm: Algorithm::Sum, value: number.to_be_bytes().into() }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.iter().map(digit).collect::<Option<_>>()?;
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
    Sum(u16),
}

impl Hasher {
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

    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
            Self::Crc32(hasher) => (Algorithm::Crc32, hasher.finalize().to_be_bytes().to_vec()),
            Self::Sum(number) => return sum(number),
        };
        Checksum { algorithm, value }
    }
}

#[cfg(test)]
mod tests;
