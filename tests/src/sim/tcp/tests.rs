//! Tests with a connection whose packets are sent by hand.

use super::*;

const ROUND_TRIP: Duration = Duration::from_millis(80);

fn stream() -> Stream {
    Stream::new(SessionId(1))
}

/// Sends as much as there is room for: lost segments, then new ones of one byte. The segments with these
/// numbers are dropped the first time.
fn fill(stream: &mut Stream, dropped: &[u64], now: Duration) -> Vec<Packet> {
    let mut packets = Vec::new();
    while stream.has_room() {
        if let Some(segment) = stream.next_lost() {
            packets.push(stream.send(segment, true, now));
            continue;
        }
        let number = stream.end();
        let segment = stream.push(vec![number as u8]);
        let packet = stream.send(segment, !dropped.contains(&number), now);
        packets.extend(Some(packet).filter(|_| !dropped.contains(&number)));
    }
    packets
}

/// Delivers and acknowledges all packets. Returns what the reader gets.
fn deliver(stream: &mut Stream, packets: &[Packet], now: Duration) -> Vec<u8> {
    let mut read = Vec::new();
    for packet in packets {
        read.extend(stream.arrive(packet.segment));
        stream.acknowledge(*packet, now);
    }
    read
}

/// Delivers and acknowledges all packets, and sends whatever each acknowledgement makes room for. Returns
/// those packets.
fn round(stream: &mut Stream, packets: &[Packet], dropped: &[u64], now: Duration) -> Vec<Packet> {
    let answer = |packet: &Packet| {
        deliver(stream, &[*packet], now);
        fill(stream, dropped, now)
    };
    packets.iter().flat_map(answer).collect()
}

#[test]
fn the_window_doubles_in_each_round_trip() {
    let mut stream = stream();
    let mut packets = fill(&mut stream, &[], Duration::ZERO);
    for number in 1..6 {
        assert_eq!(packets.len(), 5 << number);
        packets = round(&mut stream, &packets, &[], ROUND_TRIP * number);
    }
}

#[test]
fn slow_start_ends_where_packets_wait() {
    let mut stream = stream();
    let mut packets = fill(&mut stream, &[], Duration::ZERO);
    let mut now = Duration::ZERO;
    // An eighth of the round trip is 10 ms.
    for waits in [0, 0, 0, 9, 11] {
        assert!(stream.cubic.threshold().is_infinite());
        now += ROUND_TRIP + Duration::from_millis(waits);
        packets = round(&mut stream, &packets, &[], now);
    }
    // Slow start ends after a few packets of the last round, which had 160.
    let (window, threshold) = (stream.cubic.window(), stream.cubic.threshold());
    assert!((160.0..180.0).contains(&threshold), "{threshold}");
    assert!((threshold..threshold * 1.1).contains(&window), "{window}");
}

#[test]
fn what_follows_a_lost_segment_waits_for_it() {
    let mut stream = stream();
    let packets = fill(&mut stream, &[4], Duration::ZERO);
    assert_eq!(deliver(&mut stream, &packets[..6], ROUND_TRIP), [0, 1, 2, 3]);
    assert_eq!(stream.next_lost(), None, "two came after it");
    assert!(deliver(&mut stream, &packets[6..], ROUND_TRIP).is_empty());
    assert_eq!(stream.next_lost(), Some(4));
    assert!(stream.has_room(), "the first loss is repaired at once");
    let again = stream.send(4, true, ROUND_TRIP);
    stream.finish();
    assert!(!stream.has_ended());
    assert_eq!(deliver(&mut stream, &[again], ROUND_TRIP * 2), [4, 5, 6, 7, 8, 9]);
    assert!(stream.has_ended());
}

/// However many are lost in it.
#[test]
fn a_round_with_losses_reduces_the_window_once() {
    for dropped in [&[40][..], &[40, 41, 50, 60]] {
        let mut stream = stream();
        let mut packets = fill(&mut stream, dropped, Duration::ZERO);
        let mut now = Duration::ZERO;
        while stream.first < 100 || stream.recovery.is_some() {
            now += ROUND_TRIP;
            packets = round(&mut stream, &packets, dropped, now);
        }
        // The window is about 51 when three packets after segment 40 are acknowledged.
        let (window, threshold) = (stream.cubic.window(), stream.cubic.threshold());
        assert!((35.0..37.0).contains(&threshold), "{dropped:?}: {threshold}");
        assert!((threshold..threshold + 3.0).contains(&window), "{dropped:?}: {window}, {threshold}");
    }
}

#[test]
fn a_lost_end_is_probed_for_and_then_timed_out() {
    let mut stream = stream();
    let packets = fill(&mut stream, &[8, 9], Duration::ZERO);
    assert_eq!(stream.silence(), None);
    deliver(&mut stream, &packets, ROUND_TRIP);
    // Nothing else is left to send.
    let (after, sent) = stream.silence().unwrap();
    assert_eq!(after, ROUND_TRIP * 2);
    assert_eq!(stream.time_out(sent - 1), None, "something was sent after that");
    assert_eq!(stream.time_out(sent), Some(9));
    let probe = stream.send(9, false, ROUND_TRIP * 3);
    let (after, sent) = stream.silence().unwrap();
    assert_eq!((after, sent), (ROUND_TRIP + LEAST_TIMEOUT, probe.serial));
    assert_eq!(stream.time_out(sent), None);
    assert_eq!(stream.cubic.window(), 1.0);
    let now = ROUND_TRIP * 7;
    for segment in [8, 9] {
        assert_eq!(stream.next_lost(), Some(segment));
        let packet = stream.send(segment, true, now);
        assert_eq!(deliver(&mut stream, &[packet], now + ROUND_TRIP), [segment as u8]);
    }
}
