//! How much a pass may do, and why it ends.

/// How much a pass may look at in each layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effort {
    /// How many configurations are kept.
    pub width: usize,
    /// How many are looked at on the way to the next layer.
    pub work: usize,
    /// Unknown operations are used only where the next layer would be empty without.
    pub frugal: bool,
}

impl Effort {
    /// Everything.
    pub const EXACT: Effort = Effort {
        width: usize::MAX,
        work: usize::MAX,
        frugal: false,
    };
}

/// Why a pass ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nothing that was kept allows the operation at this position to complete.
    Dead(u32),
    /// The allowance of the pass is spent.
    Tired,
    /// The budget is spent.
    Exhausted(String),
}
