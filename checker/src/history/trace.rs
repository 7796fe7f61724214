//! The trace: a history with everything in it paired and parsed, once, for every property, the evidence and the report.
//!
//! ```text
//! Event, Event, Event … ──▶ operations   invocation and completion, outcome, attempts, token
//!                           faults       by number: kind, what it does to its targets, each step with its time
//!                           notes        run, phases, recovered, final operations, contents, diverged, interrupted, failure
//! nodes/*/probes.jsonl  ──▶ statuses     what each node said of itself
//! ```
//!
//! Events of the nemesis that are neither a step of a fault nor a note are passed over. An event of a client that has no
//! place among the operations makes verdicts on operations impossible ([`Trace::operations`]), and leaves the others as
//! they are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::operation::operations;
use super::{
    ConnectionNote, Contents, END_PHASE, Event, FaultEvent, FaultStep, FinalOps, HistoryError, Note,
    Operation, Process, Recovery, RunNote, SentAgain, Series, StepResult, bit,
};

/// A part of a run: `warm-up`, `faults`, `recovery`, `final-reads`, `contents`, `end`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Nanoseconds since the run began.
    pub start: u64,
}

/// One step of a fault, and when it was noted: steps are noted when they are done.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStep {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// What was done.
    pub event: FaultEvent,
}

/// One fault, from its first step to the last that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultTrace {
    /// Its kind, e.g. `partition`.
    pub kind: String,
    /// Its steps, in order.
    pub steps: Vec<TimedStep>,
}

impl FaultTrace {
    /// The last record of a step.
    pub fn step(&self, step: FaultStep) -> Option<&TimedStep> {
        self.steps.iter().rfind(|recorded| recorded.event.step == step)
    }

    /// The nodes that it is about. A step may know more of them than the one before.
    pub fn targets(&self) -> &[String] {
        let told = self.steps.iter().rev().map(|step| step.event.targets.as_slice());
        told.into_iter()
            .find(|targets| !targets.is_empty())
            .unwrap_or(&[])
    }

    /// When it was injected, in nanoseconds since the run began. `None`: it was not.
    pub fn injected_at(&self) -> Option<u64> {
        self.done(FaultStep::Inject)
    }

    /// When it was healed, in nanoseconds since the run began. `None`: it was not.
    pub fn healed_at(&self) -> Option<u64> {
        self.done(FaultStep::Heal)
    }

    fn done(&self, step: FaultStep) -> Option<u64> {
        let step = self.step(step)?;
        (step.event.result != StepResult::Skipped).then_some(step.time)
    }

    /// When it was in force, in nanoseconds since the run began: up to `end` if it was never healed. `None`: it was
    /// never injected.
    pub fn in_force(&self, end: u64) -> Option<(u64, u64)> {
        let from = self.injected_at()?;
        Some((from, self.healed_at().unwrap_or(end).max(from)))
    }

    /// `partition of n1, n4`.
    pub fn name(&self) -> String {
        match self.targets() {
            [] => self.kind.clone(),
            targets => format!("{} of {}", self.kind, targets.join(", ")),
        }
    }

    /// Whether it is proven to have bitten, see [`bit`]; if not, why not.
    pub fn bit(&self) -> Result<(), String> {
        bit((self.steps.iter()).map(|step| (step.event.step, step.event.result, step.event.detail.as_str())))
    }

    /// Whether it was left out, and the run does without it: an optional fault that could not be done.
    pub fn is_left_out(&self) -> bool {
        let prepared = self.step(FaultStep::Prepare);
        prepared.is_some_and(|step| step.event.optional && step.event.result == StepResult::Skipped)
    }

    /// Whether it is proven to be healed; if not, why not.
    pub fn healed(&self) -> Result<(), String> {
        match self.step(FaultStep::VerifyHealed) {
            Some(step) if step.event.result == StepResult::Installed => Ok(()),
            Some(step) => Err(step.event.detail.clone()),
            None => Err("no verification".to_owned()),
        }
    }
}

/// Takes an event of the nemesis into the faults by number, if it is a step of one; returns that fault's number.
pub fn record_step(faults: &mut BTreeMap<u64, FaultTrace>, event: &Event) -> Option<u64> {
    let step = FaultEvent::deserialize(&event.value).ok()?;
    let id = step.id;
    let fault = faults.entry(id).or_insert_with(|| FaultTrace {
        kind: event.f.clone(),
        steps: Vec::new(),
    });
    fault.steps.push(TimedStep {
        time: event.time,
        event: step,
    });
    Some(id)
}

/// A history, parsed.
#[derive(Clone, Debug, Default)]
pub struct Trace<'a> {
    /// The events as they stand.
    pub events: &'a [Event],
    /// All that could be paired, in the order of invocations.
    pub(crate) paired: Vec<Operation<'a>>,
    /// The first event that couldn't.
    pub(crate) unpaired: Option<HistoryError>,
    /// By number.
    pub faults: BTreeMap<u64, FaultTrace>,
    /// What the run is, if the history is a run's.
    pub run: Option<RunNote>,
    /// In order.
    pub phases: Vec<Phase>,
    /// What was seen after the faults, if it came so far.
    pub recovered: Option<Recovery>,
    /// Requests that were sent once more when their operations had ended.
    pub sent_again: Vec<SentAgain>,
    /// How many of the last operations were answered.
    pub final_ops: Option<FinalOps>,
    /// What each member held at the end.
    pub contents: Option<Contents>,
    /// By defect that was switched on, how often it made a difference.
    pub diverged: BTreeMap<String, u64>,
    /// What happened to connections to hosts, and when, in nanoseconds since the run began.
    pub connections: Vec<(u64, ConnectionNote)>,
    /// A signal ended the run.
    pub interrupted: bool,
    /// Why the harness could not go on: the first reason.
    pub harness_failure: Option<String>,
    /// What nodes said of themselves.
    pub statuses: Series,
    /// Time of the last event, in nanoseconds since the run began.
    pub end: u64,
}

