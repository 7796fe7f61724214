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

/// Puts operations in order of invocation, as a [`Part`] has them.
pub fn put_in_order<Op>(operations: &mut [Operation<Op>]) {
    let mut places = places(operations.iter().map(|operation| operation.invoke).collect());
    for at in 0..operations.len() {
        while places[at] as usize != at {
            let place = places[at] as usize;
            operations.swap(at, place);
            places.swap(at, place);
        }
    }
}

/// At which place each of these numbers is once they are sorted; those that are equal stay in order. Compiled once, not for each model's
/// operations.
fn places(numbers: Vec<u32>) -> Vec<u32> {
    let mut order: Vec<(u32, u32)> = numbers.into_iter().zip(0..).collect();
    order.sort_unstable();
    let mut places = vec![0; order.len()];
    for (place, (_, at)) in order.into_iter().enumerate() {
        places[at as usize] = place as u32;
    }
    places
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_put_in_order_and_those_that_began_at_once_stay_so() {
        let operation = |(at, invoke)| Operation {
            op: at,
            invoke,
            ret: NEVER,
            row: 0,
        };
        let invoked = [5, 1, 4, 1, 9, 0, 4, 1];
        let mut operations: Vec<Operation<usize>> = invoked.into_iter().enumerate().map(operation).collect();
        put_in_order(&mut operations);
        let order: Vec<usize> = operations.iter().map(|operation| operation.op).collect();
        assert_eq!(order, [5, 1, 3, 7, 2, 6, 0, 4]);
    }
}
