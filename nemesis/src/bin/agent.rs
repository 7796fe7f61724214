//! The agent alone: what `duress agent` runs, without the rest of Duress.

use std::process::ExitCode;

fn main() -> ExitCode {
    duress_nemesis::agent::main()
}
