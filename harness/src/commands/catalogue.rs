//! `duress faults`, `systems` and `workloads`: what there is, generated from the code that does it.

use std::process::ExitCode;

use duress_cluster::System;
use serde_json::json;

use crate::cli::ListArgs;
use crate::commands::{print, print_json};

/// Lists the faults.
pub fn faults(args: ListArgs) -> ExitCode {
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

/// Lists the systems.
pub fn systems(args: ListArgs) -> ExitCode {
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

/// Lists the workloads.
pub fn workloads(args: ListArgs) -> ExitCode {
    let workloads = duress_workloads::catalogue();
    if args.json {
        print_json(&json!(workloads));
    } else {
        for workload in workloads {
            print(format_args!(
                "{}: {}\n    judged by the model {}\n",
                workload.name, workload.description, workload.model
            ));
            for (name, meaning) in workload.parameters {
                print(format_args!("    {name:<8} {meaning}\n"));
            }
        }
    }
    ExitCode::SUCCESS
}
