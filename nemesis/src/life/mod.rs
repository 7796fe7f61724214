//! The life of a fault: its steps in order ([`stage`]), what a kind does in each ([`technique`]), what all of a run's faults
//! share ([`shared`]), and what they can ask of its clients ([`clients`]).

pub(crate) mod clients;
pub(crate) mod shared;
pub(crate) mod spread;
pub(crate) mod stage;
pub(crate) mod technique;
