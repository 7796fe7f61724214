//! Places in an order for operations that only say which value an object did not hold.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::Val;
use crate::model::Operation;

/// An order with such operations in it; `None` if one has no place.
///
/// `order` explains all others; `initial` is the first value, and `value` says what the object holds after an operation,
/// if the operation says so. `denied` has the others by position, in order of invocation, each with its value.
///
/// Each goes to the first place that time allows and at which the object holds another value. By induction over the
/// invocations no other choice has any of them earlier, so if it fails, this order has no place for all of them.
pub(crate) fn insert<Op: Copy>(
    part: &[Operation<Op>],
    order: &[u32],
    initial: Val,
    value: impl Fn(Op) -> Option<Val>,
    denied: &[(u32, Val)],
) -> Option<Vec<u32>> {
    let places = Places::new(part, order, initial, value);
    let mut placed: Vec<(u32, u32)> = Vec::with_capacity(denied.len());
    // Those that have a place, the one that completes first on top.
    let mut open: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let mut earliest = 0;
    for &(at, value) in denied {
        let operation = &part[at as usize];
        while let Some(&Reverse((ret, place))) = open.peek()
            && ret < operation.invoke
        {
            earliest = earliest.max(place);
            open.pop();
        }
        let place = places.first(operation.invoke, operation.ret, value, earliest)?;
        open.push(Reverse((operation.ret, place)));
        placed.push((place, at));
    }
    // Stable: at one place they stay in order of invocation.
    placed.sort_by_key(|(place, _)| *place);
    let mut placed = placed.into_iter().peekable();
    let mut whole = Vec::with_capacity(order.len() + denied.len());
    for place in 0..=order.len() {
        while let Some((_, at)) = placed.next_if(|(before, _)| *before as usize == place) {
            whole.push(at);
        }
        whole.extend(order.get(place));
    }
    Some(whole)
}

/// Place `k` lies behind the first `k` operations of an order.
struct Places {
    /// What the object holds there.
    holds: Vec<Val>,
    /// The next place at which it holds something else; behind the last, if there is none.
    changes: Vec<u32>,
    /// The latest invocation before it.
    invoked: Vec<u32>,
    /// The earliest completion after it.
    completes: Vec<u32>,
}

impl Places {
    fn new<Op: Copy>(
        part: &[Operation<Op>],
        order: &[u32],
        initial: Val,
        value: impl Fn(Op) -> Option<Val>,
    ) -> Places {
        let count = order.len() + 1;
        let mut places = Places {
            holds: vec![initial; count],
            changes: vec![count as u32; count],
            invoked: vec![0; count],
            completes: vec![u32::MAX; count],
        };
        for (at, &position) in order.iter().enumerate() {
            let operation = &part[position as usize];
            places.holds[at + 1] = value(operation.op).unwrap_or(places.holds[at]);
            places.invoked[at + 1] = places.invoked[at].max(operation.invoke);
        }
        for (at, &position) in order.iter().enumerate().rev() {
            places.completes[at] = places.completes[at + 1].min(part[position as usize].ret);
            places.changes[at] = match places.holds[at] == places.holds[at + 1] {
                true => places.changes[at + 1],
                false => at as u32 + 1,
            };
        }
        places
    }

    /// The first place, not before another, for an operation with this interval that did not find this value.
    fn first(&self, invoke: u32, ret: u32, value: Val, earliest: u32) -> Option<u32> {
        let from = self.completes.partition_point(|&completes| completes < invoke) as u32;
        let mut place = from.max(earliest);
        if self.holds[place as usize] == value {
            place = self.changes[place as usize];
        }
        let invoked = *self.invoked.get(place as usize)?;
        (invoked < ret).then_some(place)
    }
}
