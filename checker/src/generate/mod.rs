//! Histories by seed: for tests, benchmarks and whoever wants to try a checker.
//!
//! [`small`] makes a handful of operations with arbitrary results, most of them impossible: food for comparing a
//! checker with the brute force. [`register`], [`queue`], [`set`] and [`map`] simulate clients and an object, and so
//! make long histories that hold, and on demand a register's that does not: food for measuring. [`queue_deliveries`],
//! [`stream_deliveries`], [`pipeline_deliveries`] and [`group_deliveries`] hand over events, for what judges [deliveries](crate::delivery).

mod deliveries;
mod groups;
mod pipeline;
mod random;
mod simulate;
mod small;

use std::collections::VecDeque;

use serde_json::Value;

pub use self::deliveries::{Deliveries, queue_deliveries, stream_deliveries};
pub use self::groups::group_deliveries;
pub use self::pipeline::pipeline_deliveries;
pub use self::random::Random;
pub use self::simulate::Shape;
use self::simulate::{empty, simulate};
pub use self::small::small;
use crate::history::values::FastMap;
use crate::history::{Datum, History, NEVER, Val};

#[derive(Clone, Copy)]
enum Ask {
    Read,
    Write(Val),
    Cas(Val, Val),
}

/// One register with read, write and cas, a third each. `values`: how many there are; `None`: every write has its own.
///
/// With unique values a cas asks for the value that the register has just then, or it would hardly ever succeed.
pub fn register(shape: Shape, values: Option<u32>) -> History {
    register_with_deletes(shape, values, 0)
}

/// The same where so many of a hundred writes are of `null`.
pub fn register_with_deletes(shape: Shape, values: Option<u32>, deletes_percent: u64) -> History {
    let mut history = empty(&["read", "write", "cas"]);
    let state = std::cell::Cell::new(Val::NIL);
    let mut written = 0;
    let ask = |random: &mut Random| {
        let mut fresh = || match values {
            Some(count) => Val(random.below(u64::from(count)) as u32),
            None => {
                written += 1;
                Val(written - 1)
            }
        };
        let (first, second) = (fresh(), values.map(|_| fresh()));
        match (random.below(3), second) {
            (0, _) => Ask::Read,
            (1, _) if deletes_percent > 0 && random.percent(deletes_percent) => Ask::Write(Val::NIL),
            (1, _) => Ask::Write(first),
            (_, Some(second)) => Ask::Cas(first, second),
            (_, None) => Ask::Cas(state.get(), first),
        }
    };
    let apply = |request| match request {
        Ask::Read => Some(Datum::one(state.get())),
        Ask::Write(value) => {
            state.set(value);
            Some(Datum::one(value))
        }
        Ask::Cas(old, new) => (state.get() == old).then(|| {
            state.set(new);
            Datum {
                first: old,
                second: new,
            }
        }),
    };
    simulate(shape, &mut history, ask, apply, |request| match request {
        Ask::Read => (0, Val::NONE, Datum::NIL),
        Ask::Write(value) => (1, Val::NONE, Datum::one(value)),
        Ask::Cas(old, new) => (
            2,
            Val::NONE,
            Datum {
                first: old,
                second: new,
            },
        ),
    });
    if shape.stale {
        stale_read(&mut history);
    }
    history
}

/// Lets a read near the end return what another read returned halfway.
fn stale_read(history: &mut History) {
    let reads: Vec<usize> = (0..history.rows.len())
        .filter(|&at| {
            history.rows[at].f == 0
                && history.rows[at].ret != NEVER
                && !history.rows[at].result.first.is_nil()
        })
        .collect();
    let late = reads.len() * 95 / 100;
    let Some(&victim) = reads.get(late) else { return };
    let now = history.rows[victim].result;
    let old = reads[..reads.len() / 2]
        .iter()
        .rev()
        .map(|&at| history.rows[at].result);
    if let Some(stale) = old.into_iter().find(|old| *old != now) {
        history.rows[victim].result = stale;
    }
}

/// A FIFO queue of different elements: as many enqueued as dequeued, about.
pub fn queue(shape: Shape) -> History {
    pile(shape, ["enqueue", "dequeue"], VecDeque::pop_front)
}

/// A stack of different elements, the same.
pub fn stack(shape: Shape) -> History {
    pile(shape, ["push", "pop"], VecDeque::pop_back)
}

/// An unordered queue of different elements, the same.
pub fn unordered_queue(shape: Shape) -> History {
    pile(shape, ["enqueue", "dequeue"], |inside| {
        inside.swap_remove_back(inside.len() / 2)
    })
}

/// Elements are put in at the back, and taken where `take` takes them.
fn pile(shape: Shape, functions: [&str; 2], take: impl Fn(&mut VecDeque<Val>) -> Option<Val>) -> History {
    let mut inside = VecDeque::new();
    two(shape, functions, 52, |put| match put {
        Some(value) => {
            inside.push_back(value);
            Some(Datum::one(value))
        }
        None => Some(Datum::one(take(&mut inside).unwrap_or(Val::NIL))),
    })
}

