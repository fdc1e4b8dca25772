//! The interface of a transport to a caller that steers many sessions.

use crate::config::Config;
use crate::error::Misuse;
use crate::event::Event;
use crate::request::{Request, RequestId, Retrieve, Until};
use crate::route::Route;
use crate::sink::Sink;
use crate::time::Instant;
use alloc::sync::Arc;
use bytes::Bytes;
use core::ops::Range;

/// Names a session within a transport. The caller chooses it, and never uses one twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

/// Drives any number of sessions: sockets, readiness and a clock, nothing else.
///
/// A call about a session that has ended does nothing, because [`Event::Closed`] may be on its way to the caller. Any
/// other [`Misuse`] is reported.
pub trait Transport {
    /// The sinks for the bytes of transfers. Each transfer has a sink of its own.
    type Sink: Sink + ?Sized;

    /// The time now, on the clock of every report and every deadline.
    fn now(&self) -> Instant;

    /// Starts a session: dials `route` and logs in as `config` says.
    fn open(&mut self, id: SessionId, route: Route, config: Arc<Config>);

    /// Gives work to a session. `request_id` names the request in reports; the ids of one session increase. A
    /// [`Request::Retrieve`] has no sink here and is [`Misuse::NoSink`]: see [`retrieve`](Self::retrieve).
    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request);

    /// Gives a session a part of a file to fetch (see [`Request::Retrieve`]), and the sink for its bytes.
    fn retrieve(&mut self, id: SessionId, request_id: RequestId, part: Retrieve, sink: Arc<Self::Sink>);

    /// Moves the end of a transfer that waits or runs; see [`Session::set_end`](crate::Session::set_end).
    fn set_end(&mut self, id: SessionId, request_id: RequestId, until: Until);

    /// Ends a session: QUIT is sent, its reply not awaited. [`Event::Closed`] is still reported.
    fn close(&mut self, id: SessionId);

    /// Returns a function that wakes [`wait`](Self::wait) from any thread: `wait` returns `None` then, at least once after
    /// each call.
    fn waker(&self) -> Arc<dyn Fn() + Send + Sync>;

    /// Ends all sessions without waiting for anything, not even for a write to a sink that is under way.
    fn abandon(self)
    where
        Self: Sized,
    {
        drop(self);
    }

    /// Waits for the next report, at most until `until`. Returns `None` when that time has come, or when another thread
    /// woke the transport. A session that was opened since the last call sends nothing before this one, so that everything
    /// requested by then leaves in one write.
    fn wait(&mut self, until: Option<Instant>) -> Option<Report<<Self::Sink as Sink>::Error>>;
}

/// A report about a session. `E` is the error of the sink.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Report<E> {
    /// An event of a session.
    Event(SessionId, Event),
    /// The sink of this transfer has taken these bytes of the file. Several writes are reported together; all writes of a
    /// transfer are reported before its end.
    Written(SessionId, RequestId, Range<u64>),
    /// The overlap of this transfer ([`Retrieve::overlap`]), complete: the bytes of the file from this offset on, as the
    /// session's server has them.
    Overlap(SessionId, RequestId, u64, Bytes),
    /// The next bytes of this [`Request::Content`]. All of them come before the end of the transfer.
    Content(SessionId, RequestId, Bytes),
    /// The sink of this transfer failed, and the session ends.
    SinkFailed(SessionId, RequestId, E),
    /// No session can do this request. The transport dropped it, and the session goes on. Never [`Misuse::Closed`].
    Misuse(SessionId, RequestId, Misuse),
}

impl<E> Report<E> {
    /// The session that the report is about.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Event(id, ..)
            | Self::Written(id, ..)
            | Self::Overlap(id, ..)
            | Self::Content(id, ..)
            | Self::SinkFailed(id, ..)
            | Self::Misuse(id, ..) => *id,
        }
    }
}
