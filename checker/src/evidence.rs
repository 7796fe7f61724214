//! Evidence: what makes a verdict worth something.
//!
//! `check` judges whatever history it is given. A *run* says how much evidence it needs, and one that falls short is
//! inconclusive, whatever the checkers say: an empty history, a client that always fails or a fault that never bit is
//! never `held`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::{Event, EventType, FaultEvent, FaultStep, Process, StepResult};

/// Faults without proof that are named one by one; the others are only counted.
const UNPROVEN_MAX: usize = 6;

/// Operations counted by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// They happened.
    pub ok: u64,
    /// They did not happen.
    pub fail: u64,
    /// Nobody knows. Invocations without completion count here.
    pub info: u64,
}

/// One thing that a run needs to be worth something, and whether it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What is needed, e.g. `ok operations`, `fault 3 (partition) verified`.
    pub what: String,
    /// How much is needed.
    pub needed: String,
    /// How much there is.
    pub seen: String,
    /// Whether it suffices.
    pub met: bool,
}

/// What a history holds that verdicts can rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// All client operations.
    pub operations: Outcomes,
    /// Client operations by what was asked.
    pub by_f: BTreeMap<String, Outcomes>,
    /// Faults that were asked for, i.e. that have a `prepare` step.
    pub faults_planned: u64,
    /// Faults that were proven to have bitten.
    pub faults_verified: u64,
    /// Faults that were proven to have been healed.
    pub faults_healed: u64,
    /// What the run needs.
    pub requirements: Vec<Requirement>,
}

/// How much evidence a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Operations that ended `ok`.
    pub ok_min: u64,
    /// Operations of each kind (`f`) that ended `ok`; a kind of which every operation failed says nothing.
    pub ok_of_each_f_min: u64,
    /// Whether each fault has to be proven to have bitten and to have been healed.
    pub faults_verified: bool,
}

impl Evidence {
    /// Counts what a history holds, and holds it against what the run needs.
    pub fn of(history: &[Event], needs: Needs) -> Self {
        let mut evidence = Evidence::default();
        let mut faults: BTreeMap<u64, (String, Option<FaultEvent>, Option<FaultEvent>)> = BTreeMap::new();
        for event in history {
            match event.process {
                Process::Client(_) => evidence.count(event),
                Process::Nemesis => {
                    let Ok(fault) = serde_json::from_value::<FaultEvent>(event.value.clone()) else {
                        continue;
                    };
                    let entry = faults
                        .entry(fault.id)
                        .or_insert_with(|| (event.f.clone(), None, None));
                    match fault.step {
                        FaultStep::Verify => entry.1 = Some(fault),
                        FaultStep::VerifyHealed => entry.2 = Some(fault),
                        FaultStep::Inject if fault.result != StepResult::Installed => entry.1 = Some(fault),
                        FaultStep::Prepare if fault.result != StepResult::Installed => entry.1 = Some(fault),
                        _ => {}
                    }
                }
            }
        }
        evidence.require("ok operations", needs.ok_min, evidence.operations.ok);
        for (f, outcomes) in evidence.by_f.clone() {
            evidence.require(&format!("ok {f} operations"), needs.ok_of_each_f_min, outcomes.ok);
        }
        evidence.faults_planned = faults.len() as u64;
        let mut unproven = 0;
        for (id, (kind, verified, healed)) in faults {
            let bit = installed(&verified);
            let mended = installed(&healed);
            evidence.faults_verified += u64::from(bit);
            evidence.faults_healed += u64::from(mended);
            if !needs.faults_verified {
                continue;
            }
            for (step, needed, met, event) in [
                ("bit", "proven", bit, &verified),
                ("healed", "proven", mended, &healed),
            ] {
                unproven += usize::from(!met);
                if !met && unproven <= UNPROVEN_MAX {
                    let seen = event
                        .as_ref()
                        .map_or("no verification".to_owned(), |event| event.detail.clone());
                    let what = format!("fault {id} ({kind}) {step}");
                    evidence.requirements.push(Requirement {
                        what,
                        needed: needed.to_owned(),
                        seen,
                        met,
                    });
                }
            }
        }
        if needs.faults_verified {
            evidence.require(
                "faults proven to have bitten",
                evidence.faults_planned,
                evidence.faults_verified,
            );
        }
        evidence
    }

    /// What falls short, in words; `None` when all that is needed is there.
    pub fn shortfall(&self) -> Option<String> {
        let short: Vec<String> = (self.requirements.iter().filter(|requirement| !requirement.met))
            .map(|requirement| {
                format!(
                    "{}: needed {}, seen {}",
                    requirement.what, requirement.needed, requirement.seen
                )
            })
            .collect();
        (!short.is_empty()).then(|| short.join("; "))
    }

    fn count(&mut self, event: &Event) {
        let by_f = self.by_f.entry(event.f.clone()).or_default();
        for outcomes in [&mut self.operations, by_f] {
            match event.kind {
                // Unknown until a completion says otherwise.
                EventType::Invoke => outcomes.info += 1,
                EventType::Ok => {
                    outcomes.ok += 1;
                    outcomes.info = outcomes.info.saturating_sub(1);
                }
                EventType::Fail => {
                    outcomes.fail += 1;
                    outcomes.info = outcomes.info.saturating_sub(1);
                }
                EventType::Info => {}
            }
        }
    }

    fn require(&mut self, what: &str, needed: u64, seen: u64) {
        self.requirements.push(Requirement {
            what: what.to_owned(),
            needed: needed.to_string(),
            seen: seen.to_string(),
            met: seen >= needed,
        });
    }
}

fn installed(step: &Option<FaultEvent>) -> bool {
    step.as_ref()
        .is_some_and(|event| event.result == StepResult::Installed)
}
