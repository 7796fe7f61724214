//! What operations say of values. Explanations go by that, so that they are the same code for every model.

use crate::history::{NEVER, Val};
use crate::model::{Model, Operation, Words};

/// What one operation says.
pub(super) struct Statement<'a> {
    /// Which row of the history it is.
    pub row: u32,
    /// Position of its invocation in the history.
    pub invoke: u32,
    /// Position of its completion, or [`NEVER`].
    pub ret: u32,
    /// The values that it [brings in](Words::produces).
    pub produces: &'a [Val],
    /// The values that it [needs](Words::needs).
    pub needs: &'a [Val],
    /// The value that it [found](Words::found) by succeeding.
    pub found: Option<Val>,
    /// The value that it did [not find](Words::denies).
    pub denies: Option<Val>,
}

impl<'a> Statement<'a> {
    pub fn new<M: Model>(model: &M, operation: &'a Operation<M::Op>) -> Statement<'a> {
        let (words, op) = (model.words(), &operation.op);
        Statement {
            row: operation.row,
            invoke: operation.invoke,
            ret: operation.ret,
            produces: words.produces(op),
            needs: words.needs(op),
            found: words.found(op),
            denies: words.denies(op),
        }
    }

    /// When each of some completed, for [`last_to_complete`].
    pub fn rets(statements: &[Statement<'_>]) -> impl Iterator<Item = u32> {
        statements.iter().map(|statement| statement.ret)
    }

    /// Of all of them.
    pub fn all<M: Model>(model: &M, operations: &'a [Operation<M::Op>]) -> Vec<Statement<'a>> {
        let statement = |operation| Statement::new(model, operation);
        operations.iter().map(statement).collect()
    }

    /// The values that it has to do with.
    pub fn touches(&self) -> impl Iterator<Item = Val> {
        self.needs.iter().chain(self.produces).copied()
    }

    /// Whether it brings in one of these values.
    pub fn brings_one_of(&self, wanted: &[Val]) -> bool {
        self.produces.iter().any(|value| wanted.contains(value))
    }
}

/// The position of the last one to complete, of operations with these completions.
pub(super) fn last_to_complete(rets: impl Iterator<Item = u32>) -> Option<usize> {
    let completed = rets.enumerate().filter(|(_, ret)| *ret != NEVER);
    completed.max_by_key(|(_, ret)| *ret).map(|(at, _)| at)
}
