//! One fault, from preparation to clean-up.
//!
//! The steps are a type: [`Stage`] has a step only in the state where it may be taken, and taking it uses the state
//! up. So a fault can't be verified before it is injected, healed before it was looked at once more, nor forgotten before
//! it is healed:
//!
//! ```text
//! Planned ─prepare─▶ Prepared ─inject─▶ Injected ─verify─▶ Verified ─recheck─▶ Rechecked ─heal─▶ Healed ─verify_healed─▶ ProvenHealed
//!     └─▶ skipped         └─ failed half-way ────────────────────────────────────────────heal──────┘              clean_up ─▶ ∎
//! ```
//!
//! While it lasts, a fault is looked at again and again ([`Technique::look_interval`]), as far as that is cheap. The first look that finds
//! something of it lost is recorded as a `recheck` that failed, and the fault is never proven any more.
//!
//! What a step does is the business of a [`Technique`], one for each kind of fault. Each step ends in an event with its
//! result; a fault that can't be done is `skipped` with the reason, and never fatal.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use duress_checker::history::{Effect, FaultEvent, FaultStep, StepResult};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::shared::Shared;
use super::technique::{StepOutcome, Technique};
use crate::journal::JournalError;

/// A fault before anything is done about it.
pub struct NewFault {
    /// Its number in the schedule.
    pub id: u64,
    /// Its kind, as histories name it.
    pub kind: &'static str,
    /// What it does to the nodes that it is about.
    pub effect: Effect,
    /// Whether it is left out, without a word against the run, where it can't be done.
    pub optional: bool,
    /// What its steps do.
    pub technique: Box<dyn Technique>,
}

struct Planned;
struct Prepared;
struct Injected;
struct Verified;
struct Rechecked;
struct Healed;
struct ProvenHealed;

/// States in which something may be in force, and nothing is left to be seen of it.
trait ReadyToHeal {}
impl ReadyToHeal for Prepared {}
impl ReadyToHeal for Rechecked {}

#[must_use = "a fault that is dropped is never healed"]
struct Stage<S> {
    id: u64,
    kind: &'static str,
    effect: Effect,
    optional: bool,
    technique: Box<dyn Technique>,
    shared: Arc<Shared>,
    state: PhantomData<S>,
}

impl<S> Stage<S> {
    fn into_state<T>(self) -> Stage<T> {
        Stage {
            id: self.id,
            kind: self.kind,
            effect: self.effect,
            optional: self.optional,
            technique: self.technique,
            shared: self.shared,
            state: PhantomData,
        }
    }

    /// What a look saw, unless what it was to see has ended before: then nothing proves it, whatever is seen.
    fn unless_cut_short(&self, outcome: StepOutcome) -> StepOutcome {
        match self.shared.agent.cut_short(self.id) {
            Some(why) => StepOutcome::indeterminate(why, outcome.evidence),
            None => outcome,
        }
    }

    /// Makes the event of a step, with how long it took.
    fn report(&self, step: FaultStep, outcome: StepOutcome, began: Instant) -> StepResult {
        let mut evidence = outcome.evidence;
        if !evidence.is_object() {
            evidence = match evidence.is_null() {
                true => json!({}),
                false => json!({"all": evidence}),
            };
        }
        evidence["ms"] = json!((began.elapsed().as_micros() as f64) / 1000.0);
        let targets = self.technique.targets();
        let event = FaultEvent {
            id: self.id,
            effect: Some(self.effect),
            optional: self.optional,
            step,
            targets,
            result: outcome.result,
            detail: outcome.detail,
            measured: outcome.measured,
            evidence,
        };
        (self.shared.sink)(self.kind, event);
        outcome.result
    }
}

impl Stage<Planned> {
    fn new(fault: NewFault, shared: Arc<Shared>) -> Stage<Planned> {
        Stage {
            id: fault.id,
            kind: fault.kind,
            effect: fault.effect,
            optional: fault.optional,
            technique: fault.technique,
            shared,
            state: PhantomData,
        }
    }

    async fn prepare(mut self) -> Option<Stage<Prepared>> {
        let began = Instant::now();
        self.shared.bound().begins(self.id, self.effect);
        let outcome = self.technique.prepare(&self.shared).await;
        // The spec asked for the bound as well as for the fault.
        self.optional |= self.shared.bound().refused(self.id);
        match self.report(FaultStep::Prepare, outcome, began) {
            StepResult::Installed => Some(self.into_state()),
            _ => {
                self.shared.bound().ends(self.id);
                None
            }
        }
    }
}

impl Stage<Prepared> {
    async fn inject(mut self) -> Result<Stage<Injected>, Stage<Prepared>> {
        let began = Instant::now();
        let outcome = self.technique.inject(&self.shared).await;
        match self.report(FaultStep::Inject, outcome, began) {
            StepResult::Installed => Ok(self.into_state()),
            _ => Err(self),
        }
    }
}

