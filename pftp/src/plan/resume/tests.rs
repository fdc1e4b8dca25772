use super::*;
use std::convert::Infallible;

fn set(ranges: &[Range<u64>]) -> RangeSet {
    let mut set = RangeSet::new();
    for range in ranges {
        set.insert(range.clone());
    }
    set
}

fn before(ranges: &[Range<u64>], size: u64) -> Before {
    let read = |range: Range<u64>| {
        let length = usize::try_from(range.end - range.start).unwrap();
        Ok::<_, Infallible>(vec![7; length].into())
    };
    let identity = Facts { size: Some(size), ..Facts::default() };
    let Ok(before) = Before::new(identity, set(ranges), read);
    before
}

#[test]
fn what_is_fetched_again() {
    let kept = before(&[0..20_000, 30_000..50_000, 60_000..64_096, 70_000..74_097], 100_000);
    assert_eq!(kept.done, set(&[0..20_000, 34_096..50_000, 74_096..74_097]));
    let heads: Vec<(u64, usize)> = kept.heads.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
    assert_eq!(heads, [(30_000, 4096), (70_000, 4096)]);
}

#[test]
fn of_a_whole_file_the_end_is_fetched_again() {
    assert_eq!(before(&[0..20_000], 20_000).done, set(&[0..15_904]));
    assert!(before(&[0..4_000], 4_000).done.is_empty());
    assert!(before(&[], 0).done.is_empty());
}
