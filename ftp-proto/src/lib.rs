#![doc = include_str!("../README.md")]
//! ## A conversation
//!
//! [`Session`] is the machine itself. Bytes, changes of connections and time go in; bytes to send, actions and events come
//! out. The example fetches a part of a file from a server made of literals:
//!
//! ```
//! use ftp_proto::{
//!     Action, Arg, Change, Channel, Config, Event, Finish, Instant, Output, Payload, Request, RequestId,
//!     Retrieve, Session, Until,
//! };
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::ZERO;
//! let mut session = Session::new(Arc::new(Config::default()), "192.0.2.1:21".parse()?, now);
//! let id = RequestId(1);
//! let part = Retrieve::new(Arg::new("pub/file")?, 100, Until::Offset(200));
//! session.request(id, Request::Retrieve(part), now)?;
//!
//! // The driver has connected, and the server greets: all commands leave at once.
//! session.handle_channel(Channel::Control, Change::Connected, now);
//! session.handle_bytes(b"220 Welcome\r\n", now);
//! assert_eq!(
//!     session.poll_transmit(),
//!     b"USER anonymous\r\nPASS user@localhost.localnet\r\nTYPE I\r\nEPSV\r\nREST 100\r\nRETR pub/file\r\n"
//! );
//! session.handle_transmitted(session.poll_transmit().len(), now);
//!
//! // The replies, in whatever portions the network makes of them.
//! session.handle_bytes(b"331 Password?\r\n230 Logged in\r\n200 Binary\r\n229 Here (|||40", now);
//! session.handle_bytes(b"00|)\r\n350 At 100\r\n150 It comes\r\n", now);
//! let connect = Output::Action(Action::Connect("192.0.2.1:4000".parse()?));
//! assert!(std::iter::from_fn(|| session.poll_output()).any(|output| output == connect));
//!
//! // The data connection is established. The driver writes its bytes where `payload` says, and reports their number.
//! session.handle_channel(Channel::Data, Change::Connected, now);
//! assert_eq!(session.payload(), Payload::File(id, 100..200));
//! session.handle_payload(100, now);
//!
//! // The part is complete, the file is not: the session closes the data connection, and stays logged in.
//! let rest: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
//! let close = Output::Action(Action::Close(Channel::Data));
//! assert!(rest.ends_with(&[close, Output::Event(Event::Finished(id, Finish::Cut))]));
//! # Ok(())
//! # }
//! ```
//!
//! Outputs queue, and the driver need not take them between two calls. Nothing that a peer does makes a call fail or
//! panic: at worst the session ends, and gives the reason in [`Event::Closed`], once and last. Faults of the caller are
//! [`Misuse`].
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
//! Each layer is of use without those above it.
//!
//! | layer | does | does not have |
//! |---|---|---|
//! | [`ReplyParser`], [`Command`], [`meaning`] | bytes to replies, commands to bytes, texts of replies to values | state between replies |
//! | [`Session`] | one control connection, one login, transfers one after the other | payload: it counts bytes and never holds them |
//! | [`Link`] | a session whose transfers each have a [`Sink`] | sockets, readiness, clock |
//! | [`Conduit`](conduit::Conduit) | a link with its sockets | readiness, clock |
//! | [`Transport`] | a trait: many sessions, their sockets and a clock | a decision about what to fetch |
//!
//! The crates `ftp-transport-std` and `ftp-transport-mio` are transports made of conduits; `pftp` has an engine that plans
//! downloads over a transport.
//!
//! ## Verbs
//!
//! The same act has the same verb in every layer. News goes in with `handle_`, work comes out with `poll_`; the time is the
//! last argument.
//!
//! | act | `Session` | `Link` | `Conduit` |
//! |---|---|---|---|
//! | give work | `request` | `request`, `retrieve` (with a sink) | `request`, `retrieve` |
//! | move the end of a transfer | `set_end` | `set_end` | `set_end` |
//! | end the session | `quit` | `quit` | `quit` |
//! | a connection changed | `handle_channel` | `handle_channel` | `handle_ready` |
//! | bytes were read | `handle_bytes` (control), `handle_payload` (data) | `handle_bytes` | `handle_ready` |
//! | bytes to send | `poll_transmit` | `poll_transmit` | `poll_output` |
//! | bytes were sent | `handle_transmitted` | `handle_transmitted` | `handle_ready` |
//! | outputs | `poll_output` | `poll_output` | `poll_output` |
//! | next deadline | `poll_timeout` | `poll_timeout` | `poll_timeout` |
//! | time has passed | `handle_timeout` | `handle_timeout` | `handle_timeout` |
//! | what to read and write | `payload` | `interest` | `interest` |
//!
//! Time is an [`Instant`] that the driver supplies; [`Session::poll_timeout`] says when the session wants to be
//! called next and what it waits for. An [`Arg`] cannot hold a line end, so no file name becomes a second
//! command. A [`Secret`] never prints: [`Event::Wire`] shows `***` in its place, also if a server repeats it. Text of a
//! server prints escaped. [`Limits`] and [`Timeouts`] bound the memory and the time that a server can cost.
//!
//! ## Limits
//!
//! - It downloads. It does not upload, list directories ([`meaning::mlsx`] parses a listing) or change
//!   files.
//! - Data connections are passive, by EPSV or else PASV, and to the address of the control connection unless
//!   [`Config::trust_pasv_address`] is set.
//! - There is no TLS yet.
//! - Structure and mode are file and stream, which every server has (RFC 959 §3.1.2, §3.4).
//! - A session runs one transfer at a time; further requests wait. More transfers at a time are more sessions.
//! - The caller resolves host names and dials failed sessions again; [`Redial`] advises whether, when and with what
//!   change. A server that cannot take several commands at once, for example, ends a session in
//!   [`SessionError::OutOfStep`], and is dialled again with [`Config::pipeline`] 1.

#![no_std]
#![warn(clippy::arithmetic_side_effects)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arg;
mod channel;
mod code;
mod command;
pub mod conduit;
mod config;
mod error;
mod event;
mod link;
pub mod meaning;
mod parser;
mod payload;
mod redial;
mod reply;
mod request;
mod route;
mod session;
mod sink;
mod text;
mod time;
mod transport;

pub use arg::{Arg, ArgError, Secret};
pub use channel::{Cause, Change, Channel, End};
pub use code::{ReplyCode, Severity};
pub use command::{Command, ProtLevel, RepresentationType, Verb};
pub use config::{Config, Limits, Timeouts};
pub use error::{Misuse, PeerFault, SessionError, Timer};
pub use event::{Action, Event, Finish, Line, Output};
pub use link::{Interest, Link, LinkOutput};
pub use meaning::{Facts, Features, TimeVal};
pub use parser::{ReplyError, ReplyParser};
pub use payload::Payload;
pub use redial::Redial;
pub use reply::Reply;
pub use request::{Request, RequestId, Retrieve, Until};
pub use route::Route;
pub use session::Session;
pub use sink::Sink;
pub use text::Escaped;
pub use time::Instant;
pub use transport::{Report, SessionId, Transport};
