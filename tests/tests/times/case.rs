//! A row of the table: what is downloaded from where, and how long it took.

use super::ideal::ideal;
use ftp_proto::{Cause, Channel, Event, SessionError};
use pftp_tests::model::{Behaviour, File, Interruption, Stats, WhenFull};
use pftp_tests::sim::{Download, Scenario, SimServer, WINDOW};
use std::time::Duration;

/// Bytes that a transfer from the middle of the file fetches before its range, to compare them.
const OVERLAP: u64 = 4 * 1024;

/// Bytes beyond the path's that a server has handed to its system when it learns of a cut.
const HANDED_OVER: u64 = 16 * 1024;

/// Downloads of which the median is taken where packets queue, and where they get lost at random.
const SEEDS_WITH_QUEUES: u64 = 3;
const SEEDS_WITH_LOSSES: u64 = 5;

/// A download of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) connections: usize,
    /// Whether the client begins with one connection a mirror and adds others while they pay.
    pub(crate) growing: bool,
    pub(crate) size: u64,
    pub(crate) mirrors: Vec<Mirror>,
    /// How much longer than its ideal the download may take, in per cent of the ideal.
    pub(crate) allowance: f64,
}

/// A server and the path to it, with what its ideal depends on.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    pub(crate) server: SimServer,
    pub(crate) bytes_per_second: u64,
    pub(crate) fault: Option<Fault>,
    /// How many sessions can fetch at the same time.
    pub(crate) useful_sessions: usize,
    /// How long the server's replies take on the way to the first byte, beside the round trips.
    pub(crate) reply_delay: Duration,
}

/// An interruption of one session, in every transfer that gets so far.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) session: usize,
    /// Bytes of the transfer that come before.
    pub(crate) after: u64,
    /// The least time until the client can know of the interruption.
    pub(crate) detection: Duration,
}

impl Mirror {
    /// A well-behaved server on a path of so many megabits per second.
    pub(crate) fn new(megabits: u64, round_trip_ms: u64) -> Self {
        Self {
            server: SimServer::new().path_megabits(megabits).round_trip_ms(round_trip_ms),
            bytes_per_second: megabits * 1_000_000 / 8,
            fault: None,
            useful_sessions: usize::MAX,
            reply_delay: Duration::ZERO,
        }
    }

    fn map(self, change: impl FnOnce(SimServer) -> SimServer) -> Self {
        Self { server: change(self.server), ..self }
    }

    pub(crate) fn behaving(self, behaviour: Behaviour) -> Self {
        self.map(|server| server.behaving(behaviour))
    }

    /// Throttles each session to so many bytes per second.
    pub(crate) fn session_rate(self, bytes_per_second: u64) -> Self {
        self.map(|server| server.session_rate(bytes_per_second))
    }

    pub(crate) fn session_limit(self, sessions: usize, when_full: WhenFull) -> Self {
        self.map(|server| server.session_limit(sessions, when_full)).useful_sessions(sessions)
    }

    /// Throttles one session to a rate of its own.
    pub(crate) fn slow_session(self, session: usize, bytes_per_second: u64) -> Self {
        self.map(|server| {
            let slow = Behaviour { bytes_per_second: Some(bytes_per_second), ..server.behaviour_of(session) };
            server.session(session, slow)
        })
    }

    pub(crate) fn interrupting(self, session: usize, after: u64, how: Interruption) -> Self {
        let is_silent = matches!(how, Interruption::Stall | Interruption::Vanish);
        let detection = if is_silent { ftp_proto::Timeouts::default().stall } else { Duration::ZERO };
        let fault = Some(Fault { session, after, detection });
        Self { fault, ..self.map(|server| server.interrupting(session, after, how)) }
    }

    /// Puts TCP's congestion control on the path, which loses so many packets of a million at random.
    pub(crate) fn congested(self, losses: u64) -> Self {
        self.map(|server| server.congested(losses))
    }

    pub(crate) fn useful_sessions(self, useful_sessions: usize) -> Self {
        Self { useful_sessions, ..self }
    }

    pub(crate) fn black_hole() -> Self {
        Self { server: SimServer::black_hole(), useful_sessions: 0, ..Self::new(0, 0) }
    }

