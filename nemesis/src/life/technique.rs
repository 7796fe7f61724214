//! What a kind of fault does in each step, and how a step ends.

use async_trait::async_trait;
use duress_checker::history::StepResult;
use serde_json::Value;

use super::shared::Shared;

/// How a step ended, for a person and for a machine.
pub struct StepOutcome {
    pub result: StepResult,
    pub detail: String,
    pub evidence: Value,
}

impl StepOutcome {
    pub fn installed(detail: impl Into<String>, evidence: Value) -> StepOutcome {
        StepOutcome {
            result: StepResult::Installed,
            detail: detail.into(),
            evidence,
        }
    }

    pub fn skipped(why: impl Into<String>) -> StepOutcome {
        StepOutcome {
            result: StepResult::Skipped,
            detail: why.into(),
            evidence: Value::Null,
        }
    }

    pub fn indeterminate(why: impl Into<String>, evidence: Value) -> StepOutcome {
        StepOutcome {
            result: StepResult::Indeterminate,
            detail: why.into(),
            evidence,
        }
    }

    /// Done, or not, or half: an error of a step that acts leaves that open.
    pub fn of<E: std::fmt::Display>(result: Result<StepOutcome, E>) -> StepOutcome {
        result.unwrap_or_else(|error| StepOutcome::indeterminate(error.to_string(), Value::Null))
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
    async fn inject(&mut self, shared: &Shared) -> StepOutcome;
    async fn verify(&mut self, shared: &Shared) -> StepOutcome;
    /// Whether it is still in force: a cheap look, while it lasts.
    async fn look(&mut self, shared: &Shared) -> StepOutcome;
    /// Whether it is still in force: as thorough as can be, right before it is healed.
    async fn recheck(&mut self, shared: &Shared) -> StepOutcome;
    async fn heal(&mut self, shared: &Shared) -> StepOutcome;
    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome;
}
