//! What the paths of several objects have in common.

pub(crate) mod balance;
pub mod element_op;
pub(crate) mod elements;
pub(crate) mod line;
pub(crate) mod lists;
pub(crate) mod lookup;
pub(crate) mod places;
pub mod print;
