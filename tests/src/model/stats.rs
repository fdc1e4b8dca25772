//! Statistics of a server, for tests to look at.

use std::collections::BTreeSet;

use super::behaviour::Quirk;
use super::session::Event;

/// Statistics of a server, over all sessions.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Sessions in the order they were accepted; connections refused are not among them.
    pub sessions: Vec<SessionStats>,
    /// The most sessions open at a time.
    pub peak_sessions: usize,
    /// Every command line received, with the number of its session, in the order of arrival.
    pub lines: Vec<(usize, String)>,
    /// Every transfer started, in order.
    pub transfers: Vec<TransferStats>,
    /// Rules of [`Behaviour::on`](super::Behaviour::on) that had an effect: number of the session, place of the rule.
    pub reacted: BTreeSet<(usize, usize)>,
    /// Lasting misbehaviour that had an effect.
    pub showed: BTreeSet<Quirk>,
}

/// Statistics of a session.
#[derive(Clone, Debug, Default)]
pub struct SessionStats {
    /// Whether the session was turned away at the session limit.
    pub full: bool,
    /// Logins done.
    pub logins: u32,
    /// The control connection is not closed yet.
    pub open: bool,
    /// How many reads brought control input.
    pub reads: u32,
    /// Dialogue turns before the first payload byte: how often input came after the server had sent something.
    /// A client that sends everything behind the greeting in one write has 1 of them.
    pub turns_to_data: u32,
    /// Data connections accepted.
    pub data_connections: u32,
    /// Payload bytes sent.
    pub payload: u64,
}

/// A RETR that was answered by a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferStats {
    /// The number of its session, from 0 in the order of accepting.
    pub session: usize,
    /// The absolute path.
    pub path: String,
    /// The restart offset.
    pub offset: u64,
}

impl Stats {
    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.open).count()
    }

    /// How many logins were done.
    pub fn logins(&self) -> u32 {
        self.sessions.iter().map(|session| session.logins).sum()
    }

    /// How many data connections were accepted.
    pub fn data_connections(&self) -> u32 {
        self.sessions.iter().map(|session| session.data_connections).sum()
    }

    /// How many payload bytes were sent.
    pub fn payload(&self) -> u64 {
        self.sessions.iter().map(|session| session.payload).sum()
    }

    /// How many commands with this verb were received.
    pub fn count(&self, verb: &str) -> usize {
        let is_verb = |line: &str| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(verb));
        self.lines.iter().filter(|(_, line)| is_verb(line)).count()
    }

    /// The command lines of one session.
    pub fn lines_of(&self, session: usize) -> Vec<&str> {
        self.lines.iter().filter(|(index, _)| *index == session).map(|(_, line)| line.as_str()).collect()
    }

    /// Takes in what a session tells.
    pub fn record(&mut self, session: usize, event: Event) {
        let Some(stats) = self.sessions.get_mut(session) else { return };
        match event {
            Event::Heard { turn } => {
                stats.reads += 1;
                stats.turns_to_data += u32::from(turn && stats.payload == 0);
            }
            Event::Line(line) => self.lines.push((session, line)),
            Event::LoggedIn => stats.logins += 1,
            Event::TransferStarted { path, offset } => {
                self.transfers.push(TransferStats { session, path, offset });
            }
            Event::DataAccepted => stats.data_connections += 1,
            Event::Sent(count) => stats.payload += count,
            Event::Reacted(rule) => {
                self.reacted.insert((session, rule));
            }
            Event::Showed(quirk) => {
                self.showed.insert(quirk);
            }
        }
    }

    pub(crate) fn accepted(&mut self, full: bool) -> usize {
        self.sessions.push(SessionStats { full, open: true, ..SessionStats::default() });
        self.peak_sessions = self.peak_sessions.max(self.open_sessions());
        self.sessions.len() - 1
    }

    pub(crate) fn closed(&mut self, session: usize) {
        if let Some(stats) = self.sessions.get_mut(session) {
            stats.open = false;
        }
    }
}
