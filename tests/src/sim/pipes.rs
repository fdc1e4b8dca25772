//! How connections carry bytes.

use super::random::Random;
use super::tcp::Congestion;
use std::time::Duration;

/// How replies arrive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replies {
    /// Bytes of one write arrive together.
    #[default]
    AsSent,
    /// Every byte arrives alone.
    ByteByByte,
    /// Bytes that were sent within this time arrive together.
    Glued(Duration),
}

/// How the connections to a server carry bytes.
#[derive(Clone, Debug)]
pub struct Pipes {
    /// How replies arrive.
    pub replies: Replies,
    /// Bytes that a data connection may have in flight.
    pub window: usize,
    /// The most payload bytes that arrive as one portion.
    pub longest_portion: usize,
    /// Draws the lengths of portions, if they vary.
    pub varied: Option<Random>,
    /// The congestion control of data connections; `None` for a constant window.
    pub congestion: Option<Congestion>,
    /// Whether the server sees a data connection that the client closed before the server accepted it.
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
    /// Pipes with congestion control, to a client whose receive buffer is as large as Linux makes it.
    pub fn congested(congestion: Congestion) -> Self {
        Self { window: RECEIVE_BUFFER, congestion: Some(congestion), ..Self::default() }
    }

    /// Returns the greatest length of the next portion, in bytes.
    pub(super) fn portion(&mut self) -> usize {
        let longest = self.longest_portion.max(1);
        self.varied.as_mut().map_or(longest, |random| random.within(1, longest as u64) as usize)
    }
}

/// Bytes that a data connection may have in flight by default: between Linux's initial window and its
/// largest.
pub const WINDOW: usize = 256 * 1024;

/// The largest receive buffer, in bytes.
const RECEIVE_BUFFER: usize = 6 << 20;

/// The greatest length of a portion, in bytes.
pub(super) const PORTION: usize = 64 * 1024;
