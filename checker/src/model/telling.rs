//! A proof that is to be put in an object's own words.

use crate::history::{History, NEVER, Val};
use crate::model::Operation;

/// Few operations that are impossible together, and what their values and clients are called.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a, Op> {
    /// The operations, in order of invocation.
    pub core: &'a [Operation<Op>],
    /// The one of them that the others make impossible.
    pub culprit: &'a Operation<Op>,
    /// All operations on the object.
    pub part: &'a [Operation<Op>],
    pub(crate) history: &'a History,
}

impl<'a, Op> Telling<'a, Op> {
    /// A value as JSON, cut where it is long.
    pub fn value(&self, value: Val) -> String {
        crate::history::shortened(&self.history.values.json(value).to_string())
    }

    /// Who asked for an operation: `process 3`.
    pub fn who(&self, operation: &Operation<Op>) -> String {
        format!("process {}", self.history.rows[operation.row as usize].process)
    }

    /// Whether the first had completed when the second was asked for.
    pub fn before(&self, first: &Operation<Op>, second: &Operation<Op>) -> bool {
        first.ret != NEVER && first.ret < second.invoke
    }

    /// The operations of the proof that had completed when the culprit was asked for.
    pub fn earlier(&self) -> impl Iterator<Item = &'a Operation<Op>> {
        (self.core.iter()).filter(|operation| self.before(operation, self.culprit))
    }
}
