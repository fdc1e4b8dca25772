//! Builds the servers of a world with their faults, and tells afterwards which faults had an effect.

use super::fault::Fault;
use super::pipes::{Pipes, Replies};
use super::random::Random;
use super::scenario::FILE_PATH;
use super::transport::{Path, SimTransport};
use super::world::{Mirror, Trouble, World};
use crate::model::{
    Behaviour, Bursts, Cap, Completion, Cut, File, Interruption, Login, Mark, Model, Quirk, Reaction, Tree,
    Trigger, WhenFull,
};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The servers of a world.
#[derive(Debug)]
pub(super) struct Staging {
    /// The addresses of each mirror, in the resolver's order.
    pub(super) addresses: Vec<Vec<SocketAddr>>,
    casts: Vec<Cast>,
}

/// How the sessions of a mirror behave, and which rule belongs to which fault.
#[derive(Debug, Default)]
struct Cast {
    /// Behaviours of the first sessions.
    first: Vec<Vec<Fault>>,
    others: Vec<Fault>,
}

/// A behaviour under construction, with the fault of each rule.
struct Role {
    behaviour: Behaviour,
    faults: Vec<Fault>,
}

impl Role {
    fn new(mirror: &Mirror) -> Self {
        let dialects: [(Fault, fn() -> Behaviour); 4] = [
            (Fault::Vsftpd, Behaviour::vsftpd),
            (Fault::Proftpd, Behaviour::proftpd),
            (Fault::PureFtpd, Behaviour::pure_ftpd),
            (Fault::Pyftpdlib, Behaviour::pyftpdlib),
        ];
        let dialect = dialects.into_iter().find(|(fault, _)| mirror.has(*fault));
        let behaviour = dialect.map_or_else(Behaviour::default, |(_, behaviour)| behaviour());
        let faults = vec![dialect.map_or(Fault::Vsftpd, |(fault, _)| fault); behaviour.on.len()];
        Self { behaviour, faults }
    }

    fn rule(&mut self, fault: Fault, trigger: Trigger, reaction: Reaction) {
        self.behaviour.on.push((trigger, reaction));
        self.faults.push(fault);
    }

    fn without(&mut self, fault: Fault, verb: &str) {
        self.rule(fault, Trigger::every(verb), Reaction::reply("500 Unknown command."));
    }

    /// Adds a fault that concerns all sessions.
    fn lasting(&mut self, trouble: &Trouble) {
        let behaviour = &mut self.behaviour;
        let full = |when_full| Some(Cap { sessions: trouble.sessions, when_full, ..Cap::default() });
        let fault = trouble.fault;
        match fault {
            Fault::Refused => {
                behaviour.cap = Some(Cap { sessions: 0, when_full: WhenFull::Refuse, ..Cap::default() })
            }
            Fault::FullGreeting => behaviour.cap = full(WhenFull::Greeting),
            Fault::FullPassword => behaviour.cap = full(WhenFull::Password),
            Fault::FullHang => behaviour.cap = full(WhenFull::Hang),
            Fault::FullRefused => behaviour.cap = full(WhenFull::Refuse),
            Fault::LoginRefused => behaviour.login = Login::only("somebody", "else"),
            Fault::Wordless => behaviour.wordless = true,
            Fault::NoMark => behaviour.mark = Mark::Never,
            Fault::EarlyCompletion => behaviour.completion = Completion::BeforeData,
            Fault::LateCompletion => behaviour.completion = Completion::Late(trouble.delay),
            Fault::NoCompletion => behaviour.completion = Completion::Never,
            Fault::RestIgnored => behaviour.ignores_rest = true,
            Fault::SizeTooGreat => behaviour.size_error = trouble.bytes as i64,
            Fault::SizeTooSmall => behaviour.size_error = -(trouble.bytes as i64),
            Fault::BurstDropped => behaviour.bursts = Bursts::RestDropped,
            Fault::BurstRefused => behaviour.bursts = Bursts::SecondRefused,
            Fault::BurstClosed => behaviour.bursts = Bursts::Closed,
            Fault::SlowMirror => behaviour.bytes_per_second = Some(trouble.bytes),
            Fault::IdleTimeout => behaviour.idle_timeout = Some(trouble.delay),
            Fault::ForeignHost => {
                behaviour.passive_host = Some(Ipv4Addr::new(198, 51, 100, 7));
                self.without(fault, "EPSV");
            }
            Fault::NoEpsv => self.without(fault, "EPSV"),
            Fault::NoRest => self.without(fault, "REST"),
            Fault::NoSize => self.without(fault, "SIZE"),
            Fault::NoMdtm => self.without(fault, "MDTM"),
            Fault::NoSizeAtAll => {
                self.without(fault, "SIZE");
                self.without(fault, "MLST");
            }
            _ => {}
        }
    }

