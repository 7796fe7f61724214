//! From the verdicts on all that is claimed, and the evidence, to the verdict on a run.

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::history::Trace;
use crate::verdict::{PropertyVerdict, Verdict};

/// What a whole run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// Every property held and the evidence suffices.
    Held,
    /// Some property was violated.
    Violated,
    /// Budget spent, or too little evidence.
    Inconclusive,
    /// The test could not be run or trusted.
    HarnessFailure,
}

/// What a run comes to, and one sentence for a person. A violation outranks everything; then a harness failure, since
/// what it left proves nothing; then doubt.
pub fn conclude(properties: &[PropertyVerdict], evidence: &Evidence, trace: &Trace<'_>) -> (Overall, String) {
    let violated = properties.iter().find_map(|property| match &property.verdict {
        Verdict::Violated { witness } => {
            Some(format!("{} is violated: {}", property.property, witness.summary))
        }
        _ => None,
    });
    if let Some(violated) = violated {
        return (Overall::Violated, violated);
    }
    if let Some(failure) = &trace.harness_failure {
        return (
            Overall::HarnessFailure,
            format!("the test could not be run or trusted: {failure}"),
        );
    }
    let undecided = properties.iter().find_map(|property| match &property.verdict {
        Verdict::Inconclusive { reason } => Some(format!("{} is undecided: {reason}", property.property)),
        _ => None,
    });
    if let Some(undecided) = undecided {
        return (Overall::Inconclusive, undecided);
    }
    if let Some(shortfall) = evidence.shortfall() {
        return (
            Overall::Inconclusive,
            format!("nothing was violated, but the evidence falls short: {shortfall}"),
        );
    }
    if trace.cut_short() {
        let summary = "nothing was violated until the run was cut short".to_owned();
        return (Overall::Inconclusive, summary);
    }
    let names: Vec<&str> = properties
        .iter()
        .map(|property| property.property.as_str())
        .collect();
    let summary = format!(
        "{} held over {} acknowledged operations and {} verified faults",
        names.join(", "),
        evidence.operations.ok,
        evidence.faults_verified
    );
    (Overall::Held, summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Requirement;
    use crate::history::{END_PHASE, Phase};
    use crate::verdict::{Proof, Witness};

    fn judged(name: &str, verdict: Verdict) -> PropertyVerdict {
        PropertyVerdict {
            property: name.to_owned(),
            verdict,
            detail: String::new(),
            decided_by: Vec::new(),
        }
    }

    #[test]
    fn a_violation_outranks_a_failure_and_that_outranks_doubt() {
        let held = || judged("linearizable", Verdict::Held);
        let doubt = || {
            let reason = "no budget".to_owned();
            judged("recovers", Verdict::Inconclusive { reason })
        };
        let broken = || {
            let witness = Witness::of(Proof::default(), "n1 holds 3".to_owned());
            judged("converged", Verdict::Violated { witness })
        };
        let enough = Evidence::default();
        let mut little = Evidence::default();
        little.requirements.push(Requirement {
            what: "ok operations".to_owned(),
            needed: "5".to_owned(),
            seen: "1".to_owned(),
            met: false,
        });
        let end = Phase {
            name: END_PHASE.to_owned(),
            start: 9,
        };
        let whole = Trace {
            phases: vec![end],
            ..Trace::default()
        };
        let cut = Trace::default();
        let failed = Trace {
            harness_failure: Some("agent died".to_owned()),
            ..Trace::default()
        };
        for (properties, evidence, trace, overall, said) in [
            (
                vec![held(), doubt(), broken()],
                &little,
                &failed,
                Overall::Violated,
                "n1 holds 3",
            ),
            (
                vec![held(), doubt()],
                &little,
                &failed,
                Overall::HarnessFailure,
                "agent died",
            ),
            (
                vec![held(), doubt()],
                &little,
                &whole,
                Overall::Inconclusive,
                "no budget",
            ),
            (
                vec![held()],
                &little,
                &whole,
                Overall::Inconclusive,
                "needed 5, seen 1",
            ),
            (vec![held()], &enough, &cut, Overall::Inconclusive, "cut short"),
            (vec![held()], &enough, &whole, Overall::Held, "linearizable held"),
        ] {
            let (found, summary) = conclude(&properties, evidence, trace);
            assert_eq!(found, overall, "{summary}");
            assert!(summary.contains(said), "{summary}");
        }
    }
}
