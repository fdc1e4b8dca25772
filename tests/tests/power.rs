//! Power cuts, in virtual time: what was written and not put on disk is lost, in part. The next run is exact all the same.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ftp_proto::{Facts, Instant, Report, SessionId, Sink};
use pftp::drive::{Input, Surroundings, drive};
use pftp::exit::{Failure, Kind};
use pftp::plan::{Before, MirrorId, Planner, RangeSet};
use pftp_tests::model::{Behaviour, File, Model, Tree};
use pftp_tests::sim::{MemorySink, Path, SimTransport, settings};

const SIZE: u64 = 2 << 20;
const NAME: &str = "pub/file";
const PAGE: usize = 4096;

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What outlives a power cut.
#[derive(Clone, Default)]
struct Disk {
    bytes: Vec<u8>,
    journal: Option<(Facts, RangeSet)>,
}

impl Disk {
    fn before(&self) -> Before {
        let Some((facts, done)) = self.journal.clone() else { return Before::default() };
        let at = |offset: u64| usize::try_from(offset).expect("it fits into memory");
        let read = |range: std::ops::Range<u64>| {
            let bytes = self.bytes.get(at(range.start)..at(range.end)).expect("what is noted is on disk");
            Ok::<_, Infallible>(bytes.to_vec().into())
        };
        let Ok(before) = Before::new(facts, done, read);
        before
    }

    /// Of what was written since, any page may have come to the disk by itself.
    fn cut(&mut self, written: &[u8], random: &mut Random) {
        self.bytes.resize(self.bytes.len().max(written.len()), 0);
        for (old, new) in self.bytes.chunks_mut(PAGE).zip(written.chunks(PAGE)) {
            if random.below(3) == 0 {
                old[..new.len()].copy_from_slice(new);
            }
        }
    }
}

/// The surroundings of one run: they write the journal as the command does, and cut the power.
struct Run {
    servers: Vec<SocketAddr>,
    sink: Arc<MemorySink>,
    inputs: VecDeque<Input>,
    disk: Disk,
    /// A record whose bytes are on disk, and when it will be.
    pending: Option<(Instant, Facts, RangeSet)>,
    next_note: Instant,
    cut_at: Option<Instant>,
}

impl Run {
    const EVERY: Duration = Duration::from_millis(100);
    const TAKES: Duration = Duration::from_millis(30);

    fn settle(&mut self, now: Instant) {
        if let Some((_, facts, done)) = self.pending.take_if(|(due, ..)| *due <= now) {
            self.disk.journal = Some((facts, done));
        }
    }
}

impl Surroundings<Infallible> for Run {
    fn resolve(&mut self, id: MirrorId) {
        self.inputs.push_back(Input::Resolved(id, Ok(vec![self.servers[id.0]])));
    }

    fn input(&mut self) -> Option<Input> {
        self.inputs.pop_front()
    }

    fn opened(&mut self, _id: SessionId, _thread: usize) {}

    fn report(&mut self, _report: &Report<Infallible>) -> Result<(), Failure> {
        Ok(())
    }