    /// Adds a fault that concerns the first sessions.
    fn passing(&mut self, trouble: &Trouble) {
        let fault = trouble.fault;
        let cut = |how| Cut::silent(trouble.bytes, how);
        match fault {
            Fault::Busy => {
                self.rule(fault, Trigger::Accepted, Reaction::reply_and_close("421 Busy, try later."))
            }
            Fault::Retr425 => self.each_retr(trouble, &Reaction::reply("425 Cannot build data connection.")),
            Fault::Retr426 => self.each_retr(trouble, &Reaction::reply("426 Broken off.")),
            Fault::Retr450 => self.each_retr(trouble, &Reaction::reply("450 File busy.")),
            Fault::Retr451 => self.each_retr(trouble, &Reaction::reply("451 Local error.")),
            Fault::ControlReset => self.rule(fault, Trigger::Replies(trouble.times), Reaction::Reset),
            Fault::ControlClosed => self.rule(fault, Trigger::Replies(trouble.times), Reaction::Close),
            Fault::ControlSilent => self.rule(fault, Trigger::Replies(trouble.times), Reaction::Hang),
            Fault::DataClosed => self.each_retr(trouble, &Reaction::Cut(cut(Interruption::Fin))),
            Fault::DataReset => self.each_retr(trouble, &Reaction::Cut(cut(Interruption::Reset))),
            Fault::DataBrokenOff => self.each_retr(trouble, &Reaction::Cut(Cut::told(trouble.bytes))),
            Fault::DataClaimedWhole => self.each_retr(trouble, &Reaction::Cut(Cut::lying(trouble.bytes))),
            Fault::DataStalls => self.each_retr(trouble, &Reaction::Cut(cut(Interruption::Stall))),
            Fault::DataPauses => {
                self.each_retr(trouble, &Reaction::Cut(cut(Interruption::Pause(trouble.delay))));
            }
            Fault::SlowSessions => self.behaviour.bytes_per_second = Some(trouble.bytes),
            _ => {}
        }
    }

    fn each_retr(&mut self, trouble: &Trouble, reaction: &Reaction) {
        for time in 1..=trouble.times {
            self.rule(trouble.fault, Trigger::nth("RETR", time), reaction.clone());
        }
    }
}

impl Staging {
    pub(super) fn new(world: &World, transport: &mut SimTransport) -> Self {
        let mut staging = Self { addresses: Vec::new(), casts: Vec::new() };
        for mirror in &world.mirrors {
            let (model, cast) = model(world, mirror);
            let latency = Duration::from_micros(mirror.round_trip * 500);
            let path = Path { latency, bytes_per_second: Some(mirror.path_rate) };
            let address = if mirror.has(Fault::BlackHole) {
                transport.black_hole()
            } else {
                transport.add(model, path)
            };
            let mut addresses = vec![address];
            if mirror.has(Fault::FirstAddressSilent) {
                addresses.insert(0, transport.black_hole());
            }
            if mirror.has(Fault::FirstAddressRefuses) {
                let refuses = Behaviour::default().with_cap(0, WhenFull::Refuse);
                addresses.insert(0, transport.add(Model::default().with_behaviour(refuses), path));
            }
            transport.set_pipes(address, pipes(world, mirror));
            if let Some(trouble) = mirror.trouble(Fault::Replaced) {
                transport.replace_at(trouble.delay, address, tree(world, trouble.version));
            }
            staging.addresses.push(addresses);
            staging.casts.push(cast);
        }
        staging
    }

    /// Returns the mirror at an address.
    pub(super) fn mirror_at(&self, address: SocketAddr) -> Option<usize> {
        self.addresses.iter().position(|addresses| addresses.contains(&address))
    }

    /// Returns the faults that had an effect.
    pub(super) fn fired(&self, world: &World, transport: &SimTransport) -> BTreeSet<Fault> {
        let mut fired = BTreeSet::new();
        for (at, mirror) in world.mirrors.iter().enumerate() {
            let troubles = mirror.troubles.iter().map(|trouble| trouble.fault);
            fired.extend(troubles.filter(|fault| self.has_fired(transport, at, *fault)));
        }
        fired
    }

