//! How many faults a spec may have, and how long they may be.

/// Entries of `[[faults.mix]]`: more than there are faults to tell apart.
pub const MIX_MAX: usize = 100;
/// Entries of `[[faults.at]]`: such lists are written by hand, or by a program that shrinks one.
pub const AT_MAX: usize = 1000;
/// The shortest pause of a collector that anybody notices. It counts from when the fault is proven to be in force, so that short ones
/// last as much longer as that takes.
pub const LENGTH_LEAST_MS: u64 = 10;
/// A day. Longer than any run has for its faults would say nothing.
pub const SPAN_MOST_MS: u64 = 24 * 60 * 60 * 1000;
/// Faults of one entry: more at once, and nobody knows which of them did it.
pub const TOGETHER_MAX: usize = 5;
/// Weights are relative to each other.
pub const WEIGHT_MAX: u32 = 1_000_000;
