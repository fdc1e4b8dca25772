//! What is downloaded from where, and what came of it.

use super::ideal::ideal;
use ftp_proto::{Cause, Channel, Event, SessionError, Transport};
use pftp_tests::model::{Behaviour, Cap, Cut, File, Interruption, Model, Stats, Tree, WhenFull};
use pftp_tests::sim::{Congestion, MemorySink, Path, Pipes, SimTransport, WINDOW, run, settings};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "pub/file";

/// Bytes that a transfer from the middle fetches before the first one that is wanted.
const LEAD: u64 = 4 * 1024;

/// Bytes that a server has handed to its system beyond that when it learns of a cut.
const HANDED_OVER: u64 = 16 * 1024;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) connections: usize,
    /// Whether that is what the planner may choose, and not what the user has asked for.
    pub(crate) chosen: bool,
    pub(crate) size: u64,
    pub(crate) mirrors: Vec<Mirror>,
}

/// A server and the path to it.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    pub(crate) round_trip: Duration,
    /// Of its path, all connections together.
    pub(crate) bytes_per_second: u64,
    pub(crate) behaviour: Behaviour,
    /// Sessions with a throttle of their own: the number of each, and its bytes per second.
    slow: Vec<(usize, u64)>,
    pub(crate) fault: Option<Fault>,
    /// With TCP's congestion control on its path: the packets that it loses of a million.
    pub(crate) losses: Option<u64>,
    /// So many sessions can be of use.
    pub(crate) useful: usize,
    black_hole: bool,
    /// What its answers take on the way to the first byte, beside the round trips.
    pub(crate) slowness: Duration,
}

/// What happens to one session, in every transfer of it that gets so far.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) session: usize,
    /// Bytes of the transfer that are sent before.
    pub(crate) after: u64,
    how: Interruption,
    /// How long it takes at the least until anybody can know.
    pub(crate) detection: Duration,
}

impl Mirror {
    /// A well-behaved server at the end of a path of so many megabits per second, and milliseconds to and fro.
    pub(crate) fn new(megabits: u64, round_trip: u64) -> Self {
        Self {
            round_trip: Duration::from_millis(round_trip),
            bytes_per_second: megabits * 1_000_000 / 8,
            behaviour: Behaviour::default(),
            slow: Vec::new(),
            fault: None,
            losses: None,
            useful: usize::MAX,
            black_hole: false,
            slowness: Duration::ZERO,
        }
    }

    pub(crate) fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// With so many bytes per second for each session.
    pub(crate) fn throttled(mut self, bytes_per_second: u64) -> Self {
        self.behaviour.bytes_per_second = Some(bytes_per_second);
        self
    }

    pub(crate) fn capped(mut self, sessions: usize, when_full: WhenFull) -> Self {
        self.behaviour.cap = Some(Cap { sessions, when_full, ..Cap::default() });
        self.useful(sessions)
    }

    /// With one session that has so many bytes per second.
    pub(crate) fn with_slow(mut self, session: usize, bytes_per_second: u64) -> Self {
        self.slow.push((session, bytes_per_second));
        self
    }

    pub(crate) fn failing(mut self, session: usize, after: u64, how: Interruption) -> Self {
        let silent = matches!(how, Interruption::Stall | Interruption::Vanish);
        let detection = if silent { ftp_proto::Timeouts::default().stall } else { Duration::ZERO };
        self.fault = Some(Fault { session, after, how, detection });
        self
    }

    /// With TCP's congestion control, on a path that loses so many packets of a million at random.
    pub(crate) fn congested(mut self, losses: u64) -> Self {
        self.losses = Some(losses);
        self
    }

    /// With sessions of which no more than so many can be of use.
    pub(crate) fn useful(mut self, sessions: usize) -> Self {
        self.useful = sessions;
        self
    }

    pub(crate) fn black_hole(mut self) -> Self {
        self.black_hole = true;
        self.useful(0)
    }

    pub(crate) fn slow_to_answer(mut self, millis: u64) -> Self {
        self.slowness = Duration::from_millis(millis);
        self
    }

    /// Whether it serves everybody at the first attempt.
    pub(crate) fn is_well(&self) -> bool {
        self.behaviour
            == Behaviour { bytes_per_second: self.behaviour.bytes_per_second, ..Behaviour::default() }
            && self.fault.is_none()
            && !self.black_hole
    }

    /// How the session with this number behaves.
    pub(crate) fn session(&self, index: usize) -> Behaviour {
        let mut behaviour = self.behaviour.clone();
        for (_, rate) in self.slow.iter().filter(|(slow, _)| *slow == index) {
            behaviour.bytes_per_second = Some(*rate);
        }
        match self.fault.as_ref().filter(|fault| fault.session == index) {
            Some(fault) => behaviour.cutting_every(Cut::silent(fault.after, fault.how)),
            None => behaviour,
        }
    }

    /// How many downloads say what is usual, if it is a matter of chance: more where packets get lost at random.
    fn seeds(&self) -> Option<u64> {
        self.losses.map(|losses| if losses > 0 { 5 } else { 3 })
    }

