//! `duress faults`: every kind of fault, from the table of kinds, and whether this machine can do it.

use std::process::ExitCode;

use duress_cluster::doctor::Capability;
use duress_cluster::local;
use duress_nemesis::kinds::{CatalogueEntry, KindRef, TABLE};
use serde::Serialize;

use crate::commands::{print, print_json};
use crate::machine;

/// List the faults: what they do, their parameters, how they are verified, whether this machine can do them
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  duress faults\n  duress faults packets disk-slow")]
pub struct Args {
    /// Only these kinds
    #[arg(value_parser = known)]
    kinds: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    entry: CatalogueEntry,
    /// Whether this machine can do it; missing where nothing could be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    here: Option<Here>,
}

#[derive(Serialize)]
struct Here {
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
}

fn known(name: &str) -> Result<String, String> {
    KindRef::named(name).map(|_| name.to_owned())
}

/// Prints the list.
pub fn main(args: &Args) -> ExitCode {
    // Before there are any threads: namespaces are entered by threads one by one.
    let here = local::isolate().map(|isolation| machine::faults(&machine::probe(isolation, TABLE)));
    let here = here.unwrap_or_default();
    let wanted =
        |entry: &CatalogueEntry| args.kinds.is_empty() || args.kinds.iter().any(|kind| kind == entry.kind);
    let listed: Vec<Listed> = (duress_nemesis::catalogue().into_iter().filter(wanted))
        .map(|entry| Listed {
            here: of(entry.kind, &here),
            entry,
        })
        .collect();
    if args.json {
        print_json(&listed);
    } else {
        listed.iter().for_each(|listed| print(text(listed)));
    }
    ExitCode::SUCCESS
}

/// What the machine says of a kind.
fn of(kind: &str, capabilities: &[Capability]) -> Option<Here> {
    let name = machine::name(kind);
    let found = capabilities.iter().find(|capability| capability.name == name)?;
    Some(Here {
        ok: found.ok,
        detail: found.detail.clone(),
        fix: found.fix.clone(),
    })
}

fn text(listed: &Listed) -> String {
    let CatalogueEntry { kind, about } = &listed.entry;
    let mut text = format!("{kind}: {}\n", about.description);
    for parameter in &about.parameters {
        text.push_str(&format!("    {:<8} {}\n", parameter.name, parameter.values));
    }
    text.push_str(&format!("    verified by {}\n", about.verified_by));
    text.push_str(&match &listed.here {
        Some(Here { ok: true, detail, .. }) => format!("    ✓ on this machine: {detail}\n\n"),
        Some(Here { detail, fix, .. }) => format!("    ✕ not on this machine: {detail}\n      → {fix}\n\n"),
        None => "    ? on this machine: `duress doctor` says why nothing could be tried\n\n".to_owned(),
    });
    text
}
