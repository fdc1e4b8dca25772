//! The rows of the table, each with its allowance: at most a point above what the row takes.

use super::case::{Case, Mirror};
use pftp::Settings as DownloadSettings;
use pftp_tests::model::{Behaviour, Bursts, Cut, Interruption, Login, Reaction, Trigger, WhenFull};
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The sizes of the files.
const SIZE: u64 = 16 * MIB;
const LARGE: u64 = 64 * MIB;

/// The round trips of near, usual and far servers, in milliseconds.
const NEAR: u64 = 5;
const USUAL: u64 = 40;
const FAR: u64 = 150;

/// The names of the rows with a full server, and how it turns a session away.
pub(crate) const FULL: [(&str, WhenFull); 4] = [
    ("421 at the greeting", WhenFull::Greeting),
    ("530 at PASS", WhenFull::Password),
    ("accepts and hangs", WhenFull::Hang),
    ("refuses TCP", WhenFull::Refuse),
];

/// The name of the row in which the client adds connections and the server takes two.
pub(crate) const FULL_WHILE_GROWING: &str = "1 MiB/s each, 530 at the third PASS, 40 ms";

/// The name of the rows with three unequal mirrors on congested paths.
pub(crate) const CONGESTED_MIRRORS: &str = "80/40/8 Mbit/s, 20/60/150 ms, congested";

/// Returns the headings, and the cases below each.
pub(crate) fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("One mirror, 80 Mbit/s", one_mirror()),
        ("Several mirrors", several_mirrors()),
        ("One session unlike the others, 1 MiB/s each", one_session_unlike_the_others()),
        ("A throttle on each session, 500 Mbit/s, 20 ms", throttled()),
        ("A server full with 2 sessions, 1 MiB/s each, 40 ms", full()),
        ("As many connections as pay", growing()),
        ("A path with TCP's congestion control, 200 Mbit/s, 80 ms, the median of several", congested()),
        (
            "Three mirrors with TCP's congestion control on their paths, the median of several",
            congested_mirrors(),
        ),
        ("A mirror that fails, beside one of 40 Mbit/s, 40 ms", failing()),
        ("Servers with ways of their own, 80 Mbit/s, 40 ms", dialects()),
        ("Small files, 100 Mbit/s, 100 ms", small()),
    ]
}

/// A download of [`SIZE`] bytes that may take `allowance` per cent longer than its ideal.
fn case(
    name: impl Into<String>,
    connections: usize,
    allowance: f64,
    mirrors: impl Into<Vec<Mirror>>,
) -> Case {
    Case { name: name.into(), connections, growing: false, size: SIZE, mirrors: mirrors.into(), allowance }
}

fn sized(size: u64, case: Case) -> Case {
    Case { size, ..case }
}

fn one_mirror() -> Vec<Case> {
    let rows = [
        (NEAR, 1, 1.3),
        (NEAR, 4, 1.3),
        (NEAR, 8, 1.7),
        (USUAL, 1, 5.8),
        (USUAL, 4, 3.1),
        (USUAL, 8, 2.6),
        (FAR, 1, 3.3),
        (FAR, 4, 15.0),
        (FAR, 8, 10.9),
    ];
    rows.map(|(ms, connections, allowance)| {
        case(format!("{ms} ms"), connections, allowance, [Mirror::new(80, ms)])
    })
    .into()
}

fn several_mirrors() -> Vec<Case> {
    let pairs = [
        ("2: 40/40 Mbit/s, 40/40 ms", [(40, 40), (40, 40)], [(4, 8.6), (8, 7.0)]),
        ("2: 64/16 Mbit/s, 40/40 ms", [(64, 40), (16, 40)], [(4, 11.1), (8, 9.9)]),
        ("2: 40/40 Mbit/s, 5/150 ms", [(40, 5), (40, 150)], [(4, 28.7), (8, 22.3)]),
        ("2: 80/2 Mbit/s, 150/5 ms", [(80, 150), (2, 5)], [(4, 119.3), (8, 101.7)]),
    ];
    let mut cases = Vec::new();
    for (name, paths, rows) in pairs {
        let mirrors = paths.map(|(megabits, ms)| Mirror::new(megabits, ms));
        cases
            .extend(rows.map(|(connections, allowance)| case(name, connections, allowance, mirrors.clone())));
    }
    for (ms, allowance) in [(NEAR, 4.4), (USUAL, 11.6), (FAR, 33.5)] {
        let equal = [(); 3].map(|()| Mirror::new(30, ms));
        cases.push(case(format!("3: 30/30/30 Mbit/s, {ms} ms"), 8, allowance, equal));
    }
    for (connections, allowance) in [(6, 4.3), (12, 6.0)] {
        let name = "3: 80/40/8 Mbit/s, 20/60/150 ms";
        cases.push(sized(LARGE, case(name, connections, allowance, unequal_mirrors())));
    }
    cases
}

