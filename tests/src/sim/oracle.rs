//! What a download in a world may come to, and what it must.

use super::fault::{Fault, Nature};
use super::staging::{befalls_first, contents};
use super::world::{Mirror, World};
use pftp::exit::{Failure, Kind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What a mirror is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Worth {
    /// It never delivers; alone it fails so.
    Useless(Kind),
    /// It may fail more often than a client tries again, or lies.
    Shaky,
    /// It delivers what it has to a client that tries again.
    Sound,
}

/// What was right of what a download came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The right file, or as right a one as any.
    File,
    /// A file of which nobody could tell from what was sent that it is not the right one.
    Undecidable,
    /// A failure, for a reason.
    Failure,
}

/// The judge of one world.
#[derive(Debug)]
pub(super) struct Oracle<'w> {
    world: &'w World,
    pub(super) contents: Vec<Arc<[u8]>>,
    /// The mirrors of earlier runs, with the versions that they had.
    earlier: Vec<Mirror>,
}

/// What a mirror tells of its file, where it does.
type Claim = (Option<u64>, Option<String>);

impl<'w> Oracle<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self { world, contents: contents(world), earlier: Vec::new() }
    }

    /// The same, where these were mirrors of earlier runs.
    pub(super) fn after(world: &'w World, earlier: &[Mirror]) -> Self {
        Self { earlier: earlier.to_vec(), ..Self::new(world) }
    }

    /// The places of the mirrors that may deliver something.
    fn candidates(&self) -> impl Iterator<Item = usize> {
        (0..self.world.mirrors.len()).filter(|at| !matches!(self.worth(*at), Worth::Useless(_)))
    }

    fn worth(&self, at: usize) -> Worth {
        let mirror = &self.world.mirrors[at];
        let natures = || mirror.troubles.iter().map(|trouble| trouble.fault.nature());
        if let Some(Nature::Fatal(kind)) = natures().find(|nature| matches!(nature, Nature::Fatal(_))) {
            return Worth::Useless(kind);
        }
        // Whether MLST is asked before the transfer that never completes is the client's choice.
        let tells_late = mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll]);
        let unknown_end = tells_late && mirror.has(Fault::NoCompletion);
        let lies = natures().any(|nature| nature == Nature::Lying) || tells_size_by_ending(mirror);
        // Nothing at all is not an answer: that the file is empty nobody says but SIZE.
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

    /// Whether two mirrors say different things.
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

    /// Whether the mirrors, all of them known, are of different minds or sent different bytes.
    fn is_disputed(&self) -> bool {
        let differ = |one, other| self.contradict(one, other) || !self.same_bytes(one, other);
        let odd = |at: usize| {
            let mirror = &self.world.mirrors[at];
            let lies = mirror.troubles.iter().any(|trouble| trouble.fault.nature() == Nature::Lying);
            lies || mirror.has_any(&[Fault::Replaced, Fault::DataClaimedWhole])
        };
        self.candidates().any(|one| odd(one) || self.candidates().any(|other| differ(one, other)))
    }

    /// A mirror whose file has to come: most of all mirrors that may deliver anything are sound, and have just that
    /// file; or all that differ are liars that their own bytes give away.
    fn must_deliver(&self) -> Option<usize> {
        if self.is_on(Fault::Replaced) {
            return None;
        }
        self.candidates().filter(|at| self.is_sound(*at)).find(|at| {
            let agrees = |other: usize| self.same_bytes(*at, other) && !self.contradict(*at, other);
            // A wrong size that nobody contradicts is the size, and the bytes do not fit it.
            let wrong_size = self.candidates().any(|at| {
                let mirror = &self.world.mirrors[at];
                mirror.has_any(&[Fault::SizeTooGreat, Fault::SizeTooSmall]) || tells_size_by_ending(mirror)
            });
            let quarrel = |one: usize| self.candidates().any(|other| self.contradict(one, other));
            if !wrong_size && self.candidates().all(|other| agrees(other) && !quarrel(other)) {
                return true;
            }
            // Who does not say which file it has has no vote.
            let tells = |at: usize| says_size(&self.world.mirrors[at]) && says_time(&self.world.mirrors[at]);
            // Where only the bytes differ, who cannot send the disputed part has none, either.
            let unsaid =
                self.candidates().any(|other| !self.same_bytes(*at, other) && !self.contradict(*at, other));
            let votes = |at: usize| tells(at) && !(unsaid && self.world.mirrors[at].has(Fault::NoRest));
            let supports = |other: &usize| self.is_sound(*other) && agrees(*other) && votes(*other);
            tells(*at) && 2 * self.candidates().filter(supports).count() > self.candidates().count()
        })
    }

    /// What is wrong with a file of which this came, or what it is. `heard` are the mirrors that have told of
    /// their files before the download was over, `last` those that may have.
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
            // What two mirrors have right in different places is the right file.
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

    /// Whether a mirror says that its file is as long as these bytes, and calls complete a transfer that ends behind them:
    /// to any client that is the whole file, if no good mirror was heard that says something else.
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

    /// Whether files differ in places that do not meet.
    fn mixtures_go_unseen(&self) -> bool {
        let now = self.candidates().map(|at| &self.world.mirrors[at]);
        let mirrors: Vec<&Mirror> = now.chain(&self.earlier).collect();
        let of = |fault| mirrors.iter().filter(move |mirror| mirror.has(fault)).map(|mirror| mirror.version);
        of(Fault::OtherPlaces).next().is_some() || of(Fault::OtherRegion).collect::<BTreeSet<_>>().len() > 1
    }

    /// Whether the bytes are those of a mirror of an earlier run, and the files differ in places that need not meet anything.
    fn is_of_earlier_run(&self, bytes: &[u8]) -> bool {
        let in_places = |mirror: &Mirror| mirror.has_any(&[Fault::OtherRegion, Fault::OtherPlaces]);
        let now = self.candidates().any(|at| in_places(&self.world.mirrors[at]));
        let of_it = |mirror: &Mirror| &*self.contents[mirror.version] == bytes;
        self.earlier.iter().any(|mirror| of_it(mirror) && (now || in_places(mirror)))
    }

    /// A file that is none of the versions. Where a mirror's file differs in places that do not meet, parts of
    /// it may have come from there with nothing to show for it.
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

    /// From where on a file differs from each version.
    fn describe(&self, bytes: &[u8]) -> String {
        let apart = |contents: &Arc<[u8]>| {
            let pairs = contents.iter().zip(bytes);
            let at = pairs.take_while(|(one, other)| one == other).count();
            format!("{at} of {}", contents.len())
        };
        let apart: Vec<String> = self.contents.iter().map(apart).collect();
        format!("a mixed file of {} bytes; equal to the versions up to {}", bytes.len(), apart.join(", "))
    }

    /// What is wrong with a failure.
    pub(super) fn judge_failure(&self, failure: &Failure) -> Result<Verdict, String> {
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
            Kind::Integrity => self.is_disputed(),
            _ if self.candidates().any(|at| self.is_sound(at)) => false,
            Kind::Connect | Kind::Other => expected.is_none_or(|kind| kind <= Kind::Other),
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

    /// What no download in this world may take longer than.
    pub(super) fn time_limit(&self) -> Duration {
        let world = self.world;
        let delays: Duration = world
            .mirrors
            .iter()
            .flat_map(|mirror| &mirror.troubles)
            .filter(|trouble| trouble.fault != Fault::Replaced)
            .map(|trouble| trouble.delay * (trouble.sessions as u32) * trouble.times)
            .sum();
        // Each attempt runs into a few time limits of half a minute, and then waits half a minute.
        let attempts = Duration::from_secs(150) * (world.retries + 2) * (world.mirrors.len() as u32);
        let longest = world.versions.iter().map(|file| file.size()).max().unwrap_or_default();
        let slowest = world.mirrors.iter().map(slowest_rate).min().unwrap_or(1).max(1);
        attempts + delays + Duration::from_millis(longest * 3000 / slowest)
    }

    /// What a download in a world without faults may take: its best mirror could have done it alone, with one session,
    /// if its path has not to carry first what all connections have asked for and had cut. Those added later are to make it
    /// no slower.
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

/// The rate of one session of a mirror.
fn slowest_rate(mirror: &Mirror) -> u64 {
    let slow = [Fault::SlowMirror, Fault::SlowSessions];
    let slow = slow.iter().filter_map(|fault| mirror.trouble(*fault)).map(|trouble| trouble.bytes);
    slow.chain(mirror.session_rate).chain([mirror.path_rate]).min().unwrap_or(1)
}

fn says_size(mirror: &Mirror) -> bool {
    let no_mlst = mirror.has(Fault::NoSizeAtAll) || mirror.has(Fault::Vsftpd);
    !(mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll]) && no_mlst)
}

/// Who calls complete what is cut short, before it has told the size, tells another size.
fn tells_size_by_ending(mirror: &Mirror) -> bool {
    mirror.has(Fault::DataClaimedWhole) && mirror.has_any(&[Fault::NoSize, Fault::NoSizeAtAll])
}

/// With SIZE there and MDTM missing, nobody asks for MLST.
fn says_time(mirror: &Mirror) -> bool {
    !mirror.has(Fault::NoMdtm)
}

/// How often a mirror fails before it does not any more.
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
    // A server that is full, or ends what waits, adds a failure to each.
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
