//! A server as it has shown itself: addresses, access, quirks, and the path to it. It knows no file.

use super::growth::Growth;
use super::path::Path;
use super::refresh::Refresh;
use crate::engine::directive::ServerSettings;
use crate::engine::error::MirrorFault;
use crate::engine::jitter::Jitter;
use ftp_proto::{Config, Instant, Redial};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Whether sessions may be opened to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Access {
    /// Its name is being resolved.
    Unresolved,
    /// Sessions may be opened.
    Open,
    /// The last session failed, and no other was there. From `until` on, one session may try.
    Suspended { until: Instant },
    /// A single session may try, for all.
    Trial,
    /// A single session tries, for all.
    Probing,
    /// The server was given up.
    Dead,
}

/// The addresses of a server's name, and the one to dial.
#[derive(Debug, Default)]
pub(in crate::engine) struct Addresses {
    all: Vec<SocketAddr>,
    preferred: usize,
    unreachable: Vec<SocketAddr>,
}

impl Addresses {
    /// The address to dial.
    fn preferred(&self) -> Option<SocketAddr> {
        self.all.get(self.preferred).copied()
    }

    /// The address to dial beside those that are `tried`, if there is one.
    pub(super) fn next(&self, tried: &[SocketAddr]) -> Option<SocketAddr> {
        self.all.iter().find(|address| !tried.contains(address)).copied()
    }

    /// Prefers an address that has answered.
    fn prefer(&mut self, address: SocketAddr) {
        if let Some(at) = self.all.iter().position(|known| *known == address) {
            self.preferred = at;
        }
        self.unreachable.clear();
    }

    /// Passes over an address that cannot be reached. Returns whether another one is left to dial.
    pub(in crate::engine) fn pass_over(&mut self, address: SocketAddr) -> bool {
        if !self.unreachable.contains(&address) {
            self.unreachable.push(address);
        }
        let left = self.all.iter().position(|address| !self.unreachable.contains(address));
        self.preferred = left.unwrap_or(self.preferred);
        left.is_some()
    }
}

/// A server.
#[derive(Debug)]
pub(in crate::engine) struct Server {
    pub(in crate::engine) name: String,
    /// Connections that the user asked for by naming the server.
    pub(super) connections: usize,
    config: Config,
    pub(in crate::engine) addresses: Addresses,
    pub(in crate::engine) access: Access,
    /// Why it was given up.
    pub(in crate::engine) failure: Option<MirrorFault>,
    /// Living mirrors on the server, of files that are not done.
    pub(in crate::engine) users: usize,
    /// Whether a control connection has ever been established.
    pub(in crate::engine) reached: bool,
    /// Whether a session has ever logged in.
    pub(in crate::engine) logged_in: bool,
    /// Failed attempts since the last byte of payload.
    pub(in crate::engine) failures: u32,
    /// When an attempt last failed.
    failed_at: Option<Instant>,
    /// Until when further failures belong to the attempt that has failed.
    rests_until: Option<Instant>,
    /// Whether the server understands REST, as far as is known (RFC 3659 §5).
    pub(in crate::engine) restarts: bool,
    /// Whether the server has told the facts of a file by a path with a slash: then a refusal means that the file is missing, and
    /// not that the server takes no such paths.
    pub(in crate::engine) takes_whole_paths: bool,
    /// Whether the server has said that it takes no more sessions: its session limit is the number of sessions that live.
    pub(in crate::engine) is_at_limit: bool,
    pub(in crate::engine) path: Path,
    pub(in crate::engine) refresh: Refresh,
    pub(in crate::engine) growth: Growth,
}

impl Server {
    /// A server of which nothing is known yet.
    pub(super) fn new(settings: ServerSettings) -> Self {
        Self {
            name: settings.name,
            connections: settings.connections,
            config: settings.config,
            addresses: Addresses::default(),
            access: Access::Unresolved,
            failure: None,
            users: 0,
            reached: false,
            logged_in: false,
            failures: 0,
            failed_at: None,
            rests_until: None,
            restarts: true,
            takes_whole_paths: false,
            is_at_limit: false,
            path: Path::default(),
            refresh: Refresh::default(),
            growth: Growth::default(),
        }
    }

