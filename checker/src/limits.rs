//! What a check may spend, and the clock that says what it has spent.

use std::time::Duration;

use crate::verdict::Budget;

/// What a check may spend, and the clock that says what it has spent.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// How much.
    pub budget: Budget,
    /// Time since checking began.
    pub elapsed: &'a dyn Fn() -> Duration,
}

impl<'a> Limits<'a> {
    /// A budget whose time begins now, and not when the clock did.
    pub fn from_now(budget: Budget, elapsed: &'a dyn Fn() -> Duration) -> Self {
        let time_ms_max = (elapsed().as_millis() as u64).saturating_add(budget.time_ms_max);
        let budget = Budget {
            time_ms_max,
            ..budget
        };
        Limits { budget, elapsed }
    }

    /// So much time from now on, whatever was spent before, and no more memory than this or the budget.
    pub fn anew(self, time_max: Duration, memory_bytes_max: usize) -> Self {
        let budget = Budget {
            time_ms_max: time_max.as_millis() as u64,
            memory_bytes_max: memory_bytes_max.min(self.budget.memory_bytes_max),
        };
        Limits::from_now(budget, self.elapsed)
    }

    /// No more time than this from now on, and no more memory, within what there is.
    pub fn within(self, time_max: Duration, memory_bytes_max: usize) -> Self {
        let own = Budget {
            time_ms_max: time_max.as_millis() as u64,
            memory_bytes_max,
        };
        let Limits { budget: own, elapsed } = Limits::from_now(own, self.elapsed);
        let budget = Budget {
            time_ms_max: own.time_ms_max.min(self.budget.time_ms_max),
            memory_bytes_max: own.memory_bytes_max.min(self.budget.memory_bytes_max),
        };
        Limits { budget, elapsed }
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
