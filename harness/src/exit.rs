//! Exit codes: the same for every command.

use duress_results::verdict_file::Overall;

/// The command line or the spec is wrong.
pub const USAGE: u8 = 64;

/// What was done does not prove enough.
pub const INCONCLUSIVE: u8 = 2;

/// The test could not be run or trusted.
pub const HARNESS_FAILURE: u8 = 3;

/// The exit code of a whole run.
pub fn code(overall: Overall) -> u8 {
    match overall {
        Overall::Held => 0,
        Overall::Violated => 1,
        Overall::Inconclusive => INCONCLUSIVE,
        Overall::HarnessFailure => HARNESS_FAILURE,
    }
}
