//! The judge: which ends a download in a world may have, and which it must have.

use super::fault::{Fault, Nature};
use super::staging::{befalls_first, contents};
use super::world::{Mirror, World};
use pftp::{DownloadError, ErrorKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How far a mirror can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Worth {
    /// The mirror never delivers. Without another mirror the download fails with this kind of failure.
    Useless(ErrorKind),
    /// The mirror fails more often than the client retries, or lies.
    Shaky,
    /// The mirror delivers its file to a client that retries.
    Sound,
}

/// How right the end of a download was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The right file, or one that no evidence tells from it.
    File,
    /// A wrong file, although no byte that was sent could show that.
    Undecidable,
    /// A failure with a reason.
    Failure,
}

/// Judges the downloads of one world.
#[derive(Debug)]
pub(super) struct Oracle<'w> {
    world: &'w World,
    pub(super) contents: Vec<Arc<[u8]>>,
    /// The mirrors of earlier runs, with the versions of the file that they had.
    earlier: Vec<Mirror>,
}

/// The claim of a mirror about its file: size and time, if the server tells them.
type Claim = (Option<u64>, Option<String>);

impl<'w> Oracle<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, contents: contents(world), earlier: Vec::new() }
    }

    /// The judge of a run after earlier runs from these mirrors.
    pub(super) fn after(world: &'w World, earlier: &[Mirror]) -> Self {
        Self { earlier: earlier.to_vec(), ..Self::new(world) }
    }

    /// Returns the indexes of the mirrors that may deliver something.
    fn candidates(&self) -> impl Iterator<Item = usize> {
        (0..self.world.mirrors.len()).filter(|at| !matches!(self.worth(*at), Worth::Useless(_)))
    }

    fn worth(&self, at: usize) -> Worth {
        let mirror = &self.world.mirrors[at];
        let natures = || mirror.troubles.iter().map(|trouble| trouble.fault.nature());
        if let Some(Nature::Fatal(kind)) = natures().find(|nature| matches!(nature, Nature::Fatal(_))) {
            return Worth::Useless(kind);
        }
        // The client chooses whether it sends MLST before the transfer that never completes.
        let tells_late = mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll]);
        let unknown_end = tells_late && mirror.has(Fault::NoCompletion);
        let lies = natures().any(|nature| nature == Nature::Lying) || tells_size_by_ending(mirror);
        // Without a size told, an empty transfer does not show that the file is empty.
        let is_empty = self.world.versions[mirror.version].size() == 0;
        let mute = is_empty && mirror.has(Fault::NoMark) && mirror.has(Fault::NoCompletion);
        let enough = failures(mirror) <= u64::from(self.world.retries);
        if enough && !lies && !unknown_end && !mute { Worth::Sound } else { Worth::Shaky }
    }

    fn is_sound(&self, at: usize) -> bool {
        self.worth(at) == Worth::Sound
    }

    fn claim(&self, at: usize) -> Claim {
        let mirror = &self.world.mirrors[at];
        let file = &self.world.versions[mirror.version];
        let error = |fault| mirror.trouble(fault).map_or(0, |trouble| trouble.bytes);
        let size = (file.size() + error(Fault::SizeTooGreat)).saturating_sub(error(Fault::SizeTooSmall));
        let time = says_time(mirror).then(|| file.modified().to_owned());
        (says_size(mirror).then_some(size), time)
    }

    /// Whether two mirrors tell different things.
    fn contradict(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.claim(one), self.claim(other));
        let differ = |differs: Option<bool>| differs.unwrap_or(false);
        differ(one.0.zip(other.0).map(|(one, other)| one != other))
            || differ(one.1.zip(other.1).map(|(one, other)| one != other))
    }

    fn same_bytes(&self, one: usize, other: usize) -> bool {
        let bytes = |at: usize| &self.contents[self.world.mirrors[at].version];
        bytes(one) == bytes(other)
    }

    fn is_on(&self, fault: Fault) -> bool {
        self.candidates().any(|at| self.world.mirrors[at].has(fault))
    }

    /// Whether two known mirrors tell different things or have different bytes.
    fn is_disputed(&self) -> bool {
        let differ = |one, other| self.contradict(one, other) || !self.same_bytes(one, other);
        let odd = |at: usize| {
            let mirror = &self.world.mirrors[at];
            let lies = mirror.troubles.iter().any(|trouble| trouble.fault.nature() == Nature::Lying);
            lies || mirror.has_any(&[Fault::Replaced, Fault::DataClaimedWhole])
        };
        self.candidates().any(|one| odd(one) || self.candidates().any(|other| differ(one, other)))
    }

    /// Returns a mirror whose file must come. Either most of all mirrors that may deliver are sound and have
    /// that file, or all mirrors that differ lie, and their own bytes show it.
    fn must_deliver(&self) -> Option<usize> {
        if self.is_on(Fault::Replaced) {
            return None;
        }
        self.candidates().filter(|at| self.is_sound(*at)).find(|at| {
            let agrees = |other: usize| self.same_bytes(*at, other) && !self.contradict(*at, other);
            // A wrong size that no mirror contradicts stands, and the bytes do not fit it.
            let wrong_size = self.candidates().any(|at| {
                let mirror = &self.world.mirrors[at];
                mirror.has_any(&[Fault::SizeTooGreat, Fault::SizeTooSmall]) || tells_size_by_ending(mirror)
            });
            let quarrel = |one: usize| self.candidates().any(|other| self.contradict(one, other));
            if !wrong_size && self.candidates().all(|other| agrees(other) && !quarrel(other)) {
                return true;
            }
            // A mirror that does not tell its facts has no vote.
            let tells = |at: usize| says_size(&self.world.mirrors[at]) && says_time(&self.world.mirrors[at]);
            // If only bytes differ, a mirror that cannot send the disputed range has no vote either.
            let unsaid =
                self.candidates().any(|other| !self.same_bytes(*at, other) && !self.contradict(*at, other));
            let votes = |at: usize| tells(at) && !(unsaid && self.world.mirrors[at].has(Fault::NoRest));
            let supports = |other: &usize| self.is_sound(*other) && agrees(*other) && votes(*other);
            tells(*at) && 2 * self.candidates().filter(supports).count() > self.candidates().count()
        })
    }

    /// Judges the file that came, or says what is wrong with it. `heard` are the mirrors that told their
    /// facts before the download ended, `last` those that may have.
    pub(super) fn judge_file(
        &self,
        bytes: &[u8],
        heard: &BTreeSet<usize>,
        last: &[usize],
    ) -> Result<Verdict, String> {
        let whole = |at: &usize| {
            let versions = self.world.versions_of(&self.world.mirrors[*at]);
            versions.iter().any(|version| &*self.contents[*version] == bytes)
        };
        let have: Vec<usize> = self.candidates().filter(whole).collect();
        if have.is_empty() && self.do_lies_agree(bytes, heard) {
            return Ok(Verdict::Undecidable);
        }
        if have.is_empty() {
            return self.judge_mixture(bytes);
        }
        if self.is_on(Fault::Replaced) {
            return Ok(Verdict::File);
        }
        let supports = |at: &usize| have.iter().any(|one| !self.contradict(*one, *at));
        let all: BTreeSet<usize> = heard.iter().chain(last).copied().collect();
        let supporters = all.iter().filter(|at| supports(at)).count();
        let others: Vec<usize> =
            heard.iter().copied().filter(|at| !supports(at) && self.is_sound(*at)).collect();
        if !others.is_empty() && others.len() >= supporters {
            // A file is right if each of its parts is right on some mirror.
            if self.mixtures_go_unseen() {
                return Ok(Verdict::Undecidable);
            }
            return Err(format!("the file is that of {have:?}, but {others:?} said that they have another"));
        }
        let wanted = self.must_deliver().is_none_or(|at| have.iter().any(|one| self.same_bytes(*one, at)));
        Ok(if wanted && have.len() * 2 > self.candidates().count() {
            Verdict::File
        } else {
            Verdict::Undecidable
        })
    }

    /// Whether a mirror tells the size of these bytes and calls a transfer of them complete: any client takes
    /// that for the whole file, if no good mirror has told otherwise.
    fn do_lies_agree(&self, bytes: &[u8], heard: &BTreeSet<usize>) -> bool {
        let length = Some(bytes.len() as u64);
        let says = |at: usize| self.claim(at).0;
        let objects = |at: &usize| self.is_sound(*at) && says(*at).is_some() && says(*at) != length;
        !heard.iter().any(objects)
            && self.candidates().any(|at| {
                let mirror = &self.world.mirrors[at];
                let ends = mirror.trouble(Fault::DataClaimedWhole).map(|trouble| trouble.bytes);
                let begins = self.contents[mirror.version].starts_with(bytes);
                begins && ends == length && says(at) == length
            })
    }

    /// Whether versions differ in places where no two transfers need to meet.
    fn mixtures_go_unseen(&self) -> bool {
        let now = self.candidates().map(|at| &self.world.mirrors[at]);
        let mirrors: Vec<&Mirror> = now.chain(&self.earlier).collect();
        let of = |fault| mirrors.iter().filter(move |mirror| mirror.has(fault)).map(|mirror| mirror.version);
        of(Fault::OtherPlaces).next().is_some() || of(Fault::OtherRegion).collect::<BTreeSet<_>>().len() > 1
    }

    /// Whether the bytes are those of a mirror of an earlier run, and the versions differ where no two
    /// transfers need to meet.
    fn is_of_earlier_run(&self, bytes: &[u8]) -> bool {
        let in_places = |mirror: &Mirror| mirror.has_any(&[Fault::OtherRegion, Fault::OtherPlaces]);
        let now = self.candidates().any(|at| in_places(&self.world.mirrors[at]));
        let of_it = |mirror: &Mirror| &*self.contents[mirror.version] == bytes;
        self.earlier.iter().any(|mirror| of_it(mirror) && (now || in_places(mirror)))
    }

    /// Judges a file that is none of the versions. A part of it may have come unnoticed from a mirror whose
    /// file differs where no two transfers meet.
    fn judge_mixture(&self, bytes: &[u8]) -> Result<Verdict, String> {
        if self.is_of_earlier_run(bytes) {
            return Ok(Verdict::Undecidable);
        }
        if !self.mixtures_go_unseen() {
            return Err(self.describe(bytes));
        }
        let versions = self.candidates().map(|at| self.world.mirrors[at].version);
        let versions = versions.chain(self.earlier.iter().map(|mirror| mirror.version));
        let versions: BTreeSet<usize> =
            versions.filter(|version| self.contents[*version].len() == bytes.len()).collect();
        let known = |(at, byte): (usize, &u8)| {
            versions.iter().any(|version| self.contents[*version].get(at) == Some(byte))
        };
        if bytes.iter().enumerate().all(known) {
            return Ok(Verdict::Undecidable);
        }
        Err(self.describe(bytes))
    }

    /// Returns the offset at which a file first differs from each version.
    fn describe(&self, bytes: &[u8]) -> String {
        let apart = |contents: &Arc<[u8]>| {
            let pairs = contents.iter().zip(bytes);
            let at = pairs.take_while(|(one, other)| one == other).count();
            format!("{at} of {}", contents.len())
        };
        let apart: Vec<String> = self.contents.iter().map(apart).collect();
        format!("a mixed file of {} bytes; equal to the versions up to {}", bytes.len(), apart.join(", "))
    }

    /// Judges a failure, or says what is wrong with it.
    pub(super) fn judge_failure(&self, failure: &DownloadError) -> Result<Verdict, String> {
        let kinds = (0..self.world.mirrors.len()).filter_map(|at| match self.worth(at) {
            Worth::Useless(kind) => Some(kind),
            Worth::Shaky | Worth::Sound => None,
        });
        if let Some(at) = self.must_deliver() {
            return Err(format!("mirror {at} could have delivered: {:?}: {failure}", failure.kind()));
        }
        let expected = kinds.max();
        let fits = match failure.kind() {
            kind if self.candidates().next().is_none() => Some(kind) == expected,
            ErrorKind::Integrity => self.is_disputed(),
            _ if self.candidates().any(|at| self.is_sound(at)) => false,
            ErrorKind::Connect | ErrorKind::Other => expected.is_none_or(|kind| kind <= ErrorKind::Other),
            kind => Some(kind) == expected,
        };
        if fits {
            Ok(Verdict::Failure)
        } else {
            Err(format!("no reason for {:?}: {failure}", failure.kind()))
        }
    }

    /// Whether bytes of a range may have come from this mirror, or from another that overwrote them.
    pub(super) fn may_have_sent(&self, at: usize, start: u64, bytes: &[u8]) -> bool {
        let start = start as usize;
        let mirror = &self.world.mirrors[at];
        let part = |version: usize| self.contents[version].get(start..start + bytes.len());
        if mirror.has(Fault::RestIgnored)
            || self.world.versions_of(mirror).iter().any(|it| part(*it) == Some(bytes))
        {
            return true;
        }
        let known = |(offset, byte): (usize, &u8)| {
            self.contents.iter().any(|contents| contents.get(start + offset) == Some(byte))
        };
        self.is_on(Fault::RestIgnored) || bytes.iter().enumerate().all(known)
    }

    /// Returns the longest time that any download in this world may take.
    pub(super) fn time_limit(&self) -> Duration {
        let world = self.world;
        let delays: Duration = world
            .mirrors
            .iter()
            .flat_map(|mirror| &mirror.troubles)
            .filter(|trouble| trouble.fault != Fault::Replaced)
            .map(|trouble| trouble.delay * (trouble.sessions as u32) * trouble.times)
            .sum();
        // Each attempt may run into a few timeouts of half a minute, and is followed by half a minute of
        // back-off.
        let attempts = Duration::from_secs(150) * (world.retries + 2) * (world.mirrors.len() as u32);
        let longest = world.versions.iter().map(|file| file.size()).max().unwrap_or_default();
        let slowest = world.mirrors.iter().map(slowest_rate).min().unwrap_or(1).max(1);
        attempts + delays + Duration::from_millis(longest * 3000 / slowest)
    }

    /// Returns the longest time that a download in a world without faults may take: the time of its best
    /// mirror with one session, after its path has carried the bytes that all connections asked for and cut.
    /// Added connections must not make the download slower.
    pub(super) fn time_without_faults(&self) -> Duration {
        let world = self.world;
        let used = || world.mirrors.iter().take(world.connections);
        let rate = used().map(slowest_rate).max().unwrap_or(1).max(1);
        let round_trip = used().map(|mirror| mirror.round_trip).max().unwrap_or_default();
        let windows =
            used().map(|mirror| mirror.window()).max().unwrap_or_default() * world.begin_with() as u64;
        Duration::from_millis((world.size() * 3 / 2 + windows) * 1000 / rate + 30 * round_trip + 2000)
    }
}

