//! The file does not have its checksum, and there are several mirrors: one of them may have bytes that do.
//!
//! Where two transfers meet nothing showed, so that it cannot be told which bytes are wrong. Each mirror is asked alone for
//! what came from the others, until the file has its checksum.

use super::{Start, Wrong, attempt};
use crate::checksum::{Algorithm, Expected};
use crate::destination::Destination;
use crate::exit::{Failure, Kind};
use crate::options::Options;
use crate::plan::Before;
use crate::progress::Progress;
use crate::ranges::RangeSet;
use std::cmp::Reverse;
use std::sync::Arc;

/// Fetches the file from one mirror after the other.
///
/// # Errors
/// That the file does not have its checksum, if it has it from none; or why nothing more can be done here.
pub(super) fn one_by_one(
    options: &Options,
    destination: &Arc<Destination>,
    wrong: Wrong,
    progress: &mut Progress,
) -> Result<(), Failure> {
    // Of 65,536 wrong files one has the right `sum`: that is no ground to choose a mirror on.
    let can_tell = options.sources.len() > 1 && wrong.wanted.algorithm() != Algorithm::Sum;
    let Some(sink) = destination.resumable().filter(|_| can_tell) else {
        return Err(wrong.failure);
    };
    progress.warn(&format!("{}; asking one mirror after the other for the file", wrong.failure));
    // A mirror is not the judge of its own file.
    let options = &Options { checksum: Some(Expected::Given(wrong.wanted)), ..options.clone() };
    let mut kept = wrong.brought;
    // What is wrong with the files of single mirrors.
    let mut found: Vec<Failure> = Vec::new();
    let mut order: Vec<usize> = (0..options.sources.len()).collect();
    order.sort_by_key(|at| Reverse(kept.get(*at).map_or(0, RangeSet::len)));
    for at in order {
        let Some(source) = options.sources.get(at..=at) else { continue };
        let of_it = kept.get_mut(at).map(std::mem::take).unwrap_or_default();
        if wrong.identity.size.is_some_and(|size| of_it.contains(&(0..size))) {
            // It was this.
            found.push(wrong.failure.clone());
            continue;
        }
        let before = Before::new(wrong.identity.clone(), of_it.clone(), |range| sink.read(range))?;
        let server = source.first().map(crate::sources::Source::server).unwrap_or_default();
        match attempt(options, source, destination, Start { before, over: true }, progress) {
            Ok(None) => {
                progress.warn(&format!("the file of {server} has the checksum, another mirror's has not"));
                return Ok(());
            }
            // Two have the same file: what was asked for is something else.
            Ok(Some(again)) if found.contains(&again.failure) => break,
            Ok(Some(again)) => found.push(again.failure),
            Err(failure) if matches!(failure.kind(), Kind::Local | Kind::Interrupted(_)) => {
                return Err(failure);
            }
            Err(failure) => progress.warn(&failure.to_string()),
        }
        // It has written over what the others had brought.
        let size = wrong.identity.size.unwrap_or(u64::MAX);
        let gone = of_it.gaps(0..size);
        for others in &mut kept {
            gone.iter().for_each(|range| others.remove(range));
        }
    }
    Err(wrong.failure)
}
