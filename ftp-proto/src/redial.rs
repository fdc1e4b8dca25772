//! Advice after a session has ended.

use crate::channel::{Cause, Channel};
use crate::config::Config;
use crate::error::{PeerFault, SessionError, Timer};
use core::num::NonZeroUsize;
use core::time::Duration;

/// Advice for a caller whose session has ended: whether to dial again, with what change, and when.
///
/// ```
/// use ftp_proto::{Config, Redial, SessionError, Timer};
///
/// let mut config = Config::default();
/// let error = SessionError::OutOfStep(Box::new(SessionError::Timeout(Timer::Burst)));
/// let redial = Redial::after(&error, &config);
/// assert_eq!(redial, Redial::LockStep);
/// redial.apply(&mut config);
/// assert_eq!(config.pipeline.get(), 1);
/// // At once, as the server is not at fault.
/// assert_eq!(redial.wait(0), Some(std::time::Duration::ZERO));
/// ```
///
/// [`after`](Self::after) knows one session. A caller with several sessions may know more: whether another session with the
/// same server was accepted, whether the server has another address, whether this machine is out of descriptors
/// ([`Cause::Other`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Redial {
    /// Dial at once, one command at a time: [`apply`](Self::apply) sets [`Config::pipeline`] to 1. The server did not take
    /// several commands in one write.
    LockStep,
    /// Dial at once, and ask with PASV: [`apply`](Self::apply) sets [`Config::epsv`] to false. The data connection to the port
    /// that EPSV named could not be made; an address translator may know PASV only.
    Pasv,
    /// Dial another address of the server, if it has one; else dial this one later. The control connection could not be made.
    OtherAddress,
    /// Dial again when another session with the server has ended, or later: the server has as many sessions as it takes.
    SessionLimit,
    /// Dial again later.
    Later,
    /// Do not dial again: with the same configuration and the same requests the session would end in the same way.
    Never,
}

/// The wait after the first failure, doubled with each further failure.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The wait for a server that has as many sessions as it takes.
const SESSION_LIMIT_WAIT: Duration = Duration::from_secs(60);

impl Redial {
    /// The advice after a session of this configuration ended with `error`.
    #[must_use]
    pub fn after(error: &SessionError, config: &Config) -> Self {
        match error {
            SessionError::OutOfStep(_) if config.pipeline > NonZeroUsize::MIN => Self::LockStep,
            SessionError::OutOfStep(error) => Self::after(error, config),
            SessionError::Connection(Channel::Data, _) | SessionError::Timeout(Timer::DataConnect)
                if config.epsv =>
            {
                Self::Pasv
            }
            SessionError::Connection(
                Channel::Control,
                Cause::Refused | Cause::Unreachable | Cause::TimedOut | Cause::Other(_),
            )
            | SessionError::Timeout(Timer::Connect) => Self::OtherAddress,
            SessionError::Refused { reply, .. } if reply.is_session_limit() => Self::SessionLimit,
            SessionError::Refused { verb: None, reply } if reply.code().is_transient() => Self::Later,
            SessionError::Refused { .. } => Self::Never,
            // The file is longer than the caller was told.
            SessionError::Peer(PeerFault::Overrun { .. }) => Self::Never,
            SessionError::Quit => Self::Never,
            SessionError::Connection(..) | SessionError::Timeout(_) | SessionError::Peer(_) => Self::Later,
        }
    }

    /// Makes the change that this advice asks for; none but for [`LockStep`](Self::LockStep) and [`Pasv`](Self::Pasv).
    pub const fn apply(self, config: &mut Config) {
        match self {
            Self::LockStep => config.pipeline = NonZeroUsize::MIN,
            Self::Pasv => config.epsv = false,
            Self::OtherAddress | Self::SessionLimit | Self::Later | Self::Never => {}
        }
    }

    /// How long to wait before dialling, after so many failures in a row before this one; `None` if not to dial at all.
    ///
    /// The wait doubles with each failure, from half a second to half a minute; at the session limit it is a minute. Callers
    /// with many clients add some jitter, so that the clients do not come back at the same time.
    #[must_use]
    pub fn wait(self, failures: u32) -> Option<Duration> {
        match self {
            Self::LockStep | Self::Pasv => Some(Duration::ZERO),
            Self::SessionLimit => Some(SESSION_LIMIT_WAIT),
            Self::OtherAddress | Self::Later => {
                let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
                Some(FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT))
            }
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Verb;
    use crate::parser::ReplyParser;
    use crate::reply::Reply;
    use alloc::boxed::Box;
    use alloc::format;

    fn reply(line: &str) -> Reply {
        let mut parser = ReplyParser::new(100);
        parser.push(format!("{line}\r\n").as_bytes());
        parser.next().unwrap().unwrap()
    }

    fn refused(verb: Option<Verb>, line: &str) -> SessionError {
        SessionError::Refused { verb, reply: reply(line) }
    }

    #[test]
    fn advice_follows_from_the_error() {
        let control = |cause| SessionError::Connection(Channel::Control, cause);
        let data = |cause| SessionError::Connection(Channel::Data, cause);
        let out_of_step = |error| SessionError::OutOfStep(Box::new(error));
        let config = Config::default();
        for (error, expected) in [
            (out_of_step(control(Cause::Reset)), Redial::LockStep),
            (data(Cause::Refused), Redial::Pasv),
            (SessionError::Timeout(Timer::DataConnect), Redial::Pasv),
            (control(Cause::Refused), Redial::OtherAddress),
            (SessionError::Timeout(Timer::Connect), Redial::OtherAddress),
            (control(Cause::Reset), Redial::Later),
            (SessionError::Timeout(Timer::Stall), Redial::Later),
            (SessionError::Peer(PeerFault::TooManyUnowed), Redial::Later),
            (refused(None, "421 too many users"), Redial::SessionLimit),
            (refused(Some(Verb::Pass), "530 Sorry, the maximum number of clients"), Redial::SessionLimit),
            (refused(None, "450 busy"), Redial::Later),
            (refused(None, "554 go away"), Redial::Never),
            (refused(Some(Verb::Pass), "530 wrong password"), Redial::Never),
            (SessionError::Peer(PeerFault::Overrun { size: 1 }), Redial::Never),
            (SessionError::Quit, Redial::Never),
        ] {
            assert_eq!(Redial::after(&error, &config), expected, "{error:?}");
        }
    }

    #[test]
    fn change_that_was_made_is_not_advised_again() {
        let mut config = Config::default();
        let no_data = SessionError::Timeout(Timer::DataConnect);
        let out_of_step = SessionError::OutOfStep(Box::new(SessionError::Timeout(Timer::Stall)));
        for error in [&no_data, &out_of_step] {
            let redial = Redial::after(error, &config);
            assert_eq!(redial.wait(3), Some(Duration::ZERO));
            redial.apply(&mut config);
            assert_eq!(Redial::after(error, &config), Redial::Later);
        }
        assert_eq!((config.epsv, config.pipeline), (false, NonZeroUsize::MIN));
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let waits = [0, 1, 2, 6, 40, u32::MAX].map(|failures| Redial::Later.wait(failures));
        let millis = [500, 1000, 2000, 30_000, 30_000, 30_000];
        assert_eq!(waits, millis.map(|millis| Some(Duration::from_millis(millis))));
        assert_eq!(Redial::Never.wait(0), None);
    }
}
