//! The cases of the table.

use super::world::{Case, Mirror};
use pftp::run::MOST_CHOSEN;
use pftp_tests::model::{Behaviour, Bursts, Cut, Interruption, Login, Reaction, Trigger, WhenFull};
use std::time::Duration;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 16 * MIB;

/// The ways in which a server says that it takes no more.
pub(crate) const FULL: [(&str, WhenFull); 4] = [
    ("421 at the greeting", WhenFull::Greeting),
    ("530 at PASS", WhenFull::Password),
    ("accepts and hangs", WhenFull::Hang),
    ("refuses TCP", WhenFull::Refuse),
];

/// Headings, and the cases below each.
pub(crate) fn all() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("One mirror, 80 Mbit/s", clean()),
        ("Several mirrors", mirrors()),
        ("One session unlike the others, 1 MiB/s each", one_of_many()),
        ("A throttle on each session, 500 Mbit/s, 20 ms", throttled()),
        ("A server full with 2 sessions, 1 MiB/s each, 40 ms", full()),
        ("As many connections as pay", chosen()),
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

fn case(name: impl Into<String>, connections: usize, mirrors: impl Into<Vec<Mirror>>) -> Case {
    Case { name: name.into(), connections, chosen: false, size: SIZE, mirrors: mirrors.into() }
}

fn of_size(size: u64, case: Case) -> Case {
    Case { size, ..case }
}

fn clean() -> Vec<Case> {
    let round_trips = [5, 40, 150];
    let cell = |round_trip, connections| {
        case(format!("{round_trip} ms"), connections, [Mirror::new(80, round_trip)])
    };
    round_trips.iter().flat_map(|ms| [1, 4, 8].map(|connections| cell(*ms, connections))).collect()
}

fn mirrors() -> Vec<Case> {
    let mut cases = Vec::new();
    let pairs = [
        ("2: 40/40 Mbit/s, 40/40 ms", [(40, 40), (40, 40)]),
        ("2: 64/16 Mbit/s, 40/40 ms", [(64, 40), (16, 40)]),
        ("2: 40/40 Mbit/s, 5/150 ms", [(40, 5), (40, 150)]),
        ("2: 80/2 Mbit/s, 150/5 ms", [(80, 150), (2, 5)]),
    ];
    for (name, pair) in pairs {
        let pair = pair.map(|(megabits, round_trip)| Mirror::new(megabits, round_trip));
        cases.extend([4, 8].map(|connections| case(name, connections, pair.clone())));
    }
    for round_trip in [5, 40, 150] {
        let equal = [(); 3].map(|()| Mirror::new(30, round_trip));
        cases.push(case(format!("3: 30/30/30 Mbit/s, {round_trip} ms"), 8, equal));
    }
    for connections in [6, 12] {
        let three = case("3: 80/40/8 Mbit/s, 20/60/150 ms", connections, three());
        cases.push(of_size(64 * MIB, three));
    }
    cases
}

fn one_of_many() -> Vec<Case> {
    let mut cases = Vec::new();
    for round_trip in [5, 40, 150] {
        let slow = throttled_mirror(round_trip).with_slow(1, MIB / 40);
        cases.push(one_of(4, "at 1/40", round_trip, slow));
    }
    for (name, how) in [("stalls dead", Interruption::Vanish), ("dies", Interruption::Die)] {
        for round_trip in [5, 40, 150] {
            let after = size_for(round_trip) / 8;
            let failing = throttled_mirror(round_trip).failing(1, after, how);
            cases.push(one_of(4, &format!("{name} half way"), round_trip, failing));
        }
    }
    let others = [
        ("is reset half way, without a word", Interruption::Reset),
        ("pauses for 2 s half way", Interruption::Pause(Duration::from_secs(2))),
    ];
    cases.extend(
        others.map(|(name, how)| one_of(4, name, 40, throttled_mirror(40).failing(1, size_for(40) / 8, how))),
    );
    cases.push(one_of(8, "at 1/40", 40, throttled_mirror(40).with_slow(1, MIB / 40)));
    let first = [
        ("at 1/40, the first", throttled_mirror(40).with_slow(0, MIB / 40)),
        (
            "stalls dead half way, the first",
            throttled_mirror(40).failing(0, size_for(40) / 8, Interruption::Vanish),
        ),
        ("dies half way, the first", throttled_mirror(40).failing(0, size_for(40) / 8, Interruption::Die)),
    ];
    cases.extend(first.map(|(name, mirror)| one_of(4, name, 40, mirror)));
    cases.push(one_of(
        1,
        "stalls dead half way",
        40,
        throttled_mirror(40).failing(0, SIZE / 2, Interruption::Vanish),
    ));
    cases
}

fn throttled_mirror(round_trip: u64) -> Mirror {
    Mirror::new(500, round_trip).throttled(MIB)
}

/// Where round trips are long, a file that takes long enough for a cut not to count.
const fn size_for(round_trip: u64) -> u64 {
    // Long enough for a handful of round trips to be little of it.
    match round_trip {
        ..20 => SIZE,
        20..100 => 2 * SIZE,
        100.. => 4 * SIZE,
    }
}

fn one_of(connections: usize, what: &str, round_trip: u64, mirror: Mirror) -> Case {
    let name = format!("one of {connections} {what}, {round_trip} ms");
    of_size(size_for(round_trip), case(name, connections, [mirror]))
}

fn throttled() -> Vec<Case> {
    let mirror = || Mirror::new(500, 20).throttled(2 * MIB);
    let cell = |connections| of_size(64 * MIB, case("2 MiB/s each", connections, [mirror()]));
    [1, 4, 8].map(cell).into()
}

