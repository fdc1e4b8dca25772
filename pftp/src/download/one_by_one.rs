//! The recovery of a file that does not have its checksum: one of several mirrors may have the right bytes.
//!
//! Overlaps have shown no difference between the mirrors, so it is unknown which bytes are wrong. Each mirror in turn is asked
//! for all bytes that came from the others, until the file has its checksum.

use super::Outcome;
use super::attempt::{Ending, Job, Mismatched, Start};
use crate::checksum::{Algorithm, Expected};
use crate::engine::Earlier;
use crate::error::{ChecksumMismatch, DownloadError, ErrorKind};
use crate::notice::DownloadNotice;
use crate::observer::Observer;
use crate::ranges::RangeSet;
use crate::settings::Settings;
use crate::source::Source;
use std::cmp::Reverse;

/// Fetches the file from one mirror after the other.
///
/// # Errors
/// [`DownloadError::Checksum`] if no mirror has a file with the checksum, or another error that ends the download.
pub(super) fn fetch(
    job: &Job<'_>,
    mismatched: Mismatched,
    observer: &mut dyn Observer,
) -> Result<Outcome, DownloadError> {
    let Mismatched { mismatch, identity, delivered: mut kept } = mismatched;
    let wanted = mismatch.wanted.checksum().clone();
    // A `sum` is too weak to choose a mirror by: 1 of 65,536 wrong files has it.
    let can_tell = job.sources.len() > 1 && wanted.algorithm() != Algorithm::Sum;
    let Some(file) = job.sink.resumable().filter(|_| can_tell) else {
        return Err(DownloadError::Checksum(mismatch));
    };
    observer.notice(&DownloadNotice::AskingOneByOne(mismatch.clone()));
    // A mirror must not be asked for the checksum of its own file.
    let settings = &Settings { checksum: Some(Expected::Given(wanted)), ..job.settings.clone() };
    // The mismatches of single mirrors.
    let mut found: Vec<Box<ChecksumMismatch>> = Vec::new();
    let mut order: Vec<usize> = (0..job.sources.len()).collect();
    order.sort_by_key(|at| Reverse(kept.get(*at).map_or(0, RangeSet::len)));
    for at in order {
        let Some(source) = job.sources.get(at..=at) else { continue };
        let own = kept.get_mut(at).map(std::mem::take).unwrap_or_default();
        if identity.size.is_some_and(|size| own.contains(&(0..size))) {
            // The mirror delivered the whole file that does not have the checksum.
            found.push(mismatch.clone());
            continue;
        }
        let earlier = Earlier::new(identity.clone(), own.clone(), |range| file.read(range))?;
        let job = Job { sources: source, settings, ..*job };
        match job.attempt(Start { earlier, replaces_journal: true }, observer) {
            Ok(Ending::Done(outcome)) => {
                let server = source.first().map(Source::server).unwrap_or_default();
                observer.notice(&DownloadNotice::MirrorHasChecksum { server });
                return Ok(outcome);
            }
            // Two mirrors have the same file, so the checksum is of another one.
            Ok(Ending::Mismatched(again)) if found.contains(&again.mismatch) => break,
            Ok(Ending::Mismatched(again)) => found.push(again.mismatch),
            Err(error) if matches!(error.kind(), ErrorKind::Local | ErrorKind::Cancelled) => {
                return Err(error);
            }
            Err(error) => observer.notice(&DownloadNotice::MirrorFailed(error)),
        }
        // The attempt has written over the ranges of the other mirrors.
        let replaced = own.gaps(0..identity.size.unwrap_or(u64::MAX));
        for others in &mut kept {
            replaced.iter().for_each(|range| others.remove(range));
        }
    }
    Err(DownloadError::Checksum(mismatch))
}
