//! `duress workloads`: every workload, from the table of workloads.

use std::process::ExitCode;

use serde_json::json;

use crate::commands::{print, print_json};

/// List the workloads
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress workloads")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn main(args: &Args) -> ExitCode {
    let workloads = duress_workloads::catalogue();
    if args.json {
        print_json(&json!(workloads));
    } else {
        for workload in workloads {
            print(format_args!(
                "{}: {}\n    shows {}\n",
                workload.name,
                workload.description,
                workload.properties.join(", ")
            ));
            if let Some(model) = workload.model {
                print(format_args!("    judged by the model {model}\n"));
            }
            let operations: Vec<String> = workload.operations.iter().map(ToString::to_string).collect();
            print(format_args!("    asks a client for {}\n", operations.join(", ")));
            for (name, meaning) in workload.parameters {
                print(format_args!("    {name:<8} {meaning}\n"));
            }
        }
    }
    ExitCode::SUCCESS
}
