//! The processes of a server, and its port.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process, told apart from a later process with the same id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    id: u32,
    parent: u32,
    name: String,
    /// Clock ticks from boot to the start of the process.
    started: u64,
    zombie: bool,
}

impl Process {
    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the name, at most 15 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns when the process started, in clock ticks since boot. Id and start tell it from every other
    /// process.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Whether the process with this id and start still runs. A zombie does not.
    #[must_use]
    pub fn runs(id: u32, started: u64) -> bool {
        Self::read(id).is_some_and(|now| now.started == started && !now.zombie)
    }

    pub(super) fn is_child_of(&self, parent: &Self) -> bool {
        self.parent == parent.id
    }

    fn read(id: u32) -> Option<Self> {
        // "id (name) state parent ...": the name may hold anything, the start is the 22nd field.
        let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{id}/stat")).ok()?).into_owned();
        let (head, rest) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = rest.split_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { id, parent, name, started, zombie })
    }
}

/// Returns the process `root` and all its descendants, zombies included.
pub(super) fn tree(root: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut rest: Vec<Process> =
        entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect();
    let mut inside = HashSet::from([root]);
    let mut found = Vec::new();
    loop {
        let (new, old): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|process| process.id == root || inside.contains(&process.parent));
        if new.is_empty() {
            return found;
        }
        inside.extend(new.iter().map(|process| process.id));
        found.extend(new);
        rest = old;
    }
}

/// Waits for the end of a child process.
#[derive(Debug)]
pub(super) struct Exit(OwnedFd);

impl Exit {
    pub(super) fn of(child: &Child) -> Self {
        Self(
            pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("a child that was not waited for"),
        )
    }

    /// Waits until the process has ended, at most `limit`. Returns whether it has.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a short time");
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => panic!("cannot wait for a process: {e}"),
            }
        }
    }
}

/// A port of 127.0.0.1 for a server that cannot be told to choose one.
///
/// A Unix socket's name claims the port among all tests of this machine (strictly, of this network
/// namespace); the kernel frees the name with the process. Ports that the kernel gives to other sockets are
/// avoided.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    const RANGE: std::ops::Range<u16> = 15_000..32_000;

    pub(super) fn claim() -> Self {
        let ephemeral = ephemeral();
        let size = u64::from(Self::RANGE.end - Self::RANGE.start);
        let seed = RandomState::new().hash_one(std::process::id()) % size;
        for step in 0..size {
            let offset = u16::try_from((seed + step) % size).expect("less than the range");
            let number = Self::RANGE.start + offset;
            // If the kernel's range covers this whole range, a collision shows when the server starts.
            if (ephemeral.0..=ephemeral.1).contains(&number) && ephemeral.0 > Self::RANGE.start {
                continue;
            }
            let name = SocketAddr::from_abstract_name(format!("pftp-tests-port-{number}"));
            let Ok(claim) = name.and_then(|name| UnixListener::bind_addr(&name)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _claim: claim };
            }
        }
        panic!("no port of 127.0.0.1 in {:?} is free", Self::RANGE);
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

/// Returns the range of ports that the kernel gives to connections and to port 0.
fn ephemeral() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = text.split_whitespace().map(str::parse);
    match (ports.next(), ports.next()) {
        (Some(Ok(low)), Some(Ok(high))) => (low, high),
        _ => (32_768, 60_999),
    }
}
