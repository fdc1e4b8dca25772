//! Worlds: mirrors, the paths to them, the file and the faults, all drawn from one seed.

use super::fault::{Fault, Nature};
use super::growing::Growing;
use super::outage::Outage;
use super::random::Random;
use crate::model::File;
use pftp::Settings as DownloadSettings;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// The first seed of the worlds in which a checksum is looked up. World `LOOKING_UP + n` resembles world `n`.
pub const LOOKING_UP: u64 = 1 << 32;

/// Everything that is decided before a download begins.
#[derive(Clone, Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// The versions of the file. The first is the right one.
    pub versions: Vec<File>,
    /// The mirrors, in the client's order.
    pub mirrors: Vec<Mirror>,
    /// Connections at most, all mirrors together.
    pub connections: usize,
    /// Whether the client begins with one connection a mirror, and adds others while they pay.
    pub growing: bool,
    /// Bytes below which no range is split.
    pub min_segment: u64,
    /// Fresh attempts per mirror.
    pub retries: u32,
    /// Whether a checksum of the file is looked up on servers.
    pub looks_up: bool,
    /// The outages, if the download takes several runs.
    pub outages: Vec<Outage>,
}

/// A server and the path to it.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The round trip in milliseconds.
    pub round_trip: u64,
    /// The rate of the path, in payload bytes per second.
    pub path_rate: u64,
    /// The rate of a session, in payload bytes per second.
    pub session_rate: Option<u64>,
    /// Packets lost of a million, if the path has TCP's congestion control.
    pub losses: Option<u64>,
    /// The index of its file in [`World::versions`].
    pub version: usize,
    /// Its faults.
    pub troubles: Vec<Trouble>,
}

/// A fault with its particulars, whose meaning depends on the fault.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// The fault.
    pub fault: Fault,
    /// How many sessions it concerns, from the first on; for a session limit, how many are served.
    pub sessions: usize,
    /// How often it happens in each session, or after which reply.
    pub times: u32,
    /// A number of bytes.
    pub bytes: u64,
    /// A time.
    pub delay: Duration,
    /// The index in [`World::versions`] of the file that comes later.
    pub version: usize,
}

impl Mirror {
    /// Returns how many bytes a session may have in flight: what the path holds, and a queue of a fifth of a
    /// second.
    pub fn window(&self) -> u64 {
        (self.path_rate * (self.round_trip + 200) / 1000).clamp(14_600, 256 << 10)
    }

    /// Returns the particulars of this fault, if the mirror has it.
    pub fn trouble(&self, fault: Fault) -> Option<&Trouble> {
        self.troubles.iter().find(|trouble| trouble.fault == fault)
    }

    /// Whether the mirror has this fault.
    pub fn has(&self, fault: Fault) -> bool {
        self.trouble(fault).is_some()
    }

    /// Whether the mirror has any of these faults.
    pub fn has_any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.has(*fault))
    }
}

