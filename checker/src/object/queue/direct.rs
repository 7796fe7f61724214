//! FIFO queues whose elements are all different: no search.
//!
//! Henzinger, Sezgin and Vafeiadis, "Aspect-Oriented Linearizability Proofs" (CONCUR 2013, section 4): a complete
//! history is a queue's unless
//!
//! 1. an element comes out that was not put in, comes out twice, or before it was put in;
//! 2. `x` was put in before `y`, and `y` was taken before `x`, or was taken and `x` never was;
//! 3. somebody found the queue empty, though at each moment in between some element certainly was in it.
//!
//! An unknown `enqueue` whose element came out has happened at any time after its invocation; one whose element did not
//! is dropped: nobody saw it, and those behind it would not have come out. An unknown `dequeue` may have taken what
//! nobody else took: those elements that must have left, the most urgent first, are handed to them in order of
//! invocation. Where that explains the history, it is an explanation; where it does not, another might, and this gives
//! no answer.
//!
//! The order that proves a history: moments at which the queue was empty cut it into segments; within one, an element
//! is next when none that is left must come before it.

use std::collections::VecDeque;
use std::ops::Range;

use crate::history::NEVER;
use crate::model::Decision;
use crate::model::Operation;
use crate::object::shared::element_op::ElementOp;
use crate::object::shared::elements::{Checked, Clock, Element, LATE, covering, elements};
use crate::object::shared::lookup::{NOBODY, tidy};

impl Element {
    /// Until when it may be counted to what was before an empty queue.
    fn settled(&self) -> u32 {
        self.put_ret.min(self.take_ret)
    }
}

/// Decides a part; `None` if an element was put in twice, or if it hangs on what unknown operations took.
pub fn decide(part: &[Operation<ElementOp>]) -> Option<Decision> {
    let clock = Clock::new(part);
    let (mut elements, takers) = match elements(part, &clock)? {
        Ok(found) => found,
        Err(core) => return Some(Decision::Core(core)),
    };
    let result = arrange(part, &clock, &elements);
    match result {
        Ok(order) => Some(Decision::Order(order)),
        Err(core) if takers.is_empty() => Some(Decision::Core(core)),
        Err(_) => {
            hand_out(part, &clock, &mut elements, &takers);
            arrange(part, &clock, &elements).ok().map(Decision::Order)
        }
    }
}

/// Gives the unknown dequeues what must have left and nobody took.
fn hand_out(part: &[Operation<ElementOp>], clock: &Clock, elements: &mut [Element], takers: &[u32]) {
    // An element must have left before the first completed dequeue of one that was put in after it.
    let mut first_take = vec![NEVER; clock.end as usize + 1];
    for element in elements.iter() {
        let at = &mut first_take[element.put_invoke as usize];
        *at = (*at).min(element.take_ret);
    }
    // Or before the queue was found empty.
    for (position, operation) in part.iter().enumerate() {
        if operation.op == ElementOp::Empty && operation.ret != NEVER {
            let at = &mut first_take[clock.invokes[position] as usize];
            *at = (*at).min(clock.rets[position]);
        }
    }
    for at in (0..clock.end as usize).rev() {
        first_take[at] = first_take[at].min(first_take[at + 1]);
    }
    let mut urgent: Vec<(u32, usize)> = (elements.iter().enumerate())
        .filter(|(_, element)| element.take == NOBODY && element.put_ret != NEVER)
        .map(|(at, element)| (first_take[element.put_ret as usize], at))
        .filter(|(deadline, _)| *deadline != NEVER)
        .collect();
    urgent.sort_unstable();
    for ((_, at), taker) in urgent.into_iter().zip(takers) {
        elements[at].take = *taker;
        elements[at].take_invoke = clock.invokes[*taker as usize];
        elements[at].take_ret = LATE;
    }
}

/// An order of everything, or operations that are impossible together.
fn arrange(part: &[Operation<ElementOp>], clock: &Clock, elements: &[Element]) -> Checked<Vec<u32>> {
    out_of_order(elements, clock)?;
    let moments = empty_moments(part, clock, elements)?;
    Ok(order(clock, elements, moments))
}

