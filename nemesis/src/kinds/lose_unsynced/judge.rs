//! Whether what is on disks proves that power failed. Pure.

use serde_json::json;

use super::agent::Left;
use crate::agent::file_system::Probe;
use crate::life::technique::{StepOutcome, Unproven};

/// On each disk, what was synced is whole, and what was not is gone or empty.
pub fn judge_left(nodes: &[Left], count: usize) -> StepOutcome {
    let evidence = json!({"probes": nodes});
    if nodes.len() != count || count == 0 {
        return StepOutcome::indeterminate("not all of its disks were looked at", evidence);
    }
    for Left { node, probes } in nodes {
        let unproven = match probes {
            (Probe::Whole, Probe::Gone | Probe::Empty) => continue,
            (Probe::Whole, Probe::Whole) => {
                Unproven::Indeterminate("what was not synced is there: nothing was lost".to_owned())
            }
            (Probe::Whole, Probe::Part) => {
                Unproven::Mismatch("of what was not synced, some is there".to_owned())
            }
            (Probe::Part | Probe::Empty | Probe::Gone, _) => {
                Unproven::Mismatch("what was synced is not there".to_owned())
            }
        };
        return StepOutcome::seen(Err(unproven.of(node)), evidence);
    }
    let said = format!("on {count} disks what was synced is there, and what was not is lost");
    StepOutcome::installed(said, evidence)
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult;

    use super::*;

    #[test]
    fn power_failed_where_only_what_was_synced_is_there() {
        use Probe::{Empty, Gone, Part, Whole};
        let judged = |probes: &[(Probe, Probe)]| {
            let left = |probes: &(Probe, Probe)| Left {
                node: "n1".to_owned(),
                probes: *probes,
            };
            judge_left(&probes.iter().map(left).collect::<Vec<_>>(), probes.len()).result
        };
        assert_eq!(judged(&[(Whole, Gone), (Whole, Empty)]), StepResult::Installed);
        for unproven in [
            (Whole, Whole),
            (Whole, Part),
            (Gone, Gone),
            (Empty, Gone),
            (Part, Gone),
        ] {
            assert_ne!(
                judged(&[(Whole, Gone), unproven]),
                StepResult::Installed,
                "{unproven:?}"
            );
        }
        assert_eq!(judged(&[]), StepResult::Indeterminate);
    }
}