impl World {
    /// Draws the world of this seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut growing = Growing::of_seed(seed);
        let looks_up = seed >= LOOKING_UP && growing.is_none();
        let mut random = Random::new(seed % LOOKING_UP);
        let min_segment = random.pick(&[1, 4 << 10, 16 << 10, 64 << 10, 256 << 10]);
        let size = size(&mut random, min_segment);
        let (size, min_segment) =
            growing.as_mut().map_or((size, min_segment), |growing| growing.sizes(size, min_segment));
        let count = random.pick(&[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5]);
        // The time that the download takes without faults.
        let wanted = Duration::from_millis(random.within(200, 3000));
        let mut mirrors: Vec<Mirror> = (0..count).map(|_| mirror(&mut random, size, wanted)).collect();
        if let Some(growing) = &mut growing {
            mirrors.iter_mut().for_each(|mirror| growing.path(mirror));
        }
        let mut world = Self {
            seed,
            versions: vec![File::generated(seed, size)],
            mirrors,
            connections: random.pick(&[1, 2, 2, 3, 4, 4, 5, 6, 8, 16]),
            growing: growing.is_some(),
            min_segment,
            retries: random.within(2, 6) as u32,
            looks_up,
            outages: Vec::new(),
        };
        let kinds = random.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 4]);
        for _ in 0..kinds {
            world.trouble(&mut random, wanted);
        }
        // Faults are placed by the time that the download would take without any.
        if world.growing {
            world.connections = DownloadSettings::CHOSEN_CONNECTIONS;
        }
        world.outages = Outage::of_world(&world, wanted);
        world
    }

    /// Returns the size of the right file.
    pub fn size(&self) -> u64 {
        self.versions[0].size()
    }

    /// Returns the faults of all mirrors.
    pub fn faults(&self) -> BTreeSet<Fault> {
        self.mirrors.iter().flat_map(|mirror| &mirror.troubles).map(|trouble| trouble.fault).collect()
    }

    /// Adds a fault to one mirror or several.
    fn trouble(&mut self, random: &mut Random, wanted: Duration) {
        let outage = |fault: &&Fault| fault.nature() == Nature::Outage;
        let at_mirrors: Vec<Fault> = Fault::ALL.iter().filter(|fault| !outage(fault)).copied().collect();
        let fault = random.pick(&at_mirrors);
        let everywhere = random.percent(20);
        let chosen = random.within(0, self.mirrors.len() as u64 - 1) as usize;
        for at in 0..self.mirrors.len() {
            if !everywhere && at != chosen || excludes(&self.mirrors[at], fault) {
                continue;
            }
            let mut trouble = self.particulars(random, fault, wanted);
            self.alter(random, at, &mut trouble);
            self.mirrors[at].troubles.push(trouble);
        }
    }

    fn particulars(&self, random: &mut Random, fault: Fault, wanted: Duration) -> Trouble {
        let size = self.size();
        let share = size / self.connections as u64 + 1;
        let bytes = if random.percent(50) { random.within(0, share) } else { random.within(0, size) };
        let (sessions, times) = (random.within(1, 2) as usize, random.within(1, 2) as u32);
        let mut trouble = Trouble { fault, sessions, times, bytes, delay: Duration::ZERO, version: 0 };
        match fault {
            Fault::FullGreeting | Fault::FullPassword | Fault::FullHang | Fault::FullRefused => {
                trouble.sessions = random.within(1, 3) as usize;
            }
            Fault::ControlReset | Fault::ControlClosed | Fault::ControlSilent => {
                trouble.times = random.within(1, 12) as u32;
            }
            Fault::DataPauses => trouble.delay = Duration::from_millis(random.within(100, 40_000)),
            Fault::RepliesGlued => trouble.delay = Duration::from_millis(random.within(1, 200)),
            Fault::LateCompletion => trouble.delay = Duration::from_millis(random.within(100, 9000)),
            Fault::IdleTimeout => trouble.delay = Duration::from_millis(random.within(400, 6000)),
            Fault::Replaced => trouble.delay = wanted.mul_f64(random.within(0, 150) as f64 / 100.0),
            Fault::DataInPieces => trouble.bytes = random.within(size / 200 + 2, 20_000.max(size / 50)),
            Fault::SmallWindow => trouble.bytes = random.within(2000, 40_000),
            Fault::SlowMirror | Fault::SlowSessions => {
                let seconds = random.within(3, 8);
                trouble.bytes = (share / seconds).max(200);
            }
            Fault::SizeTooGreat | Fault::SizeTooSmall => {
                trouble.bytes = random.pick(&[1, 2, 100, 4096, 70_000]).min(size.max(1));
            }
            _ => {}
        }
        trouble
    }

    /// Gives the mirror another file, if the fault says so.
    fn alter(&mut self, random: &mut Random, at: usize, trouble: &mut Trouble) {
        let (right, size) = (&self.versions[0], self.size());
        let later = "20240301000000";
        let version = match trouble.fault {
            Fault::OtherSize => {
                let other = if random.percent(50) { size + trouble.bytes + 1 } else { size / 2 };
                // A file that is truncated there has the same bytes up to that place.
                let seed = if random.percent(50) { self.seed } else { self.seed + 1 };
                File::generated(seed, other)
            }
            Fault::OtherTime => right.clone().with_modified(later),
            Fault::OtherContents => File::generated(self.seed + 1, size),
            Fault::OtherRegion => {
                altered(right, std::iter::once(trouble.bytes..trouble.bytes + size / 8 + 1))
            }
            Fault::OtherPlaces => {
                let len = size / 50 + 1;
                altered(right, [size / 5..size / 5 + len, size / 5 * 4..size / 5 * 4 + len])
            }
            Fault::Replaced => {
                let other = random.pick(&[size, size, size + 1000, size / 3]);
                let known = self.mirrors.iter().find_map(|mirror| mirror.trouble(Fault::Replaced));
                let new = || File::generated(self.seed + 2, other).with_modified("20240401000000");
                known.map_or_else(new, |known| self.versions[known.version].clone())
            }
            _ => return,
        };
        let version = self.version(version);
        match trouble.fault {
            Fault::Replaced => trouble.version = version,
            _ => self.mirrors[at].version = version,
        }
    }

    /// Returns the index of a version, and adds it if it is new.
    fn version(&mut self, file: File) -> usize {
        let whole = |file: &File| (file.modified().to_owned(), file.read(0..u64::MAX));
        let new = whole(&file);
        let known = self.versions.iter().position(|version| whole(version) == new);
        known.unwrap_or_else(|| {
            self.versions.push(file);
            self.versions.len() - 1
        })
    }

    /// Returns the indexes of the mirror's versions, the first and the later one.
    pub fn versions_of(&self, mirror: &Mirror) -> Vec<usize> {
        let later = mirror.trouble(Fault::Replaced).map(|trouble| trouble.version);
        [mirror.version].into_iter().chain(later).collect()
    }
}

