//! Faults: their steps as they were recorded, and how long the system took to work again.

use std::collections::BTreeMap;

use duress_checker::history::{Event, FaultStep, FaultTrace, StepResult, record_step};

/// One fault, and what became of operations meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRecord {
    /// Its number in the schedule.
    pub id: u64,
    /// Its kind and its steps.
    pub trace: FaultTrace,
    /// How long operations suffered.
    pub recovery: Recovery,
}

/// How soon operations completed `ok` again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Nanoseconds from heal to the first operation that completed `ok` at any node.
    pub any: Option<u64>,
    /// Nanoseconds from heal to the first operation that completed `ok` at a target of the fault.
    pub target: Option<u64>,
    /// The longest time, in nanoseconds, without an operation that completed `ok`, from injection to recovery.
    pub silence_max: u64,
}

/// Takes the events of a history one by one.
#[derive(Debug, Default)]
pub(super) struct FaultsBuilder {
    faults: BTreeMap<u64, FaultTrace>,
    recoveries: BTreeMap<u64, Recovery>,
    /// Faults between injection and recovery: the only ones that an operation has news for.
    watched: Vec<u64>,
    ok_last: Option<u64>,
}

impl FaultsBuilder {
    /// An event of the nemesis. One that is no step of a fault, such as `run`, is none of its business.
    pub(super) fn event(&mut self, event: &Event) {
        let Some(id) = record_step(&mut self.faults, event) else {
            return;
        };
        let step = self.faults[&id].steps.last();
        let injected = step.is_some_and(|step| {
            step.event.step == FaultStep::Inject && step.event.result != StepResult::Skipped
        });
        if injected {
            self.watched.push(id);
        }
    }

    /// An operation completed `ok`.
    pub(super) fn ok(&mut self, time: u64, node: Option<&str>) {
        let ok_last = self.ok_last.replace(time);
        let (faults, recoveries) = (&self.faults, &mut self.recoveries);
        self.watched.retain(|id| {
            let (fault, recovery) = (&faults[id], recoveries.entry(*id).or_default());
            let injected = fault.injected_at().unwrap_or(time);
            if recovery.any.is_none() {
                let quiet_since = ok_last.unwrap_or(injected).max(injected);
                recovery.silence_max = recovery.silence_max.max(time.saturating_sub(quiet_since));
            }
            let Some(healed) = fault.healed_at() else {
                return true;
            };
            let since_heal = time.saturating_sub(healed);
            recovery.any.get_or_insert(since_heal);
            if node.is_some_and(|node| fault.targets().iter().any(|target| target == node)) {
                recovery.target.get_or_insert(since_heal);
            }
            recovery.target.is_none()
        });
    }

    pub(super) fn finish(mut self) -> Vec<FaultRecord> {
        let fault = |(id, trace)| FaultRecord {
            id,
            trace,
            recovery: self.recoveries.remove(&id).unwrap_or_default(),
        };
        self.faults.into_iter().map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duress_checker::history::{EventType, Process};
    use serde_json::json;

    fn step(builder: &mut FaultsBuilder, time: u64, step: &str, result: &str) {
        let event: Event = serde_json::from_value(json!({
            "index": 0, "time": time, "process": Process::Nemesis, "type": EventType::Info, "f": "partition",
            "value": {"id": 3, "step": step, "targets": ["n1"], "result": result},
        }))
        .unwrap();
        builder.event(&event);
    }

    #[test]
    fn recovery_counts_from_heal_for_any_node_and_for_the_targets() {
        let mut builder = FaultsBuilder::default();
        builder.ok(5, Some("n2"));
        step(&mut builder, 10, "inject", "installed");
        step(&mut builder, 12, "verify", "installed");
        step(&mut builder, 99, "recheck", "installed");
        builder.ok(30, Some("n2"));
        step(&mut builder, 100, "heal", "installed");
        builder.ok(140, Some("n2"));
        builder.ok(190, Some("n1"));
        builder.ok(900, Some("n1"));
        let fault = builder.finish().remove(0);
        assert_eq!(fault.trace.in_force(1000), Some((10, 100)));
        assert_eq!(fault.trace.bit(), Ok(()));
        assert_eq!((fault.recovery.any, fault.recovery.target), (Some(40), Some(90)));
        assert_eq!(
            fault.recovery.silence_max, 110,
            "from the ok at 30 to the one at 140"
        );
    }

    #[test]
    fn a_fault_that_was_skipped_was_never_in_force() {
        let mut builder = FaultsBuilder::default();
        step(&mut builder, 10, "inject", "skipped");
        builder.ok(20, Some("n1"));
        let fault = builder.finish().remove(0);
        assert_eq!(fault.trace.in_force(1000), None);
        assert!(fault.trace.bit().is_err());
        assert_eq!(fault.recovery.any, None);
    }

    #[test]
    fn a_fault_that_was_never_healed_lasts_to_the_end() {
        let mut builder = FaultsBuilder::default();
        step(&mut builder, 10, "inject", "indeterminate");
        assert_eq!(builder.finish()[0].trace.in_force(1000), Some((10, 1000)));
    }
}