/// Returns the rate of one session of a mirror.
fn slowest_rate(mirror: &Mirror) -> u64 {
    let slow = [Fault::SlowMirror, Fault::SlowSessions];
    let slow = slow.iter().filter_map(|fault| mirror.trouble(*fault)).map(|trouble| trouble.bytes);
    slow.chain(mirror.session_rate).chain([mirror.path_rate]).min().unwrap_or(1)
}

fn says_size(mirror: &Mirror) -> bool {
    let no_mlst = mirror.has(Fault::NoSizeAtAll) || mirror.has(Fault::Vsftpd);
    !(mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll]) && no_mlst)
}

/// Whether the mirror calls a truncated transfer complete before it has told the size, and so tells another
/// size.
fn tells_size_by_ending(mirror: &Mirror) -> bool {
    mirror.has(Fault::DataClaimedWhole) && mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll])
}

/// The client sends no MLST if SIZE is known and only MDTM is missing.
fn says_time(mirror: &Mirror) -> bool {
    !mirror.has(Fault::NoMdtm)
}

/// Returns how often the mirror fails before it delivers.
fn failures(mirror: &Mirror) -> u64 {
    let passing = mirror.troubles.iter().filter(|trouble| befalls_first(trouble.fault));
    let sum: u64 = passing
        .map(|trouble| {
            let once = matches!(
                trouble.fault,
                Fault::Busy
                    | Fault::ControlReset
                    | Fault::ControlClosed
                    | Fault::ControlSilent
                    | Fault::SlowSessions
            );
            trouble.sessions as u64 * if once { 1 } else { u64::from(trouble.times) }
        })
        .sum();
    // A full server, and one that ends idle sessions, adds a failure to each of these.
    let worse = [
        Fault::FullGreeting,
        Fault::FullPassword,
        Fault::FullHang,
        Fault::FullRefused,
        Fault::IdleTimeout,
        Fault::BurstDropped,
        Fault::BurstRefused,
        Fault::BurstClosed,
    ];
    if mirror.has_any(&worse) { sum * 2 } else { sum }
}
