//! A counter: `add`, `inc`, `dec` and `read`.
//!
//! `add n` (also `inc`, `dec`, by `n` or 1), `read` → `n`. It begins at 0, or as `null`: a counter that nobody has made yet.

mod direct;
mod op;

pub use self::op::CounterOp;
use crate::history::{Datum, Val};
use crate::model::{Call, Decision, Hints, Model, Operation, Shortcuts, Telling, Words};

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter;

impl Model for Counter {
    type Op = CounterOp;
    type State = i64;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<CounterOp>, String> {
        let number = |datum: Datum, default: Option<i64>| match datum.single() {
            Some(Val::NIL) => default.ok_or_else(|| "a counter takes numbers, not null".to_owned()),
            Some(value) => (call.values.int(value)).ok_or_else(|| "a counter takes whole numbers".to_owned()),
            None => Err("a counter takes numbers, not pairs".to_owned()),
        };
        match (call.f, call.result) {
            ("add", _) => number(call.argument, None).map(|by| Some(CounterOp::Add(by))),
            ("inc" | "increment", _) => number(call.argument, Some(1)).map(|by| Some(CounterOp::Add(by))),
            ("dec" | "decrement", _) => {
                number(call.argument, Some(1)).map(|by| Some(CounterOp::Add(by.wrapping_neg())))
            }
            ("read", None) => Ok(None),
            ("read", Some(result)) => number(result, Some(0)).map(|found| Some(CounterOp::Read(found))),
            (f, _) => Err(format!("a counter takes add, inc, dec and read, not {f}")),
        }
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &CounterOp, next: &mut Vec<i64>) {
        match *op {
            CounterOp::Add(by) => next.push(state.wrapping_add(by)),
            CounterOp::Read(found) if found == *state => next.push(*state),
            CounterOp::Read(_) => {}
        }
    }

    fn hints(&self) -> &impl Hints<CounterOp, i64> {
        self
    }

    fn words(&self) -> &impl Words<CounterOp, i64> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<CounterOp> {
        self
    }
}

impl Hints<CounterOp, i64> for Counter {
    fn observes_only(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_) | CounterOp::Add(0))
    }
}

impl Words<CounterOp, i64> for Counter {
    /// `the read of process 2 returned 2, and what had been added by then is 3`; between two bounds, where some of it may
    /// have come later.
    fn tell(&self, telling: &Telling<'_, CounterOp>) -> Option<String> {
        let read = telling.culprit;
        let CounterOp::Read(found) = read.op else {
            return None;
        };
        let (mut least, mut most) = (0_i64, 0_i64);
        for other in telling.part.iter().filter(|other| other.invoke < read.ret) {
            let CounterOp::Add(by) = other.op else {
                continue;
            };
            match telling.before(other, read) {
                true => (least, most) = (least.wrapping_add(by), most.wrapping_add(by)),
                false if by < 0 => least = least.wrapping_add(by),
                false => most = most.wrapping_add(by),
            }
        }
        let who = telling.who(read);
        let sum = match least == most {
            true => least.to_string(),
            false => format!("{least} at least and {most} at most"),
        };
        let outside = found < least || found > most;
        outside
            .then(|| format!("the read of {who} returned {found}, and what had been added by then is {sum}"))
    }
}

impl Shortcuts<CounterOp> for Counter {
    fn decide(&self, part: &[Operation<CounterOp>]) -> Option<Decision> {
        direct::decide(part)
    }
}
