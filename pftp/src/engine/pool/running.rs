//! A transfer that runs, as the comparison of offers sees it.

use std::ops::Range;
use std::time::Duration;

/// A running transfer: what is left of it, and how fast it comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) struct Running {
    /// The part of the range that has not come.
    pub(in crate::engine) left: Range<u64>,
    /// Bytes per second; 0 if the transfer is silent.
    pub(in crate::engine) rate: u64,
    /// The time to its first byte, if that has not come.
    pub(in crate::engine) delay: Duration,
    /// The time after its last byte until its mirror has confirmed that the file is the same.
    pub(in crate::engine) closing: Duration,
}

impl Running {
    /// The number of bytes that are left.
    pub(in crate::engine) fn len(&self) -> u128 {
        u128::from(self.left.end.saturating_sub(self.left.start))
    }

    /// Milliseconds until its last byte at its present rate.
    pub(in crate::engine) fn time_left(&self) -> u64 {
        let millis = self.len() * 1000 / u128::from(self.rate.max(1)) + self.delay.as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    /// Milliseconds until nothing of it is awaited any more.
    pub(in crate::engine) fn time_to_close(&self) -> u64 {
        self.time_left().saturating_add(u64::try_from(self.closing.as_millis()).unwrap_or(u64::MAX))
    }
}
