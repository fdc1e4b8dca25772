//! From the greeting to the end of the login (RFC 959 §5.4, RFC 1635).

use super::pipeline::Purpose;
use super::{Login, Phase, Session};
use crate::code::Severity;
use crate::command::{Command, Verb};
use crate::error::{PeerFault, SessionError};
use crate::event::Event;
use crate::meaning::{self, Features};
use crate::reply::Reply;

impl Session {
    /// The first reply (RFC 959 §5.4, "Connection Establishment"): 220, or 120 before it.
    pub(super) fn on_greeting(&mut self, preliminary: u32, reply: Reply) {
        match reply.code().severity() {
            Severity::Preliminary if preliminary >= self.config.limits.preliminary_replies => {
                self.fail(SessionError::Peer(PeerFault::TooManyPreliminary));
            }
            Severity::Preliminary => {
                self.phase = Phase::Greeting { preliminary: preliminary.saturating_add(1) };
            }
            Severity::Completion => {
                self.phase = Phase::Login(Login::Pending);
                self.push_login();
            }
            Severity::Transient | Severity::Permanent => {
                self.fail(SessionError::Refused { verb: None, reply })
            }
            Severity::Intermediate => self.fail(SessionError::Peer(PeerFault::Unsolicited(reply))),
        }
    }

    fn push_login(&mut self) {
        let config = self.config.clone();
        self.pipeline.push(Command::User(config.username.clone()), Purpose::Login);
        self.pipeline.push(Command::Pass(config.password.clone()), Purpose::Login);
        self.pipeline.push(Command::Type(config.representation), Purpose::Login);
        if config.features {
            self.pipeline.push(Command::Feat, Purpose::Features);
        }
    }

    /// The final reply to a step of the login.
    pub(super) fn on_login(&mut self, verb: Verb, reply: Reply) {
        let accepted = self.phase == Phase::Login(Login::Accepted);
        match (verb, reply.code().get()) {
            (Verb::User, 200..=299) => {
                self.phase = Phase::Login(Login::Accepted);
                // In lock step PASS is not needed; sent in one write with USER it is harmless.
                self.pipeline.withdraw(|verb, _| verb == Verb::Pass);
            }
            (Verb::User, 331) => {}
            (Verb::User | Verb::Pass, 332) => self.push_account(verb, reply),
            (Verb::Pass | Verb::Acct, 200..=299) => self.phase = Phase::Login(Login::Accepted),
            // USER alone was enough; some servers then refuse PASS as out of sequence.
            (Verb::Pass, 400..=599) if accepted => {}
            (Verb::Type, 200..=299) if accepted => {
                if !self.config.features {
                    self.ready(Features::default());
                }
            }
            _ => self.login_failed(verb, reply),
        }
    }

    /// The reply to FEAT (RFC 2389 §3.2). A server that refuses FEAT has no features.
    pub(super) fn on_features(&mut self, reply: &Reply) {
        let limit = self.config.limits.feat_lines;
        if reply.raw_lines().nth(limit).is_some() {
            return self.fail(SessionError::Peer(PeerFault::TooManyLines { verb: Verb::Feat, limit }));
        }
        let features = meaning::feat(reply).unwrap_or_default();
        self.ready(features);
    }

    fn ready(&mut self, features: Features) {
        self.phase = Phase::Ready;
        self.event(Event::Ready(features));
    }

    /// 332: the server wants an account (RFC 959 §5.4).
    fn push_account(&mut self, verb: Verb, reply: Reply) {
        match self.config.account.clone() {
            // The commands behind it have been refused because the account was missing.
            Some(_) if self.pipeline.in_burst() => self.login_failed(verb, reply),
            Some(account) => {
                self.pipeline.withdraw(|verb, _| verb == Verb::Pass);
                self.pipeline.push_next(Command::Acct(account), Purpose::Login);
            }
            None => self.fail(SessionError::Refused { verb: Some(verb), reply }),
        }
    }

    /// A step of the login was refused. If the server did not understand or expect the command, several commands in
    /// one write may be the reason; if it refused the user, they are not.
    fn login_failed(&mut self, verb: Verb, reply: Reply) {
        let code = reply.code();
        // "Log in first" answers a later command: PASS was lost, or the reply to PASS comes later.
        let comes_early = reply.mentions(&[
            "user and pass",
            "not logged in",
            "aren't logged in",
            "login first",
            "log in first",
        ]);
        let of_the_user = code.is_refusal() && !matches!(code.get(), 500..=504) && !comes_early;
        let error = if code.is_refusal() {
            SessionError::Refused { verb: Some(verb), reply }
        } else {
            SessionError::Peer(PeerFault::Unexpected(verb, reply))
        };
        if of_the_user { self.fail(error) } else { self.fail_in_step(error) }
    }
}
