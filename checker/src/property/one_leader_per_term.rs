//! `one-leader-per-term`: no two nodes lead in one term (Ongaro, Consensus: Bridging Theory and Practice, 2014, figure
//! 3.2, election safety).
//!
//! Systems show their status with a lag, so it is read with care, lest there be false alarms. A system may show the term
//! of the entry that it applied last: one that has just been elected then shows its predecessor's. So a leadership only
//! counts once it was seen [`STEADY`] times in a row, in one term, with entries being applied.

use std::collections::BTreeMap;

use super::statuses::{samples, seconds, seen, spans};
use crate::history::{Series, Trace};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{PropertyVerdict, Witness};

/// No two nodes lead in one term.
pub struct OneLeaderPerTerm;

const ABOUT: About = About {
    name: "one-leader-per-term",
    claim: "no two members lead in one term, by what they say of themselves",
    kind: PropertyKind::Safety,
    judges: Source::Statuses,
    parameters: &[],
};

impl Property for OneLeaderPerTerm {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        one_leader_per_term(&trace.statuses)
    }
}

/// In how many samples in a row a leadership must be seen to count.
const STEADY: usize = 3;

fn one_leader_per_term(series: &Series) -> PropertyVerdict {
    let mut leaders: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
    for (node, samples) in series {
        for window in samples.windows(STEADY) {
            let term = window[0].term;
            let steady = window
                .iter()
                .all(|sample| sample.up && sample.leads && sample.term == term)
                && window.windows(2).all(|pair| pair[0].applied < pair[1].applied);
            if !steady {
                continue;
            }
            let (leader, since) = *leaders.entry(term).or_insert((node, window[0].time));
            if leader != node {
                let summary = format!(
                    "{leader} led in term {term} from {} s on, and so did {node} from {} s on",
                    seconds(since),
                    seconds(window[0].time)
                );
                // The two that contradict each other are marked; the others show what they knew of it.
                let proof = spans(series, &|_| true, &[(leader, since), (node, window[0].time)]);
                return ABOUT.violated(Witness::of(proof, summary), String::new());
            }
        }
    }
    let detail = format!(
        "{} terms with a steady leader, {}",
        leaders.len(),
        samples(series)
    );
    let nothing = leaders
        .is_empty()
        .then_some("no node was seen to lead for long enough to count");
    seen(&ABOUT, series, nothing, detail)
}
