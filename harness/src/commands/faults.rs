//! `duress faults`: every kind of fault, from the table of kinds.

use std::process::ExitCode;

use crate::commands::{print, print_json};

/// List the faults: what they do, their parameters, how they are verified
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress faults")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn main(args: &Args) -> ExitCode {
    let catalogue = duress_nemesis::catalogue();
    if args.json {
        print_json(&catalogue);
    } else {
        for entry in catalogue {
            print(format_args!("{}: {}\n", entry.kind, entry.about.description));
            for parameter in &entry.about.parameters {
                print(format_args!("    {:<8} {}\n", parameter.name, parameter.values));
            }
            print(format_args!("    verified by {}\n\n", entry.about.verified_by));
        }
    }
    ExitCode::SUCCESS
}