/// Pattern 2: for each `y`, the element that is taken after it and was put in earliest.
fn out_of_order(elements: &[Element], clock: &Clock) -> Checked<()> {
    const NONE: u32 = u32::MAX;
    let end = clock.end as usize;
    // By the event at which its dequeue begins: the element. Those never taken all begin at the end; the one that was
    // put in first is enough.
    let mut begins = vec![NONE; end + 1];
    let better = |old: u32, new: u32| {
        if old == NONE || elements[new as usize].put_ret < elements[old as usize].put_ret {
            new
        } else {
            old
        }
    };
    for (at, element) in elements.iter().enumerate() {
        let slot = (element.take_invoke as usize).min(end);
        begins[slot] = better(begins[slot], at as u32);
    }
    for at in (0..end).rev() {
        if begins[at + 1] != NONE {
            begins[at] = better(begins[at], begins[at + 1]);
        }
    }
    for y in elements {
        if y.take == NOBODY {
            continue;
        }
        let x = begins[(y.take_ret as usize).min(end)];
        if x != NONE && elements[x as usize].put_ret < y.put_invoke {
            let x = &elements[x as usize];
            return Err(tidy(vec![x.put, x.take, y.put, y.take]));
        }
    }
    Ok(())
}

/// For every empty dequeue that completed, a moment (right after an event) at which the queue may have been empty.
fn empty_moments(
    part: &[Operation<ElementOp>],
    clock: &Clock,
    elements: &[Element],
) -> Checked<Vec<(u32, u32)>> {
    let empties: Vec<u32> = (part.iter().enumerate())
        .filter(|(_, operation)| operation.op == ElementOp::Empty && operation.ret != NEVER)
        .map(|(position, _)| position as u32)
        .collect();
    if empties.is_empty() {
        return Ok(Vec::new());
    }
    let end = clock.end as usize;
    // How many elements certainly are in the queue right after each event.
    let mut inside = vec![0i32; end + 2];
    for element in elements {
        if element.put_ret < element.take_invoke {
            inside[element.put_ret as usize] += 1;
            inside[(element.take_invoke as usize).min(end + 1)] -= 1;
        }
    }
    for at in 1..inside.len() {
        inside[at] += inside[at - 1];
    }
    let mut next_free = vec![NEVER; end + 2];
    for at in (0..=end).rev() {
        next_free[at] = if inside[at] == 0 {
            at as u32
        } else {
            next_free[at + 1]
        };
    }
    let mut moments = Vec::with_capacity(empties.len());
    for empty in empties {
        let (invoke, ret) = (clock.invokes[empty as usize], clock.rets[empty as usize]);
        let moment = next_free[invoke as usize];
        if moment >= ret {
            return Err(covering(elements, empty, invoke, ret));
        }
        moments.push((moment, empty));
    }
    moments.sort_unstable();
    Ok(moments)
}

/// The order that proves it.
fn order(clock: &Clock, elements: &[Element], moments: Vec<(u32, u32)>) -> Vec<u32> {
    let mut segment_of: Vec<u32> = Vec::with_capacity(elements.len());
    for element in elements {
        // Right after `moment` lies before an event above it.
        segment_of.push(moments.partition_point(|(moment, _)| *moment < element.settled()) as u32);
    }
    let segments = moments.len() + 1;
    let mut from = vec![0u32; segments + 1];
    for &segment in &segment_of {
        from[segment as usize + 1] += 1;
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let sorting = Sorting {
        elements,
        segment_of: &segment_of,
        from: &from,
        end: clock.end as usize,
    };
    let sorted = Sorted {
        put_invoke: sorting.by(|element| element.put_invoke),
        put_ret: sorting.by(|element| element.put_ret),
        take_invoke: sorting.by(|element| element.take_invoke),
        take_ret: sorting.by(|element| element.take_ret),
    };
    let mut order = Vec::with_capacity(clock.invokes.len());
    let mut scratch = Scratch {
        gone: vec![false; elements.len()],
        half_ready: vec![false; elements.len()],
        ready: VecDeque::new(),
        puts: Vec::new(),
        takes: Vec::new(),
    };
    for segment in 0..segments {
        let range = from[segment] as usize..from[segment + 1] as usize;
        let earliest = if segment == 0 { 0 } else { moments[segment - 1].0 };
        if segment > 0 {
            order.push(moments[segment - 1].1);
        }
        segment_order(elements, &sorted, range, earliest, &mut scratch, &mut order);
    }
    order
}

/// Elements segment by segment, those of one in order of an event of theirs.
struct Sorted {
    put_invoke: Vec<u32>,
    put_ret: Vec<u32>,
    take_invoke: Vec<u32>,
    take_ret: Vec<u32>,
}

struct Sorting<'a> {
    elements: &'a [Element],
    segment_of: &'a [u32],
    /// Where each segment begins.
    from: &'a [u32],
    end: usize,
}

