//! Names of the files that pftp keeps beside a target while it is downloaded.

use crate::local::LocalError;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Ends the name of a temporary file.
const PART: &[u8] = b".pftp-part";

/// Ends the name of a journal.
const JOURNAL: &[u8] = b".pftp-journal";

/// Follows the name of a journal until it replaces the one before.
pub(crate) const NEW: &str = "-new";

/// Follows the name of a journal that could not be used.
pub(crate) const ASIDE: &str = "-unusable";

/// Bytes that a journal's name leaves free for [`NEW`] or [`ASIDE`].
const ROOM: usize = 10;

/// Returns the name of the temporary file for `target`: its name and a suffix. If that is too long, it is the start of the
/// name, a hash of the name and the suffix.
///
/// # Errors
/// [`LocalError::NotAFileName`] if `target` does not end in a file name.
pub fn part_path(target: &Path) -> Result<PathBuf, LocalError> {
    path_beside(target, PART, 0)
}

/// Returns the name of the journal for `target`, made like that of the temporary file.
///
/// # Errors
/// [`LocalError::NotAFileName`] if `target` does not end in a file name.
pub fn journal_path(target: &Path) -> Result<PathBuf, LocalError> {
    path_beside(target, JOURNAL, ROOM)
}

/// Returns whether a file with this name could be taken for the temporary file or the journal of another target. Case and
/// dots at the end do not count, because some file systems ignore them.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    let name = name.iter().rposition(|byte| *byte != b'.').and_then(|last| name.get(..=last));
    let of_journal = |more: &str| [JOURNAL, more.as_bytes()].concat();
    let journals = ["", NEW, ASIDE].map(of_journal);
    name.is_some_and(|name| name.ends_with(PART) || journals.iter().any(|suffix| name.ends_with(suffix)))
}

/// Returns the directory of `target`.
pub(crate) fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Puts a rename in `directory` on disk, if possible. Some file systems cannot, and a directory that may be written but not
/// read cannot be opened; the file has its name all the same.
pub(crate) fn sync_directory(directory: &Path) {
    let _best_effort = File::open(directory).and_then(|directory| directory.sync_all());
}

/// Returns the path beside `target` with this suffix, `room` bytes shorter than names can be.
fn path_beside(target: &Path, suffix: &[u8], room: usize) -> Result<PathBuf, LocalError> {
    let name = match target.file_name() {
        Some(name) if !target.as_os_str().as_bytes().ends_with(b"/") => name,
        _ => return Err(LocalError::NotAFileName(target.to_owned())),
    };
    let longest = longest_name(directory(target)).saturating_sub(room);
    Ok(target.with_file_name(name_with(name, suffix, longest)))
}

fn name_with(name: &OsStr, suffix: &[u8], longest: usize) -> OsString {
    let name = name.as_bytes();
    if name.len().saturating_add(suffix.len()) <= longest {
        return OsString::from_vec([name, suffix].concat());
    }
    let hash = format!("~{:016x}", fnv1a(name));
    let room = longest.saturating_sub(suffix.len()).saturating_sub(hash.len());
    OsString::from_vec([whole_characters(name, room), hash.as_bytes(), suffix].concat())
}

/// Returns at most `length` bytes from the start of `name`, without a part of a UTF-8 character at the end. Some file systems
/// refuse other names.
fn whole_characters(name: &[u8], length: usize) -> &[u8] {
    let continues = |at: usize| name.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (0..=length).rev().take(4).find(|at| !continues(*at)).unwrap_or(length);
    name.get(..end).unwrap_or(name)
}

/// Hashes with FNV-1a, 64 bits. The hash is the same in every version, so that a later run finds the file.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Returns the length in bytes of the longest name in `directory`, 255 at most: some file systems count characters.
fn longest_name(directory: &Path) -> usize {
    const COMMON: usize = 255;
    let longest = rustix::fs::statvfs(directory).map_or(COMMON as u64, |facts| facts.f_namemax);
    usize::try_from(longest).unwrap_or(COMMON).clamp(64, COMMON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_name_is_as_long_as_names_can_be() {
        let name = |name: &str| name_with(OsStr::new(name), PART, 255).into_string().unwrap();
        assert_eq!(name("a"), "a.pftp-part");
        assert_eq!(name(&"n".repeat(245)).len(), 255);
        let (long, other) = (name(&"ü".repeat(127)), name(&format!("{}x", "ü".repeat(126))));
        assert!(long.len() <= 255 && long.ends_with(".pftp-part") && long != other, "{long}");
        let bytes = name_with(&OsString::from_vec(vec![0x80; 255]), PART, 255);
        assert_eq!(bytes.len(), 255);
        assert_eq!(part_path(Path::new("a")).unwrap(), Path::new("a.pftp-part"));
    }

    #[test]
    fn temporary_names_are_told_from_others() {
        let target = Path::new("/tmp").join("n".repeat(255));
        let journal = journal_path(&target).unwrap().into_os_string();
        let with =
            |suffix: &str| PathBuf::from([journal.as_os_str(), OsStr::new(suffix)].join(OsStr::new("")));
        for path in [part_path(&target).unwrap(), with(""), with(NEW), with(ASIDE)] {
            let name = path.file_name().unwrap();
            assert!(is_temporary(name) && name.len() <= 255, "{}", path.display());
        }
        for name in
            [".pftp-part", "f.pftp-journal-new", "f.pftp-journal-unusable", "f.PFTP-Part", "f.pftp-part.."]
        {
            assert!(is_temporary(OsStr::new(name)), "{name}");
        }
        for name in
            ["f", "pftp-part", "f.pftp-parts", "f.pftp-journal-old", "f.pftp-part.gz", "f-new", "...", ""]
        {
            assert!(!is_temporary(OsStr::new(name)), "{name}");
        }
    }
}
