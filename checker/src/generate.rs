//! Histories by seed: for tests, benchmarks and whoever wants to try a checker.
//!
//! [`small`] makes a handful of operations with arbitrary results, most of them impossible: food for comparing a
//! checker with the brute force. [`register`], [`queue`], [`set`] and [`map`] simulate clients and an object, and so make
//! long histories that hold, and on demand a register's that does not: food for measuring.

use std::collections::VecDeque;

use serde_json::Value;

use crate::history::values::FastMap;
use crate::history::{Datum, History, NEVER, Row, Times, Val};
use crate::model::{Operation, Part};

/// A seeded source of numbers (splitmix64: Steele, Lea, Flood, OOPSLA 2014). The same seed gives the same numbers in
/// every version.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.any()) * u128::from(bound)) >> 64) as u64
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Operations that overlap at random, up to `length` of them, each made by `op`; `info` percent never complete.
///
/// At most `width` are open at once, so that small histories are not all concurrent.
pub fn small<Op>(
    random: &mut Random,
    length: u64,
    width: u64,
    info: u64,
    mut op: impl FnMut(&mut Random, bool) -> Op,
) -> Part<Op> {
    let mut part: Part<Op> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut position = 0;
    while (part.len() as u64) < length || !open.is_empty() {
        let begin = (part.len() as u64) < length
            && (open.len() as u64) < width
            && (open.is_empty() || random.percent(55));
        if begin {
            let unknown = random.percent(info);
            if !unknown {
                open.push(part.len());
            }
            let op = op(random, unknown);
            part.push(Operation {
                op,
                invoke: position,
                ret: NEVER,
                row: part.len() as u32,
            });
        } else {
            let at = open.swap_remove(random.below(open.len() as u64) as usize);
            part[at].ret = position;
        }
        position += 1;
    }
    part
}

/// What a generated history looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many operations.
    pub length: u32,
    /// How many clients; each has one operation open at any time.
    pub concurrency: u32,
    /// How many of a hundred operations end unknown. Their client goes on under a new number.
    pub info_percent: u64,
    /// Whether a read near the end returns a value that was replaced long before.
    pub stale: bool,
    /// The seed.
    pub seed: u64,
}

/// An operation of a client between its invocation and its completion.
struct Client<Request> {
    row: Option<(usize, Request)>,
    applied: bool,
    process: u32,
}

/// Runs clients against one object: each invokes an operation, which takes effect at some later time and then completes,
/// so that every history is linearizable by construction.
///
/// `ask` makes a request, `apply` does it and gives its result, or `None` if it failed; `row` writes both down.
fn simulate<Request: Copy>(
    shape: Shape,
    history: &mut History,
    mut ask: impl FnMut(&mut Random) -> Request,
    mut apply: impl FnMut(Request) -> Option<Datum>,
    row: impl Fn(Request) -> (u16, Val, Datum),
) {
    let mut random = Random::new(shape.seed);
    let mut clients: Vec<Client<Request>> = (0..shape.concurrency)
        .map(|process| Client {
            row: None,
            applied: false,
            process,
        })
        .collect();
    let mut processes = shape.concurrency;
    let (mut position, mut begun, mut open) = (0u32, 0u32, 0u32);
    let mut failed: Vec<usize> = Vec::new();
    while begun < shape.length || open > 0 {
        let at = random.below(u64::from(shape.concurrency)) as usize;
        let client = &mut clients[at];
        let Some((index, request)) = client.row else {
            if begun < shape.length {
                let request = ask(&mut random);
                let (f, key, argument) = row(request);
                client.row = Some((history.rows.len(), request));
                client.applied = false;
                history.rows.push(Row {
                    invoke: position,
                    ret: NEVER,
                    f,
                    node: 0,
                    process: client.process,
                    key,
                    argument,
                    result: argument,
                });
                history.times.push(Times {
                    invoked: u64::from(position) * 1000,
                    completed: 0,
                });
                position += 1;
                begun += 1;
                open += 1;
            }
            continue;
        };
        if !client.applied {
            // Of the unknown operations, half took effect.
            let unknown = random.percent(shape.info_percent);
            if unknown {
                if random.percent(50) {
                    apply(request);
                }
                client.row = None;
                client.process = processes;
                processes += 1;
                open -= 1;
                // Its event, `info`.
                position += 1;
                continue;
            }
            client.applied = true;
            match apply(request) {
                Some(result) => history.rows[index].result = result,
                None => failed.push(index),
            }
            continue;
        }
        let done = &mut history.rows[index];
        done.ret = position;
        history.times[index].completed = u64::from(position) * 1000;
        position += 1;
        client.row = None;
        open -= 1;
    }
    failed.sort_unstable();
    let succeeded = || {
        let mut failed = failed.iter().copied().peekable();
        (0..).map(move |index| failed.next_if_eq(&index).is_none())
    };
    let (mut of_rows, mut of_times) = (succeeded(), succeeded());
    history.rows.retain(|_| of_rows.next() == Some(true));
    history.times.retain(|_| of_times.next() == Some(true));
}

fn empty(functions: &[&str]) -> History {
    let mut history = History::default();
    history.functions = functions.iter().map(|&name| name.to_owned()).collect();
    history
}

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
