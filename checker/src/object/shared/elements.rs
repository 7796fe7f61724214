//! Elements that are put in once and taken once at most, as queues and stacks of different elements have them.

use crate::history::NEVER;
use crate::model::Operation;
use crate::object::shared::element_op::ElementOp;
use crate::object::shared::lookup::{Lookup, NOBODY, tidy};

/// The completion of an unknown take that took something: later than any event, yet before never.
pub(crate) const LATE: u32 = NEVER - 1;

/// Something, or operations that are impossible together.
pub(crate) type Checked<T> = Result<T, Vec<u32>>;

/// One element: who put it in and who took it.
#[derive(Clone, Copy)]
pub(crate) struct Element {
    pub put: u32,
    pub take: u32,
    pub put_invoke: u32,
    pub put_ret: u32,
    pub take_invoke: u32,
    pub take_ret: u32,
}

/// Positions of events, made dense.
pub(crate) struct Clock {
    pub invokes: Vec<u32>,
    pub rets: Vec<u32>,
    pub end: u32,
}

impl Clock {
    pub fn new(part: &[Operation<ElementOp>]) -> Clock {
        let (first, last) = (
            part.first().map_or(0, |first| first.invoke),
            part.iter().map(|operation| {
                if operation.ret == NEVER {
                    operation.invoke
                } else {
                    operation.ret
                }
            }),
        );
        let last = last.max().unwrap_or(0);
        if ((last - first) as usize) < part.len() * 8 {
            let shift = |at: u32| if at == NEVER { NEVER } else { at - first };
            return Clock {
                invokes: part.iter().map(|operation| operation.invoke - first).collect(),
                rets: part.iter().map(|operation| shift(operation.ret)).collect(),
                end: last - first + 1,
            };
        }
        let mut events: Vec<u32> = part
            .iter()
            .flat_map(|operation| [operation.invoke, operation.ret])
            .collect();
        events.retain(|&at| at != NEVER);
        events.sort_unstable();
        let rank = |at: u32| match events.binary_search(&at) {
            Ok(rank) | Err(rank) if at != NEVER => rank as u32,
            _ => NEVER,
        };
        Clock {
            invokes: part.iter().map(|operation| rank(operation.invoke)).collect(),
            rets: part.iter().map(|operation| rank(operation.ret)).collect(),
            end: events.len() as u32,
        }
    }
}

/// All elements that matter, in order of being put in, and the unknown takes. The outer `None`: one was put in
/// twice.
pub(crate) fn elements(
    part: &[Operation<ElementOp>],
    clock: &Clock,
) -> Option<Checked<(Vec<Element>, Vec<u32>)>> {
    let value = |operation: &Operation<ElementOp>| match operation.op {
        ElementOp::Put(value) | ElementOp::Take(value) => Some(value),
        ElementOp::Empty | ElementOp::TakeAny => None,
    };
    let mut of = Lookup::new(part.iter().filter_map(value), part.len());
    let mut elements: Vec<Element> = Vec::with_capacity(part.len() / 2 + 1);
    for (position, operation) in part.iter().enumerate() {
        let ElementOp::Put(value) = operation.op else {
            continue;
        };
        if of.get(value) != NOBODY {
            return None;
        }
        of.set(value, elements.len() as u32);
        elements.push(Element {
            put: position as u32,
            take: NOBODY,
            put_invoke: clock.invokes[position],
            put_ret: clock.rets[position],
            take_invoke: NEVER,
            take_ret: NEVER,
        });
    }
    let mut takers = Vec::new();
    for (position, operation) in part.iter().enumerate() {
        let value = match operation.op {
            ElementOp::Take(value) => value,
            ElementOp::TakeAny => {
                takers.push(position as u32);
                continue;
            }
            ElementOp::Put(_) | ElementOp::Empty => continue,
        };
        let at = of.get(value);
        if at == NOBODY {
            return Some(Err(vec![position as u32]));
        }
        let element = &mut elements[at as usize];
        if element.take != NOBODY {
            return Some(Err(vec![element.put, element.take, position as u32]));
        }
        element.take = position as u32;
        element.take_invoke = clock.invokes[position];
        element.take_ret = clock.rets[position];
        if element.take_ret < element.put_invoke {
            return Some(Err(vec![element.put, element.take]));
        }
    }
    elements.retain(|element| element.take != NOBODY || element.put_ret != NEVER);
    Some(Ok((elements, takers)))
}

/// Elements one of which certainly was inside at each moment of an interval.
pub(crate) fn covering(elements: &[Element], empty: u32, invoke: u32, ret: u32) -> Vec<u32> {
    let mut core = vec![empty];
    let mut at = invoke;
    while at < ret {
        let longest = (elements.iter())
            .filter(|element| element.put_ret <= at && element.take_invoke > at)
            .max_by_key(|element| element.take_invoke);
        let Some(longest) = longest else { break };
        core.extend([longest.put, longest.take]);
        at = longest.take_invoke;
    }
    tidy(core)
}
