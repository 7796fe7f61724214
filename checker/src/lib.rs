//! What is true: histories, models and the checkers that judge them.
//!
//! This crate is pure: no I/O of its own, no clock, no threads that it was not given. Whoever wants to check a
//! history from elsewhere needs only this crate.

pub mod evidence;
pub mod history;
pub mod liveness;
pub mod verdict;
