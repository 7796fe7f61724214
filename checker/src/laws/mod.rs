//! Whether the hints of a model agree with its [`step`](Model::step).
//!
//! A search believes hints; a wrong one makes it overlook orders, or find some that are none. So whoever writes a model
//! with hints tests them:
//!
//! ```
//! use duress_checker::laws;
//! use duress_checker::object::register::Register;
//!
//! let model = Register { cas: true };
//! let ops = laws::operations(&model, &["read", "write", "cas"]);
//! laws::check(&model, &ops).unwrap();
//! ```
//!
//! The laws are looked at in the states that the operations lead to, a few hundred of them.
//!
//! [Shortcuts](crate::model::Shortcuts) promise more: that a part is decided, divided, resolved and focused on rightly.
//! [`check_part`] compares all of that, and the searches with these hints, with trying all orders.

mod parts;

use indexmap::IndexSet;
use serde_json::{Value, json};

pub use self::parts::{Looked, Wrong, check_part};
use crate::history::values::FastBuild;
use crate::history::{Val, Values};
use crate::model::{Call, Hints, Model, Shortcuts, Words};

/// So many states are looked at.
const STATES_MAX: usize = 300;

/// What a hint promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Law {
    /// [`Hints::observes_only`]
    #[error("observes_only says that it leaves every state as it is")]
    ObservesOnly,
    /// [`Hints::overwrites`]
    #[error("overwrites says that it is possible everywhere and leads to one state")]
    Overwrites,
    /// [`Hints::only_in`]
    #[error("only_in says that it is possible in another state only")]
    OnlyIn,
    /// [`Hints::apply`]
    #[error("apply does not do what step does")]
    Apply,
    /// [`Shortcuts::taking`]
    #[error("taking makes of it an operation that may do what it may not")]
    Taking,
}

/// A hint that does not agree with `step`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law}, but {op} leads from the state {state} to {next}")]
pub struct LawBroken {
    /// What the hint promises.
    pub law: Law,
    /// The operation.
    pub op: String,
    /// The state.
    pub state: String,
    /// The states that `step` gives.
    pub next: String,
}

/// Looks at the hints about these operations in the states that they lead to.
pub fn check<M: Model>(model: &M, ops: &[M::Op]) -> Result<(), LawBroken> {
    let states = states(model, ops);
    let mut values: Vec<Val> = (ops.iter())
        .flat_map(|op| model.words().produces(op).iter().copied())
        .collect();
    values.sort_unstable();
    values.dedup();
    for op in ops {
        let mut target = None;
        for state in &states {
            let next = step(model, state, op);
            let broken = |law| {
                Err(LawBroken {
                    law,
                    op: format!("{op:?}"),
                    state: format!("{state:?}"),
                    next: format!("{next:?}"),
                })
            };
            if model.hints().observes_only(op) && next.iter().any(|after| after != state) {
                return broken(Law::ObservesOnly);
            }
            if model.hints().overwrites(op) {
                let [after] = next.as_slice() else {
                    return broken(Law::Overwrites);
                };
                if target.get_or_insert_with(|| after.clone()) != after {
                    return broken(Law::Overwrites);
                }
            }
            if !next.is_empty() && model.hints().only_in(op).is_some_and(|home| home != *state) {
                return broken(Law::OnlyIn);
            }
            let mut after = state.clone();
            let agrees = match model.hints().apply(&mut after, op) {
                None => after == *state,
                Some(true) => next == [after],
                Some(false) => next.is_empty(),
            };
            if !agrees {
                return broken(Law::Apply);
            }
            let taken = values
                .iter()
                .filter_map(|&value| model.shortcuts().taking(op, value));
            let mut reached = taken.flat_map(|op| step(model, state, &op));
            if reached.any(|after| !next.contains(&after)) {
                return broken(Law::Taking);
            }
        }
    }
    Ok(())
}

/// The states, each once, in which an operation leaves a state.
fn step<M: Model>(model: &M, state: &M::State, op: &M::Op) -> Vec<M::State> {
    let mut next = Vec::new();
    model.step(state, op, &mut next);
    let different: IndexSet<M::State, FastBuild> = next.into_iter().collect();
    different.into_iter().collect()
}

/// The states that the operations lead to, breadth first.
fn states<M: Model>(model: &M, ops: &[M::Op]) -> IndexSet<M::State, FastBuild> {
    let mut states: IndexSet<M::State, FastBuild> = IndexSet::default();
    states.insert(model.initial());
    let mut at = 0;
    while let Some(state) = states.get_index(at).cloned() {
        for op in ops {
            for after in step(model, &state, op) {
                if states.len() < STATES_MAX {
                    states.insert(after);
                }
            }
        }
        at += 1;
    }
    states
}

/// Operations that a model reads under these names (`f` of the history), with all sorts of arguments and results, of
/// two processes.
pub fn operations<M: Model>(model: &M, functions: &[&str]) -> Vec<M::Op> {
    let mut values = Values::default();
    let samples = samples().map(|sample| values.datum_of(&sample));
    let results: Vec<_> = samples.iter().copied().map(Some).chain([None]).collect();
    let mut ops: IndexSet<M::Op, FastBuild> = IndexSet::default();
    for &f in functions {
        for &argument in &samples {
            for &result in &results {
                let calls = [0, 1].map(|process| Call {
                    f,
                    process,
                    key: Val::NONE,
                    argument,
                    result,
                    values: &values,
                });
                // What the model refuses is no operation.
                let read = calls.iter().map(|call| model.operation(call));
                let refused = calls.iter().map(|call| model.refused(call));
                ops.extend(read.chain(refused).filter_map(|op| op.ok().flatten()));
            }
        }
    }
    ops.into_iter().collect()
}

/// Values of every shape that a history has.
fn samples() -> [Value; 18] {
    [
        json!(null),
        json!(0),
        json!(1),
        json!(2),
        json!(true),
        json!(false),
        json!(""),
        json!("a"),
        json!("ab"),
        json!([]),
        json!([1]),
        json!([1, 2]),
        json!([2, 1]),
        json!([null, 1]),
        json!([1, [1, 2]]),
        json!([2, [null, 1]]),
        json!([["read", "x", 1], ["write", "y", 2]]),
        json!([["write", "x", 1]]),
    ]
}
