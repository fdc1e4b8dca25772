//! The least time that a download can take.

use super::case::{Case, Mirror};
use pftp_tests::sim::WINDOW;
use std::time::Duration;

/// Round trips from the SYN to the first byte: SYN, greeting, one burst of commands, data connection, data.
const FIRST_BYTE: u32 = 5;

/// The share of a path that carries payload if headers count.
const PAYLOAD_SHARE: f64 = 1448.0 / 1500.0;

/// Bytes of the ten packets with which slow start begins; they double in each round trip.
const INITIAL_WINDOW: f64 = 14_480.0;

/// Returns how long the best spread of the connections over the mirrors takes, if each mirror delivers all it can from its
/// first byte on.
pub(crate) fn ideal(case: &Case) -> Duration {
    let mut best = f64::INFINITY;
    spread(case.connections, &mut Vec::new(), case.mirrors.len(), &mut |counts| {
        best = best.min(time(case, counts));
    });
    Duration::from_secs_f64(best)
}

/// Visits every way to spread `left` connections over `mirrors` mirrors.
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

/// Returns the seconds in which mirrors with so many connections each send the file.
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

/// Returns how many bytes a mirror has delivered by then: as many as its path carries and its sessions send.
fn delivered(mirror: &Mirror, connections: usize, seconds: f64) -> f64 {
    let set_up = mirror.server.round_trip() * FIRST_BYTE + mirror.reply_delay;
    let sending = (seconds - set_up.as_secs_f64()).max(0.0);
    let sessions = 0..connections.min(mirror.useful_sessions);
    let sessions = sessions.map(|session| by_session(mirror, session, sending, set_up));
    let share = if mirror.server.losses().is_some() { PAYLOAD_SHARE } else { 1.0 };
    sessions.sum::<f64>().min(sending * mirror.bytes_per_second as f64 * share)
}

/// Returns how many bytes a session sends in so many seconds: its throttle limits it, and its window in each round trip. The
/// window is constant, or that of slow start.
fn by_session(mirror: &Mirror, session: usize, seconds: f64, set_up: Duration) -> f64 {
    let throttle = mirror.server.behaviour_of(session).bytes_per_second;
    let rate = throttle.unwrap_or(mirror.bytes_per_second) as f64;
    let rounds = seconds / mirror.server.round_trip().as_secs_f64();
    let window = match mirror.server.losses() {
        Some(_) => INITIAL_WINDOW * (2.0_f64.powi(rounds as i32 + 1) - 1.0),
        None => WINDOW as f64 * (1.0 + rounds),
    };
    let fault = mirror.fault.as_ref().filter(|fault| fault.session == session);
    let sending = fault.map_or(seconds, |fault| {
        // Another session takes the place of an interrupted one as soon as the client can know.
        let before = fault.after as f64 / rate;
        let again = before + (fault.detection + set_up).as_secs_f64();
        seconds.min(before) + (seconds - again).max(0.0)
    });
    window.min(rate * sending)
}
