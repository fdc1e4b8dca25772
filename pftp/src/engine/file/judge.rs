//! Which file is the right one, by what mirrors claim of its size and time: pure.

use super::replica::Verdict;
use crate::engine::ids::MirrorId;
use ftp_proto::Facts;

/// The claim of one mirror.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Claim {
    pub(in crate::engine) mirror: MirrorId,
    /// Whether the mirror was dropped: its claim still counts.
    pub(in crate::engine) is_dropped: bool,
    pub(in crate::engine) verdict: Verdict,
    pub(in crate::engine) facts: Option<Facts>,
}

/// The judgement of all claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Judgement {
    /// No mirror differs.
    Agreed,
    /// A majority has the file that is fetched: these mirrors have another one.
    Reject(Vec<MirrorId>),
    /// A majority has this file: the download starts over with it.
    Replace(Facts),
    /// These mirrors have not answered and may decide.
    Ask(Vec<MirrorId>),
    /// All have answered, and nothing decides between these two.
    Undecidable([Option<MirrorId>; 2]),
}

/// Whether `facts` describe another file than `known`. A fact that one of them lacks does not count.
pub(in crate::engine) fn contradict(known: &Facts, facts: &Facts) -> bool {
    let differ = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a != b);
    let times = known.modify.zip(facts.modify);
    // Some servers give fractions of a second and others do not.
    differ(known.size, facts.size) || times.is_some_and(|(a, b)| a.unix_seconds() != b.unix_seconds())
}

/// Judges the claims on a file that is taken to be `identity`.
pub(in crate::engine) fn judge(identity: &Facts, claims: &[Claim]) -> Judgement {
    let differs = |claim: &&Claim| claim.verdict == Verdict::Differs;
    if !claims.iter().any(|claim| differs(&claim) && !claim.is_dropped) {
        return Judgement::Agreed;
    }
    let said: Vec<&Facts> = claims.iter().filter_map(|claim| claim.facts.as_ref()).collect();
    let votes = |of: &Facts| said.iter().filter(|facts| !contradict(of, facts)).count();
    let rivals = claims.iter().filter(differs).filter_map(|claim| claim.facts.as_ref());
    let Some(rival) = rivals.max_by_key(|facts| votes(facts)) else { return Judgement::Agreed };
    let (ours, theirs, all) = (votes(identity), votes(rival), said.len());
    let unheard = claims.iter().filter(|claim| !claim.is_dropped && claim.verdict == Verdict::Unknown);
    let unheard: Vec<MirrorId> = unheard.map(|claim| claim.mirror).collect();
    let silent = unheard.len();
    let beats = |a: usize, b: usize| a > b + silent && 2 * a > all + silent;
    let of = |verdict| claims.iter().find(|claim| claim.verdict == verdict).map(|claim| claim.mirror);
    if beats(ours, theirs) {
        Judgement::Reject(claims.iter().filter(differs).map(|claim| claim.mirror).collect())
    } else if beats(theirs, ours) || ours == 0 && silent == 0 {
        Judgement::Replace(rival.clone())
    } else if silent > 0 {
        Judgement::Ask(unheard)
    } else {
        Judgement::Undecidable([of(Verdict::Agrees), of(Verdict::Differs)])
    }
}

/// The claim that most of the claims agree with; no facts if there is none.
pub(in crate::engine) fn most_supported(claims: &[Claim]) -> Facts {
    let said: Vec<&Facts> = claims.iter().filter_map(|claim| claim.facts.as_ref()).collect();
    let votes = |of: &Facts| said.iter().filter(|facts| !contradict(of, facts)).count();
    said.iter().max_by_key(|facts| votes(facts)).map(|facts| (*facts).clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(bytes: u64) -> Facts {
        Facts { size: Some(bytes), ..Facts::default() }
    }

    fn claim(mirror: usize, verdict: Verdict, facts: Option<u64>) -> Claim {
        Claim { mirror: MirrorId(mirror), is_dropped: false, verdict, facts: facts.map(size) }
    }

    #[test]
    fn majority_decides_as_soon_as_no_answer_can_turn_it() {
        use Verdict::{Agrees, Differs, Unknown};
        let judged = |claims: &[(Verdict, Option<u64>)]| {
            let claims: Vec<Claim> =
                claims.iter().enumerate().map(|(at, (verdict, facts))| claim(at, *verdict, *facts)).collect();
            judge(&size(1), &claims)
        };
        let (ours, theirs, silent) = ((Agrees, Some(1)), (Differs, Some(2)), (Unknown, None));
        assert_eq!(judged(&[ours, ours]), Judgement::Agreed);
        assert_eq!(judged(&[ours, ours, theirs]), Judgement::Reject(vec![MirrorId(2)]));
        assert_eq!(judged(&[ours, theirs, theirs]), Judgement::Replace(size(2)));
        assert_eq!(judged(&[ours, theirs, silent]), Judgement::Ask(vec![MirrorId(2)]));
        let undecidable = Judgement::Undecidable([Some(MirrorId(0)), Some(MirrorId(1))]);
        assert_eq!(judged(&[ours, theirs]), undecidable);
        assert_eq!(judged(&[theirs]), Judgement::Replace(size(2)), "only the journal says otherwise");
    }

    #[test]
    fn claim_of_a_dropped_mirror_counts_but_starts_no_dispute() {
        let mut dropped = claim(1, Verdict::Differs, Some(2));
        dropped.is_dropped = true;
        let agrees = claim(0, Verdict::Agrees, Some(1));
        assert_eq!(judge(&size(1), &[agrees, dropped]), Judgement::Agreed);
    }
}
