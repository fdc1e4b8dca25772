//! Downloads files from FTP servers, in parallel.

pub mod cli;
mod destination;
pub mod drive;
pub mod exit;
pub mod file;
pub mod journal;
pub mod log;
pub mod options;
pub mod plan;
pub mod progress;
pub mod ranges;
mod resume;
pub mod run;
pub mod sources;
pub mod url;
pub mod verify;
