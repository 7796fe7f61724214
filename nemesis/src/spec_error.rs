//! What is wrong with the faults of a spec, and which value.

/// What is wrong with the faults of a spec, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SpecError {
    /// What, and what would be right.
    pub what: String,
    /// Which value.
    pub spot: Spot,
}

/// A value of the table `[faults]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The value that is being read: the reader knows where that is.
    Here,
    /// All of it.
    Whole,
    /// This key of the table itself.
    Key(&'static str),
    /// This key of an entry.
    Entry {
        /// `mix` or `at`.
        list: &'static str,
        /// Counted from 0.
        index: usize,
        /// E.g. `targets`.
        key: &'static str,
    },
}

impl SpecError {
    pub(crate) fn here(what: impl Into<String>) -> SpecError {
        SpecError::at(Spot::Here, what)
    }

    pub(crate) fn at(spot: Spot, what: impl Into<String>) -> SpecError {
        let what = what.into();
        SpecError { what, spot }
    }
}