/// The paths of the lab's three mirrors.
fn unequal_mirrors() -> [Mirror; 3] {
    [Mirror::new(80, 20), Mirror::new(40, 60), Mirror::new(8, 150)]
}

/// A fault of one session of a server that throttles each session to 1 MiB/s.
type SessionFault = fn(Mirror, u64) -> Mirror;

const SLOW: SessionFault = |mirror, _| mirror.slow_session(1, MIB / 40);
const FIRST_SLOW: SessionFault = |mirror, _| mirror.slow_session(0, MIB / 40);
const STALLS: SessionFault = |mirror, half| mirror.interrupting(1, half, Interruption::Vanish);
const FIRST_STALLS: SessionFault = |mirror, half| mirror.interrupting(0, half, Interruption::Vanish);
const DIES: SessionFault = |mirror, half| mirror.interrupting(1, half, Interruption::Die);
const FIRST_DIES: SessionFault = |mirror, half| mirror.interrupting(0, half, Interruption::Die);
const RESET: SessionFault = |mirror, half| mirror.interrupting(1, half, Interruption::Reset);
const PAUSES: SessionFault =
    |mirror, half| mirror.interrupting(1, half, Interruption::Pause(Duration::from_secs(2)));

fn one_session_unlike_the_others() -> Vec<Case> {
    let rows: [(&str, SessionFault, usize, u64, f64); 16] = [
        ("at 1/40", SLOW, 4, NEAR, 5.9),
        ("at 1/40", SLOW, 4, USUAL, 6.3),
        ("at 1/40", SLOW, 4, FAR, 10.0),
        ("stalls dead half way", STALLS, 4, NEAR, 3.1),
        ("stalls dead half way", STALLS, 4, USUAL, 4.6),
        ("stalls dead half way", STALLS, 4, FAR, 7.1),
        ("dies half way", DIES, 4, NEAR, 4.4),
        ("dies half way", DIES, 4, USUAL, 4.9),
        ("dies half way", DIES, 4, FAR, 7.2),
        ("is reset half way, without a word", RESET, 4, USUAL, 20.7),
        ("pauses for 2 s half way", PAUSES, 4, USUAL, 11.3),
        ("at 1/40", SLOW, 8, USUAL, 9.3),
        ("at 1/40, the first", FIRST_SLOW, 4, USUAL, 6.3),
        ("stalls dead half way, the first", FIRST_STALLS, 4, USUAL, 5.4),
        ("dies half way, the first", FIRST_DIES, 4, USUAL, 4.9),
        ("stalls dead half way", FIRST_STALLS, 1, USUAL, 1.6),
    ];
    rows.map(|(what, fault, connections, ms, allowance)| {
        // Long enough for a few round trips to be little of the time.
        let size = match ms {
            NEAR => SIZE,
            USUAL => 2 * SIZE,
            _ => 4 * SIZE,
        };
        // Half of what a session fetches of the file; of the only session, all that the table has always had.
        let half = if connections == 1 { SIZE / 2 } else { size / 8 };
        let mirror = fault(Mirror::new(500, ms).session_rate(MIB), half);
        sized(size, case(format!("one of {connections} {what}, {ms} ms"), connections, allowance, [mirror]))
    })
    .into()
}

fn throttled() -> Vec<Case> {
    let rows = [(1, 1.1), (4, 1.7), (8, 2.3)];
    rows.map(|(connections, allowance)| {
        let mirror = Mirror::new(500, 20).session_rate(2 * MIB);
        sized(LARGE, case("2 MiB/s each", connections, allowance, [mirror]))
    })
    .into()
}

fn full() -> Vec<Case> {
    let mirror = |when_full| Mirror::new(80, USUAL).session_rate(MIB).session_limit(2, when_full);
    FULL.map(|(name, when_full)| case(name, 8, 5.2, [mirror(when_full)])).into()
}

fn growing() -> Vec<Case> {
    let throttled = || Mirror::new(500, 20).session_rate(2 * MIB);
    let full = Mirror::new(80, USUAL).session_rate(MIB).session_limit(2, WhenFull::Password);
    let cases = [
        case(
            "a saturated path of 80 Mbit/s, 40 ms",
            DownloadSettings::CHOSEN_CONNECTIONS,
            4.9,
            [Mirror::new(80, USUAL)],
        ),
        case("2 MiB/s each, 500 Mbit/s, 20 ms", DownloadSettings::CHOSEN_CONNECTIONS, 33.1, [throttled()]),
        case("2 MiB/s each, 500 Mbit/s, 20 ms", 4, 5.2, [throttled()]),
        case(FULL_WHILE_GROWING, DownloadSettings::CHOSEN_CONNECTIONS, 2.8, [full]),
    ];
    cases.map(|case| Case { growing: true, ..sized(LARGE, case) }).into()
}

