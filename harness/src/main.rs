//! The `duress` command.

use std::process::ExitCode;

use clap::Parser;
use duress::cli::{Cli, Command};
use duress::commands;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return commands::usage(&error),
    };
    match cli.command {
        Command::Run(args) => commands::run::main(&args),
        Command::Check(args) => commands::check::main(&args),
        Command::Report(args) => commands::report::main(&args),
        Command::Heal(args) => commands::heal::main(&args),
        Command::Doctor(args) => commands::doctor::main(args),
        Command::Faults(args) => commands::catalogue::faults(args),
        Command::Systems(args) => commands::catalogue::systems(args),
        Command::Workloads(args) => commands::catalogue::workloads(args),
        Command::Properties(args) => commands::catalogue::properties(args),
        Command::Try(args) => commands::try_system::main(&args),
        Command::Calibrate(args) => commands::calibrate::main(&args),
        Command::Agent => duress_nemesis::agent::main(),
        Command::Sandbox { args } => duress_cluster::local::sandbox::main(&args),
        Command::Specimen(args) => commands::specimen(args),
    }
}
