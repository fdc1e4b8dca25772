//! Deadlines, derived from the state of the session: none can be forgotten or left standing.

use super::transfer::Transfer;
use super::{Fence, Phase, Session};
use crate::channel::Channel;
use crate::error::{SessionError, Timer};
use crate::time::Instant;
use alloc::boxed::Box;

/// Times of the last events.
#[derive(Debug)]
pub(super) struct Marks {
    /// The start of the session.
    pub(super) started: Instant,
    /// The control connection was established.
    pub(super) connected: Instant,
    /// The control connection was established, bytes were sent on it, or a reply came.
    pub(super) control: Instant,
    /// The data connection was requested, was established, became readable, brought bytes, or ended.
    pub(super) data: Instant,
}

impl Marks {
    pub(super) const fn new(now: Instant) -> Self {
        Self { started: now, connected: now, control: now, data: now }
    }
}

impl Session {
    pub(super) fn next_deadline(&self) -> Option<(Instant, Timer)> {
        let timeouts = &self.config.timeouts;
        match self.phase {
            Phase::Closed => None,
            Phase::Connecting => Some((self.marks.started + timeouts.connect, Timer::Connect)),
            Phase::Greeting { .. } => {
                Some(self.login_deadline().min((self.marks.control + timeouts.reply, Timer::Reply)))
            }
            Phase::Login(_) | Phase::Ready | Phase::Parting(_) => {
                let login = matches!(self.phase, Phase::Login(_)).then(|| self.login_deadline());
                // While the driver may not read, no byte can be late.
                let readable = !self.pipeline.before_transfer();
                let timer = self.transfer.as_ref().and_then(|transfer| transfer.waits_for());
                let data = timer.filter(|timer| readable || *timer != Timer::Stall).map(|timer| {
                    let patience = match timer {
                        Timer::DataConnect => timeouts.data_connect,
                        Timer::Stall => timeouts.stall,
                        _ => timeouts.completion,
                    };
                    let waits = self.transfer.as_ref().is_some_and(Transfer::waits_for_turn);
                    let since = if waits { self.marks.data.max(self.marks.control) } else { self.marks.data };
                    (since + patience, timer)
                });
                [login, data, self.control_deadline(data.is_some())].into_iter().flatten().min()
            }
        }
    }

    /// The deadline of everything before [`Event::Ready`](crate::Event::Ready).
    fn login_deadline(&self) -> (Instant, Timer) {
        (self.marks.connected + self.config.timeouts.login, Timer::Login)
    }

    /// The deadline of the next reply; `None` for the data command alone while its data connection has a deadline.
    fn control_deadline(&self, data_waits: bool) -> Option<(Instant, Timer)> {
        let timeouts = &self.config.timeouts;
        let unanswered = self.pipeline.unanswered();
        if unanswered == 0 || data_waits && unanswered == 1 && self.pipeline.transferring() {
            return None;
        }
        let spoiled = self.transfer.as_ref().is_some_and(Transfer::is_spoiled);
        let understood = if spoiled { 0 } else { usize::from(self.pipeline.transferring()) };
        let (patience, timer) = if self.fence != Fence::Down || self.pipeline.is_cut() {
            (timeouts.cut, Timer::Cut)
        } else if self.pipeline.in_burst() && unanswered > understood {
            (timeouts.burst.min(timeouts.reply), Timer::Burst)
        } else {
            (timeouts.reply, Timer::Reply)
        };
        Some((self.marks.control + patience, timer))
    }

    pub(super) fn on_timeout(&mut self, timer: Timer) {
        let failed = self.transfer.as_ref().and_then(|transfer| transfer.failure());
        let spoiled = self.transfer.as_ref().is_some_and(Transfer::is_spoiled);
        match (timer, failed) {
            (Timer::DataConnect, _) if self.transfer.as_ref().is_some_and(Transfer::is_ahead) => {
                self.drop_prepared();
            }
            // With one command at a time, no command would be under way behind a refused one.
            (Timer::Cut, _) if spoiled => {
                self.fail(SessionError::OutOfStep(Box::new(SessionError::Timeout(timer))))
            }
            (Timer::Completion, Some(cause)) => self.fail(SessionError::Connection(Channel::Data, cause)),
            // If several commands are under way and no transfer has begun, the data command may have been lost.
            (Timer::Login | Timer::Burst | Timer::Reply | Timer::Stall | Timer::Completion, _) => {
                self.fail_in_step(SessionError::Timeout(timer));
            }
            (Timer::Connect | Timer::DataConnect | Timer::Cut, _) => self.fail(SessionError::Timeout(timer)),
        }
    }
}
