//! `recovers`: liveness, conditional on what the faults allowed.
//!
//! Safety is claimed at all times; liveness only once every fault is proven to be healed. From then on the cluster has to
//! come back within the limit of the spec, as the harness notes it in [`Recovery`](crate::history::Recovery).

use super::statuses::spans;
use crate::history::{FaultStep, Series, StepResult, Trace};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{Proof, PropertyVerdict, Witness};

/// The cluster comes back once its faults are healed.
pub struct Recovers;

const ABOUT: About = About {
    name: "recovers",
    claim: "once every fault is proven to be healed, all nodes agree on a leader and answer, within `time.recovery`; of a system without leaders: every node answers",
    kind: PropertyKind::Liveness,
    judges: Source::Recovery,
    parameters: &[],
};

impl Property for Recovers {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        recovers(trace)
    }
}

fn recovers(trace: &Trace<'_>) -> PropertyVerdict {
    let steps =
        (trace.faults.iter()).flat_map(|(id, fault)| fault.steps.iter().map(move |step| (id, &step.event)));
    let unhealed = steps
        .filter(|(_, step)| step.step == FaultStep::VerifyHealed && step.result != StepResult::Installed)
        .map(|(id, step)| format!("fault {id} may still be in force: {}", step.detail))
        .next();
    if let Some(reason) = unhealed {
        return ABOUT.inconclusive(reason, String::new());
    }
    match &trace.recovered {
        None => ABOUT.inconclusive(
            "the run ended before the cluster was seen to recover",
            String::new(),
        ),
        Some(recovery) if recovery.recovered => ABOUT.held(format!(
            "{} ms after the last heal: {}",
            recovery.ms, recovery.detail
        )),
        Some(recovery) => {
            let summary = format!(
                "{} ms after every fault was proven to be healed the cluster had not recovered: {}",
                recovery.ms, recovery.detail
            );
            ABOUT.violated(Witness::of(last_seen(&trace.statuses), summary), String::new())
        }
    }
}

/// What nodes said of themselves at the end. Those that were silent are what is missing; if none was, what all of them
/// said is.
fn last_seen(series: &Series) -> Proof {
    let last = || {
        series
            .iter()
            .filter_map(|(node, samples)| Some((node.as_str(), samples.last()?)))
    };
    let silent = last().any(|(_, sample)| !sample.up);
    let telling: Vec<(&str, u64)> = last()
        .filter(|(_, sample)| !silent || !sample.up)
        .map(|(node, sample)| (node, sample.time))
        .collect();
    match telling.is_empty() {
        true => Proof::default(),
        false => spans(series, &|_| true, &telling),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Recovery;
    use crate::verdict::Verdict;

    fn judged(recovered: Option<bool>) -> Verdict {
        let recovered = recovered.map(|recovered| Recovery {
            recovered,
            ms: 812,
            detail: "n2 leads in term 7".to_owned(),
        });
        let trace = Trace {
            recovered,
            ..Trace::default()
        };
        recovers(&trace).verdict
    }

    #[test]
    fn a_run_that_never_came_so_far_recovers_from_nothing() {
        let Verdict::Inconclusive { reason } = judged(None) else {
            panic!("nothing was seen");
        };
        assert!(
            reason.contains("before the cluster was seen to recover"),
            "{reason}"
        );
    }

    #[test]
    fn what_the_harness_saw_decides() {
        assert_eq!(judged(Some(true)), Verdict::Held);
        assert!(matches!(judged(Some(false)), Verdict::Violated { .. }));
    }
}
