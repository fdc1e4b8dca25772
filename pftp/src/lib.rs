//! Downloads a file from FTP servers: in parallel, resumably and verified.
//!
//! A [`Download`] fetches one file from one server or from several mirrors, in byte ranges over several connections. The
//! result is exact: the file gets its final name when every byte is there, and mirrors with different files are not mixed.
//! If a download stops before its end, the next download to the same path resumes it.
//!
//! ```no_run
//! use pftp::{Destination, Download, Settings, Source};
//!
//! let source = Source::parse("ftp://ftp.example.org/pub/file.iso")?;
//! let destination = Destination::File("file.iso".into());
//! let outcome = Download::new(vec![source], destination, Settings::default())?.run(&mut ())?;
//! println!("{outcome:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Download::run`] blocks until the download has ended. An [`Observer`] sees progress, notices and the lines of control
//! connections; a [`CancelHandle`] ends the download from another thread. A [`DownloadError`] holds facts and prints as one
//! sentence that is safe to show on a terminal; [`DownloadError::kind`] classifies it.
//!
//! # Features
//!
//! - `cli` (default): the `pftp` command. The library needs none of its dependencies; disable it with
//!   `default-features = false`.

mod cancel;
mod checksum;
mod destination;
mod download;
// Public for the tests of the workspace alone, which run the engine with a simulated transport: no other crate can reach a
// private module. An embedder uses the names below.
#[doc(hidden)]
pub mod drive;
// Public for the tests, as `drive` is.
#[doc(hidden)]
pub mod engine;
mod error;
mod file;
// Public for the tests, which write journals that a download has to refuse.
#[doc(hidden)]
pub mod journal;
mod local;
mod lookup;
mod notice;
mod observer;
// Public for the tests, as `drive` is.
#[doc(hidden)]
pub mod ranges;
mod recorder;
mod resume;
mod settings;
mod source;
pub mod temporary;
pub mod url;
mod verification;
mod wording;

pub use cancel::CancelHandle;
pub use checksum::{Algorithm, Checksum, ChecksumError, Expected};
pub use destination::Destination;
pub use download::{Download, Outcome};
pub use engine::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
pub use error::{ChecksumMismatch, DownloadError, ErrorKind};
pub use ftp_proto;
pub use journal::JournalError;
pub use local::{Action, LocalError, Place};
pub use lookup::{Found, ListError, Origin, Remark};
pub use notice::DownloadNotice;
pub use observer::{Observer, Progress};
pub use resume::Discarded;
pub use settings::{Settings, TransportKind};
pub use source::Source;
pub use url::{FtpUrl, UrlError};
pub use verification::{Reference, VerifyError};
