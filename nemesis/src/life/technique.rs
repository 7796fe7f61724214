//! What a kind of fault does in each step, and how a step ends.

use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::{Measurement, StepResult};
use serde_json::Value;

use super::shared::Shared;

/// How a step ended, for a person and for a machine.
pub struct StepOutcome {
    pub result: StepResult,
    pub detail: String,
    /// Numbers to draw.
    pub measured: Vec<Measurement>,
    pub evidence: Value,
}

impl StepOutcome {
    pub fn installed(detail: impl Into<String>, evidence: Value) -> StepOutcome {
        StepOutcome {
            result: StepResult::Installed,
            detail: detail.into(),
            measured: Vec::new(),
            evidence,
        }
    }

    pub fn skipped(why: impl Into<String>) -> StepOutcome {
        StepOutcome {
            result: StepResult::Skipped,
            detail: why.into(),
            measured: Vec::new(),
            evidence: Value::Null,
        }
    }

    pub fn indeterminate(why: impl Into<String>, evidence: Value) -> StepOutcome {
        StepOutcome {
            result: StepResult::Indeterminate,
            detail: why.into(),
            measured: Vec::new(),
            evidence,
        }
    }

    /// What a look proved, with what it saw.
    pub fn seen(judged: Result<String, Unproven>, evidence: Value) -> StepOutcome {
        let (result, detail) = match judged {
            Ok(said) => (StepResult::Installed, said),
            Err(Unproven::Mismatch(why)) => (StepResult::Mismatch, why),
            Err(Unproven::Indeterminate(why)) => (StepResult::Indeterminate, why),
        };
        StepOutcome {
            result,
            detail,
            measured: Vec::new(),
            evidence,
        }
    }

    /// The same, with the numbers that it rests on.
    pub fn measuring(self, measured: Vec<Measurement>) -> StepOutcome {
        StepOutcome { measured, ..self }
    }

    /// What comes of several that all have to be installed: the first that is not, or all that they say.
    pub fn all(outcomes: impl Iterator<Item = StepOutcome>) -> StepOutcome {
        let (mut together, mut said) = (StepOutcome::installed("", Value::Null), Vec::new());
        let mut evidence = Vec::new();
        for outcome in outcomes {
            together.measured.extend(outcome.measured);
            evidence.push(outcome.evidence);
            match (outcome.result, together.result) {
                (StepResult::Installed, _) => said.push(outcome.detail),
                (result, StepResult::Installed) => {
                    (together.result, together.detail) = (result, outcome.detail);
                }
                _ => {}
            }
        }
        if together.result == StepResult::Installed {
            together.detail = said.join("; ");
        }
        together.evidence = match evidence.len() {
            1 => evidence.swap_remove(0),
            _ => Value::Array(evidence),
        };
        together
    }

    /// Done, or not, or half: an error of a step that acts leaves that open.
    pub fn of<E: std::fmt::Display>(result: Result<StepOutcome, E>) -> StepOutcome {
        result.unwrap_or_else(|error| StepOutcome::indeterminate(error.to_string(), Value::Null))
    }
}

/// Why what was seen does not prove that a fault is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Something is, but not as asked: what was measured, and what was asked.
    Mismatch(String),
    /// Nobody can say.
    Indeterminate(String),
}

impl Unproven {
    /// The same, said of something.
    pub fn of(self, what: impl std::fmt::Display) -> Unproven {
        match self {
            Unproven::Mismatch(why) => Unproven::Mismatch(format!("{what}: {why}")),
            Unproven::Indeterminate(why) => Unproven::Indeterminate(format!("{what}: {why}")),
        }
    }
}

impl From<String> for Unproven {
    fn from(why: String) -> Unproven {
        Unproven::Indeterminate(why)
    }
}

/// What a kind of fault does in each step. Steps that act say `indeterminate` when they fail: part of it may be in
/// force. Healing must cope with anything that came before.
#[async_trait]
pub trait Technique: Send {
    /// The nodes that it is about; known once it is prepared.
    fn targets(&self) -> Vec<String>;
    /// False if there is nothing to wait for between verification and healing.
    fn lasts(&self) -> bool {
        true
    }
    /// Chooses the nodes to hit, and writes the journal. `skipped` means that nothing will be done.
    async fn prepare(&mut self, shared: &Shared) -> StepOutcome;
    /// Commands of everyday tools that do the same, or nearly, once it is prepared: for whoever wants to know beforehand. Lines
    /// that begin with `#` are for the reader.
    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        vec!["# no everyday tool does this; `duress faults` tells what it does".to_owned()]
    }
    async fn inject(&mut self, shared: &Shared) -> StepOutcome;
    async fn verify(&mut self, shared: &Shared) -> StepOutcome;
    /// Between two looks at it while it lasts. A look at a partition runs iptables-save at each node.
    fn look_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
    /// Whether it is still in force: a cheap look, while it lasts.
    async fn look(&mut self, shared: &Shared) -> StepOutcome;
    /// Whether it is still in force: as thorough as can be, right before it is healed.
    async fn recheck(&mut self, shared: &Shared) -> StepOutcome;
    async fn heal(&mut self, shared: &Shared) -> StepOutcome;
    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome;
}
