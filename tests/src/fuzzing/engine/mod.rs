//! Any sequence of reports to an engine: ranges stay consistent, and once nothing goes wrong any more the
//! download ends.
//!
//! Sessions are simulated as a transport reports them, without bytes on the wire: see `world`. The engine
//! may handle reports late, and reports that no transport makes come in between.

mod absurd;
mod mirror;
mod world;

use super::trace;
use arbitrary::{Arbitrary, Result, Unstructured};
use mirror::Mirror;
use std::time::Duration;
use world::World;

/// Checks an engine with the operations in `input`; see [`engine`](self).
///
/// # Panics
/// If an invariant does not hold.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let setup = Setup::arbitrary(&mut input).unwrap_or_default();
    trace(|| format!("{setup:?}"));
    let mut world = World::new(&setup);
    let mut left = MOST;
    while !input.is_empty() && left > 0 && !world.is_over() {
        let Ok(op) = Op::arbitrary(&mut input) else { break };
        trace(|| format!("{op:?}"));
        world.play(&op);
        left -= 1;
    }
    world.end_without_failures();
}

/// The most operations of a case.
const MOST: usize = 600;

/// The settings of a download.
#[derive(Debug, Default)]
struct Setup {
    mirrors: Vec<Mirror>,
    connections: usize,
    begin_with: usize,
    size: u64,
    min_segment: u64,
    retries: u32,
    in_order: bool,
    ascii: bool,
    searching: bool,
}

/// The size of the largest file, in bytes.
const LARGEST: u64 = 1 << 17;

impl<'a> Arbitrary<'a> for Setup {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let byte = |u: &mut Unstructured<'a>| u8::arbitrary(u);
        let first = byte(u)?;
        let mirrors = 1 + first % 3;
        let kind = byte(u)?;
        let mirrors =
            (0..mirrors).map(|at| byte(u).map(|flags| Mirror::new(at, flags))).collect::<Result<_>>()?;
        let counts = byte(u)?;
        let connections = 1 + usize::from(counts % 5);
        Ok(Self {
            mirrors,
            connections,
            begin_with: if counts >= 128 { 1 } else { connections },
            size: u64::from(u32::arbitrary(u)?) % (LARGEST + 1),
            min_segment: [1, 64, 4096, 65536][usize::from(kind % 4)],
            retries: u32::from(kind >> 2 & 3),
            in_order: kind & 0x30 == 0x30,
            ascii: kind & 0xc0 == 0xc0,
            searching: first >= 128,
        })
    }
}

/// An operation. Sessions and mirrors are picked among those that exist.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A session takes its next step.
    Step(u8),
    /// The engine handles the next report of a session.
    Hear(u8),
    /// A session takes steps and the engine handles its reports, several times over.
    Advance(u8, u8),
    /// The same for all sessions.
    AdvanceAll,
    /// Time passes, in milliseconds.
    Pass(u16),
    /// Time passes until the engine's timeout.
    Wait,
    /// A session ends; the number picks the reason from a table.
    Break(u8, u8),
    /// A session's request is refused.
    Refuse(u8, u8),
    /// A session's transfer ends early.
    Shorten(u8, u8),
    /// The addresses of a mirror are resolved, or not.
    Resolve(u8, u8),
    /// A report that no transport makes.
    Absurd(u8, u8, u16, u16),
}

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let kind = u8::arbitrary(u)?;
        Ok(match kind % 16 {
            0 | 1 => Self::Step(u.arbitrary()?),
            2 | 3 => Self::Hear(u.arbitrary()?),
            4 | 5 => Self::Advance(u.arbitrary()?, u.arbitrary()?),
            6 | 7 => Self::AdvanceAll,
            8 => Self::Pass(u.arbitrary()?),
            9 => Self::Wait,
            10 => Self::Break(u.arbitrary()?, u.arbitrary()?),
            11 => Self::Refuse(u.arbitrary()?, u.arbitrary()?),
            12 => Self::Shorten(u.arbitrary()?, u.arbitrary()?),
            13 | 14 => Self::Resolve(u.arbitrary()?, u.arbitrary()?),
            _ => Self::Absurd(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?),
        })
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
