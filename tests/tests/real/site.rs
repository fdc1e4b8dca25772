//! A served directory.

use std::fs;
use std::sync::LazyLock;

use pftp_tests::servers::{Kind, Options, RealServer};
use tempfile::TempDir;

use crate::call::{Call, percent_encoded};

pub(crate) const MIB: usize = 1 << 20;

/// Bytes of the largest file.
const LARGEST: usize = 64 * MIB;

/// The transport and the server of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) kind: Kind,
    pub(crate) transport: &'static str,
}

/// A server, and the directory that it serves.
pub(crate) struct Site {
    setup: Setup,
    server: RealServer,
    tree: TempDir,
}

impl Setup {
    /// Starts a server with one file.
    pub(crate) fn serve(self, path: &str, bytes: &[u8]) -> Site {
        self.serve_with(&Options::default(), path, bytes)
    }

    /// Starts a server with one file and so few bytes per second for each transfer that every connection gets
    /// a turn in a download of a few MiB.
    pub(crate) fn serve_slowly(self, rate: usize, path: &str, bytes: &[u8]) -> Site {
        let rate = Some(rate.try_into().expect("a rate of 32 bits"));
        self.serve_with(&Options { rate, ..Options::default() }, path, bytes)
    }

    pub(crate) fn serve_with(self, options: &Options, path: &str, bytes: &[u8]) -> Site {
        let tree = tree(path, bytes);
        let server = RealServer::with(self.kind, tree.path(), options);
        Site { setup: self, server, tree }
    }
}

impl Site {
    /// Returns `host:port`, as messages name it.
    pub(crate) fn address(&self) -> String {
        self.server.addr().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Adds a file.
    pub(crate) fn with(self, path: &str, text: &str) -> Self {
        fs::write(self.tree.path().join(path), text).expect("a file");
        self
    }

    /// Returns the URL of `path`, percent-encoded.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("ftp://{}/{}", self.server.addr(), percent_encoded(path))
    }

    /// Returns a call without a source.
    pub(crate) fn call(&self) -> Call {
        Call::new(self.setup.transport)
    }

    /// Returns a call for `path`, as a URL.
    pub(crate) fn fetch(&self, path: &str) -> Call {
        self.call().arg(self.url(path))
    }
}

/// Returns a directory with one file, and the directories above that.
pub(crate) fn tree(path: &str, bytes: &[u8]) -> TempDir {
    let tree = tempfile::tempdir().expect("a directory");
    let path = tree.path().join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, bytes).expect("a file");
    tree
}

/// Returns the first `len` bytes of the content of all files. No word occurs twice in it.
pub(crate) fn content(len: usize) -> &'static [u8] {
    static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..LARGEST as u64 / 8).flat_map(word).collect());
    CONTENT.get(..len).expect("no more than the largest")
}

/// SplitMix64, a bijection.
fn word(at: u64) -> [u8; 8] {
    let mut word = at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (word ^ (word >> 31)).to_le_bytes()
}
