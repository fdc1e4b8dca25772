//! A client-side FTP protocol machine without any I/O.

#![no_std]
#![warn(clippy::arithmetic_side_effects)]

extern crate alloc;

mod arg;
mod code;
mod command;
mod config;
mod error;
mod event;
mod link;
pub mod meaning;
mod parser;
mod reply;
mod session;
mod sink;
mod text;
mod time;
mod transport;

pub use arg::{Arg, ArgError, Secret};
pub use code::{ReplyCode, Severity};
pub use command::{Command, ProtLevel, Type, Verb};
pub use config::{Config, Limits, Timeouts};
pub use error::{Cause, Error, Misuse, PeerFault, Timer};
pub use event::{
    Action, Change, Channel, End, Event, Finish, Line, Output, Request, RequestId, Retrieve, Until,
};
pub use link::{Interest, Link, LinkOutput};
pub use meaning::{Facts, Features, TimeVal};
pub use parser::{ReplyError, ReplyParser};
pub use reply::Reply;
pub use session::Session;
pub use sink::Sink;
pub use text::Escaped;
pub use time::Instant;
pub use transport::{Report, SessionId, Transport};
