//! Stacks whose elements are all different: one order is tried, and where it fails, the search goes on.
//!
//! A pop takes effect as soon as its element is on top. Nothing is lost by that: in an order where it comes later, what
//! comes in between leaves the element where it is, and does as well without it below. A push takes effect when it has
//! to: because it completes, or because its pop does. Before it go the pending pushes whose elements have to lie below:
//! those whose pop begins after the pop of this one has completed. That last rule is a guess (pushes that overlap may
//! have to go in another order for the sake of others), so a failure says nothing.
//!
//! Unknown pops may have taken anything, and are used only to take what is in the way. Linear but for the pending
//! operations.

use super::Fast;
use super::lookup::{Lookup, NOBODY};
use crate::history::NEVER;
use crate::model::Operation;
use crate::model::collections::QueueOp;

/// An element: its push and its pop.
#[derive(Clone, Copy)]
struct Element {
    push: u32,
    pop: u32,
    pushed: bool,
}

/// Tries; `None` if an element was pushed twice, or if the order that was tried fails.
pub fn decide(part: &[Operation<QueueOp>]) -> Option<Fast> {
    let value = |operation: &Operation<QueueOp>| match operation.op {
        QueueOp::Put(value) | QueueOp::Take(value) => Some(value),
        QueueOp::Empty | QueueOp::TakeAny => None,
    };
    let mut of = Lookup::new(part.iter().filter_map(value), part.len());
    let mut elements: Vec<Element> = Vec::with_capacity(part.len() / 2);
    for (operation, at) in part.iter().zip(0u32..) {
        if let QueueOp::Put(value) = operation.op {
            if of.get(value) != NOBODY {
                return None;
            }
            of.set(value, elements.len() as u32);
            elements.push(Element {
                push: at,
                pop: NOBODY,
                pushed: false,
            });
        }
    }
    for (operation, at) in part.iter().zip(0u32..) {
        let QueueOp::Take(value) = operation.op else {
            continue;
        };
        if operation.ret == NEVER {
            return None;
        }
        let number = of.get(value);
        if number == NOBODY {
            return Some(Fast::Core(vec![at]));
        }
        let element = &mut elements[number as usize];
        if element.pop != NOBODY {
            return Some(Fast::Core(vec![element.push, element.pop, at]));
        }
        element.pop = at;
        if operation.ret < part[element.push as usize].invoke {
            return Some(Fast::Core(vec![at, element.push]));
        }
    }
    let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(part.len() * 2);
    for (operation, at) in part.iter().zip(0u32..) {
        events.push((operation.invoke, false, at));
        if operation.ret != NEVER {
            events.push((operation.ret, true, at));
        }
    }
    events.sort_unstable();
    let mut pile = Pile {
        part,
        elements,
        of,
        stack: Vec::new(),
        pending: Vec::new(),
        unknown_pops: Vec::new(),
        invoked: vec![false; part.len()],
        done: vec![false; part.len()],
        order: Vec::with_capacity(part.len()),
    };
    for (_, completes, at) in events {
        if completes {
            pile.complete(at)?;
        } else {
            pile.invoke(at);
        }
    }
    Some(Fast::Order(pile.order))
}

struct Pile<'a> {
    part: &'a [Operation<QueueOp>],
    elements: Vec<Element>,
    of: Lookup,
    /// Numbers of elements.
    stack: Vec<u32>,
    /// Elements whose push is pending.
    pending: Vec<u32>,
    unknown_pops: Vec<u32>,
    invoked: Vec<bool>,
    done: Vec<bool>,
    order: Vec<u32>,
}

impl Pile<'_> {
    fn invoke(&mut self, at: u32) {
        self.invoked[at as usize] = true;
        match self.part[at as usize].op {
            QueueOp::Put(value) => self.pending.push(self.of.get(value)),
            QueueOp::TakeAny => self.unknown_pops.push(at),
            QueueOp::Take(_) | QueueOp::Empty => {}
        }
        self.settle();
    }

    fn complete(&mut self, at: u32) -> Option<()> {
        if self.done[at as usize] {
            return Some(());
        }
        match self.part[at as usize].op {
            QueueOp::Put(value) => self.push(self.of.get(value)),
            QueueOp::Take(value) => {
                let element = self.of.get(value);
                if !self.elements[element as usize].pushed {
                    // Not even invoked: impossible, but then there is a better proof than this.
                    self.pending.contains(&element).then_some(())?;
                    self.push(element);
                } else {
                    self.uncover(element)?;
                }
            }
            QueueOp::Empty => {
                while let Some(&top) = self.stack.last() {
                    self.take_away(top)?;
                }
                self.take(at);
            }
            QueueOp::TakeAny => {}
        }
        self.done[at as usize].then_some(())
    }

    /// Puts an element on top, those that have to be below it first.
    fn push(&mut self, element: u32) {
        let pop_ret = |this: &Self, element: u32| match this.elements[element as usize].pop {
            NOBODY => NEVER,
            pop => this.part[pop as usize].ret,
        };
        let pop_invoke = |this: &Self, element: u32| match this.elements[element as usize].pop {
            NOBODY => NEVER,
            pop => this.part[pop as usize].invoke,
        };
        let out = pop_ret(self, element);
        let must = |this: &Self, other: u32| {
            let push = &this.part[this.elements[other as usize].push as usize];
            // It comes out after this one, and can't go in after this one is out.
            other != element && pop_invoke(this, other) > out && push.ret < out
        };
        let mut below: Vec<u32> = self
            .pending
            .iter()
            .copied()
            .filter(|&other| must(self, other))
            .collect();
        below.sort_by_key(|&other| std::cmp::Reverse(pop_ret(self, other)));
        for other in below.into_iter().chain([element]) {
            self.pending.retain(|&pending| pending != other);
            self.elements[other as usize].pushed = true;
            self.stack.push(other);
            self.take(self.elements[other as usize].push);
            self.settle();
        }
    }

    /// Takes whatever is above an element away, and then it.
    fn uncover(&mut self, element: u32) -> Option<()> {
        while let Some(&top) = self.stack.last() {
            if top == element {
                break;
            }
            self.take_away(top)?;
        }
        self.settle();
        Some(())
    }

    /// Lets an unknown pop take what is on top and would be there for ever.
    fn take_away(&mut self, top: u32) -> Option<()> {
        if self.elements[top as usize].pop != NOBODY {
            return None;
        }
        let pop = self.unknown_pops.pop()?;
        self.stack.pop();
        self.take(pop);
        self.settle();
        Some(())
    }

    /// Pops what is on top and wanted.
    fn settle(&mut self) {
        while let Some(&top) = self.stack.last() {
            let pop = self.elements[top as usize].pop;
            if pop == NOBODY || !self.invoked[pop as usize] {
                break;
            }
            self.stack.pop();
            self.take(pop);
        }
    }

    fn take(&mut self, at: u32) {
        self.done[at as usize] = true;
        self.order.push(at);
    }
}