fn congested() -> Vec<Case> {
    let paths = [
        ("nothing is lost at random", 0, [(1, 18.9), (4, 28.3), (8, 33.4), (16, 35.5)], 18.9),
        ("one packet of 1000 is lost", 1000, [(1, 465.3), (4, 119.9), (8, 70.2), (16, 35.2)], 44.2),
    ];
    let mut cases = Vec::new();
    for (name, losses, fixed, allowance_while_growing) in paths {
        let mirror = || [Mirror::new(200, 80).congested(losses)];
        cases.extend(fixed.map(|(connections, allowance)| case(name, connections, allowance, mirror())));
        let name = format!("{name}, as many as pay");
        let growing = case(name, DownloadSettings::CHOSEN_CONNECTIONS, allowance_while_growing, mirror());
        cases.push(Case { growing: true, ..growing });
    }
    cases.into_iter().map(|case| sized(LARGE, case)).collect()
}

fn congested_mirrors() -> Vec<Case> {
    let rows = [(6, false), (12, false), (DownloadSettings::CHOSEN_CONNECTIONS, true)];
    rows.map(|(connections, growing)| {
        let mirrors = unequal_mirrors().map(|mirror| mirror.congested(0));
        Case { growing, ..sized(LARGE, case(CONGESTED_MIRRORS, connections, 8.2, mirrors)) }
    })
    .into()
}

fn failing() -> Vec<Case> {
    let good = || Mirror::new(40, USUAL);
    let refusing_logins = Behaviour { login: Login::only("somebody", "else"), ..Behaviour::default() };
    let without_file = ["SIZE", "MDTM", "RETR"].iter().fold(Behaviour::default(), |behaviour, verb| {
        behaviour.when(Trigger::every(verb), Reaction::reply("550 No such file."))
    });
    let cutting = |how| good().behaving(Behaviour::default().cutting_every(Cut::silent(MIB, how)));
    let rows = [
        ("refuses TCP from the start", 2.5, good().session_limit(0, WhenFull::Refuse)),
        ("never answers a SYN", 1.9, Mirror::black_hole()),
        ("accepts and says nothing", 3.9, good().session_limit(0, WhenFull::Hang)),
        ("530 to every login", 4.0, good().behaving(refusing_logins).useful_sessions(0)),
        ("550: it has no such file", 3.9, good().behaving(without_file).useful_sessions(0)),
        ("dies after 1 MiB of each transfer", 41.1, cutting(Interruption::Die)),
        ("stalls after 1 MiB of each transfer", 85.9, cutting(Interruption::Vanish)),
    ];
    rows.map(|(name, allowance, bad)| case(format!("{name}; it is first"), 4, allowance, [bad, good()]))
        .into()
}

fn dialects() -> Vec<Case> {
    let mirror = |behaviour| Mirror::new(80, USUAL).behaving(behaviour);
    let bursts = |bursts| mirror(Behaviour { bursts, ..Behaviour::default() });
    let half_a_second = || Reaction::Delay(Duration::from_millis(500));
    let delayed = |verb| mirror(Behaviour::default().when(Trigger::every(verb), half_a_second()));
    let without = |verb| mirror(Behaviour::default().without(verb));
    let rows = [
        ("ProFTPD", 4.8, mirror(Behaviour::proftpd())),
        ("of a burst, all but the first command is lost", 290.7, bursts(Bursts::RestDropped)),
        ("of a burst, the second command is refused", 24.4, bursts(Bursts::SecondRefused)),
        ("a burst ends the session", 24.4, bursts(Bursts::Closed)),
        ("EPSV is unknown", 5.2, without("EPSV")),
        ("REST is unknown", 6.1, without("REST").useful_sessions(1)),
        ("half a second for each EPSV", 2.7, delayed("EPSV").reply_delay_ms(500)),
        // Two round trips pass anyway until the data connection is accepted.
        ("half a second for each RETR", 2.9, delayed("RETR").reply_delay_ms(420)),
        ("half a second for each PASS", 2.7, delayed("PASS").reply_delay_ms(500)),
    ];
    rows.map(|(name, allowance, mirror)| case(name, 4, allowance, [mirror])).into()
}

fn small() -> Vec<Case> {
    let rows = [("1 KiB", KIB, 1.0), ("100 KiB", 100 * KIB, 1.0), ("1 MiB", MIB, 22.8)];
    rows.map(|(name, size, allowance)| sized(size, case(name, 8, allowance, [Mirror::new(100, 100)]))).into()
}
