//! What the fuzz targets in `fuzz` check: bytes in, a panic out if something does not hold.
//!
//! The same functions replay the corpora in `cargo test`, and take what proptest makes up.

mod corpus;
pub mod engine;
pub mod link;
pub mod machine;
pub mod meaning;
pub mod op;
pub mod reply;
pub mod session;

pub use corpus::{corpus, seeds};

use std::sync::OnceLock;

/// Prints what happens, if the environment variable `PFTP_FUZZ_TRACE` is set: for a finding that is looked into.
fn trace(what: impl FnOnce() -> String) {
    static TRACED: OnceLock<bool> = OnceLock::new();
    if *TRACED.get_or_init(|| std::env::var_os("PFTP_FUZZ_TRACE").is_some()) {
        eprintln!("{}", what());
    }
}

/// A check of the bytes that a fuzzer made up.
pub type Check = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Check); 5] = [
    ("reply", reply::check),
    ("meaning", meaning::check),
    ("session", session::check),
    ("link", link::check),
    ("engine", engine::check),
];
