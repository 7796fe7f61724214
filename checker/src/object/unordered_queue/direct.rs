//! Unordered queues whose elements are all different: no search.
//!
//! An element matters to others only by keeping the queue from being empty. It certainly is inside from the completion
//! of its `enqueue` to the invocation of its `dequeue`; if the latter comes first, both may take effect at one moment.
//! So elements are as they should be if each comes out at most once and not before it goes in, and a `dequeue` that
//! found nothing needs a moment in its interval at which no element certainly is inside.
//!
//! An unknown `enqueue` whose element came out has happened; one whose element did not is dropped, as nobody saw it. An
//! unknown `dequeue` may have taken what nobody else took: the first to begin takes the element that went in first, and
//! so on. At a moment `p` all that is left must be gone: those that went in by then need as many unknown `dequeue` that
//! began by then, and by Hall's theorem that is enough, for the candidates of an earlier element, or moment, are
//! candidates of the later ones. So the `dequeue` that found nothing can be looked at one by one, and the answer is
//! exact.

use crate::history::NEVER;
use crate::model::Decision;
use crate::model::Operation;
use crate::object::shared::element_op::ElementOp;
use crate::object::shared::elements::{Clock, Element, LATE, elements};
use crate::object::shared::lookup::{NOBODY, tidy};

/// Decides a part; `None` if an element was put in twice.
pub fn decide(part: &[Operation<ElementOp>]) -> Option<Decision> {
    let clock = Clock::new(part);
    let (mut elements, takers) = match elements(part, &clock)? {
        Ok(found) => found,
        Err(core) => return Some(Decision::Core(core)),
    };
    if takers.iter().any(|&taker| part[taker as usize].ret != NEVER) {
        return None;
    }
    // What is left, in order of going in, for the unknown takes, in order of beginning.
    let mut left: Vec<&mut Element> = (elements.iter_mut())
        .filter(|element| element.take == NOBODY)
        .collect();
    left.sort_unstable_by_key(|element| element.put_ret);
    let mut choices = Vec::new();
    for (element, &taker) in left.into_iter().zip(&takers) {
        if let ElementOp::Put(value) = part[element.put as usize].op {
            choices.push((taker, value));
        }
        element.take = taker;
        element.take_invoke = clock.invokes[taker as usize];
        element.take_ret = LATE;
    }
    // How many elements certainly are inside, right after each event.
    let mut inside = vec![0i32; clock.end as usize + 1];
    for element in elements.iter().filter(|element| element.lasts()) {
        inside[element.put_ret as usize] += 1;
        inside[element.take_invoke.min(clock.end) as usize] -= 1;
    }
    let mut count = 0;
    for here in &mut inside {
        count += *here;
        *here = count;
    }
    // The next moment at which there need not be any.
    let mut empty = vec![NEVER; inside.len() + 1];
    for at in (0..inside.len()).rev() {
        empty[at] = if inside[at] == 0 { at as u32 } else { empty[at + 1] };
    }
    let mut moments = Vec::new();
    for (position, operation) in part.iter().enumerate() {
        if operation.op == ElementOp::Empty && operation.ret != NEVER {
            let (invoke, ret) = (clock.invokes[position], clock.rets[position]);
            let moment = empty[invoke as usize];
            if moment >= ret {
                let core = around(position as u32, &elements, &takers, &clock, invoke, ret);
                return Some(Decision::Core(core));
            }
            moments.push((moment, position as u32));
        }
    }
    Some(Decision::Choices(order(&elements, &moments), choices))
}

impl Element {
    /// Whether it certainly is inside at any moment.
    fn lasts(&self) -> bool {
        self.put_ret < self.take_invoke
    }
}

/// All that has to do with whether the queue may have been empty in an interval.
fn around(
    finder: u32,
    elements: &[Element],
    takers: &[u32],
    clock: &Clock,
    invoke: u32,
    ret: u32,
) -> Vec<u32> {
    let inside = (elements.iter())
        .filter(|element| element.lasts() && element.put_ret < ret && element.take_invoke > invoke);
    let mut core = vec![finder];
    core.extend(inside.flat_map(|element| [element.put, element.take]));
    // Those that the unknown takes were given may have been given otherwise.
    let begun = |taker: &u32| clock.invokes[*taker as usize] < ret;
    core.extend(takers.iter().copied().filter(begun));
    let given = elements
        .iter()
        .filter(|element| element.take_ret == LATE && element.put_ret < ret);
    core.extend(given.map(|element| element.put));
    tidy(core)
}

/// Everything by the moment, right after an event, at which it takes effect. At one moment first what was inside goes,
/// then what does not last comes and goes, then the queue is found empty, then what lasts comes.
fn order(elements: &[Element], moments: &[(u32, u32)]) -> Vec<u32> {
    let mut steps: Vec<(u32, u8, u32)> = Vec::with_capacity(elements.len() * 2 + moments.len());
    for element in elements {
        if element.lasts() {
            steps.push((element.put_ret - 1, 3, element.put));
            if element.take != NOBODY {
                steps.push((element.take_invoke, 0, element.take));
            }
        } else {
            let moment = element.put_invoke.max(element.take_invoke);
            steps.extend([(moment, 1, element.put), (moment, 1, element.take)]);
        }
    }
    steps.extend(moments.iter().map(|&(moment, position)| (moment, 2, position)));
    // Stable: what comes and goes at once stays together.
    steps.sort_by_key(|&(moment, turn, _)| (moment, turn));
    steps.into_iter().map(|(_, _, position)| position).collect()
}