    /// Whether the server may still serve a file.
    pub(in crate::engine) const fn is_usable(&self) -> bool {
        !matches!(self.access, Access::Dead) && self.users > 0
    }

    /// Until when no session may be opened to a server that may serve a file.
    pub(in crate::engine) const fn suspended_until(&self) -> Option<Instant> {
        match self.access {
            Access::Suspended { until } if self.users > 0 => Some(until),
            _ => None,
        }
    }

    /// Lets one session try a server whose suspension has ended.
    pub(super) fn end_suspension(&mut self, now: Instant) {
        if matches!(self.access, Access::Suspended { until } if until <= now) {
            self.access = Access::Trial;
        }
    }

    /// Takes the addresses of the server's name.
    pub(in crate::engine) fn resolved(&mut self, addresses: Vec<SocketAddr>) {
        if self.access == Access::Unresolved {
            self.addresses.all = alternate_families(addresses);
            self.access = Access::Open;
        }
    }

    /// The address to dial, if a session may be opened now. The session must then be opened.
    pub(super) fn dial(&mut self) -> Option<SocketAddr> {
        match self.access {
            Access::Open => {}
            Access::Trial => self.access = Access::Probing,
            Access::Suspended { .. } | Access::Probing | Access::Unresolved | Access::Dead => return None,
        }
        self.addresses.preferred()
    }

    /// Records a control connection to `address` that took so long to be established.
    pub(super) fn connected(&mut self, address: SocketAddr, took: Duration) {
        self.addresses.prefer(address);
        self.path.connected_in(took);
        self.reached = true;
    }

    /// The settings of a new session.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::new(self.config.clone())
    }

    /// Makes a change to the configuration of further sessions.
    pub(in crate::engine) const fn apply(&mut self, change: Redial) {
        change.apply(&mut self.config);
    }

    /// Counts an attempt that began at `began` and failed, and returns how many have failed since the last byte of payload. An
    /// attempt that began before the last failure, or failed right after it, belongs to the same attempt.
    pub(super) fn count_failure(&mut self, began: Instant, jitter: &mut Jitter, now: Instant) -> u32 {
        let later = self.failed_at.is_none_or(|at| at < began);
        if later && self.rests_until.is_none_or(|until| until <= now) {
            self.failed_at = Some(now);
            self.failures = self.failures.saturating_add(1);
            self.rests_until = Some(now + jitter.wait(self.failures));
        }
        self.failures
    }

    /// Counts a transfer that failed on a session that lives. Returns the time until which the session rests, or `None` if more
    /// than `retries` attempts have failed. Transfers that fail meanwhile belong to the same attempt.
    pub(in crate::engine) fn transfer_failed(
        &mut self,
        retries: u32,
        jitter: &mut Jitter,
        now: Instant,
    ) -> Option<Instant> {
        if self.rests_until.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
            if self.failures > retries {
                return None;
            }
            self.rests_until = Some(now + jitter.wait(self.failures));
        }
        self.rests_until
    }
}

/// Sorts addresses so that the families alternate, each in the order of the resolver (RFC 8305 §4).
fn alternate_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut turns = Vec::with_capacity(one.len().saturating_add(other.len()));
    let (mut one, mut other) = (one.drain(..), other.drain(..));
    loop {
        let before = turns.len();
        turns.extend(one.next());
        turns.extend(other.next());
        if turns.len() == before {
            return turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_alternate() {
        let parse =
            |text: &str| -> Vec<SocketAddr> { text.split(' ').map(|one| one.parse().unwrap()).collect() };
        let turns = alternate_families(parse("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1"));
        assert_eq!(turns, parse("[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"));
        assert_eq!(alternate_families(Vec::new()), []);
    }
}