/// A counter: increments and reads.
pub fn counter(shape: Shape) -> History {
    let mut count = 0;
    let mut history = two(shape, ["inc", "read"], 50, |inc| {
        count += u32::from(inc.is_some());
        Some(Datum::one(Val(count)))
    });
    for row in &mut history.rows {
        // By one, not by the number of the request.
        if row.f == 0 {
            (row.argument, row.result) = (Datum::NIL, Datum::NIL);
        }
    }
    history
}

/// A log of different values that answers with the offset, and is not read.
pub fn log(shape: Shape) -> History {
    let mut length = 0;
    two(shape, ["append", "read"], 100, |_| {
        length += 1;
        Some(Datum::one(Val(length - 1)))
    })
}

/// A mutex that is asked for whether it is free or not.
pub fn mutex(shape: Shape) -> History {
    let mut held = false;
    two(shape, ["acquire", "release"], 50, |acquire| {
        let possible = held != acquire.is_some();
        held = acquire.is_some();
        possible.then_some(Datum::NIL)
    })
}

/// An object that is asked for two things; so many in a hundred are the first, each with a number of its own.
fn two(
    shape: Shape,
    functions: [&str; 2],
    first_percent: u64,
    mut apply: impl FnMut(Option<Val>) -> Option<Datum>,
) -> History {
    let mut history = empty(&functions);
    let mut asked = 0;
    let ask = |random: &mut Random| {
        random.percent(first_percent).then(|| {
            asked += 1;
            Val(asked)
        })
    };
    simulate(shape, &mut history, ask, &mut apply, |first| match first {
        Some(value) => (0, Val::NONE, Datum::one(value)),
        None => (1, Val::NONE, Datum::NIL),
    });
    history
}

/// A set: each element is added once, removed at most once, and looked for around then.
pub fn set(shape: Shape) -> History {
    let mut history = empty(&["add", "remove", "contains"]);
    let truth = [Value::Bool(false), Value::Bool(true)].map(|value| history.values.intern(&value));
    let inside = std::cell::RefCell::new(FastMap::<Val, bool>::default());
    let (mut added, mut removed) = (0u32, 0u32);
    let ask = |random: &mut Random| {
        let near = Val(added.saturating_sub(random.below(20) as u32));
        match random.below(4) {
            0 => {
                added += 1;
                Ask::Write(Val(added))
            }
            1 if removed + 10 < added => {
                removed += 1;
                Ask::Cas(Val(removed), Val::NIL)
            }
            _ => Ask::Cas(near, near),
        }
    };
    let apply = |request| match request {
        Ask::Write(value) => {
            inside.borrow_mut().insert(value, true);
            Some(Datum::one(value))
        }
        Ask::Cas(value, Val::NIL) => {
            inside.borrow_mut().insert(value, false);
            Some(Datum::one(value))
        }
        Ask::Cas(value, _) => {
            let found = inside.borrow().get(&value).copied().unwrap_or(false);
            Some(Datum::one(truth[usize::from(found)]))
        }
        Ask::Read => None,
    };
    simulate(shape, &mut history, ask, apply, |request| match request {
        Ask::Write(value) => (0, Val::NONE, Datum::one(value)),
        Ask::Cas(value, Val::NIL) => (1, Val::NONE, Datum::one(value)),
        Ask::Cas(value, _) => (2, Val::NONE, Datum::one(value)),
        Ask::Read => (2, Val::NONE, Datum::NIL),
    });
    history
}

/// A map of ten keys with get, put and append of short strings, four to one to four.
pub fn map(shape: Shape) -> History {
    const KEYS: usize = 10;
    let mut history = empty(&["get", "put", "append"]);
    let values = std::cell::RefCell::new(std::mem::take(&mut history.values));
    let texts = std::cell::RefCell::new(vec![String::new(); KEYS]);
    let mut asked = 0;
    let ask = |random: &mut Random| {
        asked += 1;
        let key = Val(random.below(KEYS as u64) as u32);
        let piece = values.borrow_mut().text(&format!("x{asked} "));
        match random.below(9) {
            0..=3 => (key, Ask::Read),
            // Now and then, so that strings do not grow without end.
            4 => (key, Ask::Write(piece)),
            _ => (key, Ask::Cas(piece, piece)),
        }
    };
    let apply = |(key, request): (Val, Ask)| {
        let text = &mut texts.borrow_mut()[key.0 as usize];
        Some(match request {
            Ask::Read => Datum::one(values.borrow_mut().text(text)),
            Ask::Write(piece) => {
                *text = values.borrow().str(piece).unwrap_or_default().to_owned();
                Datum::one(piece)
            }
            Ask::Cas(piece, _) => {
                text.push_str(values.borrow().str(piece).unwrap_or_default());
                Datum::one(piece)
            }
        })
    };
    simulate(shape, &mut history, ask, apply, |(key, request)| match request {
        Ask::Read => (0, key, Datum::NIL),
        Ask::Write(piece) => (1, key, Datum::one(piece)),
        Ask::Cas(piece, _) => (2, key, Datum::one(piece)),
    });
    history.values = values.into_inner();
    history
}
