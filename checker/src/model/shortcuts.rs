//! Decisions without search, where a model and the values of a history allow them.
//!
//! Each path checks its own precondition, and answers `None` where it does not hold or where it is not certain; the
//! general search stands behind all of them. Each gives a witness order or a core, so that its answer can be checked
//! by [`crate::certify`] without trusting it.

use crate::history::Val;

/// What a path without search found. Numbers are positions in the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fast {
    /// An order that explains everything that completed. Operations that nobody saw the effect of may be left out.
    Order(Vec<u32>),
    /// The same, and what operations of it that leave a choice [took](crate::model::Model::taking): position and value.
    Choices(Vec<u32>, Vec<(u32, Val)>),
    /// A few operations that are impossible together.
    Core(Vec<u32>),
}

impl Fast {
    /// The order, if there is one.
    pub fn order(&self) -> Option<&[u32]> {
        match self {
            Fast::Order(order) | Fast::Choices(order, _) => Some(order),
            Fast::Core(_) => None,
        }
    }
}
