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
mod delivery;
pub mod linearizable;
mod lives;
mod mutual_exclusion;
mod nothing_lost;
mod one_leader_per_term;
pub mod overall;
mod recovers;
mod statuses;
mod terms_never_go_back;

pub use self::claim::{About, Property, PropertyKind, Settings, Source, Streamed};

use std::sync::OnceLock;

use crate::history::Trace;
use crate::verdict::{PropertyVerdict, Verdict};

/// Every property, safety first.
pub const PROPERTIES: &[&dyn Property] = &[
    &linearizable::Linearizable,
    &nothing_lost::NothingLost,
    &mutual_exclusion::MutualExclusion,
    &delivery::AT_MOST_ONCE,
    &delivery::AT_LEAST_ONCE,
    &delivery::EXACTLY_ONCE,
    &converged::Converged,
    &one_leader_per_term::OneLeaderPerTerm,
    &terms_never_go_back::TermsNeverGoBack,
    &applied_never_goes_back::AppliedNeverGoesBack,
    &recovers::Recovers,
];

/// Those that a program [brought along](add).
static ADDED: OnceLock<Vec<&'static dyn Property>> = OnceLock::new();

/// Lets a program of its own claim these, as if they were in the table. Once, before anything is read or judged: later ones
/// are left out, and that is `false`.
pub fn add(properties: Vec<&'static dyn Property>) -> bool {
    ADDED.set(properties).is_ok()
}

/// Those of the table, and those that were added.
pub fn all() -> impl Iterator<Item = &'static dyn Property> {
    let added = ADDED.get().map(Vec::as_slice).unwrap_or_default();
    PROPERTIES.iter().chain(added).copied()
}

/// There is no such property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownProperty {
    /// None of this name.
    #[error("there is no property `{name}`; use one of {}", names())]
    Name {
        /// What was asked for.
        name: String,
    },
    /// None with these parameters.
    #[error("property `{name}`: {reason}")]
    Parameters {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The property of this name; parameters stand behind a colon, `exactly-once:order=key,until=delivered`.
pub fn named(name: &str) -> Result<&'static dyn Property, UnknownProperty> {
    if let Some(found) = all().find(|property| property.about().name == name) {
        return Ok(found);
    }
    let shown = crate::history::shortened(name);
    let (plain, parameters) = name.split_once(':').unwrap_or((name, ""));
    match delivery::with(plain, parameters) {
        Some(found) => found.map_err(|reason| UnknownProperty::Parameters { name: shown, reason }),
        None => Err(UnknownProperty::Name { name: shown }),
    }
}

/// Name of a property without its parameters, as a workload names what it can show.
pub fn plain_name(name: &str) -> &str {
    name.split_once(':').map_or(name, |(plain, _)| plain)
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
    let names = all().map(|property| format!("`{}`", property.about().name));
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
