//! `duress faults`, `systems`, `workloads` and `properties`: what there is, generated from the code that does it.

use std::process::ExitCode;

use duress_checker::property::{About, PROPERTIES};
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

/// Lists the properties.
pub fn properties(args: ListArgs) -> ExitCode {
    let properties: Vec<&About> = PROPERTIES.iter().map(|property| property.about()).collect();
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
