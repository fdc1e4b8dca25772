//! How the connections to a server carry what is sent.

use super::random::Random;
use super::tcp::Congestion;
use std::time::Duration;

/// What becomes of replies on their way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replies {
    /// What is sent at once arrives at once.
    #[default]
    AsSent,
    /// Every byte arrives alone.
    ByteByByte,
    /// What is sent within so long arrives together.
    Glued(Duration),
}

/// The connections to a server.
#[derive(Clone, Debug)]
pub struct Pipes {
    /// The pieces of the control connection.
    pub replies: Replies,
    /// Bytes that a data connection may have in flight.
    pub window: usize,
    /// The most payload bytes that arrive as one portion.
    pub longest_portion: usize,
    /// Where the lengths of portions start from, if they vary.
    pub varied: Option<Random>,
    /// The congestion control of data connections; `None` for a window that is always open.
    pub congestion: Option<Congestion>,
    /// A data connection that the client has closed before the server took it is shown to the server all the same.
    pub shows_aborted: bool,
}

impl Default for Pipes {
    fn default() -> Self {
        Self {
            replies: Replies::AsSent,
            window: WINDOW,
            longest_portion: PORTION,
            varied: None,
            congestion: None,
            shows_aborted: false,
        }
    }
}

impl Pipes {
    /// Pipes over a path like that, for a client that takes as much as Linux lets it.
    pub fn congested(congestion: Congestion) -> Self {
        Self { window: RECEIVE_BUFFER, congestion: Some(congestion), ..Self::default() }
    }

    /// The bytes of the next portion, at most.
    pub(super) fn portion(&mut self) -> usize {
        let longest = self.longest_portion.max(1);
        self.varied.as_mut().map_or(longest, |random| random.within(1, longest as u64) as usize)
    }
}

/// Bytes that a data connection may have in flight unless told otherwise: between the initial window and what Linux grows
/// it to.
pub const WINDOW: usize = 256 * 1024;

/// What a receive buffer grows to.
const RECEIVE_BUFFER: usize = 6 << 20;

/// Bytes sent as one portion at most.
pub(super) const PORTION: usize = 64 * 1024;
