//! Downloads files from FTP servers, in parallel.

pub mod checksum;
pub mod cli;
mod destination;
pub mod drive;
pub mod exit;
mod file;
pub mod journal;
pub mod local;
pub mod log;
pub mod lookup;
pub mod options;
pub mod plan;
pub mod progress;
pub mod ranges;
mod recorder;
mod resume;
pub mod run;
pub mod sources;
mod temporary;
pub mod url;
mod verification;
mod wording;
