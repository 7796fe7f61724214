//! Models: what a system would do with one client and no faults.
//!
//! A model is one `impl` of [`Model`]: it reads an operation from the history, says in which state everything begins,
//! and what an operation does to a state. Everything else has a default. A lamp that can be toggled and looked at:
//!
//! ```
//! use duress_checker::model::{Call, Model};
//!
//! struct Lamp;
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Op { Toggle, See(bool) }
//!
//! impl Model for Lamp {
//!     type Op = Op;
//!     type State = bool;
//!
//!     fn name(&self) -> &'static str { "lamp" }
//!
//!     fn operation(&self, call: &Call<'_>) -> Result<Option<Op>, String> {
//!         match (call.f, call.result) {
//!             ("toggle", _) => Ok(Some(Op::Toggle)),
//!             ("see", Some(on)) => Ok(call.values.bool(on.first).map(Op::See)),
//!             ("see", None) => Ok(None),
//!             (f, _) => Err(format!("a lamp knows toggle and see, not {f}")),
//!         }
//!     }
//!
//!     fn initial(&self) -> bool { false }
//!
//!     fn step(&self, on: &bool, op: &Op, next: &mut Vec<bool>) {
//!         match op {
//!             Op::Toggle => next.push(!on),
//!             Op::See(seen) if seen == on => next.push(*on),
//!             Op::See(_) => {}
//!         }
//!     }
//! }
//! ```

pub mod shortcuts;

use std::fmt::Debug;
use std::hash::Hash;

use crate::history::{Datum, Val, Values};
use crate::model::shortcuts::Fast;
use crate::object::kv::texts::AsRegister;

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
    /// The result; the argument again where the completion says nothing. `None`: nobody knows whether it happened.
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
    /// Position of the completion, or [`NEVER`](crate::history::NEVER).
    pub ret: u32,
    /// Which row of the history it is.
    pub row: u32,
}

/// The operations on one object, in order of invocation.
pub type Part<Op> = Vec<Operation<Op>>;

/// What a system would do with one client and no faults.
pub trait Model: Sync {
    /// An operation together with its result. Operations that are equal must be interchangeable.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;
    /// A state. States that are equal must have the same future.
    type State: Clone + Eq + Hash + Debug;

    /// As the command line names it.
    fn name(&self) -> &'static str;

    /// Reads an operation. `None`: it says nothing, e.g. a read whose result nobody knows. The error says in one
    /// line what the model takes.
    fn operation(&self, call: &Call<'_>) -> Result<Option<Self::Op>, String>;

    /// The state before anything happened.
    fn initial(&self) -> Self::State;

    /// Adds every state in which the operation may leave a state; none, if its result is impossible there.
    fn step(&self, state: &Self::State, op: &Self::Op, next: &mut Vec<Self::State>);

    /// Puts an operation into effect in place and says whether that was possible; if not, the state is of no use any
    /// more. `None`, and nothing done: [`step`](Model::step) knows. For states that are dear to copy.
    fn apply(&self, _state: &mut Self::State, _op: &Self::Op) -> Option<bool> {
        None
    }

    /// An operation that leaves a choice of what it takes, as one that takes this value; `None`, if it leaves none.
    /// What becomes of a state must be something that the operation may make of it.
    fn taking(&self, _op: &Self::Op, _value: Val) -> Option<Self::Op> {
        None
    }

    /// What a state takes on the heap, in bytes, about: a search that counts none may need more memory than it may.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// Which part of the history the operation belongs to. Parts must be independent objects: a history is
    /// linearizable exactly if each of them is (Herlihy and Wing, TOPLAS 1990, theorem 1).
    fn part(&self, call: &Call<'_>) -> Val {
        call.key
    }

    /// Whether the operation leaves every state as it is. Wrongly `false` costs time only.
    fn observes_only(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Whether the operation is possible in every state and leaves all of them in one and the same state.
    /// Wrongly `false` costs time only.
    fn overwrites(&self, _op: &Self::Op) -> bool {
        false
    }

    /// The only state in which the operation is possible, if there is just one. Wrongly `None` costs time only.
    fn only_in(&self, _op: &Self::Op) -> Option<Self::State> {
        None
    }

    /// Whether operations of this kind, each taken any number of times, lead to few states. Then a search may begin by
    /// not counting the unknown ones. Wrongly `false` costs time; wrongly `true` may cost the whole budget.
    fn reusable(&self, op: &Self::Op) -> bool {
        self.overwrites(op)
    }

    /// The values that the operation brings in, for explanations: while a witness has a read of one, it keeps this.
    fn produces<'op>(&self, _op: &'op Self::Op) -> &'op [Val] {
        &[]
    }