/// Returns the file with every byte of these ranges changed.
fn altered(file: &File, ranges: impl IntoIterator<Item = Range<u64>>) -> File {
    ranges.into_iter().fold(file.clone(), |altered, range| {
        let bytes: Vec<u8> = file.read(range.clone()).into_iter().map(|byte| byte ^ 0xff).collect();
        altered.with_patch(range.start, bytes)
    })
}

fn size(random: &mut Random, min_segment: u64) -> u64 {
    match random.within(0, 99) {
        0..4 => 0,
        4..9 => random.within(1, 10),
        9..15 => random.within(4000, 4200),
        15..35 => {
            let segments = min_segment.max(2048) * random.within(1, 4);
            segments + random.within(0, 4) - 2
        }
        35..85 => random.within(1000, 300_000),
        _ => random.within(300_000, 1 << 20),
    }
}

fn mirror(random: &mut Random, size: u64, wanted: Duration) -> Mirror {
    let per_second = |bytes: u64| (u128::from(bytes) * 1000 / wanted.as_millis()).max(500) as u64;
    let path_rate = (per_second(size) * random.within(20, 300) / 100).max(50_000);
    let session_rate = random.percent(40).then(|| path_rate * random.within(15, 100) / 100);
    let round_trip = random.pick(&[1, 10, 20, 40, 80, 150, 300]);
    Mirror { round_trip, path_rate, session_rate, losses: None, version: 0, troubles: Vec::new() }
}

/// Whether a mirror cannot have this fault beside its other ones.
fn excludes(mirror: &Mirror, fault: Fault) -> bool {
    const GROUPS: &[&[Fault]] = &[
        &[Fault::Vsftpd, Fault::Proftpd, Fault::PureFtpd, Fault::Pyftpdlib],
        &[Fault::FullGreeting, Fault::FullPassword, Fault::FullHang, Fault::FullRefused, Fault::LoginRefused],
        &[Fault::EarlyCompletion, Fault::LateCompletion, Fault::NoCompletion, Fault::Proftpd],
        &[Fault::BurstDropped, Fault::BurstRefused, Fault::BurstClosed],
        // A 530 without text says neither that the server is full nor that the password is wrong.
        &[Fault::FullPassword, Fault::Wordless],
        &[Fault::BurstDropped, Fault::Wordless],
        &[Fault::BurstRefused, Fault::Wordless],
        // A server that ends each session before the loss of commands can be noticed is of no use to any
        // client.
        &[Fault::BurstDropped, Fault::IdleTimeout],
        &[Fault::RepliesByteByByte, Fault::RepliesGlued],
        &[Fault::NoMark, Fault::Pyftpdlib],
        &[Fault::NoRest, Fault::RestIgnored],
        &[Fault::SizeTooGreat, Fault::SizeTooSmall],
        &[Fault::SlowMirror, Fault::SlowSessions],
        &[Fault::FirstAddressSilent, Fault::FirstAddressRefuses],
        &[
            Fault::OtherSize,
            Fault::OtherTime,
            Fault::OtherContents,
            Fault::OtherRegion,
            Fault::OtherPlaces,
            Fault::Replaced,
        ],
        // A truncated transfer that is called complete, of a file whose size no mirror tells, is a whole file
        // to any client.
        &[Fault::NoSizeAtAll, Fault::DataClaimedWhole, Fault::EarlyCompletion],
    ];
    let fatal = |fault: Fault| matches!(fault.nature(), Nature::Fatal(_));
    let among = |faults: &[Fault]| faults.contains(&fault) || mirror.has_any(faults);
    // Without SIZE and MLST no mirror tells the size.
    let unsized_lie = among(&[Fault::NoSize])
        && among(&[Fault::Vsftpd])
        && among(&[Fault::DataClaimedWhole, Fault::EarlyCompletion]);
    if unsized_lie {
        return true;
    }
    mirror.troubles.iter().any(|trouble| {
        trouble.fault == fault
            || fatal(trouble.fault)
            || fatal(fault)
            || GROUPS.iter().any(|group| group.contains(&fault) && group.contains(&trouble.fault))
    })
}
