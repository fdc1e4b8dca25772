//! What the planner makes of slow, full, dead and disagreeing mirrors: in virtual time.

#[path = "planning/earlier.rs"]
mod earlier;
#[path = "planning/full.rs"]
mod full;
#[path = "planning/growth.rs"]
mod growth;
#[path = "planning/search.rs"]
mod search;
#[path = "planning/slots.rs"]
mod slots;

use ftp_proto::{Event, Instant};
use pftp::exit::Kind;
use pftp::plan::Settings;
use pftp_tests::model::{
    Behaviour, Bursts, Cap, Cut, File, Interruption, Model, Nth, Reaction, Tree, Trigger, WhenFull,
};
use pftp_tests::sim::{MemorySink, Outcome, Path, SimTransport, run, settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const SIZE: u64 = 8 << 20;
const NAME: &str = "pub/file";

fn file() -> File {
    File::generated(3, SIZE)
}

fn model(behaviour: Behaviour) -> Model {
    Model::new(Tree::new().with(NAME, file())).with_behaviour(behaviour)
}

fn throttled(bytes_per_second: u64) -> Behaviour {
    Behaviour { bytes_per_second: Some(bytes_per_second), ..Behaviour::default() }
}

struct World {
    transport: SimTransport,
    sink: Arc<MemorySink>,
}

impl World {
    fn new() -> Self {
        let sink = Arc::new(MemorySink::default());
        Self { transport: SimTransport::new(Arc::clone(&sink)), sink }
    }

    fn add(&mut self, model: Model) -> SocketAddr {
        self.transport.add(model, Path::of_round_trip(40))
    }

    fn run(&mut self, settings: Settings) -> Outcome {
        run(settings, &mut self.transport)
    }

    /// Downloads, exactly.
    fn fetch(&mut self, servers: &[SocketAddr], connections: usize) -> Outcome {
        self.fetch_with(settings(servers, NAME, connections))
    }

    fn fetch_with(&mut self, settings: Settings) -> Outcome {
        let outcome = self.run(settings);
        assert_eq!(outcome.result, Ok(SIZE));
        assert!(self.sink.contents() == file().read(0..SIZE), "the bytes are wrong");
        outcome
    }

    fn took(&self) -> Duration {
        let ends =
            self.transport.events().iter().filter(|(_, _, event)| matches!(event, Event::Finished(..)));
        ends.map(|(at, ..)| *at).max().unwrap_or(Instant::ZERO).0
    }
}

#[test]
fn a_slow_connection_loses_its_work_to_the_others_and_none_logs_in_twice() {
    let mut world = World::new();
    let server = world.add(model(throttled(1 << 20)).with_session(1, throttled((1 << 20) / 40)));
    let outcome = world.fetch(&[server], 4);
    assert_eq!(outcome.warnings, [""; 0]);
    let stats = world.transport.stats(server);
    assert_eq!(stats.logins(), 4);
    assert_eq!(stats.sessions.len(), 4);
    // 8 MiB at 3 MiB/s, and the slow one's part of 2 MiB would alone have taken 80 s.
    assert!(world.took() < Duration::from_millis(3500), "{:?}", world.took());
}

#[test]
fn a_mirror_that_dies_is_a_warning_while_another_lives() {
    let mut world = World::new();
    let full = model(throttled(1 << 20));
    let dead = model(Behaviour {
        cap: Some(Cap { sessions: 0, when_full: WhenFull::Refuse, ..Cap::default() }),
        ..Behaviour::default()
    });
    let servers = [world.add(dead), world.add(full)];
    let outcome = world.fetch(&servers, 4);
    assert_eq!(outcome.warnings.len(), 1);
    assert!(outcome.warnings[0].starts_with("192.0.2.1:21: connecting: connection refused"), "{outcome:?}");
    assert_eq!(world.transport.stats(servers[1]).logins(), 4, "the dead mirror's connections moved over");
}

/// Of two that wait for their first byte each took from the other what it had just lost to it, and was asked for a sign of life
/// each time: 475 in all.
#[test]
fn a_range_does_not_go_to_and_fro_between_two_that_are_silent() {
    let mut world = World::new();
    let silent = |retrieve| {
        let delay = Reaction::Delay(Duration::from_secs(20));
        throttled(1 << 20).when(Trigger::Verb("RETR".to_owned(), Nth::From(retrieve)), delay)
    };
    let model = model(throttled(64 << 10)).with_session(1, silent(1)).with_session(2, silent(2));
    let server = world.add(model);
    world.fetch(&[server], 4);
    let signs = world.transport.stats(server).count("NOOP");
    assert!(signs <= 8, "{signs} signs of life");
}

/// Of a transfer that had fetched its lead for 17 seconds, and then the first bytes that count, as good as nothing seemed to
/// come: another took it over, with a lead of its own, and so on.
#[test]
fn a_transfer_whose_lead_takes_long_is_not_taken_for_dead() {
    let mut world = World::new();
    let small = File::generated(3, 8192);
    let server = world.add(Model::new(Tree::new().with(NAME, small)).with_behaviour(throttled(234)));
    let outcome = world.run(Settings { min_segment: 1, min_tail: 1, ..settings(&[server], NAME, 5) });
    assert_eq!(outcome.result, Ok(8192));
    assert!(world.took() < Duration::from_secs(60), "{:?}", world.took());
}

/// No tail below 16 KiB was taken, however long that took to come: the other mirror looked on.
#[test]
fn of_a_small_file_that_comes_slowly_each_mirror_brings_a_part() {
    let mut world = World::new();
    let small = File::generated(3, 28 << 10);
    let mut slow =
        || world.add(Model::new(Tree::new().with(NAME, small.clone())).with_behaviour(throttled(3500)));
    let servers = [slow(), slow()];
    let outcome = world.run(settings(&servers, NAME, 2));
    assert_eq!(outcome.result, Ok(28 << 10));
    // One alone needs 8.2 s, and both 4.1 and the 4 KiB that are compared where they meet.
    assert!(world.took() < Duration::from_secs(6), "{:?}", world.took());
}

/// It was split all the same when a transfer was slow, whatever size the user had named.
#[test]
fn what_may_not_be_split_is_fetched_a_second_time() {
    let mut world = World::new();
    let server = world.add(model(throttled(1 << 20)).with_session(1, throttled(64 << 10)));
    let half = SIZE / 2;
    world.fetch_with(Settings { min_segment: half, min_tail: half, ..settings(&[server], NAME, 2) });
    let stats = world.transport.stats(server);
    assert_eq!(stats.transfers.len(), 3, "{:?}", stats.transfers);
    // The slow one alone needs a minute for its part.
    assert!(world.took() < Duration::from_secs(10), "{:?}", world.took());
}

#[test]
fn a_server_that_stands_no_burst_is_redialled_in_lock_step() {
    for bursts in [Bursts::RestDropped, Bursts::SecondRefused, Bursts::Closed] {
        let mut world = World::new();
        let behaviour = Behaviour { bursts, ..Behaviour::default() };
        let server = world.add(model(behaviour));
        let outcome = world.fetch(&[server], 3);
        assert_eq!(outcome.warnings, [""; 0]);
        assert!(world.transport.stats(server).sessions.len() <= 6, "each connection is redialled once");
    }
}

#[test]
fn a_dead_address_is_not_waited_out() {
    let mut world = World::new();
    let (hole, server) = (world.transport.black_hole(), world.add(model(Behaviour::default())));
    let mut settings = settings(&[server], NAME, 3);
    settings.sources[0].server = format!("{hole},{server}");
    let outcome = world.run(settings);
    assert_eq!(outcome.result, Ok(SIZE));
    assert!(world.took() < Duration::from_secs(2), "{:?}", world.took());
    assert_eq!(world.transport.stats(server).logins(), 3);
}

#[test]
fn a_refused_address_gives_way_to_the_next() {
    let mut world = World::new();
    let nobody = SocketAddr::from(([192, 0, 2, 99], 21));
    let server = world.add(model(Behaviour::default()));
    let mut settings = settings(&[server], NAME, 2);
    settings.sources[0].server = format!("{nobody},{server}");
    assert_eq!(world.run(settings).result, Ok(SIZE));
}

/// It was passed over for good as soon as it took no second session, and the silent one dialled in vain from then on.
#[test]
fn an_address_that_takes_no_more_sessions_is_not_given_up_for_a_silent_one() {
    let mut world = World::new();
    let full = || throttled(1 << 20).with_cap(1, WhenFull::Refuse);
    let lost = Reaction::Cut(Cut::silent(100_000, Interruption::Die));
    let server = model(full()).with_session(0, full().when(Trigger::nth("RETR", 1), lost));
    let (hole, server) = (world.transport.black_hole(), world.add(server));
    let mut settings = settings(&[server], NAME, 2);
    settings.sources[0].server = format!("{hole},{server}");
    assert_eq!(world.run(settings).result, Ok(SIZE));
}

fn other_size() -> Model {
    Model::new(Tree::new().with(NAME, File::generated(4, SIZE + 1)))
}

#[test]
fn two_mirrors_that_disagree_are_no_file() {
    let mut world = World::new();
    let servers = [world.add(model(Behaviour::default())), world.add(other_size())];
    let failure = world.run(settings(&servers, NAME, 4)).result.unwrap_err();
    assert_eq!(failure.kind(), Kind::Integrity);
}

#[test]
fn a_majority_outvotes_one_mirror() {
    let mut world = World::new();
    let servers =
        [model(Behaviour::default()), other_size(), model(Behaviour::default())].map(|it| world.add(it));
    let outcome = world.fetch(&servers, 6);
    assert_eq!(outcome.warnings.len(), 1, "{outcome:?}");
    assert!(outcome.warnings[0].starts_with("192.0.2.2:21: its file differs"), "{outcome:?}");
}

/// The connection of a mirror that was lost before it said what it has went to the full one for good, which was dialled in
/// vain from then on.
#[test]
fn a_mirror_that_is_to_decide_is_asked_again_after_its_session_was_lost() {
    let mut world = World::new();
    let later = Tree::new().with(NAME, file().with_modified("20240301000000"));
    let full = throttled(1 << 20).with_cap(1, WhenFull::Refuse);
    // Only when this ends the first session would a new one have had the dispute looked at again.
    let full = Behaviour { idle_timeout: Some(Duration::from_secs(120)), ..full };
    let lost = || Behaviour::default().when(Trigger::nth("SIZE", 1), Reaction::Close);
    let decides = model(Behaviour::default()).with_session(0, lost()).with_session(1, lost());
    let models = [Model::new(later).with_behaviour(full), model(Behaviour::default()), decides];
    let servers = models.map(|it| world.add(it));
    let outcome = world.fetch(&servers, 2);
    let outvoted = "192.0.2.1:21: its file differs from that of the other mirrors";
    assert!(outcome.warnings.iter().any(|warning| warning.starts_with(outvoted)), "{outcome:?}");
    assert!(world.took() < Duration::from_secs(5), "{:?}", world.took());
}

#[test]
fn the_failure_that_says_most_is_the_one_reported() {
    let mut world = World::new();
    let empty = Model::new(Tree::new());
    let nobody = SocketAddr::from(([192, 0, 2, 99], 21));
    let servers = [nobody, world.add(empty)];
    let outcome = world.run(settings(&servers, NAME, 2));
    assert_eq!(outcome.result.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(outcome.warnings.len(), 1);
}

fn at(world: &mut World, model: Model, round_trip: u64) -> SocketAddr {
    world.transport.add(model, Path::of_round_trip(round_trip))
}

/// What an exposed mirror said of the file once stayed in force: an empty file, and success.
#[test]
fn the_size_of_a_mirror_that_was_found_out_is_forgotten() {
    let mut world = World::new();
    let liar = Behaviour { size_error: -(SIZE as i64), ..Behaviour::default() };
    let servers = [at(&mut world, model(liar), 20), at(&mut world, model(Behaviour::default()), 200)];
    let outcome = world.fetch(&servers, 4);
    assert_eq!(outcome.warnings.len(), 1, "{outcome:?}");
    assert!(outcome.warnings[0].starts_with("192.0.2.1:21: fetching: more data came"), "{outcome:?}");
}

/// What the sessions of an exposed mirror wrote last was counted: wrong files, and downloads without an end.
#[test]
fn late_writes_of_a_mirror_that_was_found_out_do_not_count() {
    for step in 0..30 {
        let mut world = World::new();
        let other = Tree::new().with(NAME, File::generated(9, SIZE + 1000));
        let liar = Behaviour { size_error: -1000, ..throttled(200_000 + step * 7000) };
        let liar = at(&mut world, Model::new(other).with_behaviour(liar), 20);
        let good = at(&mut world, model(throttled(100_000 + step * 3000)), 30 + step);
        match world.run(settings(&[liar, good], NAME, 2 + step as usize % 5)).result {
            Ok(_) => assert!(world.sink.contents()[..SIZE as usize] == file().read(0..SIZE), "step {step}"),
            Err(failure) => assert_eq!(failure.kind(), Kind::Integrity, "step {step}"),
        }
    }
}

/// A server that answers 350 and sends from the start went unnoticed beside a good one.
#[test]
fn a_mirror_that_ignores_restart_is_found_out() {
    for first in [true, false] {
        let mut world = World::new();
        let ignores = model(Behaviour { ignores_rest: true, ..throttled(1 << 20) });
        let good = model(throttled(1 << 20));
        let models = if first { [ignores, good] } else { [good, ignores] };
        let servers = models.map(|it| world.add(it));
        let outcome = world.fetch(&servers, 4);
        assert_eq!(outcome.warnings.len(), 1, "{outcome:?}");
    }
}

#[test]
fn two_mirrors_with_other_bytes_are_no_file() {
    let mut world = World::new();
    let other = Tree::new().with(NAME, File::generated(11, SIZE));
    let servers = [model(throttled(1 << 20)), Model::new(other).with_behaviour(throttled(1 << 20))];
    let servers = servers.map(|it| world.add(it));
    let failure = world.run(settings(&servers, NAME, 4)).result.unwrap_err();
    assert_eq!(failure.kind(), Kind::Integrity);
    assert!(failure.to_string().contains("different bytes"), "{failure}");
}

/// A server that is lost at the last byte: so in its first session, and in the others after `later` bytes.
fn lost_at_the_end(behaviour: Behaviour, later: Option<u64>, how: Interruption) -> Model {
    let cut = |after| Reaction::Cut(Cut::silent(after, how));
    let first = behaviour.clone().when(Trigger::nth("RETR", 1), cut(SIZE));
    let others = match later {
        Some(after) => behaviour.cutting_every(Cut::silent(after, how)),
        None => behaviour,
    };
    let size = SIZE.checked_add_signed(-others.size_error).expect("a size");
    let tree = Tree::new().with(NAME, File::generated(3, size));
    Model::new(tree).with_behaviour(others).with_session(0, first)
}

/// A file was taken to end where its only transfer was lost, though the server had more of it than it said.
#[test]
fn a_connection_that_is_lost_where_the_file_is_said_to_end_does_not_show_that_it_does() {
    for how in [Interruption::Die, Interruption::Reset, Interruption::Stall] {
        for retries in [0, 5] {
            let mut world = World::new();
            let says_less = Behaviour { size_error: -1000, ..Behaviour::default() };
            let server = world.add(lost_at_the_end(says_less, None, how));
            let settings = Settings { retries, ..settings(&[server], NAME, 1) };
            let failure = world.run(settings).result.unwrap_err();
            assert_eq!(failure.kind(), Kind::Integrity, "{how:?}: {failure}");
            assert!(
                failure.to_string().contains("more data came than the 8388608 bytes"),
                "{how:?}: {failure}"
            );
        }
    }
}

#[test]
fn the_end_of_a_file_is_asked_for_once_more_if_it_was_not_seen() {
    for how in [Interruption::Die, Interruption::Reset, Interruption::Stall] {
        let mut world = World::new();
        let server = world.add(lost_at_the_end(Behaviour::default(), None, how));
        let outcome = world.fetch(&[server], 1);
        assert_eq!(outcome.warnings, [""; 0], "{how:?}");
        let stats = world.transport.stats(server);
        assert_eq!(stats.logins(), 2, "{how:?}");
        assert!(stats.payload() <= SIZE + 4096, "{how:?}: {} bytes", stats.payload());
    }
}

#[test]
fn a_file_whose_end_is_never_seen_is_taken_with_a_warning() {
    for how in [Interruption::Die, Interruption::Reset, Interruption::Stall] {
        let mut world = World::new();
        let server = world.add(lost_at_the_end(Behaviour::default(), Some(4096), how));
        let outcome = world.fetch(&[server], 1);
        assert_eq!(outcome.warnings.len(), 1, "{how:?}: {outcome:?}");
        assert!(
            outcome.warnings[0].contains("that the file ends there was not seen"),
            "{how:?}: {outcome:?}"
        );
        assert_eq!(world.transport.stats(server).logins(), 3, "{how:?}");
    }
}

/// What the server ends exactly there it has ended, whether or not it says so.
#[test]
fn a_data_connection_closed_where_the_file_ends_shows_that_it_does() {
    let mut world = World::new();
    let server = world.add(lost_at_the_end(Behaviour::default(), None, Interruption::Fin));
    let outcome = world.fetch(&[server], 1);
    assert_eq!(outcome.warnings, [""; 0]);
    assert_eq!(world.transport.stats(server).data_connections(), 1);
}

/// It refused NOOP, and so never gave the sign of life that it was asked for: it got no work any more.
#[test]
fn a_connection_that_has_fallen_silent_gets_work_again_even_if_noop_is_refused() {
    let mut world = World::new();
    let plain = || throttled(1 << 20).without("NOOP");
    let pause = Cut::silent(300_000, Interruption::Pause(Duration::from_secs(5)));
    let silent = plain().when(Trigger::nth("RETR", 1), Reaction::Cut(pause));
    let server = world.add(model(plain()).with_session(0, silent));
    world.fetch(&[server], 2);
    let lines = world.transport.stats(server).lines_of(0);
    let asked = lines.iter().position(|line| *line == "NOOP").expect("it was asked for a sign of life");
    assert!(lines[asked..].iter().any(|line| line.starts_with("RETR")), "{lines:?}");
}

/// What a mirror had told of its file was forgotten when a later session of it could not tell it: two files with different
/// times were woven together.
#[test]
fn a_time_that_a_later_session_does_not_tell_is_not_forgotten() {
    for refused in [&[][..], &["MDTM"], &["SIZE", "MDTM"]] {
        let mut world = World::new();
        let later = refused.iter().fold(throttled(1 << 20), |behaviour, verb| {
            behaviour.when(Trigger::every(verb), Reaction::reply("450 Not now."))
        });
        let first = Tree::new().with(NAME, file().with_modified("20240101000000"));
        let first = Model::new(first).with_behaviour(throttled(1 << 20));
        let first = (1..12).fold(first, |model, session| model.with_session(session, later.clone()));
        // The same but in places where no transfers meet.
        let other = file().with_modified("20240202000000");
        let other = [1, 3, 5, 7].iter().fold(other, |file, mib| file.with_patch(mib << 20, vec![0; 100]));
        let second = Model::new(Tree::new().with(NAME, other)).with_behaviour(throttled(1 << 20));
        let servers = [
            world.transport.add(first, Path::of_round_trip(20)),
            world.transport.add(second, Path::of_round_trip(100)),
        ];
        let outcome = world.run(settings(&servers, NAME, 4));
        let kind = outcome.result.map_err(|failure| failure.kind());
        assert_eq!(kind, Err(Kind::Integrity), "{refused:?}: {:?}", outcome.warnings);
    }
}

/// It was taken for reached because a session of another mirror had got through to its first address.
#[test]
fn the_second_address_of_a_mirror_is_tried_where_another_mirror_has_the_first() {
    let mut world = World::new();
    let full = world.add(model(throttled(1 << 20).with_cap(1, WhenFull::Refuse)));
    let good = world.add(model(throttled(8 << 20)));
    let mut settings = settings(&[full, full], NAME, 2);
    settings.sources[1].server = format!("{full},{good}");
    let outcome = world.run(settings);
    assert_eq!(outcome.result, Ok(SIZE));
    assert_eq!(outcome.warnings, Vec::<String>::new());
    assert_eq!(world.transport.stats(good).logins(), 1);
}
