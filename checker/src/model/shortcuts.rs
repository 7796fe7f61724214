//! Decisions without the general search, where a model and the values of a history allow them.
//!
//! Each shortcut checks its own precondition, and answers `None` where it does not hold or where it is not certain; the
//! general search stands behind all of them. Each gives a witness order or a core, so that its answer can be checked by
//! [`crate::certify`] without trusting it.

use super::operation::{Operation, Part};
use super::plain::Plain;
use crate::history::{Val, Values};
use crate::limits::Limits;

/// What was found out about a part. Numbers are positions in the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// An order that explains everything that completed. Operations that nobody saw the effect of may be left out.
    Order(Vec<u32>),
    /// The same, and what operations of it that leave a choice [took](Shortcuts::taking): position and value.
    Choices(Vec<u32>, Vec<(u32, Val)>),
    /// A few operations that are impossible together.
    Core(Vec<u32>),
}

impl Decision {
    /// The order, if there is one.
    pub fn order(&self) -> Option<&[u32]> {
        match self {
            Decision::Order(order) | Decision::Choices(order, _) => Some(order),
            Decision::Core(_) => None,
        }
    }
}

/// Ways of a model around the general search, each with a default that knows none.
pub trait Shortcuts<Op> {
    /// Does what only all operations of a part allow. Adds to them what nobody tells alone, e.g. which texts a longer
    /// one was put together from; of all that is asked about an operation only [`needs`](super::Words::needs),
    /// [`decide`](Shortcuts::decide) and [`search`](Shortcuts::search) may depend on it. And leaves out unknown ones
    /// that can be taken out of every legal order. Called once, when the part is complete.
    fn resolve(&self, _part: &mut Part<Op>, _values: &Values) {}

    /// Splits a part into independent objects once more, where all of its operations have to be known for that.
    fn divide(&self, _part: &[Operation<Op>]) -> Option<Vec<Part<Op>>> {
        None
    }

    /// Decides a part without search, where the model has an algorithm for it and its preconditions hold.
    fn decide(&self, _part: &[Operation<Op>]) -> Option<Decision> {
        None
    }

    /// Searches a part in a way that is quicker than the general search, e.g. as another object of fewer states. The
    /// error: which part of the budget is spent.
    fn search(&self, _part: &[Operation<Op>], _limits: Limits<'_>) -> Option<Result<Decision, String>> {
        None
    }

    /// Positions of operations of a part that are impossible together whatever else there was, where some can be found
    /// without search. Asked of parts that a search found impossible, to tell why by few operations.
    fn contradiction(&self, _part: &[Operation<Op>]) -> Option<Vec<u32>> {
        None
    }

    /// What some operations of a part that [`decide`](Shortcuts::decide) decided say about a smaller object of their
    /// own, e.g. reads of a whole set about the elements that are added among them. If the part is linearizable, so
    /// must this be.
    fn focus(&self, _core: &[Operation<Op>]) -> Option<Part<Op>> {
        None
    }

    /// An operation that leaves a choice of what it takes, as one that takes this value; `None`, if it leaves none.
    /// What becomes of a state must be something that the operation may make of it.
    fn taking(&self, _op: &Op, _value: Val) -> Option<Op> {
        None
    }
}

impl<Op> Shortcuts<Op> for Plain {}