impl<'a> Trace<'a> {
    /// Parses a history; `statuses` is what nodes said of themselves meanwhile.
    pub fn new(events: &'a [Event], statuses: Series) -> Self {
        let (paired, unpaired) = operations(events);
        let mut trace = Trace {
            events,
            paired,
            unpaired,
            statuses,
            end: events.last().map_or(0, |event| event.time),
            ..Trace::default()
        };
        for event in events.iter().filter(|event| event.process == Process::Nemesis) {
            if let Some(note) = Note::read(&event.f, &event.value) {
                trace.note(event.time, note);
            } else {
                record_step(&mut trace.faults, event);
            }
        }
        trace
    }

    /// Every operation, or what makes it impossible to say which there were.
    pub fn operations(&self) -> Result<&[Operation<'a>], HistoryError> {
        match &self.unpaired {
            Some(error) => Err(error.clone()),
            None => Ok(&self.paired),
        }
    }

    /// The operations that could be paired, whatever else there is.
    pub fn paired(&self) -> &[Operation<'a>] {
        &self.paired
    }

    /// Whether the run ended before its time.
    pub fn cut_short(&self) -> bool {
        let ended = (self.phases.last()).is_some_and(|phase| phase.name == END_PHASE);
        self.interrupted || !ended
    }

    fn note(&mut self, time: u64, note: Note) {
        match note {
            Note::Run(run) => {
                self.run.get_or_insert(run);
            }
            Note::Phase(phase) => self.phases.push(Phase {
                name: phase.phase,
                start: time,
            }),
            Note::Recovered(recovery) => self.recovered = Some(recovery),
            Note::SentAgain(again) => self.sent_again.push(again),
            Note::FinalOps(final_ops) => self.final_ops = Some(final_ops),
            Note::Contents(contents) => self.contents = Some(contents),
            Note::Diverged(diverged) => self.diverged = diverged,
            // Each attempt says as much of its own.
            Note::ClientClock(_) => {}
            Note::Connection(connection) => self.connections.push((time, connection)),
            Note::Interrupted {} => self.interrupted = true,
            Note::HarnessFailure(failure) => {
                self.harness_failure.get_or_insert(failure.what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::history::{EventType, Token};

    fn events(lines: &[Value]) -> Vec<Event> {
        let event = |(index, line): (usize, &Value)| {
            let mut line = line.clone();
            line["index"] = json!(index);
            line["time"] = json!(index * 10);
            serde_json::from_value(line).expect("an event")
        };
        lines.iter().enumerate().map(event).collect()
    }

    fn nemesis(f: &str, value: Value) -> Value {
        json!({"process": "nemesis", "type": "info", "f": f, "value": value})
    }

    #[test]
    fn all_that_a_history_says_is_in_its_trace() {
        let step = |step: &str| json!({"id": 3, "step": step, "targets": ["n1"], "result": "installed", "detail": ""});
        let events = events(&[
            nemesis(
                "run",
                json!({"format": 1, "name": "t", "seed": 7, "started": "then"}),
            ),
            nemesis("phase", json!({"phase": "faults"})),
            json!({"process": 0, "type": "invoke", "f": "read"}),
            nemesis("kill", step("prepare")),
            json!({"process": 1, "type": "invoke", "f": "write", "value": 5}),
            nemesis("kill", step("verify-healed")),
            json!({"process": 1, "type": "ok", "f": "write", "value": 5, "node": "n2",
                "attempts": [{"start": 41, "end": 59, "node": "n2"}], "token": {"client": "p1", "seq": 9}}),
            nemesis("of-another-version", json!({"a": 1})),
            nemesis("final-ops", json!({"answered": 1, "asked": 2})),
            nemesis("harness-failure", json!({"what": "the first"})),
            nemesis("harness-failure", json!({"what": "the second"})),
        ]);
        let trace = Trace::new(&events, Series::new());
        assert_eq!(trace.run.as_ref().and_then(|run| run.seed), Some(7));
        let operations = trace.operations().expect("a history");
        assert_eq!(operations.len(), 2);
        assert_eq!(
            (operations[0].f(), operations[0].outcome()),
            ("read", EventType::Info)
        );
        assert_eq!(operations[1].outcome(), EventType::Ok);
        assert_eq!(operations[1].attempts()[0].end, 59);
        let token = Token {
            client: "p1".to_owned(),
            seq: 9,
        };
        assert_eq!(operations[1].token(), Some(token));
        let fault = &trace.faults[&3];
        assert_eq!((fault.kind.as_str(), fault.steps[1].time), ("kill", 50));
        assert_eq!(fault.healed(), Ok(()));
        assert!(fault.bit().is_err());
        assert_eq!(
            trace.final_ops,
            Some(FinalOps {
                answered: 1,
                asked: 2
            })
        );
        assert_eq!(trace.harness_failure.as_deref(), Some("the first"));
        assert!(trace.cut_short());
    }

    #[test]
    fn an_event_without_a_place_is_an_error_for_operations_only() {
        let events = events(&[
            json!({"process": 0, "type": "ok", "f": "read", "value": 1}),
            json!({"process": 1, "type": "invoke", "f": "read"}),
            nemesis("phase", json!({"phase": "end"})),
        ]);
        let trace = Trace::new(&events, Series::new());
        let error = trace.operations().expect_err("nobody asked");
        assert!(
            matches!(error, HistoryError::Unmatched { index: 0, .. }),
            "{error}"
        );
        assert_eq!(trace.paired().len(), 1);
        assert!(!trace.cut_short());
    }
}