impl Stage<Injected> {
    async fn verify(mut self) -> Stage<Verified> {
        let began = Instant::now();
        let outcome = self.technique.verify(&self.shared).await;
        let outcome = self.unless_cut_short(outcome);
        self.report(FaultStep::Verify, outcome, began);
        self.into_state()
    }
}

impl Stage<Verified> {
    /// Returns when `length_over` does. Looks at the fault meanwhile, and reports the first look that finds it lost.
    async fn hold(&mut self, length_over: impl Future<Output = ()>) {
        let mut length_over = std::pin::pin!(length_over);
        let mut tick = interval(self.technique.look_interval());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and so was the verification.
        tick.tick().await;
        loop {
            tokio::select! {
                biased;
                () = &mut length_over => return,
                _ = tick.tick() => {}
            }
            let began = Instant::now();
            let outcome = self.technique.look(&self.shared).await;
            let outcome = self.unless_cut_short(outcome);
            if outcome.result != StepResult::Installed {
                self.report(FaultStep::Recheck, outcome, began);
                // It can't be proven any more, whatever later looks see.
                return length_over.await;
            }
        }
    }

    async fn recheck(mut self) -> Stage<Rechecked> {
        let began = Instant::now();
        let outcome = if self.technique.lasts() {
            let outcome = self.technique.recheck(&self.shared).await;
            self.unless_cut_short(outcome)
        } else {
            // It happened at one moment, and is over: there is no more to see.
            StepOutcome::installed("", Value::Null)
        };
        self.report(FaultStep::Recheck, outcome, began);
        self.into_state()
    }
}

impl<S: ReadyToHeal> Stage<S> {
    async fn heal(mut self) -> Stage<Healed> {
        let began = Instant::now();
        let outcome = self.technique.heal(&self.shared).await;
        self.report(FaultStep::Heal, outcome, began);
        self.into_state()
    }
}

impl Stage<Healed> {
    async fn verify_healed(mut self) -> (Stage<ProvenHealed>, StepResult) {
        let began = Instant::now();
        let outcome = self.technique.verify_healed(&self.shared).await;
        let result = self.report(FaultStep::VerifyHealed, outcome, began);
        (self.into_state(), result)
    }
}

impl Stage<ProvenHealed> {
    /// Closes the journal's entry, unless something may still be in force.
    async fn clean_up(self, healed: StepResult) {
        let began = Instant::now();
        let outcome = match healed {
            StepResult::Installed => {
                self.shared.bound().ends(self.id);
                let closed = self.shared.close_in_journal(self.id).await;
                StepOutcome::of(closed.map(|()| StepOutcome::installed("", Value::Null)))
            }
            _ => StepOutcome::indeterminate(
                "it isn't proven that the fault is gone; its journal entry stays open for `duress heal`",
                Value::Null,
            ),
        };
        self.report(FaultStep::CleanUp, outcome, began);
    }
}

/// Takes a fault through its life. `length_over` returns when it is time to heal.
pub async fn live(fault: NewFault, shared: Arc<Shared>, length_over: impl Future<Output = ()>) {
    let Some(prepared) = Stage::new(fault, shared).prepare().await else {
        return;
    };
    let healed = match prepared.inject().await {
        Ok(injected) => {
            let mut verified = injected.verify().await;
            if verified.technique.lasts() {
                verified.hold(length_over).await;
            }
            verified.recheck().await.heal().await
        }
        Err(half_way) => half_way.heal().await,
    };
    let (healed, result) = healed.verify_healed().await;
    healed.clean_up(result).await;
}

/// What a fault would do.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// Its number in the schedule.
    pub id: u64,
    /// Its kind.
    pub kind: &'static str,
    /// The nodes that it would be about.
    pub targets: Vec<String>,
    /// Commands of everyday tools that do the same, or nearly.
    pub by_hand: Vec<String>,
    /// Why it can't be done, if it can't.
    pub refused: Option<String>,
}

/// Prepares a fault and does nothing.
pub async fn rehearse(mut fault: NewFault, shared: &Shared) -> Result<Rehearsal, JournalError> {
    shared.bound().begins(fault.id, fault.effect);
    let prepared = fault.technique.prepare(shared).await;
    shared.bound().ends(fault.id);
    let (by_hand, refused) = match prepared.result {
        StepResult::Installed => (fault.technique.by_hand(shared).await, None),
        _ => (Vec::new(), Some(prepared.detail)),
    };
    if refused.is_none() {
        shared.close_in_journal(fault.id).await?;
    }
    Ok(Rehearsal {
        id: fault.id,
        kind: fault.kind,
        targets: fault.technique.targets(),
        by_hand,
        refused,
    })
}

/// Reports a fault that is not even begun.
pub fn skip(fault: NewFault, shared: Arc<Shared>, why: &str) {
    Stage::new(fault, shared).report(FaultStep::Prepare, StepOutcome::skipped(why), Instant::now());
}
