//! The `duress` command.

use std::process::ExitCode;

use duress::extension::{self, Extension};

fn main() -> ExitCode {
    extension::main(Extension::default())
}
