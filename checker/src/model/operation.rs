//! Operations as a model sees them: the [`Call`] that the history has, and the [`Operation`] that the model reads in
//! it.
//!
//! Positions are those of events in the history. A read that was invoked by event 4 and completed by event 9 is
//!
//! ```text
//! Operation { op: Read(3), invoke: 4, ret: 9, row: 2 }
//! ```

use crate::history::{Datum, NEVER, Val, Values};

/// One operation as the history has it, its values named.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What was asked: `read`, `write`…
    pub f: &'a str,
    /// The client.
    pub process: u64,
    /// The object, or [`Val::NONE`].
    pub key: Val,
    /// The argument.
    pub argument: Datum,
    /// The result; the argument again where the completion says nothing. `None`: nobody knows whether it happened, or it
    /// was [refused](super::Model::refused).
    pub result: Option<Datum>,
    /// What the names of values stand for.
    pub values: &'a Values,
}

/// One operation of a part, as its model reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<Op> {
    /// What was asked and answered.
    pub op: Op,
    /// Position of the invocation in the history.
    pub invoke: u32,
    /// Position of the completion, or [`NEVER`].
    pub ret: u32,
    /// Which row of the history it is.
    pub row: u32,
}

/// The operations on one object, in order of invocation.
pub type Part<Op> = Vec<Operation<Op>>;

/// What the history looked like at a completion: what began before it; what was still open then is unknown.
pub fn prefix<Op: Clone>(part: &[Operation<Op>], end: u32) -> Part<Op> {
    let begun = part.iter().filter(|operation| operation.invoke < end);
    begun
        .map(|operation| Operation {
            ret: if operation.ret <= end {
                operation.ret
            } else {
                NEVER
            },
            ..operation.clone()
        })
        .collect()
}
