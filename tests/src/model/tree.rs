//! The files of the model server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

const PAGE: usize = 4096;
const NOISE: usize = 64 * 1024;

/// A file: a size, a modification time, and bytes that are either held or computed from their position.
#[derive(Clone)]
pub struct File {
    size: u64,
    modified: String,
    content: Content,
    patches: Vec<(u64, Vec<u8>)>,
}

#[derive(Clone)]
enum Content {
    Bytes(Arc<[u8]>),
    Generated { seed: u64, noise: Arc<[u8]> },
}

impl File {
    /// A file that holds these bytes.
    pub fn bytes(content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        Self::with_content(content.len() as u64, Content::Bytes(content.into()))
    }

    /// A file of `size` bytes computed from `seed`, of any size without memory for it. No two of its 4 KiB
    /// pages are equal, so bytes written to a wrong place never go unnoticed.
    pub fn generated(seed: u64, size: u64) -> Self {
        let mut state = mix(seed ^ 0x7066_7470);
        let noise: Vec<u8> = (0..(NOISE + PAGE) / 8)
            .flat_map(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                mix(state).to_le_bytes()
            })
            .collect();
        Self::with_content(size, Content::Generated { seed, noise: noise.into() })
    }

    fn with_content(size: u64, content: Content) -> Self {
        Self { size, modified: "20240229123456".to_owned(), content, patches: Vec::new() }
    }

    /// The same file with this modification time, `YYYYMMDDHHMMSS`.
    pub fn with_modified(mut self, modified: impl Into<String>) -> Self {
        self.modified = modified.into();
        self
    }

    /// The same file with other bytes from `offset` on: a mirror that disagrees in one place. The rest of the buffer
    /// is not used.
    pub fn with_patch(mut self, offset: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.patches.push((offset, bytes.into()));
        self
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The modification time, `YYYYMMDDHHMMSS`.
    pub fn modified(&self) -> &str {
        &self.modified
    }

    /// Fills `buffer` with the bytes from `offset` on, and says how many there were: less than the buffer holds
    /// only at the end of the file.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..len];
        match &self.content {
            Content::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer.copy_from_slice(&bytes[start..start + len]);
            }
            Content::Generated { seed, noise } => generate(*seed, noise, offset, buffer),
        }
        for (at, patch) in &self.patches {
            overlay(*at, patch, offset, buffer);
        }
        len
    }

    /// The bytes of `range`, for files that fit into memory.
    pub fn read(&self, range: std::ops::Range<u64>) -> Vec<u8> {
        let len = range.end.min(self.size).saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(len).expect("the range fits into memory")];
        self.fill(range.start, &mut bytes);
        bytes
    }

    /// The SHA-256 of the whole file in lower-case hexadecimal digits, computed piece by piece.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut offset = 0;
        loop {
            let len = self.fill(offset, &mut buffer);
            if len == 0 {
                break;
            }
            hash.update(&buffer[..len]);
            offset += len as u64;
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Bytes(_) => "bytes".to_owned(),
            Content::Generated { seed, .. } => format!("generated from {seed}"),
        };
        f.debug_struct("File")
            .field("size", &self.size)
            .field("modified", &self.modified)
            .field("content", &content)
            .field("patches", &self.patches.len())
            .finish()
    }
}

/// Each page is a stretch of the noise from a place the page number picks, and begins with a number that no
/// other page of the file begins with.
fn generate(seed: u64, noise: &[u8], offset: u64, buffer: &mut [u8]) {
    let mut page = offset / PAGE as u64;
    let mut within = (offset % PAGE as u64) as usize;
    let mut rest = buffer;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at_mut(rest.len().min(PAGE - within));
        let stamp = mix(page.wrapping_add(seed));
        let start = (stamp >> 20) as usize % NOISE + within;
        piece.copy_from_slice(&noise[start..start + piece.len()]);
        overlay(0, &stamp.to_le_bytes(), within as u64, piece);
        (page, within, rest) = (page + 1, 0, behind);
    }
}

/// Copies the part of `patch`, which lies at `at`, that falls into `buffer`, which lies at `offset`.
fn overlay(at: u64, patch: &[u8], offset: u64, buffer: &mut [u8]) {
    let start = at.max(offset);
    let end = (at + patch.len() as u64).min(offset + buffer.len() as u64);
    if start < end {
        let len = (end - start) as usize;
        let (from, to) = ((start - at) as usize, (start - offset) as usize);
        buffer[to..to + len].copy_from_slice(&patch[from..from + len]);
    }
}

