//! The command line: what `duress` can be told to do is the table in [`commands`](crate::commands).

use clap::Parser;

use crate::commands::Command;

/// Puts a real cluster under duress and says, with evidence, which of its promises held.
#[derive(Debug, Parser)]
#[command(name = "duress", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   every property held, and the evidence suffices
  1   some property was violated
  2   inconclusive: budget spent, or the evidence does not suffice
  3   harness failure: the test could not be run or trusted
  64  the command line or the spec is wrong";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// No two arguments of a command have one name, those that come from the kinds of fault included.
    #[test]
    fn commands_make_sense() {
        super::Cli::command().debug_assert();
    }
}
