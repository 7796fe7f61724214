//! `duress systems`: the systems that ship, or everything about one.

use std::process::ExitCode;

use duress_cluster::{Durability, System};
use duress_workloads::clients::{ClientKind, behaviour};
use serde_json::json;

use crate::commands::{fail, print, print_json};
use crate::exit;
use crate::spec::{Definition, SystemRef};

/// List the systems that can be deployed, or tell all about one
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  duress systems\n  duress systems etcd\n  duress systems ./my-system")]
pub struct Args {
    /// One of them, or the folder of a system of yours
    system: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn main(args: &Args) -> ExitCode {
    match &args.system {
        Some(system) => one(system, args.json),
        None => {
            all(args.json);
            ExitCode::SUCCESS
        }
    }
}

fn all(json: bool) {
    let systems = System::all();
    if json {
        print_json(&systems);
        return;
    }
    let line = |name: &str, system: &System, width: usize| {
        let nodes = match system.nodes_default {
            1 => "1 node ".to_owned(),
            nodes => format!("{nodes} nodes"),
        };
        print(format_args!("{name:<width$} {nodes}  {}\n", system.description));
    };
    for system in &systems {
        line(&system.name, system, 10);
    }
    print("\nWith a client program next to them, so named by their folders in the sources of Duress:\n");
    let by_folder = System::by_folder();
    let width = by_folder
        .iter()
        .map(|(folder, _)| folder.len())
        .max()
        .unwrap_or_default();
    for (folder, system) in &by_folder {
        line(folder, system, width);
    }
}

fn one(named: &str, json: bool) -> ExitCode {
    let read = Definition::read(&SystemRef::new(named)).and_then(|definition| {
        let client = definition.client()?;
        Ok((definition.system, client))
    });
    let (system, client) = match read {
        Ok(read) => read,
        Err(error) => return fail(&error, exit::USAGE),
    };
    let sentences = behaviour::sentences(&client, None);
    if json {
        print_json(&json!({
            "system": system,
            "client": {
                "name": client.name,
                "workloads": client.workloads(),
                "reads": client.reads,
                "behaviour": sentences,
            },
        }));
    } else {
        tell(&system, &client, &sentences);
    }
    ExitCode::SUCCESS
}

fn tell(system: &System, client: &ClientKind, sentences: &[String]) {
    print(format_args!("{}: {}\n", system.name, system.description));
    let row = |name: &str, value: String| print(format_args!("  {name:<10} {value}\n"));
    row("nodes", format!("{} usually", system.nodes_default));
    let runs = [
        ("local", !system.argv.is_empty()),
        ("compose", system.compose.is_some()),
    ];
    let runs: Vec<&str> = runs
        .iter()
        .filter(|(_, runs)| *runs)
        .map(|(name, _)| *name)
        .collect();
    row("runs in", runs.join(", "));
    if let Some(version) = system
        .compose
        .as_ref()
        .and_then(|compose| compose.version.as_ref())
    {
        let known = version.known.join(", ");
        row(
            "versions",
            format!("{known} ({} unless a spec says otherwise)", version.default),
        );
    }
    row(
        "keeps",
        match system.durability {
            Durability::Disk => "what it acknowledged on disk".to_owned(),
            Durability::Memory => "what it acknowledged in memory".to_owned(),
        },
    );
    if system.status.is_none() {
        row("status", "none: no leader, no terms".to_owned());
    }
    row("client", client.name.to_owned());
    row("carries", client.workloads().join(", "));
    let reads: Vec<&str> = client.reads.iter().map(|read| read.as_str()).collect();
    row("reads", reads.join(", "));
    if !system.defects.is_empty() {
        row("defects", system.defects.join(", "));
    }
    for sentence in sentences {
        print(format_args!("  {sentence}\n"));
    }
}
