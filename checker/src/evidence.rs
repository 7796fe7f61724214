//! Evidence: what makes a verdict worth something.
//!
//! `check` judges whatever history it is given. A *run* says how much evidence it needs, and one that falls short is
//! inconclusive, whatever the checkers say: an empty history, a client that always fails or a fault that never bit is
//! never `held`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::{EventType, Operation, Trace};

/// Faults without proof that are named one by one; the others are only counted.
const UNPROVEN_MAX: usize = 6;

/// Operations counted by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// All client operations.
    pub operations: Outcomes,
    /// Client operations by what was asked.
    pub by_f: BTreeMap<String, Outcomes>,
    /// Faults that were asked for, i.e. that have a `prepare` step.
    pub faults_planned: u64,
    /// Faults that were proven to have bitten, see [`bit`](crate::history::bit).
    pub faults_verified: u64,
    /// Faults that were proven to have been healed.
    pub faults_healed: u64,
    /// Connections to hosts that broke, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<Break>,
    /// What the run needs.
    pub requirements: Vec<Requirement>,
}

/// A connection to a host of nodes that broke: what was in force there was healed, and nothing was broken there until it was made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Break {
    /// As users know it.
    pub host: String,
    /// When that was noticed, in nanoseconds since the run began.
    pub broke: u64,
    /// When it was made again. Absent: it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_again: Option<u64>,
}

impl Break {
    fn all(trace: &Trace<'_>) -> Vec<Break> {
        let mut breaks: Vec<Break> = Vec::new();
        for (time, note) in &trace.connections {
            let mut open = breaks.iter_mut().rev();
            match open.find(|of| of.host == note.host && of.made_again.is_none()) {
                Some(of) if note.stands => of.made_again = Some(*time),
                None if !note.stands => breaks.push(Break {
                    host: note.host.clone(),
                    broke: *time,
                    made_again: None,
                }),
                _ => {}
            }
        }
        breaks
    }

    /// In words.
    pub fn told(&self) -> String {
        let seconds = |time: u64| format!("{:.1} s", time as f64 / 1e9);
        let again = match self.made_again {
            Some(time) => format!("was made again at {}", seconds(time)),
            None => "was not made again".to_owned(),
        };
        format!(
            "the connection to {} broke at {} and {again}",
            self.host,
            seconds(self.broke)
        )
    }
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
    /// Whether faults were asked for: then one must have been tried at least, if they have to be proven.
    pub faults_asked: bool,
}