/// The finalizer of SplitMix64: one to one, so different pages have different stamps.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The files of one server by absolute path. Directories exist where files are below them.
#[derive(Clone, Debug)]
pub struct Tree {
    files: BTreeMap<Vec<u8>, Arc<File>>,
    login_directory: Vec<u8>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree without files, whose login directory is `/`.
    pub fn new() -> Self {
        Self { files: BTreeMap::new(), login_directory: b"/".to_vec() }
    }

    /// The tree with this login directory, against which later relative paths resolve.
    pub fn with_login_directory(mut self, path: impl AsRef<[u8]>) -> Self {
        self.login_directory = resolve(b"/", path.as_ref());
        self
    }

    /// The tree with this file too. A relative path resolves against the login directory.
    pub fn with(mut self, path: impl AsRef<[u8]>, file: File) -> Self {
        let path = resolve(&self.login_directory, path.as_ref());
        self.files.insert(path, Arc::new(file));
        self
    }

    /// The directory a session starts in.
    pub fn login_directory(&self) -> &[u8] {
        &self.login_directory
    }

    /// The file at an absolute path.
    pub fn file(&self, path: &[u8]) -> Option<&Arc<File>> {
        self.files.get(path)
    }

    /// Whether an absolute path names a directory.
    pub fn is_directory(&self, path: &[u8]) -> bool {
        if path == b"/" || path == self.login_directory {
            return true;
        }
        let mut below = path.to_vec();
        below.push(b'/');
        self.login_directory.starts_with(&below)
            || self.files.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    }
}

/// The absolute path that `argument` names in the directory `base`, without `.`, `..` and doubled slashes.
pub(crate) fn resolve(base: &[u8], argument: &[u8]) -> Vec<u8> {
    let base: &[u8] = if argument.starts_with(b"/") { b"" } else { base };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in base.split(|&byte| byte == b'/').chain(argument.split(|&byte| byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let mut path = b"/".to_vec();
    path.extend(parts.join(&b'/'));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_of_a_generated_file_is_the_same_as_in_the_whole() {
        let file = File::generated(7, 20_001);
        let whole = file.read(0..u64::MAX);
        assert_eq!(whole.len(), 20_001);
        for (start, len) in
            [(0, 1), (3, 10), (4095, 2), (4090, 5000), (8192, 4096), (12_289, 7000), (20_000, 9)]
        {
            let mut piece = vec![0; len];
            let filled = file.fill(start, &mut piece);
            let end = (start as usize + len).min(whole.len());
            assert_eq!(piece[..filled], whole[start as usize..end], "{len} bytes at {start}");
        }
        assert_eq!(file.fill(20_001, &mut [0; 8]), 0);
        assert_eq!(file.fill(u64::MAX, &mut [0; 8]), 0);
    }

    #[test]
    fn pages_and_seeds_differ() {
        let file = File::generated(1, u64::MAX);
        let page = |number: u64| file.read(number * 4096..(number + 1) * 4096);
        let mut pages: Vec<Vec<u8>> = (0..300).chain(1 << 40..(1 << 40) + 300).map(page).collect();
        pages.sort();
        pages.dedup();
        assert_eq!(pages.len(), 600);
        assert_ne!(File::generated(2, 4096).read(0..4096), page(0));
    }

    #[test]
    fn a_patch_changes_its_bytes_and_no_others() {
        let plain = File::bytes("0123456789");
        let patched = plain.clone().with_patch(8, "abc").with_patch(2, "xy");
        assert_eq!(patched.read(0..99), b"01xy4567ab");
        assert_eq!(patched.read(3..9), b"y4567a");
    }

    #[test]
    fn sha256_is_that_of_the_bytes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(File::bytes("abc").sha256(), abc);
        let generated = File::generated(3, 600_000);
        assert_eq!(generated.sha256(), File::bytes(generated.read(0..600_000)).sha256());
    }

    #[test]
    fn paths_resolve_and_directories_are_implied() {
        assert_eq!(resolve(b"/home/user", b"a//./b/../c"), b"/home/user/a/c");
        assert_eq!(resolve(b"/home/user", b"/x"), b"/x");
        assert_eq!(resolve(b"/", b"../.."), b"/");
        let tree = Tree::new()
            .with_login_directory("/home/user")
            .with("pub/f", File::bytes(""))
            .with("/f", File::bytes(""));
        for directory in ["/", "/home", "/home/user", "/home/user/pub"] {
            assert!(tree.is_directory(directory.as_bytes()), "{directory}");
        }
        assert!(
            !tree.is_directory(b"/f")
                && !tree.is_directory(b"/hom")
                && !tree.is_directory(b"/home/user/pub/f")
        );
        assert!(tree.file(b"/home/user/pub/f").is_some());
    }
}