    fn has_fired(&self, transport: &SimTransport, mirror: usize, fault: Fault) -> bool {
        let Some((first, address)) = self.addresses[mirror].first().zip(self.addresses[mirror].last()) else {
            return false;
        };
        let stats = transport.stats(*address);
        let cast = &self.casts[mirror];
        let rule_of = |(session, rule): &(usize, usize)| {
            cast.first.get(*session).unwrap_or(&cast.others).get(*rule) == Some(&fault)
        };
        let asked = stats.count("SIZE") + stats.count("MLST") + stats.transfers.len() > 0;
        match fault {
            Fault::Refused | Fault::FullRefused => transport.seen(*address).refused > 0,
            Fault::BlackHole => transport.seen(*address).dialled > 0,
            Fault::FirstAddressSilent | Fault::FirstAddressRefuses => transport.seen(*first).dialled > 0,
            Fault::FullGreeting | Fault::FullPassword | Fault::FullHang => {
                stats.sessions.iter().any(|session| session.full)
            }
            Fault::Replaced => transport.seen(*address).replaced,
            Fault::LoginRefused => stats.count("PASS") > 0,
            Fault::NoSuchFile | Fault::OtherSize | Fault::OtherTime => asked,
            Fault::OtherContents | Fault::OtherRegion | Fault::OtherPlaces | Fault::SlowMirror => {
                stats.payload() > 0
            }
            Fault::SlowSessions => stats.transfers.iter().any(|transfer| transfer.session < cast.first.len()),
            Fault::RepliesByteByByte | Fault::RepliesGlued => !stats.sessions.is_empty(),
            Fault::DataInPieces | Fault::SmallWindow | Fault::AbortedShown => stats.payload() > 0,
            Fault::Vsftpd | Fault::Proftpd | Fault::PureFtpd | Fault::Pyftpdlib => {
                !stats.transfers.is_empty()
            }
            Fault::Wordless => stats.showed.contains(&Quirk::Wordless),
            Fault::NoMark => stats.showed.contains(&Quirk::NoMark),
            Fault::EarlyCompletion => stats.showed.contains(&Quirk::EarlyCompletion),
            Fault::LateCompletion => stats.showed.contains(&Quirk::LateCompletion),
            Fault::NoCompletion => stats.showed.contains(&Quirk::NoCompletion),
            Fault::ForeignHost => stats.showed.contains(&Quirk::ForeignHost),
            Fault::RestIgnored => stats.showed.contains(&Quirk::RestIgnored),
            Fault::SizeTooGreat | Fault::SizeTooSmall => stats.showed.contains(&Quirk::WrongSize),
            Fault::BurstDropped | Fault::BurstRefused | Fault::BurstClosed => {
                stats.showed.contains(&Quirk::Burst)
            }
            Fault::IdleTimeout => stats.showed.contains(&Quirk::Idle),
            _ => stats.reacted.iter().any(rule_of),
        }
    }
}

fn tree(world: &World, version: usize) -> Tree {
    let file = &world.versions[version];
    let tree = Tree::new().with(FILE_PATH, file.clone());
    if !world.looks_up {
        return tree;
    }
    let of = |name: &str| format!("{}  {name}\n", file.sha256());
    match world.seed % 4 {
        0 => tree.with("pub/file.sha256", File::bytes(of("file"))),
        1 => tree
            .with("pub/file.md5", File::bytes("nonsense"))
            .with("pub/SHA256SUMS", File::bytes(of("./file"))),
        2 => tree
            .with("pub/MD5SUMS", File::bytes(of("other")))
            .with("pub/CHECKSUMS", File::bytes(of("pub/file"))),
        _ => tree,
    }
}

fn model(world: &World, mirror: &Mirror) -> (Model, Cast) {
    let tree = if mirror.has(Fault::NoSuchFile) { Tree::new() } else { tree(world, mirror.version) };
    let mut model = Model::new(tree);
    let befallen = mirror.troubles.iter().filter(|trouble| befalls_first(trouble.fault));
    let first = befallen.map(|trouble| trouble.sessions).max().unwrap_or_default();
    let mut cast = Cast::default();
    for session in 0..first {
        let role = role(mirror, Some(session));
        model = model.with_session(session, role.behaviour);
        cast.first.push(role.faults);
    }
    let role = role(mirror, None);
    cast.others = role.faults;
    (model.with_behaviour(role.behaviour), cast)
}

/// Whether a fault concerns only the first sessions.
pub(super) fn befalls_first(fault: Fault) -> bool {
    fault.nature() == super::fault::Nature::Passing || fault == Fault::SlowSessions
}

fn role(mirror: &Mirror, session: Option<usize>) -> Role {
    let mut role = Role::new(mirror);
    role.behaviour.bytes_per_second = mirror.session_rate;
    for trouble in &mirror.troubles {
        if !befalls_first(trouble.fault) {
            role.lasting(trouble);
        } else if session.is_some_and(|session| session < trouble.sessions) {
            role.passing(trouble);
        }
    }
    role
}

fn pipes(world: &World, mirror: &Mirror) -> Pipes {
    let shows_aborted = mirror.has(Fault::AbortedShown);
    let mut pipes = Pipes {
        shows_aborted,
        window: mirror.window() as usize,
        congestion: mirror.congestion(world.seed),
        ..Pipes::default()
    };
    if mirror.has(Fault::RepliesByteByByte) {
        pipes.replies = Replies::ByteByByte;
    }
    if let Some(trouble) = mirror.trouble(Fault::RepliesGlued) {
        pipes.replies = Replies::Glued(trouble.delay);
    }
    if let Some(trouble) = mirror.trouble(Fault::DataInPieces) {
        pipes.longest_portion = trouble.bytes as usize;
        pipes.varied = Some(Random::new(world.seed));
    }
    if let Some(trouble) = mirror.trouble(Fault::SmallWindow) {
        pipes.window = trouble.bytes as usize;
    }
    pipes
}

/// Returns the contents of every version.
pub(super) fn contents(world: &World) -> Vec<Arc<[u8]>> {
    world.versions.iter().map(|file| file.read(0..u64::MAX).into()).collect()
}
