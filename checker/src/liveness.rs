//! Liveness, conditional on what the faults allowed.
//!
//! Safety is claimed at all times; liveness only once every fault is proven to be healed. The one claim so far is
//! *recovers*: from then on all nodes agree on a leader and answer within a limit.
//!
//! The harness notes what it saw as an event of the nemesis:
//!
//! ```json
//! {"process":"nemesis","type":"info","f":"recovered","value":{"recovered":true,"ms":812,"detail":"n2 leads in term 7"}}
//! ```

use serde::{Deserialize, Serialize};

use crate::history::{Event, FaultEvent, FaultStep, Process, StepResult};
use crate::verdict::{PropertyVerdict, Verdict, Witness};

/// What the harness saw after the faults, as the value of a `recovered` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Whether all nodes agreed on a leader and answered.
    pub recovered: bool,
    /// How long it took, or how long was waited, in milliseconds.
    pub ms: u64,
    /// Who leads, or what is missing.
    pub detail: String,
}

/// Whether the cluster came back after its faults were healed.
pub fn recovers(history: &[Event]) -> PropertyVerdict {
    let property = "recovers".to_owned();
    let nemesis = || history.iter().filter(|event| event.process == Process::Nemesis);
    let unhealed = nemesis()
        .filter_map(|event| serde_json::from_value::<FaultEvent>(event.value.clone()).ok())
        .filter(|fault| fault.step == FaultStep::VerifyHealed && fault.result == StepResult::Indeterminate)
        .map(|fault| format!("fault {} may still be in force: {}", fault.id, fault.detail))
        .next();
    if let Some(reason) = unhealed {
        return PropertyVerdict {
            property,
            verdict: Verdict::Inconclusive { reason },
            detail: String::new(),
        };
    }
    let seen = nemesis()
        .filter(|event| event.f == "recovered")
        .filter_map(|event| serde_json::from_value::<Recovery>(event.value.clone()).ok())
        .next_back();
    match seen {
        None => {
            let reason = "the run ended before the cluster was seen to recover".to_owned();
            PropertyVerdict {
                property,
                verdict: Verdict::Inconclusive { reason },
                detail: String::new(),
            }
        }
        Some(recovery) if recovery.recovered => {
            let detail = format!("{} ms after the last heal: {}", recovery.ms, recovery.detail);
            PropertyVerdict {
                property,
                verdict: Verdict::Held,
                detail,
            }
        }
        Some(recovery) => {
            let summary = format!(
                "{} ms after every fault was proven to be healed the cluster had not recovered: {}",
                recovery.ms, recovery.detail
            );
            let witness = Witness {
                summary,
                key: None,
                operations: Vec::new(),
                minimal: true,
                ..Witness::default()
            };
            PropertyVerdict {
                property,
                verdict: Verdict::Violated { witness },
                detail: String::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_never_came_so_far_recovers_from_nothing() {
        let Verdict::Inconclusive { reason } = recovers(&[]).verdict else {
            panic!("nothing was seen");
        };
        assert!(
            reason.contains("before the cluster was seen to recover"),
            "{reason}"
        );
    }
}
