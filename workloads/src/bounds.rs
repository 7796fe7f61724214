//! What a number may be: from a least to a most, each with its reason.
//!
//! ```
//! use duress_workloads::Bound;
//!
//! const KEYS: Bound<u64> = Bound { key: "keys", least: 1, most: 100_000, why: "each is read at the end" };
//! assert!(KEYS.check(7).is_ok());
//! assert_eq!(KEYS.check(0).unwrap_err().what, "0 is out of range; use 1 to 100000 (each is read at the end)");
//! ```

use std::fmt::Display;

/// The least and the most that a number of a spec may be.
#[derive(Clone, Copy, Debug)]
pub struct Bound<T> {
    /// Which number, as a spec names it; tables it is in come first, as in `load.open.rate`.
    pub key: &'static str,
    /// The least.
    pub least: T,
    /// The most.
    pub most: T,
    /// Why not less, or not more.
    pub why: &'static str,
}

/// Which number or list of a workload makes no sense, and what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct SpecError {
    /// As a spec names it.
    pub key: &'static str,
    /// E.g. `0 is out of range; use 1 to 100000`.
    pub what: String,
}

impl<T: PartialOrd + Display> Bound<T> {
    /// Refuses what is less, more, or not a number at all.
    pub fn check(&self, value: T) -> Result<(), SpecError> {
        if self.least <= value && value <= self.most {
            return Ok(());
        }
        let (least, most, why) = (&self.least, &self.most, self.why);
        Err(SpecError {
            key: self.key,
            what: format!("{value} is out of range; use {least} to {most} ({why})"),
        })
    }

    /// A row of a Markdown table: the key, the least, the most, the reason.
    pub fn row(&self) -> String {
        format!(
            "| `{}` | {} | {} | {} |",
            self.key, self.least, self.most, self.why
        )
    }
}

/// A share of all: the chance of one thing of two.
pub(crate) const fn share(key: &'static str) -> Bound<f64> {
    Bound {
        key,
        least: 0.0,
        most: 1.0,
        why: "a share of all operations",
    }
}

/// A weight beside others.
pub(crate) const fn weight(key: &'static str) -> Bound<f64> {
    Bound {
        key,
        least: 0.0,
        most: 1e6,
        why: "relative to the other shares",
    }
}