impl Sorting<'_> {
    /// Linear: every event is that of one element, and what never happens comes last.
    fn by(&self, key: impl Fn(&Element) -> u32) -> Vec<u32> {
        let mut at_event = vec![NOBODY; self.end + 1];
        let mut last: Vec<(u32, u32)> = Vec::new();
        for (at, element) in self.elements.iter().enumerate() {
            let event = key(element);
            match at_event.get_mut(event as usize) {
                Some(slot) => *slot = at as u32,
                None => last.push((event, at as u32)),
            }
        }
        last.sort_unstable();
        let mut next = self.from.to_vec();
        let mut sorted = vec![0u32; self.elements.len()];
        let known = at_event.into_iter().filter(|&at| at != NOBODY);
        for at in known.chain(last.into_iter().map(|(_, at)| at)) {
            let slot = &mut next[self.segment_of[at as usize] as usize];
            sorted[*slot as usize] = at;
            *slot += 1;
        }
        sorted
    }
}

/// What was done with each element, and memory for one segment after another.
struct Scratch {
    /// It has its place.
    gone: Vec<bool>,
    /// Its put or its take may be next; with both it is ready.
    half_ready: Vec<bool>,
    ready: VecDeque<u32>,
    /// By the point at which they take effect.
    puts: Vec<(u32, u32)>,
    takes: Vec<(u32, u32)>,
}

/// Elements of a segment in an order that respects time, and their operations, each as early as may be.
fn segment_order(
    elements: &[Element],
    sorted: &Sorted,
    range: Range<usize>,
    earliest: u32,
    scratch: &mut Scratch,
    order: &mut Vec<u32>,
) {
    let Scratch {
        gone,
        half_ready,
        ready,
        puts,
        takes,
    } = scratch;
    puts.clear();
    takes.clear();
    let mut put_invokes = sorted.put_invoke[range.clone()].iter().peekable();
    let mut take_invokes = sorted.take_invoke[range.clone()].iter().peekable();
    let mut put_rets = sorted.put_ret[range.clone()].iter().peekable();
    let mut take_rets = sorted.take_ret[range].iter().peekable();
    let (mut put_point, mut take_point) = (earliest, earliest);
    loop {
        while put_rets.next_if(|&&at| gone[at as usize]).is_some() {}
        while take_rets.next_if(|&&at| gone[at as usize]).is_some() {}
        let put_ret = put_rets
            .peek()
            .map_or(NEVER, |&&at| elements[at as usize].put_ret);
        let take_ret = take_rets
            .peek()
            .map_or(NEVER, |&&at| elements[at as usize].take_ret);
        let before = |invoke: u32, limit: u32| invoke < limit || limit == NEVER;
        let mut arrived = |element: u32| {
            if std::mem::replace(&mut half_ready[element as usize], true) {
                ready.push_back(element);
            }
        };
        let limit = put_ret.min(take_ret);
        while let Some(&element) = put_invokes.next_if(|&&at| before(elements[at as usize].put_invoke, limit))
        {
            arrived(element);
        }
        while let Some(&element) =
            take_invokes.next_if(|&&at| before(elements[at as usize].take_invoke, take_ret))
        {
            arrived(element);
        }
        let Some(next) = ready.pop_front() else { break };
        gone[next as usize] = true;
        let element = &elements[next as usize];
        put_point = put_point.max(element.put_invoke);
        puts.push((put_point, element.put));
        if element.take != NOBODY {
            take_point = take_point.max(element.take_invoke).max(put_point);
            takes.push((take_point, element.take));
        }
    }
    // Of a put and a take at one point the put is first: its element may be the one that is taken.
    let (mut puts, mut takes) = (puts.iter().peekable(), takes.iter().peekable());
    loop {
        let put_first = match (puts.peek(), takes.peek()) {
            (Some(put), Some(take)) => put.0 <= take.0,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        order.extend(if put_first { puts.next() } else { takes.next() }.map(|(_, operation)| operation));
    }
}