    pub(crate) fn reply_delay_ms(self, millis: u64) -> Self {
        Self { reply_delay: Duration::from_millis(millis), ..self }
    }

    /// Returns how many bytes the path holds.
    fn bandwidth_delay_product(&self) -> u64 {
        (self.bytes_per_second as f64 * self.server.round_trip().as_secs_f64()) as u64
    }

    /// Returns how many bytes this server may have sent in vain.
    fn in_vain(&self, stats: &Stats) -> u64 {
        let path = self.bandwidth_delay_product();
        // As much as the path holds may wait in its queue, and again behind a lost packet.
        let in_flight = if self.server.losses().is_some() { path * 3 } else { path.min(WINDOW as u64) };
        (in_flight + OVERLAP + HANDED_OVER) * stats.count("RETR") as u64
    }
}

impl Case {
    pub(crate) fn has_well_behaved_mirrors(&self) -> bool {
        self.mirrors.iter().all(|mirror| mirror.server.is_well_behaved())
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let mirrors = self.mirrors.iter().map(|mirror| mirror.server.clone());
        let scenario = Scenario::new(File::generated(5, self.size)).servers(mirrors).seed(seed);
        if self.growing {
            scenario.growing(self.mirrors.len(), self.connections)
        } else {
            scenario.connections(self.connections)
        }
    }

    /// Returns how many downloads the median is taken of: several where chance decides.
    fn seeds(&self) -> u64 {
        let of_losses = |losses| if losses > 0 { SEEDS_WITH_LOSSES } else { SEEDS_WITH_QUEUES };
        self.mirrors.iter().filter_map(|mirror| mirror.server.losses().map(of_losses)).max().unwrap_or(1)
    }

    /// Downloads, and returns the row of the median.
    pub(crate) fn measure(self) -> Row {
        let mut rows: Vec<Row> = (1..=self.seeds()).map(|seed| self.measure_with(seed)).collect();
        rows.sort_by_key(|row| row.took);
        rows.swap_remove(rows.len() / 2)
    }

    fn measure_with(&self, seed: u64) -> Row {
        let download = self.scenario(seed).fetch();
        for (index, mirror) in self.mirrors.iter().enumerate() {
            let Some(fault) = &mirror.fault else { continue };
            let payload = download.stats(index).sessions[fault.session].payload;
            assert!(payload >= fault.after, "{}: no interruption after {payload} bytes", self.name);
        }
        let in_vain =
            self.mirrors.iter().zip(download.all_stats()).map(|(mirror, stats)| mirror.in_vain(stats));
        Row {
            ideal: ideal(self),
            took: download.ended(),
            sent: download.sent(),
            written: download.written(),
            in_vain: in_vain.sum(),
            logins: download.logins(),
            refused: refused(&download),
            case: self.clone(),
        }
    }
}

/// How a case went.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) ideal: Duration,
    /// Until the user is told that the file is there.
    pub(crate) took: Duration,
    /// Payload bytes that the servers sent.
    pub(crate) sent: u64,
    /// Bytes that were written; bytes that came twice count twice.
    pub(crate) written: u64,
    /// Bytes that the servers may have sent in vain: for each transfer that was cut, its overlap and all that was in flight.
    pub(crate) in_vain: u64,
    pub(crate) logins: u32,
    /// Attempts that a server turned away.
    pub(crate) refused: usize,
}

impl Row {
    /// Returns how much longer than the ideal it took, in per cent of the ideal.
    pub(crate) fn over(&self) -> f64 {
        (self.took.as_secs_f64() / self.ideal.as_secs_f64() - 1.0) * 100.0
    }
}

/// Returns how many connections were refused, and how many sessions were turned away or failed to log in.
fn refused(download: &Download) -> usize {
    let refused = Event::Closed(SessionError::Connection(Channel::Control, Cause::Refused));
    let connections = download.events().filter(|(.., event)| *event == refused).count();
    let sessions = |stats: &Stats| {
        let sent_password = |session| stats.lines_of(session).iter().any(|line| line.starts_with("PASS"));
        let all = stats.sessions.iter().enumerate();
        all.filter(|(index, session)| session.full || session.logins == 0 && sent_password(*index)).count()
    };
    connections + download.all_stats().map(sessions).sum::<usize>()
}
