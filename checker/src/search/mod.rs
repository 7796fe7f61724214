//! The searches that decide what has no shortcut.
//!
//! [`jit`] is the one that decides. [`wgl`] is the plain algorithm (Wing and Gong 1993, Lowe 2017): it
//! [confirms](crate::certify::confirmed) what others found impossible, and is an oracle of the tests.

mod checkpoints;
mod config;
mod effort;
pub mod jit;
mod layer;
mod mask;
mod openings;
mod space;
mod suspects;
mod sweep;
mod timeline;
mod trail;
mod uses;
pub mod wgl;

pub use self::suspects::suspects;

/// What a search found. Numbers are positions in the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An order that explains everything that completed.
    Order(Vec<u32>),
    /// There is none, and there would be none if the history ended with the operation that completes at this position
    /// of the part, the ones still open then being unknown.
    Impossible {
        /// Which operation could not complete.
        at: u32,
        /// What completed before this position of the history does not matter: whatever it did, and whatever those
        /// open then have done, the rest is impossible.
        since: u32,
    },
    /// The budget is spent.
    Exhausted(String),
}
