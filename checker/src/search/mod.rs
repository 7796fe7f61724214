//! The searches that decide what has no shortcut.
//!
//! [`jit`] is the one that is used. [`wgl`] is the plain algorithm (Wing and Gong 1993, Lowe 2017), kept as the oracle of the tests.

mod config;
pub mod jit;
mod mask;
mod openings;
mod space;
mod sweep;
mod timeline;
mod trail;
mod uses;
pub mod wgl;

use std::time::Duration;

use crate::verdict::Budget;

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

/// What a search may spend, and the clock that says what it has spent.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// How much.
    pub budget: Budget,
    /// Time since checking began.
    pub elapsed: &'a dyn Fn() -> Duration,
}

impl Limits<'_> {
    /// The same, but for the time: no more than this from now on.
    pub fn for_another(self, time_max: Duration) -> Self {
        let time_ms_max = ((self.elapsed)() + time_max).as_millis() as u64;
        let budget = Budget {
            time_ms_max: time_ms_max.min(self.budget.time_ms_max),
            ..self.budget
        };
        Limits { budget, ..self }
    }

    /// What is spent, in words; `None` while there is some left.
    pub fn exhausted(&self, bytes: usize) -> Option<String> {
        if bytes > self.budget.memory_bytes_max {
            let mib = self.budget.memory_bytes_max >> 20;
            return Some(format!("the search needs more than {mib} MiB of memory"));
        }
        let millis = (self.elapsed)().as_millis();
        if millis > u128::from(self.budget.time_ms_max) {
            let seconds = self.budget.time_ms_max as f64 / 1000.0;
            return Some(format!("the search takes longer than {seconds} s"));
        }
        None
    }
}
