//! Stacks whose elements are all different: no search.
//!
//! In the manner of Lee and Mathur (OOPSLA 2025) and of Abdulla et al. (PLDI 2025): take an element away that can be
//! taken away, and look at what is left. An element is *certainly inside* from the completion of its push to the
//! invocation of its pop, if these are in that order.
//!
//! 1. An element that is certainly inside at no time is pushed and popped at one moment while both are open. Nobody else
//!    notices.
//! 2. *Gaps.* Let `g` be a moment at which no element is certainly inside. The elements inside before it were all invoked
//!    (push and pop) before `g`, and what those after it do completes after `g`. So the history is possible if and only
//!    if both halves are: in an order of each, move what takes effect beyond `g` to `g`. Who finds the stack empty has to
//!    meet a gap, and does, if it is put there.
//! 3. *No gap* among some elements: in any order, the stack is never empty between their first push and their last pop (at
//!    such a moment there would be a gap). So one element lies at the bottom all the time: its push was invoked before
//!    any of their pushes completed, and its pop completes after all of their pops were invoked. Any such element will
//!    do: in an order of the others, move what comes before its push or after its pop in between. If there is none, the
//!    history is impossible; else go on without it.
//!
//! An unknown push whose element was popped completes never; one whose element was not is dropped. Unknown pops are
//! handed to elements that must have left, the most urgent first; where that fails there is no answer, as another
//! choice might do.
//!
//! `O(n log n)`, but for the pushes that are open at one moment.

use std::collections::BTreeMap;
use std::ops::Range;

use super::tree::{Cover, Least};
use crate::history::NEVER;
use crate::model::Decision;
use crate::model::Operation;
use crate::object::shared::element_op::ElementOp;
use crate::object::shared::elements::{Clock, Element, LATE, covering, elements};
use crate::object::shared::lookup::{NOBODY, tidy};

/// Decides a part; `None` if an element was pushed twice, or if it hangs on what unknown operations took.
pub fn decide(part: &[Operation<ElementOp>]) -> Option<Decision> {
    let times = Clock::new(part);
    let (mut elements, unknown) = match elements(part, &times)? {
        Ok(found) => found,
        Err(core) => return Some(Decision::Core(core)),
    };
    hand_out(part, &times, &mut elements, &unknown);
    match arrange(part, &times, &elements) {
        Ok(order) => Some(Decision::Order(order)),
        Err(core) => unknown.is_empty().then_some(Decision::Core(core)),
    }
}

/// Gives the unknown pops the elements that must have left: because one that was pushed before was popped after, or
/// because somebody found nothing.
fn hand_out(part: &[Operation<ElementOp>], times: &Clock, elements: &mut [Element], unknown: &[u32]) {
    /// How many pops below an element are looked at: the first to be invoked, but any of them may complete first.
    const LOOKED_AT_MAX: usize = 16;
    if unknown.is_empty() {
        return;
    }
    let mut pushed: Vec<u32> = (0..elements.len() as u32).collect();
    pushed.sort_unstable_by_key(|&at| elements[at as usize].put_ret);
    let mut pushed = pushed.into_iter().peekable();
    let mut by_push: Vec<u32> = (0..elements.len() as u32).collect();
    by_push.sort_unstable_by_key(|&at| elements[at as usize].put_invoke);
    let mut empties: BTreeMap<u32, u32> = BTreeMap::new();
    for (at, operation) in part.iter().enumerate() {
        if operation.op == ElementOp::Empty && operation.ret != NEVER {
            empties.insert(times.invokes[at], times.rets[at]);
        }
    }
    // What was certainly pushed before: when its pop was invoked, and completed.
    let mut below: BTreeMap<u32, u32> = BTreeMap::new();
    let mut urgent: Vec<(u32, u32)> = Vec::new();
    for at in by_push {
        let element = elements[at as usize];
        while let Some(before) =
            pushed.next_if(|&before| elements[before as usize].put_ret < element.put_invoke)
        {
            let before = elements[before as usize];
            if before.take != NOBODY {
                below.insert(before.take_invoke, before.take_ret);
            }
        }
        if element.take != NOBODY {
            continue;
        }
        let after = below.range(element.put_ret..).take(LOOKED_AT_MAX);
        let after = after.chain(empties.range(element.put_ret..).take(LOOKED_AT_MAX));
        urgent.extend(after.map(|(_, &ret)| ret).min().map(|deadline| (deadline, at)));
    }
    urgent.sort_unstable();
    for ((_, at), &pop) in urgent.into_iter().zip(unknown) {
        let element = &mut elements[at as usize];
        element.take = pop;
        element.take_invoke = times.invokes[pop as usize];
        element.take_ret = LATE;
    }
}

