//! `duress properties`: every property, from the table of properties.

use std::process::ExitCode;

use duress_checker::property::{self, About};

use crate::commands::{print, print_json};

/// List the properties that can be claimed, and what each judges
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress properties --json")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn main(args: &Args) -> ExitCode {
    let properties: Vec<&About> = property::all().map(|property| property.about()).collect();
    if args.json {
        print_json(&properties);
    } else {
        for about in properties {
            print(format_args!("{}: {}\n", about.name, about.claim));
            print(format_args!(
                "    {}, judged by {}\n",
                about.kind.name(),
                about.judges.name()
            ));
            for (name, meaning) in about.parameters {
                print(format_args!("    {name:<8} {meaning}\n"));
            }
        }
    }
    ExitCode::SUCCESS
}
