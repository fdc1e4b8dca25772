//! The engine: which bytes of which file come from which mirror, over which session.
//!
//! A machine without I/O, clock or randomness of its own: reports of the transport go in at the [`Fetcher`], [`Directive`]s come
//! out. The *job* behind it joins two halves. The *pool* has servers, connections and sessions; it outlives files and knows none. A
//! *file* has its bytes (the ledger), its mirrors, and the evidence that all of it is one file; it knows no session. *Offers* decide
//! who does what: each rule looks at both halves and offers a free session a task.
//!
//! The engine accounts ranges, not counts: a tail that was taken over may arrive twice, harmlessly. A range that a session was
//! given goes to another one only after that session has ended or finished with it, so that no late write of a broken session
//! can undo a good one.

#![expect(
    clippy::indexing_slicing,
    reason = "tables are indexed by the identifiers that they gave: a look-up that fails is a bug that must show"
)]

mod collect_demand;
mod directive;
mod earlier;
mod error;
mod fetcher;
mod file;
mod file_lookup;
mod forecast;
mod ids;
mod jitter;
mod job;
mod offers;
mod outbox;
mod pool;
mod shortage;
mod status;

pub use directive::{Directive, ServerSettings, Settings, Source, Wanted};
pub use earlier::{Earlier, Finished};
pub use error::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
pub use fetcher::Fetcher;
pub use ids::{ComparisonId, FileId, MirrorId, ServerId};
pub use status::FileStatus;

use outbox::Outbox;
