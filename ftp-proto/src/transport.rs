//! What a transport offers to whoever steers many sessions.

use crate::config::Config;
use crate::event::{Event, Request, RequestId, Until};
use crate::time::Instant;
use alloc::sync::Arc;
use bytes::Bytes;
use core::net::SocketAddr;
use core::ops::Range;

/// Names a session within a transport. The caller chooses it and never uses one twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u64);

/// Drives any number of sessions: sockets, readiness and a clock, nothing else.
///
/// A call about a session that has ended does nothing: its end may be on its way to the caller.
pub trait Transport {
    /// Why the sink of a session failed.
    type SinkError;

    /// The time now, on the clock that every report and every deadline goes by.
    fn now(&self) -> Instant;

    /// Starts a session with the server at `peer`.
    fn open(&mut self, id: SessionId, peer: SocketAddr, config: Arc<Config>);

    /// Gives work to a session. `request_id` names it in reports; ids of one session increase. A request that is a
    /// [`Misuse`](crate::Misuse) is dropped without a report.
    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request);

    /// Moves the end of a transfer that waits or runs; see [`Session::shrink`](crate::Session::shrink).
    fn shrink(&mut self, id: SessionId, request_id: RequestId, until: Until);

    /// Ends a session: QUIT is sent, its reply not awaited. [`Event::Closed`] is still reported.
    fn close(&mut self, id: SessionId);

    /// Something to wake [`wait`](Self::wait) with, from any thread: it returns `None` then, at least once after
    /// each call.
    fn waker(&self) -> Arc<dyn Fn() + Send + Sync>;

    /// Ends all sessions without waiting for anything, not even for a write to the sink that is under way.
    fn abandon(self)
    where
        Self: Sized,
    {
        drop(self);
    }

    /// Waits for the next report, at most until `until`. `None` when that time has come, or when another thread
    /// woke the transport. Sessions that have been opened since the last call say nothing before this one, so that what
    /// they have been asked by then leaves in one write.
    fn wait(&mut self, until: Option<Instant>) -> Option<Report<Self::SinkError>>;
}

/// What a transport tells of its sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Report<E> {
    /// An event of a session.
    Event(SessionId, Event),
    /// These bytes of the file have come through this session and the sink has taken them. Several
    /// writes are reported together; all of a transfer's are reported before its end is.
    Written(SessionId, Range<u64>),
    /// These are the bytes of the file from this offset on, as the session's server has them: a lead, see
    /// [`Config::lead`].
    Lead(SessionId, u64, Bytes),
    /// These are the next bytes of the file that this [`Request::Content`] is for.
    Content(SessionId, RequestId, Bytes),
    /// The sink failed, and the session ends for it.
    Sink(SessionId, E),
}
