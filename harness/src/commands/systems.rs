//! `duress systems`: the systems that ship.

use std::process::ExitCode;

use duress_cluster::System;

use crate::commands::{print, print_json};

/// List the systems that can be deployed
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress systems")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn main(args: &Args) -> ExitCode {
    let systems = System::all();
    if args.json {
        print_json(&systems);
    } else {
        for system in systems {
            print(format_args!(
                "{:<10} {} nodes  {}\n",
                system.name, system.nodes_default, system.description
            ));
        }
    }
    ExitCode::SUCCESS
}
