//! `duress completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::commands::print;

/// Print what a shell needs to complete this command line
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  duress completions bash > ~/.local/share/bash-completion/completions/duress"
)]
pub struct Args {
    /// For which shell
    shell: Shell,
}

/// Prints it.
pub fn main(args: &Args) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "duress", &mut text);
    print(String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}
