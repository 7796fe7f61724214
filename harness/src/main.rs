//! The `duress` command.

use std::process::ExitCode;

use clap::Parser;
use duress::cli::Cli;
use duress::commands;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.command.main(),
        Err(error) => commands::usage(&error),
    }
}
