//! The `duress` command.

use std::process::ExitCode;

use clap::Parser;
use duress::cli::{Cli, Command};
use duress::{commands, exit};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A terminal that went away can't be told anything.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
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
        Command::Calibrate(args) => commands::calibrate::main(&args),
        Command::Agent => duress_nemesis::agent::main(),
        Command::Sandbox { args } => duress_cluster::local::sandbox::main(&args),
        Command::Specimen(args) => commands::specimen(args),
    }
}