impl Evidence {
    /// Counts what a history holds, and holds it against what the run needs.
    pub fn of(trace: &Trace<'_>, needs: Needs) -> Self {
        let mut evidence = Evidence {
            breaks: Break::all(trace),
            ..Evidence::default()
        };
        for operation in trace.paired() {
            evidence.count(operation);
        }
        evidence.require("ok operations", needs.ok_min, evidence.operations.ok);
        for (f, outcomes) in evidence.by_f.clone() {
            evidence.require(&format!("ok {f} operations"), needs.ok_of_each_f_min, outcomes.ok);
        }
        let mut unproven = 0;
        for (id, fault) in trace.faults.iter().filter(|(_, fault)| !fault.is_left_out()) {
            evidence.faults_planned += 1;
            let (kind, bit, healed) = (&fault.kind, fault.bit(), fault.healed());
            evidence.faults_verified += u64::from(bit.is_ok());
            evidence.faults_healed += u64::from(healed.is_ok());
            if !needs.faults_verified {
                continue;
            }
            for (step, proof) in [("bit", bit), ("healed", healed)] {
                let Err(seen) = proof else { continue };
                unproven += 1;
                if unproven <= UNPROVEN_MAX {
                    evidence.requirements.push(Requirement {
                        what: format!("fault {id} ({kind}) {step}"),
                        needed: "proven".to_owned(),
                        seen,
                        met: false,
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
            evidence.require(
                "faults proven to have been healed",
                evidence.faults_planned,
                evidence.faults_healed,
            );
        }
        if needs.faults_asked && needs.faults_verified && evidence.faults_planned == 0 {
            evidence.requirements.push(Requirement {
                what: "faults".to_owned(),
                needed: "at least 1".to_owned(),
                seen: "0".to_owned(),
                met: false,
            });
        }
        // Final operations that were never answered leave what was lost unseen.
        if let Some(final_ops) = trace.final_ops {
            evidence.require("final reads answered", final_ops.asked, final_ops.answered);
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

    fn count(&mut self, operation: &Operation<'_>) {
        let by_f = self.by_f.entry(operation.f().to_owned()).or_default();
        for outcomes in [&mut self.operations, by_f] {
            match operation.outcome() {
                EventType::Ok => outcomes.ok += 1,
                EventType::Fail => outcomes.fail += 1,
                EventType::Info | EventType::Invoke => outcomes.info += 1,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::{Event, Process, Series};

    const NEEDS: Needs = Needs {
        ok_min: 1,
        ok_of_each_f_min: 1,
        faults_verified: true,
        faults_asked: false,
    };

    fn evidence(events: &[Event], needs: Needs) -> Evidence {
        let mut events = events.to_vec();
        for (index, event) in events.iter_mut().enumerate() {
            event.index = index as u64;
        }
        Evidence::of(&Trace::new(&events, Series::new()), needs)
    }

    fn event(process: Process, kind: EventType, f: &str, value: serde_json::Value) -> Event {
        let (process, kind) = (json!(process), json!(kind));
        serde_json::from_value(
            json!({"index": 0, "time": 0, "process": process, "type": kind, "f": f, "value": value}),
        )
        .expect("an event")
    }

    fn operation(f: &str, end: EventType) -> [Event; 2] {
        [EventType::Invoke, end].map(|kind| event(Process::Client(0), kind, f, json!(1)))
    }

    fn step(id: u64, step: &str, result: &str) -> Event {
        let value =
            json!({"id": id, "step": step, "targets": ["n1"], "result": result, "detail": "as probed"});
        event(Process::Nemesis, EventType::Info, "pause", value)
    }

    fn unmet(history: &[Event]) -> Vec<String> {
        let evidence = evidence(history, NEEDS);
        let unmet = evidence
            .requirements
            .into_iter()
            .filter(|requirement| !requirement.met);
        unmet
            .map(|requirement| {
                format!(
                    "{}: {} of {}",
                    requirement.what, requirement.seen, requirement.needed
                )
            })
            .collect()
    }

    #[test]
    fn an_operation_of_each_kind_and_a_fault_proven_twice_suffice() {
        let mut history = operation("read", EventType::Ok).to_vec();
        history.extend(
            ["prepare", "inject", "verify", "recheck", "heal", "verify-healed"]
                .map(|name| step(0, name, "installed")),
        );
        assert_eq!(unmet(&history), Vec::<String>::new());
        assert_eq!(evidence(&history, NEEDS).shortfall(), None);
    }

    #[test]
    fn nothing_done_is_no_evidence() {
        assert_eq!(unmet(&[]), ["ok operations: 0 of 1"]);
        let history = [
            operation("read", EventType::Ok),
            operation("cas", EventType::Info),
        ]
        .concat();
        assert_eq!(unmet(&history), ["ok cas operations: 0 of 1"]);
    }

    #[test]
    fn an_optional_fault_that_could_not_be_done_is_not_missed_and_one_that_did_not_bite_is() {
        let optional = |id, name, result| {
            let mut event = step(id, name, result);
            event.value["optional"] = json!(true);
            event
        };
        let mut history = operation("read", EventType::Ok).to_vec();
        history.push(optional(0, "prepare", "skipped"));
        assert_eq!(unmet(&history), Vec::<String>::new());
        for (name, result) in [
            ("prepare", "installed"),
            ("inject", "indeterminate"),
            ("heal", "installed"),
        ] {
            history.push(optional(1, name, result));
        }
        assert!(
            unmet(&history)[0].starts_with("fault 1 (pause) bit"),
            "{:?}",
            unmet(&history)
        );
        // With nothing but what was left out, a run that asked for faults had none.
        let asked = Needs {
            faults_asked: true,
            ..NEEDS
        };
        let shortfall = evidence(&history[..3], asked).shortfall();
        assert_eq!(shortfall.as_deref(), Some("faults: needed at least 1, seen 0"));
    }

    #[test]
    fn a_fault_that_never_bit_or_was_never_mended_is_named_and_counted() {
        let mut history = operation("read", EventType::Ok).to_vec();
        for id in 0..10 {
            history.extend(["prepare", "inject"].map(|name| step(id, name, "installed")));
            history.push(step(
                id,
                "verify",
                if id == 0 { "installed" } else { "indeterminate" },
            ));
            history.push(step(id, "recheck", "installed"));
        }
        let unmet = unmet(&history);
        assert_eq!(unmet[0], "fault 0 (pause) healed: no verification of proven");
        assert_eq!(unmet[1], "fault 1 (pause) bit: as probed of proven");
        assert_eq!(unmet.len(), UNPROVEN_MAX + 2, "{unmet:?}");
        let counted = [
            "faults proven to have bitten: 1 of 10",
            "faults proven to have been healed: 0 of 10",
        ];
        assert_eq!(unmet[UNPROVEN_MAX..], counted);
    }
}
