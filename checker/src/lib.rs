//! What is true: histories, models and the checkers that judge them.
//!
//! This crate is pure: no I/O of its own, no clock, no threads that it was not given. Whoever wants to check a
//! history from elsewhere needs only this crate.

pub mod certify;
pub mod consistency;
pub mod delivery;
pub mod evidence;
pub mod explain;
pub mod formats;
pub mod generate;
pub mod history;
pub mod laws;
pub mod limits;
pub mod linearizability;
pub mod model;
pub mod object;
pub mod property;
pub mod search;
pub mod stream;
pub mod verdict;
