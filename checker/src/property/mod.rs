//! Properties: what can be claimed of a run, one file each, and the table of them.
//!
//! A property has a name, says in one sentence what it claims and which part of a [`Trace`](crate::history::Trace) it
//! judges, and judges it. A property that is added is a file and a line in the table below: from that come the choices
//! of a spec, `duress properties`, `duress check --property`, and the table in the docs. [`overall`] takes the verdicts
//! on all that a spec claims, and the evidence, to the verdict on a run.

mod applied_never_goes_back;
mod circumstances;
mod claim;
mod converged;
pub mod linearizable;
mod mutual_exclusion;
mod nothing_lost;
mod one_leader_per_term;
pub mod overall;
mod recovers;
mod statuses;
mod terms_never_go_back;

pub use self::claim::{About, Property, PropertyKind, Settings, Source};

use crate::history::Trace;
use crate::verdict::{PropertyVerdict, Verdict};

/// Every property, safety first.
pub const PROPERTIES: &[&dyn Property] = &[
    &linearizable::Linearizable,
    &nothing_lost::NothingLost,
    &mutual_exclusion::MutualExclusion,
    &converged::Converged,
    &one_leader_per_term::OneLeaderPerTerm,
    &terms_never_go_back::TermsNeverGoBack,
    &applied_never_goes_back::AppliedNeverGoesBack,
    &recovers::Recovers,
];

/// There is no such property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no property `{name}`; use one of {}", names())]
pub struct UnknownProperty {
    name: String,
}

/// The property of this name.
pub fn named(name: &str) -> Result<&'static dyn Property, UnknownProperty> {
    let found = PROPERTIES.iter().find(|property| property.about().name == name);
    found.copied().ok_or_else(|| UnknownProperty {
        name: crate::history::shortened(name),
    })
}

/// Judges a property, and says of a violation when and where it happened, and which faults were in force.
pub fn judge(property: &dyn Property, trace: &Trace<'_>, settings: &Settings<'_>) -> PropertyVerdict {
    let mut verdict = property.judge(trace, settings);
    if let Verdict::Violated { witness } = &mut verdict.verdict {
        witness.circumstances = circumstances::circumstances(witness, trace);
    }
    verdict
}

fn names() -> String {
    let names = PROPERTIES
        .iter()
        .map(|property| format!("`{}`", property.about().name));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_safety_comes_first() {
        let names: BTreeSet<&str> = PROPERTIES.iter().map(|property| property.about().name).collect();
        assert_eq!(names.len(), PROPERTIES.len());
        assert!(PROPERTIES.is_sorted_by_key(|property| property.about().kind));
        for &name in &names {
            assert_eq!(named(name).map(|property| property.about().name), Ok(name));
        }
        let error = named("fast").err().expect("no such property").to_string();
        assert!(
            error.contains("`fast`") && error.contains("`linearizable`, `nothing-lost`"),
            "{error}"
        );
    }

    #[test]
    fn what_has_nothing_to_judge_is_neither_held_nor_violated() {
        let settings = Settings::new(Some("register"));
        for property in PROPERTIES {
            let verdict = property.judge(&Trace::default(), &settings);
            assert_eq!(verdict.property, property.about().name);
            assert!(
                matches!(verdict.verdict, Verdict::Inconclusive { .. }),
                "{verdict:?}"
            );
        }
    }
}