fn full() -> Vec<Case> {
    let mirror = || Mirror::new(80, 40).throttled(MIB);
    FULL.iter().map(|(name, when_full)| case(*name, 8, [mirror().capped(2, *when_full)])).collect()
}

fn chosen() -> Vec<Case> {
    let cases = [
        case("a full path of 80 Mbit/s, 40 ms", MOST_CHOSEN, [Mirror::new(80, 40)]),
        case("2 MiB/s each, 500 Mbit/s, 20 ms", MOST_CHOSEN, [Mirror::new(500, 20).throttled(2 * MIB)]),
        case("2 MiB/s each, 500 Mbit/s, 20 ms", 4, [Mirror::new(500, 20).throttled(2 * MIB)]),
        case(CHOSEN_FULL, MOST_CHOSEN, [Mirror::new(80, 40).throttled(MIB).capped(2, WhenFull::Password)]),
    ];
    cases.into_iter().map(|case| Case { chosen: true, ..of_size(64 * MIB, case) }).collect()
}

fn congested() -> Vec<Case> {
    let paths = [("nothing is lost at random", 0), ("one packet of 1000 is lost", 1000)];
    let cell = |(name, losses), (connections, chosen)| {
        let name = if chosen { format!("{name}, as many as pay") } else { String::from(name) };
        let mirror = Mirror::new(200, 80).congested(losses);
        Case { chosen, ..of_size(64 * MIB, case(name, connections, [mirror])) }
    };
    let counts = [(1, false), (4, false), (8, false), (16, false), (MOST_CHOSEN, true)];
    paths.iter().flat_map(|path| counts.map(|count| cell(*path, count))).collect()
}

/// The paths of the lab's three mirrors.
fn three() -> [Mirror; 3] {
    [Mirror::new(80, 20), Mirror::new(40, 60), Mirror::new(8, 150)]
}

/// Their rows.
pub(crate) const CONGESTED_MIRRORS: &str = "80/40/8 Mbit/s, 20/60/150 ms, congested";

fn congested_mirrors() -> Vec<Case> {
    let cell = |(connections, chosen)| {
        let mirrors = three().map(|mirror| mirror.congested(0));
        Case { chosen, ..of_size(64 * MIB, case(CONGESTED_MIRRORS, connections, mirrors)) }
    };
    [(6, false), (12, false), (MOST_CHOSEN, true)].map(cell).to_vec()
}

/// One of them: the server is full with two sessions.
pub(crate) const CHOSEN_FULL: &str = "1 MiB/s each, 530 at the third PASS, 40 ms";

fn failing() -> Vec<Case> {
    let good = || Mirror::new(40, 40);
    let refuses_login = Behaviour { login: Login::only("somebody", "else"), ..Behaviour::default() };
    let missing = || Reaction::reply("550 No such file.");
    let has_nothing = ["SIZE", "MDTM", "RETR"]
        .iter()
        .fold(Behaviour::default(), |behaviour, verb| behaviour.when(Trigger::every(verb), missing()));
    let bad = [
        ("refuses TCP from the start", good().capped(0, WhenFull::Refuse)),
        ("never answers a SYN", good().black_hole()),
        ("accepts and says nothing", good().capped(0, WhenFull::Hang)),
        ("530 to every login", good().behaving(refuses_login).useful(0)),
        ("550: it has no such file", good().behaving(has_nothing).useful(0)),
        ("dies after 1 MiB of each transfer", good().behaving(cutting(Interruption::Die))),
        ("stalls after 1 MiB of each transfer", good().behaving(cutting(Interruption::Vanish))),
    ];
    let pair = |(name, bad): (&str, Mirror)| [case(format!("{name}; it is first"), 4, [bad, good()])];
    bad.into_iter().flat_map(pair).collect()
}

fn cutting(how: Interruption) -> Behaviour {
    Behaviour::default().cutting_every(Cut::silent(MIB, how))
}

fn dialects() -> Vec<Case> {
    let mirror = |behaviour| [Mirror::new(80, 40).behaving(behaviour)];
    let bursts = |bursts| mirror(Behaviour { bursts, ..Behaviour::default() });
    let half = Reaction::Delay(Duration::from_millis(500));
    let delayed = |verb, costs| {
        let behaviour = Behaviour::default().when(Trigger::every(verb), half.clone());
        mirror(behaviour).map(|mirror| mirror.slow_to_answer(costs))
    };
    let without = |verb| mirror(Behaviour::default().without(verb));
    vec![
        case("ProFTPD", 4, mirror(Behaviour::proftpd())),
        case("of a burst, all but the first command is lost", 4, bursts(Bursts::RestDropped)),
        case("of a burst, the second command is refused", 4, bursts(Bursts::SecondRefused)),
        case("a burst ends the session", 4, bursts(Bursts::Closed)),
        case("EPSV is unknown", 4, without("EPSV")),
        case("REST is unknown", 4, without("REST").map(|mirror| mirror.useful(1))),
        case("half a second for each EPSV", 4, delayed("EPSV", 500)),
        // Two round trips pass anyhow until the data connection is accepted.
        case("half a second for each RETR", 4, delayed("RETR", 420)),
        case("half a second for each PASS", 4, delayed("PASS", 500)),
    ]
}

fn small() -> Vec<Case> {
    let sizes = [("1 KiB", 1024), ("100 KiB", 100 * 1024), ("1 MiB", MIB)];
    sizes.map(|(name, size)| of_size(size, case(name, 8, [Mirror::new(100, 100)]))).into()
}
