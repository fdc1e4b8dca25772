#![doc = include_str!("../README.md")]
//! ## A conversation
//!
//! [`Session`] is the machine itself. Bytes, connections and time go in; bytes to send, actions and events come
//! out. This is one range of a file, with a server made of literals:
//!
//! ```
//! use ftp_proto::{
//!     Action, Arg, Change, Channel, Config, Event, Finish, Instant, Output, Request, RequestId, Retrieve,
//!     Session, Until,
//! };
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::ZERO;
//! let mut session = Session::new(Arc::new(Config::default()), "192.0.2.1:21".parse()?, now);
//! let id = RequestId(1);
//! let part = Retrieve { path: Arg::new("pub/file")?, offset: 100, until: Until::Offset(200) };
//! session.request(id, Request::Retrieve(part), now)?;
//!
//! // The driver has connected, and the server greets: everything leaves at once.
//! session.handle_channel(Channel::Control, Change::Connected, now);
//! session.handle_control(b"220 Welcome\r\n", now);
//! assert_eq!(
//!     session.transmit(),
//!     b"USER anonymous\r\nPASS user@localhost.localnet\r\nTYPE I\r\nEPSV\r\nREST 100\r\nRETR pub/file\r\n"
//! );
//! session.transmitted(session.transmit().len(), now);
//!
//! // The answers, in whatever portions the network makes of them.
//! session.handle_control(b"331 Password?\r\n230 Logged in\r\n200 Binary\r\n229 Here (|||40", now);
//! session.handle_control(b"00|)\r\n350 At 100\r\n150 It comes\r\n", now);
//! let connect = Output::Action(Action::Connect("192.0.2.1:4000".parse()?));
//! assert!(std::iter::from_fn(|| session.poll_output()).any(|output| output == connect));
//!
//! // The data connection is up. The driver puts its bytes where `window` says, and tells how many there were.
//! session.handle_channel(Channel::Data, Change::Connected, now);
//! assert_eq!(session.window(), Some(100..200));
//! session.received(100, now);
//!
//! // The range is complete, the file is not: the session closes the data connection, and stays logged in.
//! let rest: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
//! let close = Output::Action(Action::Close(Channel::Data));
//! assert!(rest.ends_with(&[close, Output::Event(Event::Finished(id, Finish::Cut))]));
//! # Ok(())
//! # }
//! ```
//!
//! Outputs queue, and nothing has to be taken between two calls. What a peer does never makes a call fail or
//! panic: at worst the session ends, and says why in [`Event::Closed`], once and last. What only the caller can
//! get wrong is [`Misuse`].
//!
//! ## A driver
//!
//! The same with sockets, written by hand over `std::net`: `examples/by_hand.rs`.
//!
//! ```no_run
#![doc = include_str!("../examples/by_hand.rs")]
//! ```
//!
//! ## Layers
//!
//! Each is of use without those above it.
//!
//! | | is | has no |
//! |---|---|---|
//! | [`ReplyParser`], [`Command`], [`meaning`] | bytes to replies, commands to bytes, texts of replies to values | state between replies |
//! | [`Session`] | one control connection, one login, transfers one after the other | payload: it counts bytes and never holds them |
//! | [`Link`] | a session whose payload goes to a [`Sink`], at its offset in the file | sockets, readiness, clock |
//! | [`Transport`] | a trait: many links, their sockets and a clock, as a planner of downloads wants them | opinion on what to fetch |
//!
//! A driver of its own is best built on [`Link`], or on [`Conduit`], which is a link with its sockets. The crates
//! `ftp-transport-std` and `ftp-transport-mio` are transports over it, and `pftp` has a planner over those.
//!
//! Time is an [`Instant`] that the driver supplies; [`Session::poll_timeout`] says when the session wants to be
//! called next and what it waits for. An [`Arg`] cannot hold a line end, so no name of a file becomes a second
//! command. A [`Secret`] never prints, and [`Event::Wire`] shows it as `***`, also where a server repeats it. Text of a
//! server prints escaped. What a server may cost is bounded by [`Limits`] and [`Timeouts`].
//!
//! ## Limits
//!
//! - It downloads. There is no upload, no listing of directories ([`meaning::mlsx`] parses one) and no change
//!   to files.
//! - Data connections are passive, by EPSV or else PASV, and to the address of the control connection unless
//!   [`Config::trust_pasv_address`] is set.
//! - There is no TLS yet.
//! - Of structures and modes there are file and stream, which every server has.
//! - A session runs one transfer at a time; requests beyond it wait. More at a time are more sessions.
//! - Names of hosts are the caller's to resolve, failed sessions the caller's to dial again. A server that cannot
//!   take several commands at once ends a session in [`Error::OutOfStep`]; dial it again with
//!   [`Config::pipeline`] 1.

#![no_std]
#![warn(clippy::arithmetic_side_effects)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

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
pub use link::{Conduit, Driver, Interest, KEEPALIVE, Link, LinkOutput, Read, Socket, Turn};
pub use meaning::{Facts, Features, TimeVal};
pub use parser::{ReplyError, ReplyParser};
pub use reply::Reply;
pub use session::Session;
pub use sink::Sink;
pub use text::Escaped;
pub use time::Instant;
pub use transport::{Report, SessionId, Transport};
