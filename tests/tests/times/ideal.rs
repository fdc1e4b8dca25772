//! How long a download must take at the least.

use super::world::{Case, Mirror};
use pftp_tests::sim::WINDOW;
use std::time::Duration;

/// From the SYN to the first byte: SYN, greeting, one burst, data connection, data.
const FIRST_BYTE: u32 = 5;

/// The payload of packets whose headers count.
const PAYLOAD: f64 = 1448.0 / 1500.0;

/// Ten packets, doubled in each round trip.
const INITIAL_WINDOW: f64 = 14_480.0;

/// The time in which the best spread of the connections over the mirrors brings the file, when each delivers what it can
/// from its first byte on.
pub(crate) fn ideal(case: &Case) -> Duration {
    let mut best = f64::INFINITY;
    spread(case.connections, &mut Vec::new(), case.mirrors.len(), &mut |counts| {
        best = best.min(time(case, counts));
    });
    Duration::from_secs_f64(best)
}

/// Every way to spread `left` connections over `mirrors` mirrors.
fn spread(left: usize, counts: &mut Vec<usize>, mirrors: usize, visit: &mut impl FnMut(&[usize])) {
    let last = counts.len() + 1 == mirrors;
    for count in if last { left } else { 0 }..=left {
        counts.push(count);
        if last {
            visit(counts);
        } else {
            spread(left - count, counts, mirrors, visit);
        }
        counts.pop();
    }
}

/// Seconds until mirrors with so many connections each have sent the file.
fn time(case: &Case, counts: &[usize]) -> f64 {
    let sent = |seconds: f64| -> f64 {
        case.mirrors.iter().zip(counts).map(|(mirror, count)| delivered(mirror, *count, seconds)).sum()
    };
    let (mut low, mut high) = (0.0, 10_000.0);
    if sent(high) < case.size as f64 {
        return f64::INFINITY;
    }
    while high - low > 1e-6 {
        let middle = (low + high) / 2.0;
        if sent(middle) < case.size as f64 { low = middle } else { high = middle }
    }
    high
}

/// Bytes that have come from a mirror by then: what its path carries, or what its sessions send if that is less.
fn delivered(mirror: &Mirror, connections: usize, seconds: f64) -> f64 {
    let first = mirror.round_trip * FIRST_BYTE + mirror.slowness;
    let sending = (seconds - first.as_secs_f64()).max(0.0);
    let sessions = 0..connections.min(mirror.useful);
    let sessions = sessions.map(|index| by_session(mirror, index, sending, first));
    let share = if mirror.losses.is_some() { PAYLOAD } else { 1.0 };
    sessions.sum::<f64>().min(sending * mirror.bytes_per_second as f64 * share)
}

/// Bytes that one session sends in so many seconds: as its throttle lets it, and a window in each round trip, which is
/// constant or that of a slow start.
fn by_session(mirror: &Mirror, index: usize, seconds: f64, set_up: Duration) -> f64 {
    let rate = mirror.session(index).bytes_per_second.unwrap_or(mirror.bytes_per_second) as f64;
    let rounds = seconds / mirror.round_trip.as_secs_f64();
    let window = match mirror.losses {
        Some(_) => INITIAL_WINDOW * (2.0_f64.powi(rounds as i32 + 1) - 1.0),
        None => WINDOW as f64 * (1.0 + rounds),
    };
    let sending = mirror.fault.as_ref().filter(|fault| fault.session == index).map_or(seconds, |fault| {
        // After it, as soon as that can be known, another session takes its place.
        let before = fault.after as f64 / rate;
        let again = before + (fault.detection + set_up).as_secs_f64();
        seconds.min(before) + (seconds - again).max(0.0)
    });
    window.min(rate * sending)
}
