//! A model FTP server: a machine without I/O, clock, thread or randomness of its own.
//!
//! [`Model`] says which files there are and how the server behaves; [`Host`] admits sessions and keeps the
//! statistics; a [`ServerSession`] is one control connection with its data connection. The server shares no
//! code with the client, so that it does not share its mistakes.
//!
//! A driver (sockets in [`loopback`](crate::loopback), pipes and a virtual clock in a simulation) owns the
//! connections. After every call into a session it
//!
//! 1. does what [`ServerSession::poll_output`] says until there is no more,
//! 2. sends [`ServerSession::transmit`] on the control connection and says so by
//!    [`ServerSession::transmitted`],
//! 3. sends up to [`ServerSession::data_window`] bytes on the data connection, taken from
//!    [`ServerSession::fill_data`], and says so by [`ServerSession::data_sent`],
//! 4. calls [`ServerSession::handle_timeout`] at the time [`ServerSession::poll_timeout`] names.

mod behaviour;
mod host;
mod session;
mod stats;
mod throttle;
mod tree;

pub use behaviour::{
    Behaviour, Bursts, Cap, Completion, Cut, Dialogue, DuringTransfer, Interruption, Login, Mark, MarkSize,
    Nth, Quirk, Reaction, Trigger, WhenFull,
};
pub use host::{Host, Model};
pub use session::{Action, DataChange, Ending, Event, Output, ServerSession};
pub use stats::{SessionStats, Stats, TransferStats};
pub use tree::{File, Tree};