fn arrange(part: &[Operation<ElementOp>], times: &Clock, elements: &[Element]) -> Result<Vec<u32>, Vec<u32>> {
    let (mut inside, passing): (Vec<Element>, Vec<Element>) = elements
        .iter()
        .partition(|element| element.put_ret < element.take_invoke);
    inside.sort_unstable_by_key(|element| element.put_ret);
    let mut pile = Pile {
        cover: Cover::new(
            times.end as usize + 1,
            inside.iter().map(|element| element.span(times)),
        ),
        open: Least::new(inside.iter().map(|element| element.put_invoke).collect()),
        inside: &inside,
        times,
        order: Vec::with_capacity(part.len()),
        point: 0,
    };
    let mut empties = pile.gaps(part)?.into_iter().peekable();
    let mut from = 0;
    loop {
        let first = pile.first_from(from);
        let until = first.map_or(NEVER, |first| inside[first].put_ret);
        while let Some((gap, empty)) = empties.next_if(|(gap, _)| *gap < until) {
            pile.place(gap, empty);
        }
        let Some(first) = first else { break };
        from = pile.cover.first_free(inside[first].put_ret);
        pile.group(inside[first].put_ret, from)?;
    }
    // Those of the first kind, at the moment at which they come and go.
    let mut moments: Vec<(u32, &Element)> = (passing.iter())
        .map(|element| (element.put_invoke.max(element.take_invoke), element))
        .collect();
    moments.sort_unstable_by_key(|(moment, _)| *moment);
    let mut moments = moments.into_iter().peekable();
    let mut order = Vec::with_capacity(part.len());
    for (point, at) in pile.order {
        while let Some((_, element)) = moments.next_if(|(moment, _)| *moment < point) {
            order.extend([element.put, element.take]);
        }
        order.push(at);
    }
    order.extend(moments.flat_map(|(_, element)| [element.put, element.take]));
    Ok(order)
}

impl Element {
    /// When it is certainly inside: right after which events.
    fn span(&self, times: &Clock) -> Range<u32> {
        self.put_ret..self.take_invoke.min(times.end)
    }
}

/// The elements that are certainly inside at some time.
struct Pile<'a> {
    /// By the completion of their push.
    inside: &'a [Element],
    times: &'a Clock,
    /// How many of those that are left are certainly inside right after each event.
    cover: Cover,
    /// The invocation of the push of each that is left.
    open: Least,
    /// Operations in order, each with a point in time at which it may take effect.
    order: Vec<(u32, u32)>,
    point: u32,
}

/// What is left to be done.
enum Task {
    /// The elements whose push completes from one event on, and before another.
    Between(u32, u32),
    /// An operation.
    Place(u32),
}

impl Pile<'_> {
    fn place(&mut self, not_before: u32, at: u32) {
        self.point = self.point.max(not_before).max(self.times.invokes[at as usize]);
        self.order.push((self.point, at));
    }

    /// The first that is left whose push completes at an event or later.
    fn first_from(&self, event: u32) -> Option<usize> {
        let from = self.inside.partition_point(|element| element.put_ret < event);
        self.open.first_below(from, NEVER)
    }

    /// Places elements between which there is no gap.
    fn group(&mut self, from: u32, to: u32) -> Result<(), Vec<u32>> {
        let mut tasks = vec![Task::Between(from, to)];
        while let Some(task) = tasks.pop() {
            let (from, to) = match task {
                Task::Between(from, to) => (from, to),
                Task::Place(at) => {
                    self.place(0, at);
                    continue;
                }
            };
            let first = self
                .first_from(from)
                .filter(|&first| self.inside[first].put_ret < to);
            let Some(first) = first else { continue };
            let start = self.inside[first].put_ret;
            let gap = self.cover.first_free(start);
            let bottom = self
                .bottom(first, gap)
                .ok_or_else(|| self.left_between(start, gap))?;
            let element = self.inside[bottom];
            self.open.remove(bottom);
            self.cover.remove(element.span(self.times));
            self.place(0, element.put);
            tasks.push(Task::Between(gap, to));
            if element.take != NOBODY {
                tasks.push(Task::Place(element.take));
            }
            tasks.push(Task::Between(start, gap));
        }
        Ok(())
    }

    /// One that can lie below all others from `first` up to a gap.
    fn bottom(&self, first: usize, gap: u32) -> Option<usize> {
        let start = self.inside[first].put_ret;
        let mut from = first;
        loop {
            let at = self.open.first_below(from, start)?;
            let element = &self.inside[at];
            if element.put_ret >= gap {
                return None;
            }
            // The last pop is invoked at the gap; of those that are never popped, never.
            let last = if gap < self.times.end { gap } else { NEVER };
            if element.take == NOBODY || element.take_ret > last {
                return Some(at);
            }
            from = at + 1;
        }
    }

    fn left_between(&self, start: u32, gap: u32) -> Vec<u32> {
        let left = (0..self.inside.len()).filter(|&at| {
            self.open.is_there(at) && (start..gap.max(start + 1)).contains(&self.inside[at].put_ret)
        });
        tidy(
            left.flat_map(|at| [self.inside[at].put, self.inside[at].take])
                .collect(),
        )
    }

    /// For everybody who found nothing: a gap, right after an event.
    fn gaps(&self, part: &[Operation<ElementOp>]) -> Result<Vec<(u32, u32)>, Vec<u32>> {
        let mut gaps = Vec::new();
        for (at, operation) in part.iter().enumerate() {
            if operation.op != ElementOp::Empty || operation.ret == NEVER {
                continue;
            }
            let (invoke, ret) = (self.times.invokes[at], self.times.rets[at]);
            let gap = self.cover.first_free(invoke);
            if gap >= ret {
                return Err(covering(self.inside, at as u32, invoke, ret));
            }
            gaps.push((gap, at as u32));
        }
        gaps.sort_unstable();
        Ok(gaps)
    }
}
