//! Models: what a system would do with one client and no faults.
//!
//! A model is one `impl` of [`Model`]: its name, and three functions. One reads an operation from the history, one says
//! in which state everything begins, one what an operation does to a state. A lamp that can be toggled and looked at:
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
//!
//! That is all that a verdict takes: [`check_model`](crate::linearizability::check_model) judges a history by it.
//!
//! What may be said besides stands apart, each in a trait of its own with defaults, and one line in the model that
//! says who has it:
//!
//! - [`Hints`]: what follows from `step` and spares a search work, e.g. that looking changes nothing. [`crate::laws`] tests them.
//! - [`Words`]: how a state reads, and which values an operation brings in or needs, for explanations.
//! - [`Shortcuts`]: algorithms that decide or divide a part without the search.
//!
//! For the lamp, `fn hints(&self) -> &impl Hints<Op, bool> { self }` in the model, and
//!
//! ```
//! # use duress_checker::model::Hints;
//! # struct Lamp;
//! # enum Op { Toggle, See(bool) }
//! impl Hints<Op, bool> for Lamp {
//!     fn observes_only(&self, op: &Op) -> bool {
//!         matches!(op, Op::See(_))
//!     }
//! }
//! ```

mod error;
mod hints;
mod operation;
mod plain;
mod shortcuts;
mod telling;
mod words;

use std::fmt::Debug;
use std::hash::Hash;

pub use self::error::CheckError;
pub use self::hints::Hints;
pub use self::operation::{Call, Operation, Part, prefix, put_in_order};
pub use self::plain::Plain;
pub use self::shortcuts::{Decision, Shortcuts};
pub use self::telling::Telling;
pub use self::words::Words;
use crate::history::{Val, Values};

/// What a system would do with one client and no faults.
pub trait Model: Sized + Sync {
    /// An operation together with its result. Operations that are equal must be interchangeable.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;
    /// A state. States that are equal must have the same future.
    type State: Clone + Eq + Hash + Debug;

    /// As the command line names it.
    fn name(&self) -> &'static str;

    /// Reads an operation. `None`: it says nothing, e.g. a read whose result nobody knows. The error says in one
    /// line what the model takes.
    fn operation(&self, call: &Call<'_>) -> Result<Option<Self::Op>, String>;

    /// Reads an operation that failed since the object held another value than it asked for ([`MISMATCH`]), as what it
    /// observed: that value was not there. The call has no result. `None`: that says nothing.
    ///
    /// [`MISMATCH`]: crate::history::MISMATCH
    fn refused(&self, _call: &Call<'_>) -> Result<Option<Self::Op>, String> {
        Ok(None)
    }

    /// The state before anything happened.
    fn initial(&self) -> Self::State;

    /// Adds every state in which the operation may leave a state; none, if its result is impossible there.
    fn step(&self, state: &Self::State, op: &Self::Op, next: &mut Vec<Self::State>);

    /// Which part of the history the operation belongs to. Parts must be independent objects: a history is
    /// linearizable exactly if each of them is (Herlihy and Wing, TOPLAS 1990, theorem 1).
    fn part(&self, call: &Call<'_>) -> Val {
        call.key
    }

    /// Whether the operation compares what it found with a state that is less than what the object holds, e.g. its
    /// fingerprint: two states may then be equal that should not be.
    fn sees_fingerprint(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Whether an order (positions in the part) that is possible state by state is so value by value too. Asked if some
    /// operation [sees a fingerprint](Model::sees_fingerprint).
    fn holds_exactly(&self, _part: &[Operation<Self::Op>], _order: &[u32], _values: &Values) -> bool {
        true
    }

    /// What spares a search work.
    fn hints(&self) -> &impl Hints<Self::Op, Self::State> {
        &Plain
    }

    /// What makes an explanation read well.
    fn words(&self) -> &impl Words<Self::Op, Self::State> {
        &Plain
    }

    /// Ways around the search.
    fn shortcuts(&self) -> &impl Shortcuts<Self::Op> {
        &Plain
    }
}