    /// The bytes that its path holds.
    fn bandwidth_delay_product(&self) -> u64 {
        let held = self.bytes_per_second as f64 * self.round_trip.as_secs_f64();
        held as u64
    }

    fn in_vain(&self, stats: &Stats) -> u64 {
        let path = self.bandwidth_delay_product();
        // Beside what the path holds as much waits in its queue, and behind a gap.
        let under_way = if self.losses.is_some() { path * 3 } else { path.min(WINDOW as u64) };
        (under_way + LEAD + HANDED_OVER) * stats.count("RETR") as u64
    }

    fn model(&self, file: &File) -> Model {
        let model = Model::new(Tree::new().with(NAME, file.clone())).with_behaviour(self.behaviour.clone());
        let own = self.slow.iter().map(|(session, _)| *session);
        let own = own.chain(self.fault.as_ref().map(|fault| fault.session));
        own.fold(model, |model, session| model.with_session(session, self.session(session)))
    }

    fn add_to(&self, transport: &mut SimTransport, file: &File, seed: u64) -> SocketAddr {
        if self.black_hole {
            return transport.black_hole();
        }
        let path = Path { latency: self.round_trip / 2, bytes_per_second: Some(self.bytes_per_second) };
        let server = transport.add(self.model(file), path);
        if let Some(losses) = self.losses {
            transport.set_pipes(server, Pipes::congested(Congestion::of_losses(losses, seed)));
        }
        server
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) ideal: Duration,
    /// Until the user is told that the file is there.
    pub(crate) took: Duration,
    /// Payload bytes that the servers sent.
    pub(crate) sent: u64,
    /// Bytes that were written, those that came twice twice.
    pub(crate) written: u64,
    /// Bytes that may have been under way in vain: for each transfer, as far as it did not end where the file does, what
    /// its path holds, its lead, and what waits to be sent.
    pub(crate) in_vain: u64,
    pub(crate) logins: u32,
    /// Attempts that no login came of, by the server's will.
    pub(crate) refused: usize,
}

impl Row {
    /// What it took longer than the ideal, in per cent of that.
    pub(crate) fn over(&self) -> f64 {
        (self.took.as_secs_f64() / self.ideal.as_secs_f64() - 1.0) * 100.0
    }
}

/// Downloads, exactly. On a path with congestion control that is a matter of chance: of several downloads the one that took
/// longer than half of the others.
pub(crate) fn measure(case: Case) -> Row {
    let seeds = case.mirrors.iter().filter_map(Mirror::seeds).max().unwrap_or(1);
    let mut rows: Vec<Row> = (1..=seeds).map(|seed| with_seed(case.clone(), seed)).collect();
    rows.sort_by_key(|row| row.took);
    rows.swap_remove(rows.len() / 2)
}

fn with_seed(case: Case, seed: u64) -> Row {
    let sink = Arc::new(MemorySink::default());
    let mut transport = SimTransport::new(Arc::clone(&sink));
    let file = File::generated(5, case.size);
    let servers: Vec<SocketAddr> =
        case.mirrors.iter().map(|mirror| mirror.add_to(&mut transport, &file, seed)).collect();
    let mut settings = settings(&servers, NAME, case.connections);
    settings.seed = seed;
    if case.chosen {
        settings.begin_with = NonZeroUsize::new(servers.len()).expect("a mirror");
    }
    let outcome = run(settings, &mut transport);
    let name = &case.name;
    assert_eq!(outcome.result, Ok(case.size), "{name}: {:?}", outcome.warnings);
    assert!(sink.holds(&file), "{name}: the bytes are wrong");
    for (mirror, server) in case.mirrors.iter().zip(&servers) {
        let Some(fault) = &mirror.fault else { continue };
        let payload = transport.stats(*server).sessions[fault.session].payload;
        assert!(payload >= fault.after, "{name}: the fault did not happen, {payload} bytes were sent");
    }
    let stats = || servers.iter().map(|server| transport.stats(*server));
    Row {
        ideal: ideal(&case),
        took: transport.now().0,
        sent: stats().map(|stats| stats.payload()).sum(),
        written: sink.written(),
        in_vain: case.mirrors.iter().zip(stats()).map(|(mirror, stats)| mirror.in_vain(stats)).sum(),
        logins: stats().map(|stats| stats.logins()).sum(),
        refused: refused(&transport, &servers),
        case,
    }
}

/// Connections refused, sessions for which there was no room, and logins refused.
fn refused(transport: &SimTransport, servers: &[SocketAddr]) -> usize {
    let refused = SessionError::Connection(Channel::Control, Cause::Refused);
    let connections =
        transport.events().iter().filter(|(.., event)| *event == Event::Closed(refused.clone())).count();
    let sessions = servers.iter().map(|server| {
        let stats = transport.stats(*server);
        let asked = |index| stats.lines_of(index).iter().any(|line| line.starts_with("PASS"));
        let all = stats.sessions.iter().enumerate();
        all.filter(|(index, session)| session.full || session.logins == 0 && asked(*index)).count()
    });
    connections + sessions.sum::<usize>()
}
