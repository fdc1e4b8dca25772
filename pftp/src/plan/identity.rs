//! Whose file it is: what the mirrors say of it, and what follows when they disagree.

use super::Planner;
use super::mirror::{Mirror, Verdict};
use crate::exit::{Failure, Kind};
use ftp_proto::{Facts, Type};

impl Planner {
    /// What a mirror says of the file.
    pub(super) fn on_facts(&mut self, mirror: usize, facts: &Facts) {
        let representation = self.settings.representation;
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if known.facts.as_ref().is_some_and(|before| Mirror::contradict(before, facts)) {
            let message = format!(
                "{}: {} changed while it was fetched; run the same command again",
                known.server, known.path
            );
            return self.finish(Err(Failure::new(Kind::Integrity, message)));
        }
        if facts.size.is_none() && facts.modify.is_none() {
            known.verdict = Verdict::Abstains;
            return self.judge();
        }
        known.facts = Some(facts.clone());
        let others = self.mirrors.iter().enumerate().filter(|(at, _)| *at != mirror);
        let trusted = others
            .filter(|(_, other)| other.verdict == Verdict::Agrees)
            .find_map(|(_, other)| other.facts.clone());
        let differs = trusted.is_some_and(|trusted| Mirror::contradict(&trusted, facts));
        if let Some(known) = self.mirrors.get_mut(mirror) {
            known.verdict = if differs { Verdict::Differs } else { Verdict::Agrees };
        }
        match facts.size {
            Some(size) if !differs && self.size.is_none() && representation == Type::Image => {
                self.sized(size)
            }
            _ => {}
        }
        self.judge();
    }

    /// Whether mirrors have answered differently, and others may still decide between them.
    pub(super) fn is_disputed(&self) -> bool {
        self.mirrors.iter().any(|mirror| mirror.is_alive() && mirror.verdict == Verdict::Differs)
    }

    /// Once all mirrors have answered: a majority for the file that the download began with outvotes the others,
    /// anything else cannot be decided.
    pub(super) fn judge(&mut self) {
        let alive = || self.mirrors.iter().enumerate().filter(|(_, mirror)| mirror.is_alive());
        let count = |verdict| alive().filter(|(_, mirror)| mirror.verdict == verdict).count();
        let (agree, differ, silent) =
            (count(Verdict::Agrees), count(Verdict::Differs), count(Verdict::Unknown));
        if differ == 0 || silent > 0 && agree <= differ.saturating_add(silent) {
            return;
        }
        let differing: Vec<usize> =
            alive().filter(|(_, mirror)| mirror.verdict == Verdict::Differs).map(|(at, _)| at).collect();
        if agree <= differ {
            let of = |verdict| {
                alive().find(|(_, mirror)| mirror.verdict == verdict).map_or("", |(_, mirror)| &mirror.server)
            };
            let message = format!(
                "{} and {} have different files (size or time), and nothing says which is right; name only one of them",
                of(Verdict::Agrees),
                of(Verdict::Differs)
            );
            return self.finish(Err(Failure::new(Kind::Integrity, message)));
        }
        for at in differing {
            self.give_up(at, |server| {
                Failure::new(
                    Kind::Integrity,
                    format!("{server}: its file differs from that of the other mirrors (size or time)"),
                )
            });
        }
    }
}