    fn same(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Failure> {
        Ok(self.sink.read(offset, bytes.len()).is_some_and(|there| there == bytes))
    }

    fn retract(&mut self, planner: &Planner) {
        self.pending = None;
        self.disk.bytes = self.sink.contents();
        self.disk.journal = Some((planner.identity().clone(), planner.settled()));
    }

    fn warn(&mut self, _message: &str) {}

    fn progress(&mut self, planner: &Planner, now: Instant) -> Option<Instant> {
        self.settle(now);
        if now >= self.next_note && self.pending.is_none() {
            self.disk.bytes = self.sink.contents();
            self.pending = Some((now + Self::TAKES, planner.identity().clone(), planner.settled()));
            self.next_note = now + Self::EVERY;
        }
        if self.cut_at.take_if(|cut| *cut <= now).is_some() {
            self.inputs.push_back(Input::Stop(Failure::new(Kind::Other, "dark")));
        }
        let due = self.pending.as_ref().map(|(due, ..)| *due);
        let soon = (!self.inputs.is_empty()).then_some(now);
        [Some(self.next_note), due, self.cut_at, soon].into_iter().flatten().min()
    }
}

/// One run of a download from servers of `file`: its end, what it wrote, and what of that is on disk.
fn run(
    disk: Disk,
    models: &[Model],
    connections: usize,
    cut_at: Option<Instant>,
) -> (Result<u64, Failure>, Run) {
    let sink = Arc::new(MemorySink::default());
    let Ok(()) = sink.write_at(0, &disk.bytes);
    let mut transport = SimTransport::new(Arc::clone(&sink));
    let servers: Vec<SocketAddr> =
        models.iter().map(|model| transport.add(model.clone(), Path::of_round_trip(20))).collect();
    let mut settings = settings(&servers, NAME, connections);
    settings.min_segment = 32 * 1024;
    settings.before = disk.before();
    let mut planner = Planner::new(settings, Instant::ZERO);
    let (inputs, next_note) = (VecDeque::new(), Instant::ZERO + Run::EVERY);
    let mut run = Run { servers, sink, inputs, disk, pending: None, next_note, cut_at };
    (drive(&mut planner, &mut transport, &mut run), run)
}

/// Power cuts until the file is there; how many there were.
#[track_caller]
fn through_the_dark(seed: u64, models: impl Fn(&File) -> Vec<Model>, changes: bool) -> u32 {
    let mut random = Random(seed);
    let mut file = File::generated(seed, SIZE);
    let mut disk = Disk::default();
    for cuts in 0..40 {
        let connections = 1 + usize::try_from(random.below(5)).expect("a small number");
        let cut_at = (cuts < 39).then(|| Instant(Duration::from_millis(50 + random.below(700))));
        if changes && random.below(4) == 0 {
            // Of the same size and time, so that only the bytes tell.
            file = File::generated(1000 * seed + random.below(1000), SIZE);
        }
        let (result, run) = run(disk, &models(&file), connections, cut_at);
        let written = run.sink.contents();
        if let Ok(size) = result {
            assert_eq!(size, SIZE);
            assert!(written == file.read(0..SIZE), "seed {seed}: the bytes are wrong");
            return cuts;
        }
        assert_eq!(result.unwrap_err().to_string(), "dark", "seed {seed}");
        disk = run.disk;
        disk.cut(&written, &mut random);
    }
    panic!("seed {seed}: never done");
}

fn model(file: &File, bytes_per_second: u64) -> Model {
    let behaviour = Behaviour { bytes_per_second: Some(bytes_per_second), ..Behaviour::default() };
    Model::new(Tree::new().with(NAME, file.clone())).with_behaviour(behaviour)
}

#[test]
fn of_one_server() {
    let cuts: u32 =
        (1..=12).map(|seed| through_the_dark(seed, |file| vec![model(file, 300_000)], false)).sum();
    assert!(cuts > 25, "{cuts}");
}

#[test]
fn of_several_mirrors() {
    let mirrors = |file: &File| [100_000, 300_000, 500_000].map(|rate| model(file, rate)).to_vec();
    let cuts: u32 = (1..=8).map(|seed| through_the_dark(seed, mirrors, false)).sum();
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn while_the_file_changes() {
    for seed in 1..=12 {
        through_the_dark(seed, |file| vec![model(file, 300_000)], true);
    }
}

#[test]
fn with_a_mirror_of_other_bytes() {
    let other = File::generated(12_345, SIZE);
    let mirrors = |file: &File| vec![model(file, 300_000), model(&other, 300_000), model(file, 300_000)];
    // In the 25th, bytes of the other that had been compared with old bytes of the other were woven into the file.
    for seed in 14..=25 {
        through_the_dark(seed, mirrors, false);
    }
}