    /// The values that the operation needs somebody to have brought in, for explanations.
    fn needs<'op>(&self, _op: &'op Self::Op) -> &'op [Val] {
        &[]
    }

    /// A state as a person reads it.
    fn show(&self, state: &Self::State, _values: &Values) -> String {
        format!("{state:?}")
    }

    /// Does what only all operations of a part allow. Adds to them what nobody tells alone, e.g. which texts a longer one
    /// was put together from; of all that is asked about an operation only [`needs`](Model::needs),
    /// [`decide`](Model::decide) and [`as_register`](Model::as_register) may depend on it. And leaves out unknown ones
    /// that can be taken out of every legal order. Called once, when the part is complete.
    fn resolve(&self, _part: &mut Part<Self::Op>, _values: &Values) {}

    /// Splits a part into independent objects once more, where all of its operations have to be known for that.
    fn divide(&self, _part: &[Operation<Self::Op>]) -> Option<Vec<Part<Self::Op>>> {
        None
    }

    /// Decides a part without search, where the model has an algorithm for it and its preconditions hold.
    fn decide(&self, _part: &[Operation<Self::Op>]) -> Option<Fast> {
        None
    }

    /// The part as a register, where that says as much: it is searched sooner than what has more states.
    fn as_register(&self, _part: &[Operation<Self::Op>]) -> Option<AsRegister> {
        None
    }

    /// What some operations of a part that [`decide`](Model::decide) decided say about a smaller object of their own,
    /// e.g. reads of a whole set about the elements that are added among them. If the part is linearizable, so must
    /// this be.
    fn focus(&self, _core: &[Operation<Self::Op>]) -> Option<Part<Self::Op>> {
        None
    }
}

/// So many elements of a list are shown.
pub(crate) const SHOWN_MAX: usize = 8;

/// A list of values as a person reads it: the end of it, if it is long.
pub(crate) fn show_list(items: impl ExactSizeIterator<Item = Val>, values: &Values) -> String {
    let left_out = items.len().saturating_sub(SHOWN_MAX);
    show_end(left_out, items.skip(left_out), values)
}

/// The end of a list of which so many are left out before.
pub(crate) fn show_end(left_out: usize, items: impl Iterator<Item = Val>, values: &Values) -> String {
    let shown: Vec<String> = items.map(|item| values.json(item).to_string()).collect();
    let more = if left_out > 0 {
        format!("{left_out} more, ")
    } else {
        String::new()
    };
    format!("[{more}{}]", shown.join(", "))
}

/// One line about a model, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// As the command line names it.
    pub name: &'static str,
    /// Which `f` it takes, and with which values.
    pub takes: &'static str,
}

/// All models by name.
pub const CATALOGUE: &[About] = &[
    About {
        name: "register",
        takes: "read -> v, write v; begins as null",
    },
    About {
        name: "cas-register",
        takes: "read -> v, write v, cas [old, new]; begins as null",
    },
    About {
        name: "multi-register",
        takes: "txn [[\"read\", x, v], [\"write\", y, v]], or read and write by key; begins as null or 0",
    },
    About {
        name: "kv",
        takes: "get -> v, put v, append text, delete, by key; begins absent, which is null or \"\"",
    },
    About {
        name: "versioned-register",
        takes: "read -> [version, v], write [null, v] -> [version, v], cas [null, [old, new]] -> [version, [old, new]]",
    },
    About {
        name: "set",
        takes: "add v, remove v, contains v -> true or false, read -> [v, ...]; begins empty",
    },
    About {
        name: "queue",
        takes: "enqueue v, dequeue -> v, or null when empty; first in, first out",
    },
    About {
        name: "unordered-queue",
        takes: "enqueue v, dequeue -> v, or null when empty; in any order",
    },
    About {
        name: "stack",
        takes: "push v, pop -> v, or null when empty",
    },
    About {
        name: "mutex",
        takes: "acquire, release",
    },
    About {
        name: "owner-mutex",
        takes: "acquire, release, by the owner in the value, else by the process",
    },
    About {
        name: "fenced-lock",
        takes: "acquire -> token, release, by process; tokens must grow",
    },
    About {
        name: "semaphore",
        takes: "acquire n, release n; semaphore:5 has five permits, semaphore one",
    },
    About {
        name: "counter",
        takes: "add n, inc, dec, read -> n; begins as 0",
    },
    About {
        name: "log",
        takes: "append v -> offset or nothing, read -> [v, ...]; begins empty",
    },
];
